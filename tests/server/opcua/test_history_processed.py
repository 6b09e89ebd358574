"""HistoryRead of aggregates and at certain times (OPC 10000-11 6.5.4, 6.5.5)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asyncua import ua
from asyncua.ua.uaerrors import UaStatusCodeError

from address_space.model.quantity import Quantity
from address_space.nodes.standard import AGGREGATES, NUMERIC_AGGREGATES
from historian.aggregates import Aggregate
from server.opcua import Limits
from server.opcua.access import Right, SessionPolicy
from server.opcua.history_processed import NUMBERS_ONLY

pytestmark = pytest.mark.asyncio(loop_scope="session")

_STATUS = ua.StatusCodes
_EPOCH = datetime(2026, 5, 1, tzinfo=UTC)
_POWER, _ENERGY = "m11.ActivePower", "m11.ActiveEnergyImport"
_CALCULATED = 0x401
_NO_DATA = _STATUS.BadNoData


def _at(second: float) -> datetime:
    return _EPOCH + timedelta(seconds=second)


def _ms(second: float) -> int:
    return round(_at(second).timestamp() * 1000)


@pytest.fixture
def ramp(hub) -> None:
    """Power 0 to 9 kW at seconds 0, 10, … 90, and a register that goes on by as many kWh."""
    hub.history.keep("m11", Quantity.ACTIVE_POWER, [(_ms(10 * step), float(step), 0) for step in range(10)])
    register = [(_ms(10 * step), 100.0 + step * (step + 1) / 2, 0) for step in range(10)]
    hub.history.keep("m11", Quantity.ACTIVE_ENERGY_IMPORT, register)


def _function(aggregate: Aggregate | int) -> ua.NodeId:
    return ua.NodeId(aggregate if isinstance(aggregate, int) else aggregate.value)


def _details(
    *aggregates: Aggregate | int, start: float = 0, end: float = 80, interval: float = 20, **configuration: Any
) -> ua.ReadProcessedDetails:
    settings = ua.AggregateConfiguration(
        not configuration,
        configuration.get("uncertain_is_bad", False),
        configuration.get("bad", 100),
        configuration.get("good", 100),
        configuration.get("sloped", False),
    )
    functions = [_function(one) for one in aggregates]
    return ua.ReadProcessedDetails(_at(start), _at(end), interval * 1000.0, functions, settings)


async def _read(client: Any, details: Any, *nodes: str, point: bytes | None = None, release: bool = False) -> list[Any]:
    asked = [ua.HistoryReadValueId(ua.NodeId(node, 2), None, ua.QualifiedName(), point) for node in nodes]
    params = ua.HistoryReadParameters(details, ua.TimestampsToReturn.Both, release, asked)
    results: list[Any] = await client.uaclient.history_read(params)
    return results


def _values(result: Any) -> list[Any]:
    return [one.Value.Value for one in result.HistoryData.DataValues]


def _codes(result: Any) -> list[int]:
    return [one.StatusCode.value for one in result.HistoryData.DataValues]


def _seconds(result: Any) -> list[float]:
    return [(one.SourceTimestamp - _EPOCH).total_seconds() for one in result.HistoryData.DataValues]


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [
        (Aggregate.AVERAGE, [0.5, 2.5, 4.5, 6.5]),
        (Aggregate.TIME_AVERAGE, [1, 3, 5, 7]),
        (Aggregate.TOTAL, [20, 60, 100, 140]),
        (Aggregate.MINIMUM, [0, 2, 4, 6]),
        (Aggregate.MAXIMUM, [1, 3, 5, 7]),
        (Aggregate.INTERPOLATIVE, [0, 2, 4, 6]),
        (Aggregate.RANGE, [1, 1, 1, 1]),
        (Aggregate.COUNT, [2, 2, 2, 2]),
        (Aggregate.DELTA_BOUNDS, [2, 2, 2, 2]),
        (Aggregate.DURATION_GOOD, [20_000.0] * 4),
    ],
)
@pytest.mark.usefixtures("ramp")
async def test_each_interval_gets_one_value_at_its_start(client, aggregate: Aggregate, expected: list[float]) -> None:
    (result,) = await _read(client, _details(aggregate), _POWER)
    assert _values(result) == expected
    assert _seconds(result) == [0, 20, 40, 60]
    assert all(one.is_good() for one in (result.StatusCode, *(v.StatusCode for v in result.HistoryData.DataValues)))


@pytest.mark.usefixtures("ramp")
async def test_consumption_of_intervals_is_delta_bounds_of_the_register(client) -> None:
    (result,) = await _read(client, _details(Aggregate.DELTA_BOUNDS), _ENERGY)
    assert _values(result) == [3, 7, 11, 15]
    assert _codes(result) == [_CALCULATED] * 4
    (whole,) = await _read(client, _details(Aggregate.DELTA_BOUNDS, interval=0), _ENERGY)
    assert _values(whole) == [36]


async def test_a_reset_within_an_interval_makes_its_consumption_uncertain_and_never_negative(hub, client) -> None:
    shown = [900, 910, 920, 0, 10, 20, 30, 40, 50]
    rows = [(_ms(10 * step), float(value), 0) for step, value in enumerate(shown)]
    hub.history.keep("m12", Quantity.ACTIVE_ENERGY_IMPORT, rows)
    (result,) = await _read(client, _details(Aggregate.DELTA_BOUNDS), "m12.ActiveEnergyImport")
    assert _values(result) == [20, 10, 20, 20]
    assert _codes(result) == [_CALCULATED, _STATUS.UncertainDataSubNormal | _CALCULATED, _CALCULATED, _CALCULATED]


@pytest.mark.usefixtures("ramp")
async def test_several_nodes_have_an_aggregate_each_and_refusals_stay_with_their_node(client) -> None:
    details = _details(Aggregate.MINIMUM, Aggregate.MAXIMUM, 2400, 99, Aggregate.COUNT)
    nodes = (_POWER, _ENERGY, _POWER, _POWER, "m11.Nothing")
    low, high, custom, foreign, unknown = await _read(client, details, *nodes)
    assert _values(low) == [0, 2, 4, 6]
    assert _values(high) == [101, 106, 115, 128]
    assert custom.StatusCode.value == foreign.StatusCode.value == _STATUS.BadAggregateNotSupported
    assert unknown.StatusCode.value == _STATUS.BadNodeIdUnknown


async def test_as_many_aggregates_as_nodes_or_the_request_is_refused(client) -> None:
    for details in (_details(), _details(Aggregate.COUNT, Aggregate.COUNT)):
        with pytest.raises(UaStatusCodeError) as refused:
            await _read(client, details, _POWER)
        assert refused.value.code == _STATUS.BadAggregateListMismatch


@pytest.mark.parametrize(
    "details",
    [
        _details(Aggregate.AVERAGE, start=10, end=10),
        _details(Aggregate.AVERAGE, interval=-1),
        _details(Aggregate.AVERAGE, interval=float("nan")),
        _details(Aggregate.AVERAGE, interval=0.0001),
        ua.ReadProcessedDetails(ua.get_win_epoch(), _at(5), 1000.0, [_function(Aggregate.AVERAGE)]),
        ua.ReadProcessedDetails(_at(5), ua.get_win_epoch(), 1000.0, [_function(Aggregate.AVERAGE)]),
    ],
)
async def test_times_that_cannot_be_meant_are_invalid(client, details: Any) -> None:
    (result,) = await _read(client, details, _POWER)
    assert result.StatusCode.value == _STATUS.BadInvalidArgument


@pytest.mark.usefixtures("ramp")
async def test_percentages_that_contradict_each_other_are_refused(client) -> None:
    (result,) = await _read(client, _details(Aggregate.AVERAGE, bad=40, good=50), _POWER)
    assert result.StatusCode.value == _STATUS.BadAggregateInvalidInputs
    (result,) = await _read(client, _details(Aggregate.AVERAGE, bad=50, good=50), _POWER)
    assert _values(result) == [0.5, 2.5, 4.5, 6.5]


@pytest.mark.usefixtures("ramp")
async def test_backward_in_time_the_same_intervals_come_the_other_way_round(client) -> None:
    (onward,) = await _read(client, _details(Aggregate.TIME_AVERAGE), _POWER)
    (back,) = await _read(client, _details(Aggregate.TIME_AVERAGE, start=80, end=0), _POWER)
    assert _values(back) == _values(onward)[::-1]
    assert _seconds(back) == [80, 60, 40, 20]


@pytest.mark.usefixtures("ramp")
async def test_start_is_the_earliest_and_end_the_latest_value_whichever_way_time_flows(client) -> None:
    for start, end, first, last in ((0, 40, [0, 2], [1, 3]), (40, 0, [3, 1], [4, 2])):
        (starts, ends) = await _read(
            client, _details(Aggregate.START, Aggregate.END, start=start, end=end), *[_POWER] * 2
        )
        assert (_values(starts), _values(ends)) == (first, last)
        assert _seconds(ends) == [10 * value for value in last]


@pytest.mark.usefixtures("ramp")
async def test_the_last_interval_may_be_short_and_says_so(client) -> None:
    (result,) = await _read(client, _details(Aggregate.MAXIMUM, end=70), _POWER)
    assert _values(result) == [1, 3, 5, 6]
    assert _codes(result)[-1] & 0x4
    (huge,) = await _read(client, _details(Aggregate.MAXIMUM, interval=1e12), _POWER)
    assert _values(huge) == [7]
    assert _codes(huge) == [_CALCULATED]
    (endless,) = await _read(client, _details(Aggregate.MAXIMUM, interval=float("inf")), _POWER)
    assert _values(endless) == [7]


@pytest.mark.usefixtures("ramp")
async def test_where_there_is_nothing_there_is_no_data(client) -> None:
    for span in ((-500, -400), (500, 600)):
        for aggregate in (Aggregate.AVERAGE, Aggregate.DELTA_BOUNDS, Aggregate.PERCENT_GOOD, Aggregate.COUNT):
            (result,) = await _read(client, _details(aggregate, start=span[0], end=span[1], interval=50), _POWER)
            assert _codes(result) == [_NO_DATA] * 2
            assert _values(result) == [None] * 2
    (never,) = await _read(client, _details(Aggregate.COUNT), "m29.ActivePower")
    assert _codes(never) == [_NO_DATA] * 4


@pytest.mark.usefixtures("ramp")
@pytest.mark.parametrize(("start", "end"), [(0, 80), (80, 0), (0, 77.7)])
async def test_pages_of_intervals_are_the_whole_once(make_hub, start: float, end: float) -> None:
    small = make_hub(Limits(history_values=3))
    small.history.keep("m11", Quantity.ACTIVE_POWER, [(_ms(10 * step), float(step), 0) for step in range(10)])
    await small.server.start()
    try:
        async with small.client() as client:
            details = _details(Aggregate.TIME_AVERAGE, start=start, end=end, interval=10)
            found: list[tuple[float, float]] = []
            point: bytes | None = None
            while True:
                (page,) = await _read(client, details, _POWER, point=point)
                assert len(_values(page)) <= 3
                found += zip(_seconds(page), _values(page), strict=True)
                point = page.ContinuationPoint
                if not point:
                    break
            assert len(found) == 8
            assert sorted(value for _, value in found)[:7] == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5]
            assert [second for second, _ in found] == [start + (10 if end > start else -10) * k for k in range(8)]
            (page,) = await _read(client, details, _POWER)
            (released,) = await _read(client, details, _POWER, point=page.ContinuationPoint, release=True)
            assert released.StatusCode.is_good()
            (again,) = await _read(client, details, _POWER, point=page.ContinuationPoint)
            assert again.StatusCode.value == _STATUS.BadContinuationPointInvalid
    finally:
        await small.server.stop()


async def test_results_have_the_type_of_the_aggregate(hub, client) -> None:
    rows = [(_ms(0), 1.0, 0), (_ms(10), 2.0, _STATUS.UncertainLastUsableValue), (_ms(20), float("nan"), 0x80310000)]
    hub.history.keep("m13", Quantity.ACTIVE_POWER, rows)
    types = []
    for aggregate in (Aggregate.COUNT, Aggregate.WORST_QUALITY, Aggregate.AVERAGE):
        (result,) = await _read(client, _details(aggregate, end=40, interval=0), "m13.ActivePower")
        (value,) = result.HistoryData.DataValues
        types.append((value.Value.VariantType, value.Value.Value))
    assert types == [
        (ua.VariantType.Int32, 1),
        (ua.VariantType.StatusCode, ua.StatusCode(_STATUS.BadNoCommunication)),
        (ua.VariantType.Double, 1.0),
    ]


@pytest.mark.usefixtures("ramp")
async def test_values_at_certain_times_are_found_or_interpolated(client) -> None:
    moments = [_at(second) for second in (25, 20, 5, -10, 95)]
    (result,) = await _read(client, ua.ReadAtTimeDetails(moments, False), _POWER)
    assert _values(result) == [2.5, 2, 0.5, None, 9]
    assert _codes(result) == [0x402, 0, 0x402, _NO_DATA, _STATUS.UncertainDataSubNormal | 0x402]
    assert _seconds(result) == [25, 20, 5, -10, 95]
    (simple,) = await _read(client, ua.ReadAtTimeDetails(moments, True), _POWER)
    assert _values(simple) == [2.5, 2, 0.5, None, None]
    (register,) = await _read(client, ua.ReadAtTimeDetails(moments, True), _ENERGY)
    assert _values(register) == [103, 103, 100, None, None]


async def test_no_time_at_all_is_no_question(client) -> None:
    (result,) = await _read(client, ua.ReadAtTimeDetails([], True), _POWER)
    assert result.StatusCode.value == _STATUS.BadInvalidArgument


async def test_what_is_told_to_be_offered_is_what_is_offered() -> None:
    assert tuple(aggregate.value for aggregate in Aggregate) == AGGREGATES
    assert {aggregate.value for aggregate in NUMBERS_ONLY} == set(NUMERIC_AGGREGATES)


@pytest.mark.parametrize(
    "folder",
    [
        "i=2997",
        "i=11201",
        f"ns=2;s={_POWER}.HAConfiguration.AggregateFunctions",
    ],
)
async def test_offered_aggregates_are_found_below_the_server_and_below_each_variable(client, folder: str) -> None:
    children = await client.get_node(folder).get_children()
    assert sorted(child.nodeid.Identifier for child in children) == sorted(AGGREGATES)


async def test_a_clients_own_configuration_is_used(hub, client) -> None:
    rows = [(_ms(0), 1.0, 0), (_ms(10), 2.0, _STATUS.UncertainLastUsableValue), (_ms(20), 3.0, 0), (_ms(30), 4.0, 0)]
    hub.history.keep("m14", Quantity.ACTIVE_POWER, rows)
    node = "m14.ActivePower"
    (own,) = await _read(client, _details(Aggregate.INTERPOLATIVE, start=5, end=45, uncertain_is_bad=True), node)
    assert _values(own) == [1.5, 3.5]
    assert _codes(own) == [_STATUS.UncertainDataSubNormal | 0x402, 0x402]
    (sloped,) = await _read(client, _details(Aggregate.INTERPOLATIVE, start=40, end=45, sloped=True), node)
    assert _values(sloped) == [5]


async def test_bad_values_beside_an_interval_do_not_hide_the_good_ones_behind_them(hub, client) -> None:
    bad = [(_ms(second), float("nan"), 0x80310000) for second in range(1, 100)]
    hub.history.keep("m15", Quantity.ACTIVE_POWER, [(_ms(0), 1.0, 0), *bad, (_ms(100), 101.0, 0)])
    (result,) = await _read(client, _details(Aggregate.INTERPOLATIVE, start=50, end=60, interval=10), "m15.ActivePower")
    assert _values(result) == [51]
    moments = ua.ReadAtTimeDetails([_at(50.5)], False)
    (result,) = await _read(client, moments, "m15.ActivePower")
    assert _values(result) == [51.5]


async def test_uncertain_values_beside_an_interval_do_not_hide_good_ones_where_they_count_as_bad(hub, client) -> None:
    doubtful = [(_ms(second), 500.0, _STATUS.UncertainLastUsableValue) for second in (10, 20, 30)]
    hub.history.keep("m22", Quantity.ACTIVE_POWER, [(_ms(0), 1.0, 0), *doubtful, (_ms(80), 81.0, 0)])
    details = _details(Aggregate.INTERPOLATIVE, start=40, end=60, interval=10, uncertain_is_bad=True)
    (result,) = await _read(client, details, "m22.ActivePower")
    assert _values(result) == [41, 51]
    assert _codes(result) == [_STATUS.UncertainDataSubNormal | 0x402] * 2


async def test_a_user_without_the_right_reads_no_aggregates(make_hub) -> None:
    class Closed(SessionPolicy):
        def may(self, user: Any, right: Right) -> bool:
            return right is not Right.HISTORY and super().may(user, right)

    closed = make_hub()
    closed.server.policy.__class__ = Closed
    await closed.server.start()
    try:
        async with closed.client() as client:
            with pytest.raises(UaStatusCodeError) as refused:
                await _read(client, _details(Aggregate.COUNT), _POWER)
            assert refused.value.code == _STATUS.BadUserAccessDenied
    finally:
        await closed.server.stop()
