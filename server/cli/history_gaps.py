"""`joulehub history gaps` and `backfill`: what was expected and is not stored, and what meters told of it later."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from address_space.model import Clock, SystemClock
from address_space.model.ids import NodeUid
from config.settings import HubSettings
from historian.calendar import Width
from historian.gaps import Cause, Completeness, Gap, GapLedger
from server.cli.console import print_json
from server.cli.history_source import add_config, ledger_folder, settings_of
from server.cli.history_times import NS_PER_MS, add_times, iso, span_of, zone_of
from server.cli.loop import run_loop

MONTH_MS = 31 * 86_400_000
PERCENT = 100.0
_WHY = {
    Cause.NOT_READ: "the meter was not read",
    Cause.HUB_DOWN: "the hub was down",
    Cause.LACKING: "the meter's memory has nothing for it",
}


def add_to(commands: Any) -> None:
    """Add these commands."""
    gaps = commands.add_parser("gaps", help="readings that were expected and are missing")
    gaps.add_argument("units", nargs="*", metavar="UNIT", help="units (default: all)")
    add_times(gaps)
    gaps.add_argument("--every", choices=(Width.DAY.value, Width.MONTH.value), help="how complete days or months are")
    gaps.add_argument("--most", type=int, default=1000, help="gaps to tell (default 1000)")
    gaps.add_argument("--json", action="store_true", help="answer as JSON")
    add_config(gaps)
    gaps.set_defaults(run=run)
    backfill = commands.add_parser(
        "backfill", help="what the hub has filled from meters' own memories, and what is left"
    )
    backfill.add_argument("units", nargs="*", metavar="UNIT", help="units (default: all)")
    add_times(backfill)
    backfill.add_argument("--json", action="store_true", help="answer as JSON")
    add_config(backfill)
    backfill.set_defaults(run=run_backfill)


def run(arguments: argparse.Namespace) -> int:
    """Tell what is missing; without a time, of the last 31 days. Also beside a running hub."""
    settings, zone, clock = settings_of(arguments), *_zone_and_clock(arguments)
    span = _span(arguments, zone, clock)
    units = [NodeUid(unit) for unit in arguments.units] or None
    if arguments.every is not None:
        run_loop(_complete(settings, clock, span, units, zone, arguments))
    else:
        run_loop(_gaps(settings, clock, span, units, zone, arguments))
    return 0


def run_backfill(arguments: argparse.Namespace) -> int:
    """Tell, by unit, what was filled and what is left; a running hub fills by itself."""
    settings, zone, clock = settings_of(arguments), *_zone_and_clock(arguments)
    span = _span(arguments, zone, clock)
    units = [NodeUid(unit) for unit in arguments.units] or None
    run_loop(_filled(settings, clock, span, units, as_json=arguments.json))
    return 0


def _zone_and_clock(arguments: argparse.Namespace) -> tuple[ZoneInfo, Clock]:
    return zone_of(arguments, settings_of(arguments).plant), SystemClock()


def _span(arguments: argparse.Namespace, zone: ZoneInfo, clock: Clock) -> tuple[int, int]:
    start_ms, end_ms = span_of(arguments, zone, clock, MONTH_MS)
    return start_ms, min(end_ms, max(clock.now_ns() // NS_PER_MS, start_ms + 1))


def _ledger(settings: HubSettings, clock: Clock) -> GapLedger:
    return GapLedger(ledger_folder(settings), clock, readonly=True)


def _known(ledger: GapLedger, units: Sequence[NodeUid] | None) -> bool:
    """Whether there is any unit to tell of; says of which nothing was ever expected."""
    unknown = [unit for unit in units or () if not ledger.knows(unit)]
    for unit in unknown:
        sys.stderr.write(f"{unit}: nothing was ever expected of it; write ids as in the meter lists\n")
    return units is None or len(unknown) < len(units)


async def _gaps(
    settings: HubSettings,
    clock: Clock,
    span: tuple[int, int],
    units: Sequence[NodeUid] | None,
    zone: ZoneInfo,
    arguments: argparse.Namespace,
) -> None:
    async with _ledger(settings, clock) as ledger:
        found = await ledger.gaps(*span, units, limit=arguments.most)
        known = _known(ledger, units)
    if arguments.json:
        print_json([_as_data(gap, zone) for gap in found])
        return
    for gap in found:
        readings = f"{gap.missing} reading{'' if gap.missing == 1 else 's'}"
        sys.stdout.write(
            f"{gap.point}  {iso(gap.first_ms, zone)} … {iso(gap.last_ms, zone)}  {readings} of {gap.measurement.value} "
            f"({gap.track}): {_WHY[gap.cause]}\n"
        )
    if not found and known:
        sys.stderr.write("nothing is missing\n")
    elif known and len(found) == arguments.most:
        sys.stderr.write(f"these are the first {len(found)}; --most tells more\n")


def _as_data(gap: Gap, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "unit": gap.point,
        "measurement": gap.measurement.value,
        "track": gap.track,
        "first": iso(gap.first_ms, zone),
        "last": iso(gap.last_ms, zone),
        "missing": gap.missing,
        "cause": gap.cause.name.lower(),
    }


async def _complete(
    settings: HubSettings,
    clock: Clock,
    span: tuple[int, int],
    units: Sequence[NodeUid] | None,
    zone: ZoneInfo,
    arguments: argparse.Namespace,
) -> None:
    width = Width(arguments.every)
    async with _ledger(settings, clock) as ledger:
        if units is None:
            found = await ledger.completeness_of_all(*span, width, zone)
        else:
            found = await ledger.completeness(*span, width, zone, units)
        _known(ledger, units)
    if arguments.json:
        print_json([_counted(one, zone) for one in found])
        return
    for one in found:
        sys.stdout.write(
            f"{one.point or 'all units'}  {iso(one.start_ms, zone)}  {_floored(one.share):.2f} %  "
            f"{one.stored} of {one.expected}{f', {one.filled} of them filled' if one.filled else ''}\n"
        )


def _floored(share: float) -> float:
    """In per cent; what is not whole never looks like it."""
    return int(share * PERCENT * PERCENT) / PERCENT


def _counted(one: Completeness, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "unit": one.point,
        "start": iso(one.start_ms, zone),
        "end": iso(one.end_ms, zone),
        "expected": one.expected,
        "stored": one.stored,
        "filled": one.filled,
    }


async def _filled(
    settings: HubSettings, clock: Clock, span: tuple[int, int], units: Sequence[NodeUid] | None, *, as_json: bool
) -> None:
    """Slots by unit: filled, still missing, and such as the meter's memory has nothing for."""
    sums: dict[NodeUid, dict[str, int]] = {}
    async with _ledger(settings, clock) as ledger:
        for one in await ledger.completeness(*span, Width.MONTH, ZoneInfo("UTC"), units):
            if one.point is not None and one.filled:
                _add(sums, one.point, "filled", one.filled)
        known = _known(ledger, units)
        for gap in await ledger.gaps(*span, units):
            _add(sums, gap.point, "lacking" if gap.cause is Cause.LACKING else "missing", gap.missing)
    if as_json:
        print_json([{"unit": unit, **numbers} for unit, numbers in sorted(sums.items())])
        return
    for unit, numbers in sorted(sums.items()):
        sys.stdout.write(
            f"{unit}  {numbers['filled']} filled, {numbers['missing']} missing, "
            f"{numbers['lacking']} that the meter's memory lacks\n"
        )
    if sums:
        sys.stderr.write(
            "a running hub fills what it can by itself; `joulehub history order UNIT --from TIME --to TIME` has it "
            "ask again\n"
        )
    elif known:
        sys.stderr.write("nothing is missing, nothing was filled\n")


def _add(sums: dict[NodeUid, dict[str, int]], unit: NodeUid, what: str, slots: int) -> None:
    sums.setdefault(unit, {"filled": 0, "missing": 0, "lacking": 0})[what] += slots
