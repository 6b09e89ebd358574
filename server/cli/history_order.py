"""`joulehub history order`: have meters' memories read again for a span of time, by the hub that runs or runs next."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable, Sequence
from typing import Any

from address_space.model import Clock, SystemClock
from address_space.model.ids import NodeUid, UnitHandle
from config.loader import PLANT_FILE
from config.settings import HubSettings
from drivers.api import Device
from drivers.archive import Archive
from drivers.transport import Lines
from historian.errors import StoreFull
from historian.gaps import Order, Wish
from historian.gaps.order_file import FILE, OrderFile
from server.app import Blueprint, draw
from server.assembly import Bus
from server.cli.console import print_json, progress_bar
from server.cli.history_orders import as_data, summary, wait
from server.cli.history_source import add_config, ledger_folder, settings_of
from server.cli.history_times import NS_PER_MS, add_times, iso, span_of, zone_of
from server.cli.loop import run_loop
from server.errors import CannotWrite, ServerError
from server.expected import expected

NAMED = 5
"""Units that an error names."""
MOST_NAME = 100
_DAY_MS = 86_400_000


def add_to(commands: Any) -> None:
    """Add this command."""
    order = commands.add_parser("order", help="have the hub read the memory of meters again for a span of time")
    order.add_argument("units", nargs="+", metavar="UNIT", help="metering units whose meters have a memory")
    add_times(order)
    order.add_argument("--by", metavar="NAME", help="who orders it (default: the user of this machine)")
    order.add_argument("--wait", action="store_true", help="return when it is carried out; Ctrl-C leaves it ordered")
    order.add_argument("--json", action="store_true", help="answer as JSON")
    add_config(order)
    order.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check everything, then put the order where the hub finds it."""
    settings, clock = settings_of(arguments), SystemClock()
    if not settings.history.enabled:
        raise ServerError("the history is switched off", hint="set history.enabled = true in hub.toml")
    zone = zone_of(arguments, settings.plant)
    if arguments.from_ is None and arguments.last is None:
        raise ServerError("no time is given", hint="give --from and --to, or --last, as --last 24h")
    start_ms, end_ms = span_of(arguments, zone, clock)
    end_ms = _checked_end(start_ms, end_ms, settings, clock, lambda time_ms: iso(time_ms, zone))
    by = _name(arguments.by)
    with progress_bar("reading meter lists") as progress:
        blueprint = draw(settings, progress=progress)
    units = tuple(dict.fromkeys(NodeUid(unit) for unit in arguments.units))
    _check_units(blueprint, units, clock, end_ms)
    order = _put(settings, Wish(units, start_ms, end_ms, by), clock)
    if arguments.wait:
        path = settings.data_dir / "history" / FILE
        return run_loop(wait(path, order.number, clock, zone, as_json=arguments.json))
    if arguments.json:
        print_json(as_data(order, zone))
        return 0
    sys.stdout.write(f"{summary(order, zone)}\n")
    sys.stderr.write(
        "a hub that runs begins within seconds, else the next one that is started; "
        f"`joulehub history orders {order.number}` tells how it goes\n"
    )
    return 0


def _checked_end(start_ms: int, end_ms: int, settings: HubSettings, clock: Clock, told: Callable[[int], str]) -> int:
    """Up to where there can be readings; raises ServerError where there can be none at all."""
    now_ms = clock.now_ns() // NS_PER_MS
    if start_ms >= now_ms:
        raise ServerError(
            f"{told(start_ms)} lies in the future",
            where="--from",
            hint=f"it is {told(now_ms)}: meters have kept nothing yet",
        )
    days = settings.history.retention_days
    oldest_ms = now_ms - days * _DAY_MS
    if days and start_ms < oldest_ms:
        raise ServerError(
            f"{told(start_ms)} is longer ago than the {days} days for which the history is kept",
            where="--from",
            hint=f"order from {told(oldest_ms)} on, or raise history.retention_days in hub.toml first",
        )
    return min(end_ms, now_ms)


