"""HistoryRead of raw values (OPC 10000-11 6.5.3) with every combination of bounds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asyncua import ua
from asyncua.ua.uaerrors import UaStatusCodeError

from address_space.model.quantity import Quantity

pytestmark = pytest.mark.asyncio(loop_scope="session")

_STATUS = ua.StatusCodes
_EPOCH = datetime(2026, 5, 1, tzinfo=UTC)
_NODE = "m05.ActivePower"


def _at(second: float) -> datetime:
    return _EPOCH + timedelta(seconds=second)


def _ms(second: float) -> int:
    return round(_at(second).timestamp() * 1000)


@pytest.fixture
def ten(hub) -> None:
    """Values 0 to 9 at seconds 0, 10, … 90."""
    rows = [(_ms(10 * step), float(step), 0) for step in range(10)]
    hub.history.keep("m05", Quantity.ACTIVE_POWER, rows)


def _details(
    start: float | None = None, end: float | None = None, most: int = 0, *, bounds: bool = False, modified: bool = False
) -> Any:
    null = ua.get_win_epoch()
    return ua.ReadRawModifiedDetails(
        modified, null if start is None else _at(start), null if end is None else _at(end), most, bounds
    )


async def _read(
    client: Any,
    details: Any,
    *nodes: str,
    point: bytes | None = None,
    timestamps: int = 2,
    release: bool = False,
) -> list[Any]:
    asked = [ua.HistoryReadValueId(ua.NodeId(node, 2), None, ua.QualifiedName(), point) for node in nodes or (_NODE,)]
    params = ua.HistoryReadParameters(details, ua.TimestampsToReturn(timestamps), release, asked)
    results: list[Any] = await client.uaclient.history_read(params)
    return results


def _values(result: Any) -> list[Any]:
    return [one.Value.Value for one in result.HistoryData.DataValues]


@pytest.mark.parametrize(
    ("start", "end", "most", "expected"),
    [
        (20, 50, 0, [2, 3, 4]),
        (20, 50, 2, [2, 3]),
        (50, 20, 0, [5, 4, 3]),
        (50, 20, 2, [5, 4]),
        (30, 30, 0, [3]),
        (15, 20, 0, []),
        (70, None, 2, [7, 8]),
        (70, None, 50, [7, 8, 9]),
        (None, 30, 2, [3, 2]),
        (None, 30, 50, [3, 2, 1, 0]),
        (-100, 1000, 0, list(range(10))),
    ],
)
@pytest.mark.usefixtures("ten")
async def test_every_combination_of_bounds_gives_its_interval(client, start, end, most, expected) -> None:
    (result,) = await _read(client, _details(start, end, most))
    assert _values(result) == expected
    assert result.StatusCode.value == (_STATUS.Good if expected else _STATUS.GoodNoData)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (20, 50, [2, 3, 4, 5]),
        (25, 45, [2, 3, 4, 5]),
        (45, 25, [5, 4, 3, 2]),
        (50, 20, [5, 4, 3, 2]),
        (-5, 15, [None, 0, 1, 2]),
        (85, 300, [8, 9, None]),
        (300, 85, [None, 9, 8]),
    ],
)
@pytest.mark.usefixtures("ten")
async def test_bounds_are_the_values_around_and_a_missing_one_says_so(client, start, end, expected) -> None:
    (result,) = await _read(client, _details(start, end, bounds=True))
    assert _values(result) == expected
    missing = [one for one in result.HistoryData.DataValues if one.Value.Value is None]
    assert all(one.StatusCode.value == _STATUS.BadBoundNotFound for one in missing)
    assert all(one.SourceTimestamp in (_at(start), _at(end)) for one in missing)


@pytest.mark.parametrize(("start", "end"), [(0, 95), (95, -1)])
@pytest.mark.parametrize("bounds", [False, True])
@pytest.mark.usefixtures("ten")
async def test_pages_together_are_the_whole_interval_once(client, start: float, end: float, bounds: bool) -> None:
    (whole,) = await _read(client, _details(start, end, bounds=bounds))
    details = _details(start, end, 3, bounds=bounds)
    (page,) = await _read(client, details)
    found = _values(page)
    while page.ContinuationPoint:
        assert len(_values(page)) <= 3
        (page,) = await _read(client, details, point=page.ContinuationPoint)
        found += _values(page)
    assert found == _values(whole)


@pytest.mark.usefixtures("ten")
async def test_a_count_with_one_open_end_needs_no_continuation(client) -> None:
    for details in (_details(0, None, 4), _details(None, 90, 4)):
        (result,) = await _read(client, details)
        assert len(_values(result)) == 4
        assert not result.ContinuationPoint


async def test_an_answer_is_capped_and_goes_on_where_it_was_cut(hub, client) -> None:
    count = hub.options.limits.history_values + 500
    hub.history.keep("m06", Quantity.ACTIVE_POWER, [(_ms(step), float(step), 0) for step in range(count)])
    (first,) = await _read(client, _details(0, count), "m06.ActivePower")
    assert len(_values(first)) == hub.options.limits.history_values
    (rest,) = await _read(client, _details(0, count), "m06.ActivePower", point=first.ContinuationPoint)
    assert _values(first) + _values(rest) == list(range(count))
    assert not rest.ContinuationPoint
    (open_end,) = await _read(client, _details(0, None, count), "m06.ActivePower")
    (others,) = await _read(client, _details(0, None, count), "m06.ActivePower", point=open_end.ContinuationPoint)
    assert len(_values(open_end)) + len(_values(others)) == count


@pytest.mark.usefixtures("ten")
async def test_continuation_points_are_used_once_released_on_request_and_private(hub, client) -> None:
    details = _details(0, 95, 2)
    (page,) = await _read(client, details)
    async with hub.client() as other:
        (stolen,) = await _read(other, details, point=page.ContinuationPoint)
        assert stolen.StatusCode.value == _STATUS.BadContinuationPointInvalid
    (released,) = await _read(client, details, point=page.ContinuationPoint, release=True)
    assert released.StatusCode.is_good()
    (again,) = await _read(client, details, point=page.ContinuationPoint)
    assert again.StatusCode.value == _STATUS.BadContinuationPointInvalid


@pytest.mark.usefixtures("ten")
async def test_a_continuation_point_belongs_to_its_node(client) -> None:
    (page,) = await _read(client, _details(0, 95, 2))
    (wrong,) = await _read(client, _details(0, 95, 2), "m06.ActivePower", point=page.ContinuationPoint)
    assert wrong.StatusCode.value == _STATUS.BadContinuationPointInvalid


@pytest.mark.parametrize("details", [_details(0), _details(None, 5), _details(None, None, 5), _details()])
async def test_fewer_than_two_of_start_end_and_count_are_invalid(client, details) -> None:
    (result,) = await _read(client, details)
    assert result.StatusCode.value == _STATUS.BadHistoryOperationInvalid


@pytest.mark.parametrize(
    ("node", "code"),
    [
        ("m05.Nothing", _STATUS.BadNodeIdUnknown),
        ("nobody.ActivePower", _STATUS.BadNodeIdUnknown),
        ("m05", _STATUS.BadHistoryOperationUnsupported),
        ("m05.VoltageL1", _STATUS.BadHistoryOperationUnsupported),
        ("m05.Quality", _STATUS.BadHistoryOperationUnsupported),
    ],
)
async def test_nodes_without_history_say_why(client, node: str, code: int) -> None:
    (result,) = await _read(client, _details(0, 50), node)
    assert result.StatusCode.value == code


async def test_the_history_of_edits_is_empty_while_nothing_was_edited(client) -> None:
    (result,) = await _read(client, _details(0, 50, modified=True))
    assert result.StatusCode.value == _STATUS.GoodNoData
    assert isinstance(result.HistoryData, ua.HistoryModifiedData)
    assert result.HistoryData.DataValues == [] == result.HistoryData.ModificationInfos
    (bounds,) = await _read(client, _details(0, 50, modified=True, bounds=True))
    assert bounds.StatusCode.value == _STATUS.BadInvalidArgument


async def test_history_of_events_and_annotations_is_unsupported(client) -> None:
    for details in (ua.ReadEventDetails(0, _at(0), _at(90), ua.EventFilter()), ua.ReadAnnotationDataDetails([_at(0)])):
        (result,) = await _read(client, details)
        assert result.StatusCode.value == _STATUS.BadHistoryOperationUnsupported


@pytest.mark.usefixtures("ten")
@pytest.mark.parametrize(("wanted", "source", "server"), [(0, True, False), (1, False, True), (2, True, True)])
async def test_timestamps_are_returned_as_asked(client, wanted: int, source: bool, server: bool) -> None:
    (result,) = await _read(client, _details(0, 50), timestamps=wanted)
    first = result.HistoryData.DataValues[0]
    assert (first.SourceTimestamp is not None, first.ServerTimestamp is not None) == (source, server)
    with pytest.raises(UaStatusCodeError) as refused:
        await _read(client, _details(0, 50), timestamps=3)
    assert refused.value.code == _STATUS.BadTimestampsToReturnInvalid


async def test_status_and_missing_values_are_read_back_as_kept(hub, client) -> None:
    rows = [(_ms(0), 1.0, 0), (_ms(1), 2.0, _STATUS.UncertainLastUsableValue), (_ms(2), float("nan"), 0x80310000)]
    hub.history.keep("m07", Quantity.ACTIVE_POWER, rows)
    (result,) = await _read(client, _details(0, 50), "m07.ActivePower")
    assert _values(result) == [1.0, 2.0, None]
    assert [one.StatusCode.value for one in result.HistoryData.DataValues] == [row[2] for row in rows]


@pytest.mark.usefixtures("ten")
async def test_several_nodes_are_answered_each_by_itself(client) -> None:
    good, bad = await _read(client, _details(0, 30), _NODE, "m05.Nothing")
    assert _values(good) == [0, 1, 2]
    assert bad.StatusCode.value == _STATUS.BadNodeIdUnknown


async def test_limits_of_history_read_are_faults(hub, client) -> None:
    limit = hub.options.limits.nodes_per_history_read
    with pytest.raises(UaStatusCodeError) as many:
        await _read(client, _details(0, 30), *[_NODE] * (limit + 1))
    assert many.value.code == _STATUS.BadTooManyOperations
    with pytest.raises(UaStatusCodeError) as nothing:
        await client.uaclient.history_read(
            ua.HistoryReadParameters(_details(0, 30), ua.TimestampsToReturn.Both, False, [])
        )
    assert nothing.value.code == _STATUS.BadNothingToDo
