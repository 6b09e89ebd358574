"""HistoryRead of a running hub, request by request as the specification has it, by two stacks that must agree."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime
from typing import Any

import pytest
from asyncua import Client, ua

from foreign import ForeignClient, Town, until
from services import ask, fault, refused

pytestmark = pytest.mark.interop

POWER = "ns=2;s=m0001.ActivePower"
ENERGY = "ns=2;s=m0001.ActiveEnergyImport"
SOURCE, NEITHER = 0, 3
SUB_NORMAL, CALCULATED, INTERPOLATED, PARTIAL, NO_DATA = 0x40A40000, 0x401, 0x402, 0x404, 0x809B0000
FUNCTIONS = {
    "Interpolative": 2341,
    "Average": 2342,
    "TimeAverage": 2343,
    "Total": 2344,
    "Minimum": 2346,
    "Maximum": 2347,
    "MinimumActualTime": 2348,
    "MaximumActualTime": 2349,
    "Range": 2350,
    "Count": 2352,
    "Start": 2357,
    "End": 2358,
    "Delta": 2359,
    "DurationGood": 2360,
    "PercentGood": 2362,
    "PercentBad": 2363,
    "WorstQuality": 2364,
    "TimeAverage2": 11285,
    "StartBound": 11505,
    "EndBound": 11506,
    "DeltaBounds": 11507,
}
Told = list[tuple[int, Any, int]]
"""Milliseconds, value, status."""


def raw_details(start: int | None, end: int | None, most: int = 0, *, bounds: bool = False) -> dict[str, Any]:
    details: dict[str, Any] = {
        "$type": "ReadRawModifiedDetails",
        "isReadModified": False,
        "numValuesPerNode": most,
        "returnBounds": bounds,
    }
    for name, moment in (("startTime", start), ("endTime", end)):
        if moment is not None:
            details[name] = {"$time": moment}
    return details


def processed_details(start: int, end: int, interval: float, *functions: str, **settings: Any) -> dict[str, Any]:
    return {
        "$type": "ReadProcessedDetails",
        "startTime": {"$time": start},
        "endTime": {"$time": end},
        "processingInterval": interval,
        "aggregateType": [f"i={FUNCTIONS[name]}" for name in functions],
        "aggregateConfiguration": {
            "useServerCapabilitiesDefaults": not settings,
            "treatUncertainAsBad": settings.get("uncertain_is_bad", False),
            "percentDataBad": settings.get("bad", 100),
            "percentDataGood": settings.get("good", 100),
            "useSlopedExtrapolation": settings.get("sloped", False),
        },
    }


def read(client: ForeignClient, details: dict[str, Any], *nodes: Any, timestamps: int = SOURCE, **more: Any) -> Any:
    wanted = [node if isinstance(node, dict) else {"nodeId": node} for node in nodes]
    more.setdefault("releaseContinuationPoints", False)
    return ask(
        client, "HistoryRead", historyReadDetails=details, timestampsToReturn=timestamps, nodesToRead=wanted, **more
    )


def told(result: dict[str, Any]) -> Told:
    return [(one["source"], one["value"], one["status"]) for one in (result["historyData"] or {})["dataValues"]]


@pytest.fixture(scope="module")
def stored(caller: ForeignClient) -> Told:
    """Ten readings in a row that are good; more are stored behind them."""

    def enough() -> Told:
        found = told(read(caller, raw_details(1_000_000_000_000, 4_000_000_000_000), POWER)["results"][0])
        good = [one for one in found if one[2] == 0]
        return good[-13:-3] if len(good) >= 14 else []

    return until(enough, 60, "fourteen good readings")


def by_asyncua(url: str, requests: list[dict[str, Any]], node: str) -> list[Told]:
    """The same processed requests by asyncua."""

    async def asked() -> list[Told]:
        found = []
        async with Client(url, timeout=60) as client:
            for details in requests:
                settings = details["aggregateConfiguration"]
                own = ua.ReadProcessedDetails(
                    *(datetime.fromtimestamp(details[name]["$time"] / 1000, UTC) for name in ("startTime", "endTime")),
                    float(details["processingInterval"]),
                    [ua.NodeId.from_string(function) for function in details["aggregateType"]],
                    ua.AggregateConfiguration(*settings.values()),
                )
                wanted = [ua.HistoryReadValueId(ua.NodeId.from_string(node), None, ua.QualifiedName(), None)]
                (result,) = await client.uaclient.history_read(
                    ua.HistoryReadParameters(own, ua.TimestampsToReturn.Source, False, wanted)
                )
                values = result.HistoryData.DataValues
                times = [round(one.SourceTimestamp.timestamp() * 1000) for one in values]
                rest = [(one.Value.Value, one.StatusCode.value) for one in values]
                found.append([(at, *other) for at, other in zip(times, rest, strict=True)])
        return found

    return asyncio.run(asked())


def numbers(found: Told) -> list[tuple[int, Any, int]]:
    """Status codes as values are numbers in both stacks."""
    plain = []
    for at, value, status in found:
        code = getattr(value, "value", value)
        plain.append((at, round(code, 9) if isinstance(code, float) else code, status))
    return plain


def test_two_stacks_are_told_the_same_by_every_aggregate(caller: ForeignClient, calm_town: Town, stored: Told) -> None:
    first, last = stored[0][0], stored[-1][0]
    functions = [name for name in FUNCTIONS if name != "WorstQuality"]
    spans = [(first, last, 0), (first, last, 2500), (last, first, 2500), (first - 700, last + 300, 1e9)]
    requests = [processed_details(*span, name) for span in spans for name in functions]
    ours = [numbers(told(read(caller, details, POWER)["results"][0])) for details in requests]
    assert ours == [numbers(found) for found in by_asyncua(calm_town.url, requests, POWER)]
    size = len(functions)
    for (start, end, interval), at in zip(spans, range(0, len(ours), size), strict=True):
        count = 1 if not interval or interval > abs(end - start) else -(-abs(end - start) // interval)
        assert {len(one) for one in ours[at : at + size]} == {count}


def test_simple_aggregates_are_what_a_client_works_out_of_the_raw_values(caller: ForeignClient, stored: Told) -> None:
    first, last = stored[0][0], stored[-1][0]
    inside = [value for at, value, _ in stored if at < last]
    backward = [value for at, value, _ in stored if at > first]
    line = [(a[1] + b[1]) / 2 * (b[0] - a[0]) / 1000 for a, b in itertools.pairwise(stored)]
    whole_s = (last - first) / 1000
    names = ("Average", "Minimum", "Maximum", "Range", "Count", "Delta", "Total", "TimeAverage", "DeltaBounds", "Start")
    for start, end, values in ((first, last, inside), (last, first, backward)):
        answer = read(caller, processed_details(start, end, 0, *names), *[POWER] * len(names))
        found = dict(zip(names, (told(result)[0] for result in answer["results"]), strict=True))
        wanted = {
            "Average": sum(values) / len(values),
            "Minimum": min(values),
            "Maximum": max(values),
            "Range": max(values) - min(values),
            "Count": len(values),
            "Delta": values[-1] - values[0],
            "Total": sum(line),
            "TimeAverage": sum(line) / whole_s,
            "DeltaBounds": stored[-1][1] - stored[0][1],
            "Start": values[0],
        }
        assert {name: one[1] for name, one in found.items()} == pytest.approx(wanted)
        assert {one[0] for name, one in found.items() if name != "Start"} == {start}
        assert not any(one[2] & ~0x1F for name, one in found.items() if one[2] & 0xFFFF0000)


def test_what_lies_beyond_the_readings_has_no_data_and_interpolation_goes_on_in_doubt(caller: ForeignClient) -> None:
    long_ago, far_off = 1_000_000_000_000, 4_000_000_000_000
    for at, first in ((long_ago, NO_DATA), (far_off, SUB_NORMAL | INTERPOLATED)):
        answer = read(caller, processed_details(at, at + 5000, 0, "Interpolative", "Count", "Average"), *[POWER] * 3)
        assert [told(result)[0][2] for result in answer["results"]] == [first, NO_DATA, NO_DATA]


def test_bounds_of_the_first_reading_of_all_and_of_the_future(caller: ForeignClient) -> None:
    (oldest,) = told(read(caller, raw_details(1_000_000_000_000, None, 1), POWER)["results"][0])
    found = told(read(caller, raw_details(oldest[0] - 5000, oldest[0] + 1, bounds=True), POWER)["results"][0])
    assert [(one[0], one[2]) for one in found[:2]] == [(oldest[0] - 5000, 0x80D70000), (oldest[0], oldest[2])]
    found = told(read(caller, raw_details(None, oldest[0], 5, bounds=True), POWER)["results"][0])
    assert [one[0] for one in found] == [oldest[0], oldest[0] - 1000]
    assert found[1][2] == 0x80D70000
    found = told(read(caller, raw_details(4_000_000_000_000, None, 5, bounds=True), POWER)["results"][0])
    assert found[1][0] == found[0][0] + 1000


def test_pages_of_three_with_bounds_are_the_whole_once(caller: ForeignClient, stored: Told) -> None:
    times = [at for at, _, _ in stored]
    for start, end in ((times[0], times[-1]), (times[-1] - 1, times[0] + 1)):
        (whole,) = read(caller, raw_details(start, end, bounds=True), POWER)["results"]
        answer = caller("history", nodeId=POWER, start=start, end=end, num=3, bounds=True)
        assert [one["source"] for page in answer["pages"] for one in page] == [one[0] for one in told(whole)]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"indexRange": "0:1"}, "BadNotSupported"),
        ({"indexRange": "2:1"}, "BadIndexRangeInvalid"),
        ({"dataEncoding": {"name": "Default XML", "namespaceIndex": 0}}, "BadDataEncodingUnsupported"),
        ({"dataEncoding": {"name": "Nothing", "namespaceIndex": 0}}, "BadDataEncodingInvalid"),
        ({"nodeId": "ns=2;s=m0001.Nowhere"}, "BadNodeIdUnknown"),
        ({"nodeId": "ns=2;s=m0001"}, "BadHistoryOperationUnsupported"),
        ({"nodeId": "i=2258"}, "BadHistoryOperationUnsupported"),
    ],
)
def test_what_cannot_be_read_says_why(caller: ForeignClient, stored: Told, more: dict[str, Any], expected: str) -> None:
    answer = read(caller, raw_details(stored[0][0], stored[-1][0]), {"nodeId": POWER} | more, POWER)
    assert [one["statusCode"] for one in answer["results"]] == [expected, "Good"]


def test_faults_of_the_whole_request(caller: ForeignClient, stored: Told) -> None:
    first, last = stored[0][0], stored[-1][0]
    details = processed_details(first, last, 0, "Count", "Average")
    assert read(caller, details, POWER)["fault"] == "BadAggregateListMismatch"
    assert read(caller, details, POWER, POWER, timestamps=NEITHER)["fault"] == "BadTimestampsToReturnInvalid"
    assert read(caller, raw_details(first, last))["fault"] == "BadNothingToDo"
    assert read(caller, raw_details(first, last), *[POWER] * 101)["fault"] == "BadTooManyOperations"


def test_clients_cannot_change_history(caller: ForeignClient, stored: Told) -> None:
    at = [{"$time": stored[0][0]}]
    changes = [
        {"$type": "DeleteAtTimeDetails", "nodeId": POWER, "reqTimes": at},
        {"$type": "DeleteAtTimeDetails", "nodeId": "ns=2;s=m0001.Nowhere", "reqTimes": at},
    ]
    assert refused(caller, "HistoryUpdate", historyUpdateDetails=changes) == [
        "BadHistoryOperationUnsupported",
        "BadNodeIdUnknown",
    ]
    assert fault(caller, "HistoryUpdate", historyUpdateDetails=[]) == "BadNothingToDo"
