"""HistoryRead with bounds: Table 1 of OPC 10000-11 4.6, row by row, and what it leaves open."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asyncua import ua

from address_space.model.quantity import Quantity
from server.opcua import Limits

pytestmark = pytest.mark.asyncio(loop_scope="session")

_STATUS = ua.StatusCodes
_FIVE = datetime(2026, 5, 1, 5, tzinfo=UTC)
_NODE = ua.NodeId("m16.ActivePower", 2)
_STORED = ("5:00", "5:02", "5:03", "5:05", "5:06")
TABLE = """
5:00 5:05 0 Yes 5:00 5:02 5:03 5:05
5:00 5:05 0 No 5:00 5:02 5:03
5:01 5:04 0 Yes 5:00 5:02 5:03 5:05
5:01 5:04 0 No 5:02 5:03
5:05 5:00 0 Yes 5:05 5:03 5:02 5:00
5:05 5:00 0 No 5:05 5:03 5:02
5:04 5:01 0 Yes 5:05 5:03 5:02 5:00
5:04 5:01 0 No 5:03 5:02
4:59 5:05 0 Yes FIRST@4:59 5:00 5:02 5:03 5:05
4:59 5:05 0 No 5:00 5:02 5:03
5:01 5:07 0 Yes 5:00 5:02 5:03 5:05 5:06 LAST@5:07
5:01 5:07 0 No 5:02 5:03 5:05 5:06
5:00 5:05 3 Yes 5:00 5:02 5:03 +
5:00 5:05 3 No 5:00 5:02 5:03
5:01 5:04 3 Yes 5:00 5:02 5:03 +
5:01 5:04 3 No 5:02 5:03
5:05 5:00 3 Yes 5:05 5:03 5:02 +
5:05 5:00 3 No 5:05 5:03 5:02
5:04 5:01 3 Yes 5:05 5:03 5:02 +
5:04 5:01 3 No 5:03 5:02
4:59 5:05 3 Yes FIRST@4:59 5:00 5:02 +
4:59 5:05 3 No 5:00 5:02 5:03
5:01 5:07 3 Yes 5:00 5:02 5:03 +
5:01 5:07 3 No 5:02 5:03 5:05 +
5:00 - 3 Yes 5:00 5:02 5:03
5:00 - 3 No 5:00 5:02 5:03
5:00 - 6 Yes 5:00 5:02 5:03 5:05 5:06 LAST@5:06:01
5:00 - 6 No 5:00 5:02 5:03 5:05 5:06
5:07 - 6 Yes 5:06 LAST@5:06:01
5:07 - 6 No
- 5:06 3 Yes 5:06 5:05 5:03
- 5:06 3 No 5:06 5:05 5:03
- 5:06 6 Yes 5:06 5:05 5:03 5:02 5:00 FIRST@4:59:59
- 5:06 6 No 5:06 5:05 5:03 5:02 5:00
- 4:48 6 Yes 5:00 FIRST@4:59:59
- 4:48 6 No
4:48 4:48 0 Yes FIRST@4:48 5:00
4:48 4:48 0 No
4:48 4:48 1 Yes FIRST@4:48 +
4:48 4:48 1 No
4:48 4:48 2 Yes FIRST@4:48 5:00
5:00 5:00 0 Yes 5:00 5:02
5:00 5:00 0 No 5:00
5:00 5:00 1 Yes 5:00 +
5:00 5:00 1 No 5:00
5:01 5:01 0 Yes 5:00 5:02
5:01 5:01 0 No
5:01 5:01 1 Yes 5:00 +
5:01 5:01 1 No
5:07 5:07 0 Yes 5:06 LAST@5:07
""".strip().splitlines()


def _clock(text: str) -> datetime:
    hours, minutes, *seconds = (int(part) for part in text.split(":"))
    return _FIVE + timedelta(hours=hours - 5, minutes=minutes, seconds=seconds[0] if seconds else 0)


def _details(start: datetime | None, end: datetime | None, most: int, *, bounds: bool) -> Any:
    null = ua.get_win_epoch()
    return ua.ReadRawModifiedDetails(False, start or null, end or null, most, bounds)


async def _page(client: Any, details: Any, node: ua.NodeId = _NODE, point: bytes | None = None) -> Any:
    asked = [ua.HistoryReadValueId(node, None, ua.QualifiedName(), point)]
    (result,) = await client.uaclient.history_read(
        ua.HistoryReadParameters(details, ua.TimestampsToReturn.Source, False, asked)
    )
    return result


def _told(result: Any) -> list[tuple[datetime, bool]]:
    """Time of each value, and whether it is a bound that was not found."""
    found = []
    for one in result.HistoryData.DataValues:
        missing = one.StatusCode.value == _STATUS.BadBoundNotFound
        assert missing is (one.Value.Value is None)
        found.append((one.SourceTimestamp, missing))
    return found


def _wanted(tokens: list[str]) -> list[tuple[datetime, bool]]:
    return [(_clock(token.rpartition("@")[2]), "@" in token) for token in tokens]


def keep_table(hub: Any) -> None:
    rows = [(round(_clock(at).timestamp() * 1000), float(place), 0) for place, at in enumerate(_STORED)]
    hub.history.keep("m16", Quantity.ACTIVE_POWER, rows)


@pytest.mark.parametrize("row", TABLE)
async def test_each_row_of_the_table_is_answered_as_printed(hub, client, row: str) -> None:
    keep_table(hub)
    start, end, most, bounds, *expected = row.split()
    goes_on = "+" in expected
    times = [None if text == "-" else _clock(text) for text in (start, end)]
    details = _details(times[0], times[1], int(most), bounds=bounds == "Yes")
    result = await _page(client, details)
    assert _told(result) == _wanted([told for told in expected if told != "+"])
    assert bool(result.ContinuationPoint) is goes_on
    assert result.StatusCode.value == (_STATUS.Good if expected else _STATUS.GoodNoData)


@pytest.mark.parametrize("row", [row for row in TABLE if " Yes" in row and "-" not in row])
async def test_pages_of_any_size_together_are_the_interval_with_its_bounds(hub, client, row: str) -> None:
    keep_table(hub)
    start, end, *_ = row.split()
    whole = await _page(client, _details(_clock(start), _clock(end), 0, bounds=True))
    for size in (1, 2, 3, 4, 5):
        details = _details(_clock(start), _clock(end), size, bounds=True)
        page = await _page(client, details)
        found = _told(page)
        while page.ContinuationPoint:
            page = await _page(client, details, point=page.ContinuationPoint)
            assert 0 < len(_told(page)) <= size
            found += _told(page)
        assert found == _told(whole)


@pytest.mark.parametrize("room", [1, 2, 5])
async def test_an_open_end_that_the_hub_pages_is_told_whole_and_once(make_hub, room: int) -> None:
    small = make_hub(Limits(history_values=room))
    keep_table(small)
    await small.server.start()
    try:
        async with small.client() as client:
            ends = ("5:00", None), (None, "5:06"), ("5:07", None), (None, "4:48")
            for (start, end), most in itertools.product(ends, (1, 2, 3, 5, 6, 20)):
                times = [None if text is None else _clock(text) for text in (start, end)]
                details = _details(times[0], times[1], most, bounds=True)
                page = await _page(client, details)
                found = _told(page)
                while page.ContinuationPoint:
                    page = await _page(client, details, point=page.ContinuationPoint)
                    found += _told(page)
                (row,) = [one.split()[4:] for one in TABLE if one.startswith(f"{start or '-'} {end or '-'} 6 Yes")]
                assert found == _wanted(row)[:most]
    finally:
        await small.server.stop()


async def test_bounds_lie_beside_times_between_two_milliseconds(hub, client) -> None:
    keep_table(hub)
    tiny = timedelta(microseconds=500)
    two, five = _clock("5:02"), _clock("5:05")

    async def times(start: datetime, end: datetime, *, bounds: bool) -> list[datetime]:
        return [at for at, _ in _told(await _page(client, _details(start, end, 0, bounds=bounds)))]

    assert await times(two - tiny, five + tiny, bounds=True) == [_clock(at) for at in _STORED]
    assert await times(two + tiny, five - tiny, bounds=True) == [two, _clock("5:03"), five]
    assert await times(five + tiny, two - tiny, bounds=True) == [_clock(at) for at in reversed(_STORED)]
    assert await times(five - tiny, two + tiny, bounds=True) == [five, _clock("5:03"), two]
    assert await times(two + tiny, five - tiny, bounds=False) == [_clock("5:03")]
    assert await times(two - tiny, two - tiny, bounds=False) == []
    (missing, *_) = _told(await _page(client, _details(_clock("4:59") + tiny, five, 0, bounds=True)))
    assert missing == (_clock("4:59") + tiny, True)


async def test_where_nothing_was_ever_stored_both_bounds_are_missing(client) -> None:
    node = ua.NodeId("m27.ActivePower", 2)
    start, end = _clock("5:00"), _clock("5:05")
    result = await _page(client, _details(start, end, 0, bounds=True), node)
    assert _told(result) == [(start, True), (end, True)]
    assert result.StatusCode.value == _STATUS.Good
