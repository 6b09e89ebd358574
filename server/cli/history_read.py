"""`joulehub history read`: stored values of one unit or one of its quantities, or what hours and days make of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from address_space.model import SystemClock
from address_space.model.ids import NodeUid
from address_space.model.quantity import Kind, Quantity
from historian.api import HistoryReader
from historian.buckets import Buckets, consumption, summarised
from historian.calendar import Width, edges
from historian.counters import Limits, advances
from server.cli.console import print_json
from server.cli.history_csv import HEADER, CsvRows
from server.cli.history_rows import Page, pages
from server.cli.history_source import Source, add_source, chosen, opened, settings_of
from server.cli.history_times import add_times, iso, span_of, writer_of, zone_of
from server.cli.loop import run_loop
from server.opcua.client import status_name

DAY_MS = 86_400_000
MOST_ROWS = 1000
"""Rows of a table for a person."""
MOST_VALUES = 2_000_000
"""Values of one quantity that buckets are made of at once."""
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
            await _raw(source, unit, quantities, span, zone, arguments)
        else:
            await _every(source, unit, quantities, (*span, clock.now_ns() // 1_000_000), zone, arguments)
    return 0


async def _raw(
    source: Source,
    unit: NodeUid,
    quantities: tuple[Quantity, ...],
    span: tuple[int, int],
    zone: ZoneInfo,
    arguments: argparse.Namespace,
) -> None:
    found = [page async for page in pages(source, unit, quantities, *span)]
    if arguments.json:
        print_json([row for page in found for row in _objects(page, zone)])
    elif arguments.csv:
        rows = CsvRows(writer_of(zone))
        sys.stdout.write(HEADER)
        for page in found:
            sys.stdout.writelines(rows.lines(page))
    else:
        _table(found, zone)


def _objects(page: Page, zone: ZoneInfo) -> Iterator[dict[str, Any]]:
    times = writer_of(zone)(page.time_ms)
    for time, which, value, status in zip(
        times, page.which.tolist(), page.values.tolist(), page.status.tolist(), strict=True
    ):
        quantity = page.quantities[which]
        yield {
            "time": time,
            "id": f"{page.unit}.{quantity.path}",
            "value": value if value == value else None,
            "uom": _uom(quantity),
            "status": status_name(status),
        }


def _table(found: list[Page], zone: ZoneInfo) -> None:
    rows = [row for page in found for row in _objects(page, zone)]
    if not rows:
        sys.stderr.write("nothing is stored of that time\n")
        return
    for row in rows[-MOST_ROWS:]:
        value = "—" if row["value"] is None else f"{row['value']:,.6g}".replace(",", " ")
        sys.stdout.write(f"{row['time']}  {row['id']}  {value} {row['uom']}  {row['status']}\n")
    if len(rows) > MOST_ROWS:
        sys.stderr.write(f"the last {MOST_ROWS} of {len(rows)} values; --csv and --json give all\n")


async def _every(
    source: Source,
    unit: NodeUid,
    quantities: tuple[Quantity, ...],
    span: tuple[int, int, int],
    zone: ZoneInfo,
    arguments: argparse.Namespace,
) -> None:
    found: list[dict[str, Any]] = []
    for quantity in quantities:
        buckets = await bucketed(source, unit, quantity, span, Width(arguments.every), zone)
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
        told = "  ".join(f"{name} {row[name]:.6g}" for name in shown if row[name] is not None)
        sys.stdout.write(
            f"{row['start']}  {row['id']}  {told or '—'} {row['uom']}  of {row['count']}"
            f"{'' if not row['quality'] else '  quality ' + str(row['quality'])}\n"
        )


async def bucketed(
    source: HistoryReader, unit: NodeUid, quantity: Quantity, span: tuple[int, int, int], width: Width, zone: ZoneInfo
) -> Buckets | None:
    """Buckets of one variable over what is stored of a time ([from, to) and now); None where nothing is."""
    bounds = await source.bounds(unit, quantity)
    start_ms, end_ms, now_ms = span
    if bounds is None:
        return None
    start_ms, end_ms = max(start_ms, bounds[0]), min(end_ms, bounds[1] + 1, now_ms)
    borders = edges(start_ms, end_ms, width, zone)
    if not len(borders):
        return None
    # One reading beyond both ends: what went on across an edge belongs to both of its sides.
    before = await source.value_before(unit, quantity, int(borders[0]))
    after = await source.value_after(unit, quantity, int(borders[-1]))
    first_ms = before.time_ms if before is not None else int(borders[0])
    last_ms = after.time_ms if after is not None else int(borders[-1])
    series = await source.read_raw(unit, quantity, first_ms, last_ms + 1, MOST_VALUES)
    found = summarised(series, borders)
    if quantity.kind is not Kind.COUNTER:
        return found
    usable = ~np.isnan(series.values) & (series.status < np.uint32(0x8000_0000))
    moves = advances(series.time_ms[usable], series.values[usable], Limits())
    delta, flags = consumption(moves, borders)
    return Buckets(
        found.start_ms,
        found.first,
        found.last,
        found.low,
        found.high,
        found.mean,
        delta,
        found.count,
        found.quality | flags,
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


def _uom(quantity: Quantity) -> str:
    return quantity.unit.symbol if quantity.unit is not None else ""
