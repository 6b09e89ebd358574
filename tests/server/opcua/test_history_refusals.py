"""What HistoryRead and HistoryUpdate refuse, and how much continuation they bear (OPC 10000-4 5.10.3, 7.9)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any

import pytest
from asyncua import ua
from asyncua.ua.uaerrors import UaStatusCodeError

from address_space.model.hierarchy import HierarchyNode, MeteringUnit, NodeKind
from address_space.model.ids import NodeUid
from address_space.model.plant import Plant
from address_space.model.point import PointSpec, Template
from address_space.model.quantity import Quantity
from historian.aggregates import Aggregate
from historian.rollups.limits import Ratings
from server.opcua import Limits
from server.opcua.history_processed import Processing
from server.opcua.history_source import Source
from server.opcua.history_variable import Variable

pytestmark = pytest.mark.asyncio(loop_scope="session")

_STATUS = ua.StatusCodes
_EPOCH = datetime(2026, 5, 1, tzinfo=UTC)
_UNITS = ("m17", "m18", "m19", "m20", "m21")
_NODE = "m17.ActivePower"


class _Unknown(IntEnum):
    """No TimestampsToReturn."""

    NOTHING = 7


def _at(second: float) -> datetime:
    return _EPOCH + timedelta(seconds=second)


def _keep(hub: Any) -> None:
    """Values 0 to 9 at seconds 0 to 9 of each unit."""
    for unit in _UNITS:
        rows = [(round(_at(second).timestamp() * 1000), float(second), 0) for second in range(10)]
        hub.history.keep(unit, Quantity.ACTIVE_POWER, rows)


def _raw(most: int = 0, end: float = 10) -> Any:
    return ua.ReadRawModifiedDetails(False, _at(0), _at(end), most, False)


def _processed(*aggregates: Aggregate, interval: float = 1000.0, configuration: Any = None) -> Any:
    functions = [ua.NodeId(one.value) for one in aggregates]
    settings = configuration or ua.AggregateConfiguration(True, False, 100, 100, False)
    return ua.ReadProcessedDetails(_at(0), _at(10), interval, functions, settings)


def _wanted(node: str, point: bytes | None = None, encoding: str = "", index_range: str | None = None) -> Any:
    return ua.HistoryReadValueId(ua.NodeId(node, 2), index_range, ua.QualifiedName(encoding or None), point)


async def _read(client: Any, details: Any, *wanted: Any, timestamps: Any = ua.TimestampsToReturn.Source) -> list[Any]:
    results: list[Any] = await client.uaclient.history_read(
        ua.HistoryReadParameters(details, timestamps, False, list(wanted))
    )
    return results


def _codes(results: list[Any]) -> list[int]:
    return [result.StatusCode.value for result in results]


def _values(result: Any) -> list[Any]:
    return [one.Value.Value for one in result.HistoryData.DataValues]


async def test_a_request_never_pushes_out_its_own_continuation_points(make_hub) -> None:
    small = make_hub(Limits(history_points=2))
    _keep(small)
    await small.server.start()
    try:
        async with small.client() as client:
            nodes = [f"{unit}.ActivePower" for unit in _UNITS]
            first = await _read(client, _raw(4), *(_wanted(node) for node in nodes))
            none_left = _STATUS.BadNoContinuationPoints
            assert _codes(first) == [0, 0, none_left, none_left, none_left]
            whole = await _read(client, _raw(4, end=3), *(_wanted(node) for node in nodes))
            assert [_values(result) for result in whole] == [[0, 1, 2]] * 5
            points = [_wanted(node, result.ContinuationPoint) for node, result in zip(nodes[:2], first, strict=False)]
            more = await _read(client, _raw(4), *points)
            assert [_values(result) for result in more] == [[4, 5, 6, 7]] * 2
            others = await _read(client, _raw(4), *(_wanted(node) for node in nodes[2:4]))
            assert _codes(others) == [0, 0]
            (pushed_out,) = await _read(client, _raw(4), _wanted(nodes[0], more[0].ContinuationPoint))
            assert pushed_out.StatusCode.value == _STATUS.BadContinuationPointInvalid
    finally:
        await small.server.stop()


async def test_as_many_nodes_as_may_be_asked_for_can_all_go_on(hub) -> None:
    limits = hub.options.limits
    assert limits.history_points >= limits.nodes_per_history_read


async def test_nodes_that_go_on_need_no_aggregate_each(make_hub) -> None:
    small = make_hub(Limits(history_values=4))
    _keep(small)
    await small.server.start()
    try:
        async with small.client() as client:
            details = _processed(Aggregate.COUNT, Aggregate.START)
            first, second = await _read(client, details, _wanted(_NODE), _wanted("m18.ActivePower"))
            (rest,) = await _read(client, details, _wanted("m18.ActivePower", second.ContinuationPoint))
            assert _values(rest) == [4, 5, 6, 7]
            with pytest.raises(UaStatusCodeError) as refused:
                await _read(client, details, _wanted(_NODE, first.ContinuationPoint), *[_wanted(_NODE)] * 2)
            assert refused.value.code == _STATUS.BadAggregateListMismatch
    finally:
        await small.server.stop()


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (_wanted(_NODE, index_range="0:1"), _STATUS.BadNotSupported),
        (_wanted(_NODE, index_range="3"), _STATUS.BadNotSupported),
        (_wanted(_NODE, index_range="1:0"), _STATUS.BadIndexRangeInvalid),
        (_wanted(_NODE, index_range="all"), _STATUS.BadIndexRangeInvalid),
        (_wanted(_NODE, encoding="Default Binary"), 0),
        (_wanted(_NODE, encoding="Default XML"), _STATUS.BadDataEncodingUnsupported),
        (_wanted(_NODE, encoding="Default YAML"), _STATUS.BadDataEncodingInvalid),
        (_wanted("m17.Nothing", encoding="Default YAML", index_range="x"), _STATUS.BadNodeIdUnknown),
    ],
)
async def test_ranges_and_encodings_that_history_cannot_give_are_refused(hub, client, wanted: Any, code: int) -> None:
    _keep(hub)
    assert _codes(await _read(client, _raw(), wanted)) == [code]


async def test_no_timestamps_and_unknown_ones_are_invalid(client) -> None:
    for timestamps in (ua.TimestampsToReturn.Neither, ua.TimestampsToReturn.Invalid, _Unknown.NOTHING):
        with pytest.raises(UaStatusCodeError) as refused:
            await _read(client, _raw(), _wanted(_NODE), timestamps=timestamps)
        assert refused.value.code == _STATUS.BadTimestampsToReturnInvalid


@pytest.mark.parametrize(("bad", "good"), [(101, 100), (100, 101), (40, 59), (255, 255)])
async def test_percentages_that_make_no_calculation_are_invalid_inputs(client, bad: int, good: int) -> None:
    details = _processed(Aggregate.COUNT, configuration=ua.AggregateConfiguration(False, False, bad, good, False))
    assert _codes(await _read(client, details, _wanted(_NODE))) == [_STATUS.BadAggregateInvalidInputs]
    ignored = _processed(Aggregate.COUNT, configuration=ua.AggregateConfiguration(True, False, bad, good, False))
    assert _codes(await _read(client, ignored, _wanted(_NODE))) == [0]


@pytest.mark.parametrize("details", [ua.ReadAnnotationDataDetails([_at(0)]), None])
async def test_what_is_no_history_of_values_is_refused(client, details: Any) -> None:
    if details is None:
        with pytest.raises(UaStatusCodeError) as refused:
            await _read(client, ua.Range(0, 1), _wanted(_NODE))
        assert refused.value.code == _STATUS.BadHistoryOperationInvalid
        return
    assert _codes(await _read(client, details, _wanted(_NODE))) == [_STATUS.BadHistoryOperationUnsupported]


async def _update(client: Any, *details: Any) -> list[Any]:
    request = ua.HistoryUpdateRequest()
    request.Parameters.HistoryUpdateDetails = list(details)
    data = await client.uaclient.protocol.send_request(request)
    response = ua.ua_binary.struct_from_binary(ua.HistoryUpdateResponse, data)
    response.ResponseHeader.ServiceResult.check()
    results: list[Any] = response.Results
    return results


async def test_clients_change_no_history_and_each_operation_is_told_so(hub, client) -> None:
    _keep(hub)
    node, nothing = ua.NodeId(_NODE, 2), ua.NodeId("m17.Nothing", 2)
    values = [ua.DataValue(ua.Variant(1.0), SourceTimestamp=_at(3))]
    results = await _update(
        client,
        ua.UpdateDataDetails(node, ua.PerformUpdateType.Replace, values),
        ua.UpdateDataDetails(nothing, ua.PerformUpdateType.Insert, values),
        ua.DeleteRawModifiedDetails(node, False, _at(0), _at(10)),
        ua.DeleteAtTimeDetails(node, [_at(3)]),
        ua.DeleteEventDetails(ua.NodeId(ua.ObjectIds.Server), [b"1"]),
    )
    unsupported = _STATUS.BadHistoryOperationUnsupported
    assert _codes(results) == [unsupported, _STATUS.BadNodeIdUnknown, *[unsupported] * 3]
    assert not any(result.OperationResults for result in results)
    (kept,) = await _read(client, _raw(), _wanted(_NODE))
    assert _values(kept) == list(range(10))


async def test_updates_of_nothing_or_of_too_much_are_faults(hub, client) -> None:
    with pytest.raises(UaStatusCodeError) as nothing:
        await _update(client)
    assert nothing.value.code == _STATUS.BadNothingToDo
    one = ua.DeleteAtTimeDetails(ua.NodeId(_NODE, 2), [_at(3)])
    with pytest.raises(UaStatusCodeError) as many:
        await _update(client, *[one] * (hub.options.limits.nodes_per_history_read + 1))
    assert many.value.code == _STATUS.BadTooManyOperations


def _variable(quantity: Quantity) -> Variable:
    region = HierarchyNode(NodeUid("r"), NodeKind.REGION, "R")
    template = Template("t", [PointSpec(quantity, poll_s=1.0)])
    plant = Plant([region], [MeteringUnit(NodeUid("m"), "M", NodeUid("r"), template)])
    return Variable.of(NodeUid("m"), quantity, Ratings(plant))


@pytest.mark.parametrize(
    ("quantity", "aggregate", "refused"),
    [
        (Quantity.BATTERY_LOW, Aggregate.AVERAGE, True),
        (Quantity.BATTERY_LOW, Aggregate.DELTA_BOUNDS, True),
        (Quantity.BATTERY_LOW, Aggregate.PERCENT_GOOD, False),
        (Quantity.COVER_OPEN_COUNT, Aggregate.TOTAL, False),
    ],
)
async def test_aggregates_of_numbers_are_not_supported_for_what_is_no_number(quantity, aggregate, refused) -> None:
    processing = Processing.of(_processed(aggregate))
    assert isinstance(processing, Processing)
    assert (processing.ask(_variable(quantity), 0) == _STATUS.BadAggregateNotSupported) is refused


async def test_a_difference_that_an_unsigned_count_cannot_hold_is_no_wild_number(hub) -> None:
    rows = [(round(_at(second).timestamp() * 1000), value, 0) for second, value in enumerate([9.0, 11.0, 2.0, 3.0])]
    hub.history.keep("m", Quantity.COVER_OPEN_COUNT, rows)
    processing = Processing.of(_processed(Aggregate.DELTA, interval=2000.0))
    assert isinstance(processing, Processing)
    ask = processing.ask(_variable(Quantity.COVER_OPEN_COUNT), 0)
    assert not isinstance(ask, int)
    processing_all = Processing.of(_processed(Aggregate.DELTA, interval=0.0))
    assert isinstance(processing_all, Processing)
    whole = processing_all.ask(_variable(Quantity.COVER_OPEN_COUNT), 0)
    assert not isinstance(whole, int)
    parts = await ask.page(Source(hub.history), 100)
    assert parts.values[:2].tolist() == [2, 1]
    (code,) = (await whole.page(Source(hub.history), 100)).codes.tolist()
    assert code == _STATUS.BadAggregateInvalidInputs
