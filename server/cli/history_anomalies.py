"""`joulehub history anomalies`: registers that did not simply go on, what of it was booked, and what to do about it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from address_space.model import SystemClock
from address_space.model.ids import NodeUid
from config.settings import HubSettings
from historian.counters import ANOMALIES, Move
from historian.rollups import Anomaly, KeptRollups
from historian.schema import field_of
from server.cli.arguments import how_many
from server.cli.console import print_json
from server.cli.history_source import add_config, no_history_of, settings_of
from server.cli.history_times import NS_PER_MS, add_times, iso, span_of, zone_of
from server.errors import ServerError

MONTH_MS = 31 * 86_400_000
COLUMNS = ("time", "unit", "quantity", "kind", "before", "value", "booked", "uom")
_SAID = {
    Move.ROLLOVER: "the register reached its end and began anew: {before}, then {value}; {booked}.",
    Move.RESET: "the register began anew from zero: {before}, then {value}; {booked}.",
    Move.REPLACED: "the register stands on another level: {before}, then {value}; {booked}.",
    Move.GLITCH: "a reading that does not fit: {before}, then {value}, then as before; {booked}, the reading is kept.",
}
_TO_DO = {
    Move.ROLLOVER: "Nothing is to be done.",
    Move.RESET: "Find out who or what reset the meter; what it counted until then is known only from its last reading.",
    Move.REPLACED: "If the meter was exchanged, note its last and first reading; if its transformers were, give their "
    "ratio and its date in the plant's files.",
    Move.GLITCH: "If it comes again, look at the line, the register's address in the profile and the meter.",
}


def add_to(commands: Any) -> None:
    """Add this command."""
    command = commands.add_parser("anomalies", help="registers that rolled over, were reset or replaced, and glitches")
    command.add_argument("units", nargs="*", metavar="UNIT", help="units (default: all)")
    add_times(command)
    kinds = [move.value for move in ANOMALIES]
    command.add_argument("--kind", action="append", choices=kinds, help="only these kinds; may be given again")
    command.add_argument("--most", type=how_many, default=1000, help="anomalies to tell, the newest (default 1000)")
    said = command.add_mutually_exclusive_group()
    said.add_argument("--json", action="store_true", help="answer as JSON")
    said.add_argument("--csv", action="store_true", help="answer as CSV")
    add_config(command)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Tell them, oldest first; without a time, of the last 31 days. Also beside a running hub."""
    settings, clock = settings_of(arguments), SystemClock()
    zone = zone_of(arguments, settings.plant)
    start_ms, end_ms = span_of(arguments, zone, clock, MONTH_MS)
    end_ms = min(end_ms, max(clock.now_ns() // NS_PER_MS, start_ms + 1))
    moves = [Move(kind) for kind in arguments.kind] if arguments.kind else ANOMALIES
    units = [NodeUid(unit) for unit in arguments.units] or None
    with _kept(settings) as kept:
        unknown = [unit for unit in units or () if not kept.knows(unit)]
        if unknown:
            raise no_history_of(unknown[0])
        found = kept.anomalies(units, start_ms, end_ms, moves, arguments.most)[::-1]
    if arguments.json:
        print_json([_as_data(one, zone) for one in found])
    elif arguments.csv:
        _csv(found, zone)
    else:
        _sentences(found, zone, arguments.most)
    return 0


def _kept(settings: HubSettings) -> KeptRollups:
    folder = settings.data_dir / "history"
    if not KeptRollups.there(folder):
        raise ServerError(
            "registers were never looked at here",
            where=str(folder),
            hint="a hub that runs with history.rollups.enabled looks at them every hour",
        )
    return KeptRollups(folder)


def _sentences(found: Sequence[Anomaly], zone: ZoneInfo, most: int) -> None:
    for one in found:
        said = _SAID[one.move].format(before=_shown(one, one.before), value=_shown(one, one.value), booked=_booked(one))
        point = f"{one.point}.{field_of(one.quantity)}"
        sys.stdout.write(f"{iso(one.time_ms, zone)}  {point}  {one.move.value}: {said} {_TO_DO[one.move]}\n")
    if not found:
        sys.stderr.write("every register simply went on\n")
    elif len(found) == most:
        sys.stderr.write(f"these are the newest {len(found)}; --most tells more\n")


def _booked(one: Anomaly) -> str:
    if one.booked:
        return f"{_shown(one, one.booked)} booked"
    return "nothing booked" if one.booked is not None or one.move is not Move.ROLLOVER else "booked"


def _shown(one: Anomaly, value: float) -> str:
    unit = one.quantity.unit
    number = f"{value:,.{one.quantity.value.decimals}f}".replace(",", " ")
    return f"{number} {unit.symbol}" if unit is not None else number


def _csv(found: Sequence[Anomaly], zone: ZoneInfo) -> None:
    sys.stdout.write(",".join(COLUMNS) + "\n")
    for one in found:
        told = _as_data(one, zone)
        sys.stdout.write(",".join("" if told[name] is None else str(told[name]) for name in COLUMNS) + "\n")


def _as_data(one: Anomaly, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "time": iso(one.time_ms, zone),
        "unit": one.point,
        "quantity": field_of(one.quantity),
        "kind": one.move.value,
        "before": one.before,
        "value": one.value,
        "booked": one.booked,
        "uom": one.quantity.unit.symbol if one.quantity.unit is not None else "",
    }