def _name(given: str | None) -> str:
    """Who orders; raises ServerError where a name cannot be shown."""
    if given is None:
        try:
            given = getpass.getuser()
        except (OSError, KeyError):
            given = "unknown"
    name = given.strip()
    if not name or len(name) > MOST_NAME or not name.isprintable():
        raise ServerError(
            f"{given[:MOST_NAME]!r} is no name", where="--by", hint=f"give 1 to {MOST_NAME} printable characters"
        )
    return name


def _check_units(blueprint: Blueprint, units: Sequence[NodeUid], clock: Clock, end_ms: int) -> None:
    """Raises ServerError where the plant has no such units, or the hub knows no memory of their meters."""
    where, plant = str(blueprint.settings.plant / PLANT_FILE), blueprint.assembly.plant
    nodes = [f"{unit} ({plant.nodes[unit].kind.name.lower()})" for unit in units if unit in plant.nodes]
    _refuse(nodes, "a place of the hierarchy, no metering unit", where, "name the metering units below it")
    unknown = [unit for unit in units if unit not in plant.unit_of]
    _refuse(unknown, "no metering unit of the plant", where, "write ids as in the meter lists, as m0042")
    off = [unit for unit in units if not plant.units[plant.unit_of[unit]].enabled]
    _refuse(off, "switched off, not asked for anything", where, "set enabled: true first")
    plan = expected(blueprint.assembly)
    unrecorded = [unit for unit in units if unit not in plan]
    _refuse(unrecorded, "nothing of it is recorded at every reading", where, "see record and deadband of its profile")
    reach = _reach_ms(blueprint, units, clock)
    bare = [unit for unit in units if not reach[unit]]
    _refuse(bare, "no memory that the hub can read", where, "docs/history.md lists the protocols whose meters have one")
    now_ms = clock.now_ns() // NS_PER_MS
    beyond = [f"{unit} ({reach[unit] // _DAY_MS} days)" for unit in units if end_ms <= now_ms - reach[unit]]
    _refuse(beyond, "its memory does not reach back so far", where, "order a later span")


def _refuse(units: Sequence[str], why: str, where: str, hint: str) -> None:
    """Raises ServerError where there are such units."""
    if units:
        more = f" and {len(units) - NAMED} more" if len(units) > NAMED else ""
        raise ServerError(f"{', '.join(units[:NAMED])}{more}: {why}", where=where, hint=hint)


def _reach_ms(blueprint: Blueprint, units: Sequence[NodeUid], clock: Clock) -> dict[NodeUid, int]:
    """How far back the memory of each unit's meter goes at most; 0 where it has none."""
    plant, buses = blueprint.assembly.plant, {bus.config.id: bus for bus in blueprint.assembly.buses}
    wanted = {plant.unit_of[unit] for unit in units}
    found: dict[NodeUid, int] = dict.fromkeys(units, 0)
    for channel in {plant.units[unit].channel for unit in wanted}:
        for unit, reach_ms in _of_bus(buses[channel], wanted, clock):
            found[plant.units[unit].id] = reach_ms
    return found


def _of_bus(bus: Bus, wanted: set[UnitHandle], clock: Clock) -> list[tuple[UnitHandle, int]]:
    driver = bus.plugin.create(bus.config.id, bus.options, Lines(clock))
    if not isinstance(driver, Archive):
        return []
    devices: list[Device] = [polled.device for polled in bus.devices if polled.device.unit in wanted]
    return [(device.unit, max((book.reach_ms for book in driver.books(device)), default=0)) for device in devices]


def _put(settings: HubSettings, wish: Wish, clock: Clock) -> Order:
    """Write the order; raises HubError."""
    folder = ledger_folder(settings)
    try:
        with OrderFile(folder / FILE) as file:
            return file.add(wish, clock.now_ns() // NS_PER_MS)
    except StoreFull as error:
        hint = "give the order as the user that the hub runs as, and see that the disk has room"
        raise CannotWrite(f"the order cannot be written: {error.what}", where=str(folder / FILE), hint=hint) from error
