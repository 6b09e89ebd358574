"""HistoryRead through OPC UA: server CPU for each stored value, raw and in aggregates, beside asyncua's own history."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from asyncua import ua

from historian.aggregates import Aggregate
from tests.ports import free_port
from tests.scale.client import BenchClient
from tests.scale.history_child import BEGIN, SLOT_S
from tests.scale.measure import Child, Figure
from tests.scale.size import Size
from tests.scale.table import Row

NAME = "history-read"
YEAR = {Size.FULL: 35_040, Size.QUICK: 35_040, Size.TINY: 2_000}
PAGE = 10_000
ROUNDS = {Size.FULL: 5, Size.QUICK: 3, Size.TINY: 2}
REPEATS = {Size.FULL: 10, Size.QUICK: 4, Size.TINY: 3}
STOCK_REPEATS = {Size.FULL: 2, Size.QUICK: 1, Size.TINY: 1}
AGGREGATES = (Aggregate.DELTA_BOUNDS, Aggregate.TIME_AVERAGE, Aggregate.MAXIMUM)


def run(size: Size, step: Callable[[str], None]) -> list[Row]:
    """Read pages of a year of quarter hours of one register, and the year in 12 and in hourly intervals."""
    slots = YEAR[size]
    page = min(slots, PAGE)
    step("history reads, stock asyncua")
    with Child("history_child", ours=False, port=free_port(), slots=slots) as child:
        stock = asyncio.run(_measure(child, [(_raw(slots, page), page)], size, STOCK_REPEATS[size]))[0]
    step("history reads")
    asked: list[tuple[Any, int]] = [(_raw(slots, page), page)]
    for parts in (12, slots // 4):
        asked += [(_processed(slots, parts, aggregate), slots) for aggregate in AGGREGATES]
    with Child("history_child", ours=True, port=free_port(), slots=slots) as child:
        raw, *processed = asyncio.run(_measure(child, asked, size, REPEATS[size]))
    rows = [Row(NAME, f"HistoryRead raw, pages of {page:,} values", "µs", raw, stock, note="server CPU a value")]
    names = [(parts, aggregate) for parts in (12, slots // 4) for aggregate in AGGREGATES]
    for (parts, aggregate), figure in zip(names, processed, strict=True):
        what = f"HistoryRead {aggregate.name}, {slots:,} values into {parts:,}"
        rows.append(Row(NAME, what, "µs", figure, note="server CPU a stored value, store included"))
    return rows


def _raw(slots: int, page: int) -> Any:
    end = BEGIN + timedelta(seconds=SLOT_S * slots)
    return ua.ReadRawModifiedDetails(False, BEGIN - timedelta(seconds=1), end, page, False)


def _processed(slots: int, parts: int, aggregate: Aggregate) -> Any:
    begin = BEGIN.replace(microsecond=0)
    span = timedelta(seconds=SLOT_S * slots)
    width_ms = span.total_seconds() * 1000 / parts
    return ua.ReadProcessedDetails(begin, begin + span, width_ms, [ua.NodeId(aggregate.value)])


async def _measure(child: Child, asked: list[tuple[Any, int]], size: Size, repeats: int) -> list[Figure]:
    """Server CPU in microseconds for each value that an answer is made of."""
    figures = []
    async with BenchClient(child.url) as client:
        node = ua.NodeId.from_string(child.ready["node"])
        for details, values in asked:
            request = ua.HistoryReadRequest()
            request.Parameters.HistoryReadDetails = details
            request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
            request.Parameters.ReleaseContinuationPoints = False
            request.Parameters.NodesToRead = [ua.HistoryReadValueId(node, None, ua.QualifiedName(), None)]
            answer = await client.call(request, ua.HistoryReadResponse)
            answer.Results[0].StatusCode.check()
            told = len(answer.Results[0].HistoryData.DataValues)
            if isinstance(details, ua.ReadRawModifiedDetails) and told != values:
                raise RuntimeError(f"{told:,} of {values:,} values were read")
            encoded = client.encode(request)
            await client.send(encoded)
            rounds = []
            for _ in range(ROUNDS[size]):
                before = child.cpu_s
                for _ in range(repeats):
                    await client.send(encoded)
                rounds.append((child.cpu_s - before) / (repeats * values) * 1e6)
            figures.append(Figure.of(rounds))
    return figures
