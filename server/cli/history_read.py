"""`joulehub history read`: stored values of one unit or one of its quantities, or what hours and days make of them."""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Collection, Iterator
from typing import Any
from zoneinfo import ZoneInfo

from address_space.model import SystemClock
from address_space.model.ids import NodeUid
from address_space.model.quantity import Kind, Quantity, by_path
from config.settings import HubSettings
from historian.buckets import Buckets
from historian.calendar import Width
from historian.counters import Move
from server.cli.console import print_json
from server.cli.history_buckets import BucketSource, kept_rollups, registers_of
from server.cli.history_csv import HEADER, CsvRows
from server.cli.history_rows import Page, pages
from server.cli.history_source import Source, add_source, chosen, opened, settings_of
from server.cli.history_times import NS_PER_MS, add_times, iso, span_of, writer_of, zone_of
from server.cli.loop import run_loop
from server.opcua.client import status_name

DAY_MS = 86_400_000
MOST_ROWS = 1000
"""Rows of a table for a person."""
Glitches = frozenset[tuple[str, int]]
"""Fields and times of readings that were judged glitches."""
FIELDS = ("first", "last", "low", "high", "mean", "delta", "count", "quality")


def add_to(commands: Any) -> None:
    """Add this command."""
    command = commands.add_parser("read", help="stored values of a unit or one of its quantities")
    command.add_argument("id", help="unit (m0042) or point (m0042.ActiveEnergyImport)")
    add_times(command)
    form = command.add_mutually_exclusive_group()
    form.add_argument("--raw", action="store_true", help="values as they were read (the default)")
    form.add_argument("--every", choices=[width.value for width in Width], help="what buckets of this width hold")
    said = command.add_mutually_exclusive_group()
    said.add_argument("--json", action="store_true", help="answer as JSON")
    said.add_argument("--csv", action="store_true", help="answer as CSV, of raw values such as `history import` takes")
    add_source(command)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Read; without a time, the last 24 hours."""
    return run_loop(_read(arguments))


async def _read(arguments: argparse.Namespace) -> int:
    settings = settings_of(arguments)
    zone = zone_of(arguments, settings.plant)
    clock = SystemClock()
    span = span_of(arguments, zone, clock, DAY_MS)
    async with opened(settings, arguments.source, clock) as source:
        ((unit, quantities),) = chosen(await source.kept(), [arguments.id]).items()
        if arguments.every is None:
            glitches = _glitches(settings, arguments.source, unit, quantities, span)
            await _raw(source, unit, quantities, span, zone, arguments, glitches)
        else:
            until = (*span, clock.now_ns() // NS_PER_MS)
            await _every(settings, source, unit, quantities, until, zone, arguments)
    return 0


async def _raw(
    source: Source,
    unit: NodeUid,
    quantities: tuple[Quantity, ...],
    span: tuple[int, int],
    zone: ZoneInfo,
    arguments: argparse.Namespace,
    glitches: Glitches,
) -> None:
    if arguments.csv:
        lines = CsvRows(writer_of(zone))
        sys.stdout.write(HEADER)
        async for page in pages(source, unit, quantities, *span):
            sys.stdout.writelines(lines.lines(page))
        return
    found: deque[dict[str, Any]] = deque(maxlen=None if arguments.json else MOST_ROWS)
    count = 0
    async for page in pages(source, unit, quantities, *span):
        found.extend(_objects(page, zone, glitches))
        count += len(page.time_ms)
    if arguments.json:
        print_json(list(found))
    else:
        _table(found, count)


def _objects(page: Page, zone: ZoneInfo, glitches: Glitches) -> Iterator[dict[str, Any]]:
    times = writer_of(zone)(page.time_ms)
    for time, time_ms, which, value, status in zip(
        times, page.time_ms.tolist(), page.which.tolist(), page.values.tolist(), page.status.tolist(), strict=True
    ):
        quantity = page.quantities[which]
        yield {
            "time": time,
            "id": f"{page.unit}.{quantity.path}",
            "value": value if value == value else None,
            "uom": _uom(quantity),
            "status": status_name(status),
            **({"judged": Move.GLITCH.value} if (quantity.path, time_ms) in glitches else {}),
        }


def _glitches(
    settings: HubSettings, source: str, unit: NodeUid, quantities: tuple[Quantity, ...], span: tuple[int, int]
) -> Glitches:
    with kept_rollups(settings, source) as kept:
        if kept is None:
            return frozenset()
        counters = [quantity.path for quantity in quantities if quantity.kind is Kind.COUNTER]
        return frozenset((path, time_ms) for path in counters for time_ms in kept.glitches(unit, path, *span).tolist())


def _table(rows: Collection[dict[str, Any]], count: int) -> None:
    if not rows:
        sys.stderr.write("nothing is stored of that time\n")
    for row in rows:
        value = "—" if row["value"] is None else _number(row["id"], row["value"])
        sys.stdout.write(f"{row['time']}  {row['id']}  {value} {row['uom']}  {row['status']}")
        sys.stdout.write(f"  judged a {row['judged']}\n" if "judged" in row else "\n")
    if count > len(rows):
        sys.stderr.write(f"the last {len(rows)} of {count} values; --csv and --json give all\n")


async def _every(
    settings: HubSettings,
    source: Source,
    unit: NodeUid,
    quantities: tuple[Quantity, ...],
    span: tuple[int, int, int],
    zone: ZoneInfo,
    arguments: argparse.Namespace,
) -> None:
    found: list[dict[str, Any]] = []
    with kept_rollups(settings, arguments.source) as kept:
        figures = BucketSource(source, kept, registers_of(settings), zone, quarters=settings.history.rollups.quarters)
        for quantity in quantities:
            buckets = await figures.buckets(unit, quantity, span, Width(arguments.every))
            if buckets is not None:
                found += _bucket_objects(unit, quantity, buckets, zone)
    if arguments.json:
        print_json(found)
        return
    if arguments.csv:
        sys.stdout.write(",".join(("start", "id", "uom", *FIELDS)) + "\n")
        for row in found:
            cells = ("" if row[name] is None else str(row[name]) for name in FIELDS)
            sys.stdout.write(f"{row['start']},{row['id']},{row['uom']},{','.join(cells)}\n")
        return
    if not found:
        sys.stderr.write("nothing is stored of that time\n")
    for row in found:
        shown = ("delta", "last") if row["delta"] is not None else ("mean", "low", "high")
        told = "  ".join(f"{name} {_number(row['id'], row[name])}" for name in shown if row[name] is not None)
        sys.stdout.write(
            f"{row['start']}  {row['id']}  {told or '—'} {row['uom']}  of {row['count']}"
            f"{'' if not row['quality'] else '  quality ' + str(row['quality'])}\n"
        )


def _bucket_objects(unit: NodeUid, quantity: Quantity, buckets: Buckets, zone: ZoneInfo) -> Iterator[dict[str, Any]]:
    for place, start_ms in enumerate(buckets.start_ms.tolist()):
        numbers = {name: float(getattr(buckets, name)[place]) for name in FIELDS[:6]}
        yield {
            "start": iso(start_ms, zone),
            "id": f"{unit}.{quantity.path}",
            "uom": _uom(quantity),
            **{name: number if number == number else None for name, number in numbers.items()},
            "count": int(buckets.count[place]),
            "quality": int(buckets.quality[place]),
        }


def _number(point: str, value: float) -> str:
    """As a person reads it: gauges with six digits, registers and what they counted to the last one."""
    quantity = by_path(point.partition(".")[2])
    digits = 6 if quantity is not None and quantity.kind is Kind.GAUGE else 15
    return f"{value:,.{digits}g}".replace(",", " ")


def _uom(quantity: Quantity) -> str:
    return quantity.unit.symbol if quantity.unit is not None else ""
