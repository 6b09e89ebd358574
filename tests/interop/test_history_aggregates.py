"""Aggregates of history, and what nodes tell of their history, as a client sees them that is not asyncua."""

from __future__ import annotations

from typing import Any

import pytest

from foreign import ForeignClient, until
from services import ask

pytestmark = pytest.mark.interop

POWER = "ns=2;s=m0000.ActivePower"
ENERGY = "ns=2;s=m0000.ActiveEnergyImport"
CALCULATED = 0x401
SPAN_MS = 10_000
OFFERED = {
    *("Interpolative", "Average", "TimeAverage", "Total", "Minimum", "Maximum", "MinimumActualTime"),
    *("MaximumActualTime", "Range", "Count", "Start", "End", "Delta", "DurationGood", "PercentGood", "PercentBad"),
    *("WorstQuality", "TimeAverage2", "StartBound", "EndBound", "DeltaBounds"),
}


def raw(client: ForeignClient, node: str, start: int, end: int) -> list[dict[str, Any]]:
    answer = client("history", nodeId=node, start=start, end=end, num=0)
    return [one for page in answer["pages"] for one in page]


@pytest.fixture(scope="module")
def begin(caller: ForeignClient) -> int:
    """A time from which on twelve seconds of readings are stored: on a reading of both variables."""

    def enough() -> int:
        stored = raw(caller, ENERGY, 1_000_000_000_000, 4_000_000_000_000)
        good = [one["source"] for one in stored if one["status"] == 0]
        return good[0] if good and good[-1] - good[0] > SPAN_MS + 2000 else 0

    return until(enough, 40, "twelve seconds of history")


def test_the_aggregates_of_several_nodes_are_made_of_what_is_stored(caller: ForeignClient, begin: int) -> None:
    end = begin + SPAN_MS
    stored = [one["value"] for one in raw(caller, POWER, begin, end)]
    register = raw(caller, ENERGY, begin, end + 1)
    asked = [(POWER, "Average"), (POWER, "Minimum"), (POWER, "Maximum"), (POWER, "Count"), (POWER, "Interpolative")]
    answer = caller("aggregates", nodes=[*asked, (ENERGY, "DeltaBounds")], start=begin, end=end, interval=SPAN_MS)
    assert {one["status"] for one in answer["results"]} == {"Good"}
    average, low, high, count, first, consumed = (result["values"][0] for result in answer["results"])
    assert average["value"] == pytest.approx(sum(stored) / len(stored))
    assert (low["value"], high["value"], count["value"]) == (min(stored), max(stored), len(stored))
    assert first["value"] == stored[0]
    assert consumed["value"] == pytest.approx(register[-1]["value"] - register[0]["value"], abs=1e-6)
    assert average["source"] == begin
    assert average["status"] == CALCULATED


def test_consumption_of_parts_is_that_of_the_whole(caller: ForeignClient, begin: int) -> None:
    whole, parts = (
        caller("aggregates", nodes=[(ENERGY, "DeltaBounds")], start=begin, end=begin + SPAN_MS, interval=interval)
        for interval in (SPAN_MS, 1500)
    )
    values = [one["value"] for one in parts["results"][0]["values"]]
    assert len(values) == 7
    assert sum(values) == pytest.approx(whole["results"][0]["values"][0]["value"], abs=1e-6)


def test_what_is_not_offered_is_refused_for_its_node_alone(caller: ForeignClient, begin: int) -> None:
    nodes = [(POWER, "Variance"), (POWER, "Count"), ("ns=2;s=m0000.Code", "Count")]
    answer = caller("aggregates", nodes=nodes, start=begin, end=begin + 1000, interval=1000)
    assert [one["status"] for one in answer["results"]] == [
        "BadAggregateNotSupported",
        "Good",
        "BadHistoryOperationUnsupported",
    ]


def test_values_at_certain_times(caller: ForeignClient, begin: int) -> None:
    answer = ask(
        caller,
        "HistoryRead",
        historyReadDetails={
            "$type": "ReadAtTimeDetails",
            "reqTimes": [{"$time": begin}, {"$time": begin + 250}],
            "useSimpleBounds": True,
        },
        timestampsToReturn=2,
        releaseContinuationPoints=False,
        nodesToRead=[{"nodeId": POWER}],
    )
    found = answer["results"][0]["historyData"]["dataValues"]
    stored = raw(caller, POWER, begin, begin + 5000)
    assert found[0]["value"] == stored[0]["value"]
    assert found[1]["value"] is not None
    assert found[1]["source"] == begin + 250


def test_a_recorded_variable_tells_how_its_history_is_kept(caller: ForeignClient) -> None:
    def value(path: str) -> Any:
        (answer,) = caller("read", nodeIds=[f"{path}"])["answers"]
        assert answer["statusName"] == "Good", path
        return answer["value"]

    for node, stepped in ((POWER, False), (ENERGY, True)):
        below = f"{node}.HAConfiguration"
        assert value(f"{below}.Stepped") is stepped
        assert value(f"{below}.AggregateConfiguration.TreatUncertainAsBad") is False
        assert value(f"{below}.MinTimeInterval") == value(f"{below}.MaxTimeInterval") > 0
        assert value(f"{below}.StartOfArchive") == value(f"{below}.StartOfOnlineArchive") > "2020"
        assert value(f"{below}.Definition")


@pytest.mark.parametrize("folder", [f"{POWER}.HAConfiguration.AggregateFunctions", "i=2997", "i=11201"])
def test_offered_aggregates_are_found_by_browsing(caller: ForeignClient, folder: str) -> None:
    (answer,) = caller("browse", nodeIds=[folder])["answers"]
    assert {one["browseName"].partition(":")[2] for one in answer["references"]} == OFFERED
