"""`joulehub history orders`: what was ordered to be read again, how far it is, and what came of it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from address_space.model import Clock, SystemClock
from historian.gaps import Hitch, Order, OrderedUnit, OrderState, UnitState
from historian.gaps.order_file import FILE, OrderFile
from server.cli.arguments import how_many
from server.cli.console import print_json, progress_bar
from server.cli.history_source import add_config, settings_of
from server.cli.history_times import NS_PER_MS, iso, zone_of
from server.cli.loop import run_loop
from server.errors import ServerError

LOOK_S = 0.5
PATIENCE_LOOKS = 20
"""Looks after which somebody who waits is told that no hub has taken the order up."""
_STATES = {
    OrderState.WAITING: "waiting",
    OrderState.RUNNING: "running",
    OrderState.DONE: "done",
    OrderState.CANCELLED: "cancelled",
}
_OF_UNIT = {UnitState.WAITING: "waiting", UnitState.DONE: "done", UnitState.FAILED: "failed"}
_WHY = {
    Hitch.NONE: "",
    Hitch.SILENT: "the meter does not answer",
    Hitch.LINE_DOWN: "the line to the meter is down",
    Hitch.REFUSED: "the meter refuses to tell its memory",
    Hitch.GARBLED: "what the meter answers cannot be understood",
    Hitch.NO_MEMORY: "the meter has no memory that the hub can read",
    Hitch.GONE: "the plant has no such unit any more, or it is switched off",
    Hitch.HISTORY: "the history could not be read or written",
    Hitch.FAULT: "the hub has a fault, its log has the details",
    Hitch.NOT_EXPECTED: "nothing was expected of it in that time",
}


def add_to(commands: Any) -> None:
    """Add this command."""
    orders = commands.add_parser("orders", help="what was ordered to be read again, and what came of it")
    orders.add_argument("number", nargs="?", type=int, metavar="NUMBER", help="one order, unit by unit")
    orders.add_argument("--cancel", action="store_true", help="cancel it; what was filled stays")
    orders.add_argument("--wait", action="store_true", help="return when it is carried out")
    orders.add_argument("--most", type=how_many, default=20, help="orders to tell, newest first (default 20)")
    orders.add_argument("--zone", help="time zone of times (default: the plant's)")
    orders.add_argument("--json", action="store_true", help="answer as JSON")
    add_config(orders)
    orders.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Tell, cancel, or wait; also beside a running hub and without one."""
    settings, clock = settings_of(arguments), SystemClock()
    zone, number = zone_of(arguments, settings.plant), arguments.number
    path = settings.data_dir / "history" / FILE
    if number is None:
        if arguments.cancel or arguments.wait:
            raise ServerError("no order is named", hint="give its number; `joulehub history orders` lists them")
        _tell_all(path, max(arguments.most, 1), zone, as_json=arguments.json)
        return 0
    if not path.is_file():
        raise ServerError(f"there is no order {number}", where=str(path), hint="nothing was ordered yet")
    if arguments.cancel:
        with OrderFile(path) as file:
            if not file.cancel(number, clock.now_ns() // NS_PER_MS):
                raise ServerError(
                    f"order {number} has ended already", where=str(path), hint=f"`joulehub history orders {number}`"
                )
    if arguments.wait:
        return run_loop(wait(path, number, clock, zone, as_json=arguments.json))
    with OrderFile(path, readonly=True) as file:
        _tell(file.order(number), file.units(number), zone, as_json=arguments.json)
    return 0


async def wait(path: Path, number: int, clock: Clock, zone: ZoneInfo, *, as_json: bool) -> int:
    """Show how an order goes until it has ended, tell what came of it, and return the exit status: 1 where a unit
    failed or it was cancelled."""
    with OrderFile(path, readonly=True) as file:
        looks = 0
        with progress_bar(f"order {number}") as progress:
            while (order := file.order(number)).is_open:
                progress(order.filled + order.lacking, order.wanted)
                looks += 1
                if looks == PATIENCE_LOOKS and order.state is OrderState.WAITING:
                    sys.stderr.write("no hub has taken the order up yet; one that is started will\n")
                await clock.sleep(LOOK_S)
        _tell(order, file.units(number), zone, as_json=as_json)
    return 0 if order.state is OrderState.DONE and not order.failed else 1


def summary(order: Order, zone: ZoneInfo) -> str:
    """An order in one line."""
    units = f"{order.units} unit{'' if order.units == 1 else 's'}"
    failed = f", {order.failed} of them failed" if order.failed else ""
    ended = f", ended {iso(order.ended_ms, zone)}" if order.ended_ms else ""
    return (
        f"order {order.number}  {_STATES[order.state]}  {units}{failed}  {iso(order.from_ms, zone)} … "
        f"{iso(order.to_ms, zone)}  {_slots(order, begun=order.begun_ms > 0)}  "
        f"by {order.by} at {iso(order.at_ms, zone)}{ended}"
    )


def as_data(order: Order, zone: ZoneInfo) -> dict[str, Any]:
    """An order for machines."""
    return {
        "order": order.number,
        "state": _STATES[order.state],
        "by": order.by,
        "ordered": iso(order.at_ms, zone),
        "begun": iso(order.begun_ms, zone) if order.begun_ms else None,
        "ended": iso(order.ended_ms, zone) if order.ended_ms else None,
        "from": iso(order.from_ms, zone),
        "to": iso(order.to_ms, zone),
        "units": order.units,
        "failed": order.failed,
        "wanted": order.wanted,
        "filled": order.filled,
        "lacking": order.lacking,
    }


def _tell_all(path: Path, most: int, zone: ZoneInfo, *, as_json: bool) -> None:
    found: list[Order] = []
    if path.is_file():
        with OrderFile(path, readonly=True) as file:
            found = file.newest(most)
    if as_json:
        print_json([as_data(order, zone) for order in found])
        return
    sys.stdout.writelines(f"{summary(order, zone)}\n" for order in found)
    if not found:
        sys.stderr.write("nothing was ordered; `joulehub history order UNIT --last 24h` does it\n")


def _tell(order: Order, units: Sequence[OrderedUnit], zone: ZoneInfo, *, as_json: bool) -> None:
    if as_json:
        print_json({**as_data(order, zone), "results": [_unit_data(unit, zone) for unit in units]})
        return
    sys.stdout.write(f"{summary(order, zone)}\n")
    for unit in units:
        sys.stdout.write(f"  {unit.point}  {_OF_UNIT[unit.state]}  {_result(unit, begun=order.begun_ms > 0)}\n")


def _result(unit: OrderedUnit, *, begun: bool) -> str:
    if unit.hitch is Hitch.NOT_EXPECTED:
        return _why(unit)
    return _slots(unit, begun=begun) + (f": {_why(unit)}" if unit.hitch else "")


def _slots(told: Order | OrderedUnit, *, begun: bool) -> str:
    if not begun:
        return "not begun"
    if not told.wanted:
        return "nothing to fill"
    lacking = f", {told.lacking} not in the memory" if told.lacking else ""
    left = told.wanted - told.filled - told.lacking
    return f"{told.filled} of {told.wanted} missing readings filled{lacking}{f', {left} open' if left else ''}"


def _why(unit: OrderedUnit) -> str:
    detail = f" ({unit.detail})" if unit.detail else ""
    tries = f", {unit.tries} attempt{'' if unit.tries == 1 else 's'} failed" if unit.tries else ""
    return f"{_WHY[unit.hitch]}{detail}{tries}"


def _unit_data(unit: OrderedUnit, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "unit": unit.point,
        "state": _OF_UNIT[unit.state],
        "wanted": unit.wanted,
        "filled": unit.filled,
        "lacking": unit.lacking,
        "next": iso(unit.next_ms, zone),
        "tries": unit.tries,
        "why": unit.hitch.name.lower() if unit.hitch else None,
        "detail": unit.detail,
    }
