"""`joulehub history gaps` and `backfill`: what was expected and is not stored, and what meters told of it later."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from address_space.model import SystemClock
from address_space.model.ids import NodeUid
from config.spelling import Spelling
from historian.calendar import Width
from historian.gaps import Cause, Completeness, Gap, GapLedger
from server.cli.arguments import how_many
from server.cli.console import print_json
from server.cli.history_source import add_config, ledger_folder, settings_of
from server.cli.history_times import NS_PER_MS, add_times, iso, span_of, zone_of
from server.cli.loop import run_loop
from server.errors import ServerError

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
    gaps.add_argument("--most", type=how_many, default=1000, help="gaps to tell (default 1000)")
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


@dataclass(frozen=True, slots=True)
class _Question:
    """Of which ledger, time and units (None: all) to tell, with times in which zone."""

    ledger: GapLedger
    span: tuple[int, int]
    units: Sequence[NodeUid] | None
    zone: ZoneInfo


def run(arguments: argparse.Namespace) -> int:
    """Tell what is missing; without a time, of the last 31 days. Also beside a running hub."""
    question = _question(arguments)
    run_loop(_complete(question, arguments) if arguments.every is not None else _gaps(question, arguments))
    return 0


def run_backfill(arguments: argparse.Namespace) -> int:
    """Tell, by unit, what was filled and what is left; a running hub fills by itself."""
    run_loop(_filled(_question(arguments), as_json=arguments.json))
    return 0


def _question(arguments: argparse.Namespace) -> _Question:
    settings, clock = settings_of(arguments), SystemClock()
    zone = zone_of(arguments, settings.plant)
    start_ms, end_ms = span_of(arguments, zone, clock, MONTH_MS)
    span = start_ms, min(end_ms, max(clock.now_ns() // NS_PER_MS, start_ms + 1))
    ledger = GapLedger(ledger_folder(settings), clock, readonly=True)
    return _Question(ledger, span, [NodeUid(unit) for unit in arguments.units] or None, zone)


async def _name_unknown(ledger: GapLedger, units: Sequence[NodeUid] | None) -> None:
    """Say of which units nothing was ever expected; raises ServerError where there is no other unit to tell of."""
    unknown = [unit for unit in dict.fromkeys(units or ()) if not ledger.knows(unit)]
    if not unknown:
        return
    known, spelling = await ledger.points(), Spelling()
    *told, last = (_never_expected(unit, spelling.nearest(unit, known)) for unit in unknown)
    sys.stderr.writelines(f"{one}\n" for one in told)
    if len(unknown) == len(set(units or ())):
        raise last
    sys.stderr.write(f"{last}\n")


def _never_expected(unit: NodeUid, near: str) -> ServerError:
    hint = f"did you mean {near!r}? " if near else ""
    return ServerError("nothing was ever expected of it", where=unit, hint=f"{hint}write ids as in the meter lists")


async def _gaps(question: _Question, arguments: argparse.Namespace) -> None:
    units, zone = question.units, question.zone
    async with question.ledger as ledger:
        found = await ledger.gaps(*question.span, units, limit=arguments.most)
        await _name_unknown(ledger, units)
    if arguments.json:
        print_json([_as_data(gap, zone) for gap in found])
        return
    for gap in found:
        readings = f"{gap.missing} reading{'' if gap.missing == 1 else 's'}"
        sys.stdout.write(
            f"{gap.point}  {iso(gap.first_ms, zone)} … {iso(gap.last_ms, zone)}  {readings} of {gap.measurement.value} "
            f"({gap.track}): {_WHY[gap.cause]}\n"
        )
    if not found:
        sys.stderr.write("nothing is missing\n")
    elif len(found) == arguments.most:
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


async def _complete(question: _Question, arguments: argparse.Namespace) -> None:
    span, units, zone = question.span, question.units, question.zone
    width = Width(arguments.every)
    async with question.ledger as ledger:
        if units is None:
            found = await ledger.completeness_of_all(*span, width, zone)
        else:
            found = await ledger.completeness(*span, width, zone, units)
        await _name_unknown(ledger, units)
    if arguments.json:
        print_json([_counted(one, zone) for one in found])
        return
    for one in found:
        told = "nothing was expected"
        if one.expected:
            filled = f", {one.filled} of them filled" if one.filled else ""
            told = f"{_floored(one.share):.2f} %  {one.stored} of {one.expected}{filled}"
        sys.stdout.write(f"{one.point or 'all units'}  {iso(one.start_ms, zone)}  {told}\n")


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


async def _filled(question: _Question, *, as_json: bool) -> None:
    """Slots by unit: filled, still missing, and such as the meter's memory has nothing for."""
    span, units = question.span, question.units
    sums: dict[NodeUid, dict[str, int]] = {}
    async with question.ledger as ledger:
        for one in await ledger.completeness(*span, Width.MONTH, ZoneInfo("UTC"), units):
            if one.point is not None and one.filled:
                _add(sums, one.point, "filled", one.filled)
        await _name_unknown(ledger, units)
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
    else:
        sys.stderr.write("nothing is missing, nothing was filled\n")


def _add(sums: dict[NodeUid, dict[str, int]], unit: NodeUid, what: str, slots: int) -> None:
    sums.setdefault(unit, {"filled": 0, "missing": 0, "lacking": 0})[what] += slots
