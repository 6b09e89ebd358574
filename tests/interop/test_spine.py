"""End to end: meters over Modbus TCP, the hub in a process of its own, and a client that is not asyncua."""

from __future__ import annotations

import signal
import sqlite3
from itertools import groupby, pairwise
from typing import Any

import pytest

from foreign import ForeignClient, Town, until

pytestmark = pytest.mark.interop

HELD = "UncertainNoCommunicationLastUsableValue"
STALE = "UncertainLastUsableValue"
LOST = {"BadNoCommunication", "BadNotConnected"}
POLL_S, PUBLISH_S = 1.0, 0.25


def value(client: ForeignClient, point: str) -> dict[str, Any]:
    """One point, read with both timestamps."""
    return client("read", nodeIds=[f"ns=2;s={point}"])["answers"][0]


def statuses(client: ForeignClient, points: list[str]) -> list[str]:
    """Status names of many points."""
    return [a["statusName"] for a in client("read", nodeIds=[f"ns=2;s={p}" for p in points])["answers"]]


def wait_until_polled(client: ForeignClient) -> None:
    """Return once every meter of the town has been read."""
    points = [f"m{number:04d}.ActiveEnergyImport" for number in range(24)]
    until(lambda: set(statuses(client, points)) == {"Good"}, 40, "all meters read")


def test_the_tree_browses_the_same_in_pages_of_seven_as_at_once(client: ForeignClient) -> None:
    whole = client("crawl", start="ns=2;s=root")
    paged = client("crawl", start="ns=2;s=root", maxReferences=7)
    assert whole["bad"] == []
    assert paged["bad"] == []
    assert paged["pages"] > 100
    assert {node["nodeId"] for node in whole["nodes"]} == {node["nodeId"] for node in paged["nodes"]}
    components = client("crawl", start="ns=2;s=root", reference="i=47")  # HasComponent: the tree of places
    by_id = {node["nodeId"]: node for node in components["nodes"]}
    assert by_id["ns=2;s=north"]["parent"] == "ns=2;s=root"
    assert by_id["ns=2;s=sub-1"]["parent"] == "ns=2;s=north"
    assert by_id["ns=2;s=f1"]["type"] == "ns=3;i=1005"
    for number in range(24):
        meter = by_id[f"ns=2;s=m{number:04d}"]
        assert meter["browseName"] == f"2:m{number:04d}"
        assert meter["displayName"] == f"Meter {number}"
        assert meter["type"] == "ns=3;i=1011"
        assert meter["parent"] == ("ns=2;s=f1" if number % 2 == 0 else "ns=2;s=f2")
        assert by_id[f"ns=2;s=m{number:04d}.ActiveEnergyImport"]["browseName"] == "3:ActiveEnergyImport"


def test_every_variable_of_the_tree_answers_and_shows_both_times(client: ForeignClient) -> None:
    wait_until_polled(client)
    nodes = client("crawl", start="ns=2;s=root")["nodes"]
    variables = [node["nodeId"] for node in nodes if node.get("nodeClass") == 2]
    answers = client("read", nodeIds=variables)["answers"]
    wrong = [
        (node, answer["statusName"])
        for node, answer in zip(variables, answers, strict=True)
        if answer["statusName"] not in ("Good", "BadWaitingForInitialData", "UncertainEngineeringUnitsExceeded")
    ]
    assert wrong == []
    assert all(answer["server"] is not None and answer["source"] is not None for answer in answers)


def test_units_ranges_and_codes_of_a_value_are_the_standard_ones(client: ForeignClient) -> None:
    energy = "m0000.ActiveEnergyImport"
    unit = value(client, f"{energy}.EngineeringUnits")["value"]
    assert (unit["unitId"], unit["displayName"]["text"]) == (4937544, "kW·h")
    assert unit["namespaceUri"] == "http://www.opcfoundation.org/UA/units/un/cefact"
    assert value(client, f"{energy}.ObisCode")["value"] == "1-0:1.8.0*255"
    assert value(client, f"{energy}.MeasurementId")["value"] == 1002
    low_high = value(client, f"{energy}.EURange")["value"]
    assert low_high["low"] == 0
    assert low_high["high"] > 1e6
    assert "0x0048" in value(client, f"{energy}.SourceAddress")["value"]


@pytest.mark.parametrize(
    ("timestamps", "source", "server"),
    [("Source", True, False), ("Server", False, True), ("Both", True, True), ("Neither", False, False)],
)
def test_only_the_timestamps_asked_for_are_sent(
    client: ForeignClient, timestamps: str, source: bool, server: bool
) -> None:
    points = ["ns=2;s=m0000.ActivePower", "ns=2;s=m0000.Code", "i=2258"]
    for answer in client("read", nodeIds=points, timestamps=timestamps)["answers"]:
        assert (answer["source"] is not None, answer["server"] is not None) == (source, server)


def test_translate_browse_path_finds_a_member_by_its_type_name(client: ForeignClient) -> None:
    found = client("translate", start="ns=2;s=m0003", path="/3:Communication/3:Online")
    assert found == {"status": "Good", "targets": ["ns=2;s=m0003.Communication.Online"]}
    assert client("translate", start="ns=2;s=m0003", path="/3:Nowhere")["status"] == "BadNoMatch"


def test_changes_arrive_within_the_poll_period_and_the_publishing_interval(client: ForeignClient) -> None:
    wait_until_polled(client)
    points = [f"ns=2;s=m{number:04d}.ActivePower" for number in range(0, 24, 2)]
    subscription = client("subscribe", nodeIds=points, publishingInterval=PUBLISH_S * 1000)
    assert {item["status"] for item in subscription["items"]} == {"Good"}
    notes = client("notes", id=subscription["id"], atLeast=60, timeoutMs=60_000)["notes"]
    assert {note["index"] for note in notes} == set(range(len(points)))
    later = [note for note in notes if note["statusName"] == "Good"][len(points) :]
    assert len(later) >= 24
    # The load changes at every poll, so a change is as old as its way through hub and subscription at most.
    delays = sorted(note["at"] - note["source"] for note in later)
    assert delays[len(delays) // 2] <= (PUBLISH_S + POLL_S) * 1000
    client("unsubscribe", id=subscription["id"])


def test_history_reads_back_exactly_what_was_polled_in_pages_and_backwards(client: ForeignClient) -> None:
    wait_until_polled(client)
    point = "ns=2;s=m0002.ActivePower"
    subscription = client(
        "subscribe",
        nodeIds=[point],
        publishingInterval=PUBLISH_S * 1000,
        queueSize=10,
        filter={"trigger": 2},  # StatusValueTimestamp: every poll, changed or not
    )
    seen = client("notes", id=subscription["id"], atLeast=9, timeoutMs=60_000)["notes"][1:]
    client("unsubscribe", id=subscription["id"])
    first, last = seen[0]["source"] - 1000, seen[-1]["source"] + 1000
    wanted = [(note["value"], note["status"]) for note in seen]

    def stored() -> list[dict[str, Any]]:
        answer = client("history", nodeId=point, start=first - 1000, end=last, num=0)
        return [entry for page in answer["pages"] for entry in page]

    def reached() -> list[dict[str, Any]]:
        found = stored()
        return found if wanted[-1] in [(e["value"], e["status"]) for e in found] else []

    entries = until(reached, 60, "the last value seen is in the history")
    pairs = [(entry["value"], entry["status"]) for entry in entries]
    at = pairs.index(wanted[0])
    assert pairs[at : at + len(wanted)] == wanted
    assert all(0 <= note["source"] - entry["source"] <= 1500 for note, entry in zip(seen, entries[at:], strict=False))
    times = [entry["source"] for entry in entries]
    assert times == sorted(set(times))

    paged = client("history", nodeId=point, start=first - 1000, end=last, num=2)
    assert max(len(page) for page in paged["pages"]) == 2
    assert [entry["source"] for page in paged["pages"] for entry in page] == times
    reverse = client("history", nodeId=point, start=last, end=first - 1000, num=3)
    assert [entry["source"] for page in reverse["pages"] for entry in page] == times[::-1]
    newest = client("history", nodeId=point, end=last, num=1, maxPages=1)
    assert newest["pages"][0][0]["source"] == times[-1]
    oldest = client("history", nodeId=point, start=first - 1000, num=1, maxPages=1)
    assert oldest["pages"][0][0]["source"] == times[0]


def test_history_errors_carry_the_specified_codes(client: ForeignClient) -> None:
    wait_until_polled(client)
    point = "ns=2;s=m0002.ActivePower"
    assert client("history", nodeId="ns=2;s=nobody", start=0, end=1)["status"] == "BadNodeIdUnknown"
    assert client("history", nodeId="ns=2;s=m0002.Code", start=0, end=1)["status"] == "BadHistoryOperationUnsupported"
    assert client("history", nodeId=point, num=5)["status"] == "BadHistoryOperationInvalid"
    assert client("history", nodeId=point, start=1000, end=2000)["status"] == "GoodNoData"


def test_a_dead_simulator_turns_its_meters_uncertain_then_bad_and_its_return_heals_them(
    town: Town, client: ForeignClient
) -> None:
    wait_until_polled(client)
    energy = [f"m{number:04d}.ActiveEnergyImport" for number in range(1, 24, 2)]
    power = [f"m{number:04d}.ActivePower" for number in range(1, 24, 2)]
    neighbours = [f"m{number:04d}.ActivePower" for number in range(0, 24, 2)]
    before = value(client, energy[0])
    assert town.hub is not None
    hub = town.hub.process.pid
    told = client(
        "subscribe",
        nodeIds=[f"ns=2;s={energy[0]}", f"ns=2;s={power[0]}"],
        publishingInterval=PUBLISH_S * 1000,
        queueSize=100,
        filter={"trigger": 2},
    )
    town.meters["bus-b"].stop(signal.SIGKILL)

    until(lambda: set(statuses(client, energy)) == {HELD}, 60, "counters are held")
    held = value(client, energy[0])
    assert held["value"] >= before["value"]
    assert held["source"] >= before["source"]
    assert set(statuses(client, power)) <= LOST
    assert value(client, "m0001.Communication.Online")["value"] is False
    assert value(client, "m0001.Quality")["value"] == 3

    until(lambda: set(statuses(client, energy)) <= LOST, 60, "the hold time ends")
    assert value(client, energy[0])["value"] is None
    assert set(statuses(client, neighbours)) == {"Good"}
    assert value(client, "m0001.Communication.LastError")["value"]["text"]

    town.start_meters("bus-b")
    until(lambda: set(statuses(client, energy + power)) == {"Good"}, 60, "all meters healed")
    assert value(client, "m0001.Communication.Online")["value"] is True
    assert value(client, energy[0])["value"] >= before["value"]
    assert (town.hub.process.pid, town.hub.process.poll()) == (hub, None)

    # What a subscriber was told on the way: nothing but this order, the last good sample held with its own time.
    every: list[dict[str, Any]] = []

    def healed() -> bool:
        every.extend(client("notes", id=told["id"])["notes"])
        last = {note["index"]: note["statusName"] for note in every}
        return last == {0: "Good", 1: "Good"} and {note["statusName"] for note in every} & LOST != set()

    until(healed, 60, "the subscriber was told that all is well")
    client("unsubscribe", id=told["id"])
    counter, gauge = ([note for note in every if note["index"] == index] for index in (0, 1))
    for notes, steps in ((counter, ["Good", HELD, "lost", "Good"]), (gauge, ["Good", "lost", "Good"])):
        names = ["lost" if note["statusName"] in LOST else note["statusName"] for note in notes]
        order = [name for name, _ in groupby(name for name in names if name != STALE)]
        assert order == steps
        assert all(a["source"] <= b["source"] and a["server"] <= b["server"] for a, b in pairwise(notes))
        assert all(note["value"] is None for note, name in zip(notes, names, strict=True) if name == "lost")
    first_held = next(index for index, note in enumerate(counter) if note["statusName"] == HELD)
    last_good = next(note for note in reversed(counter[:first_held]) if note["statusName"] == "Good")
    kept = {(n["value"], n["source"]) for n in counter if n["statusName"] in (HELD, STALE)}
    assert kept == {(last_good["value"], last_good["source"])}


def test_a_restart_keeps_every_node_id_and_loses_nothing(town: Town) -> None:
    first = ForeignClient()
    first("connect", url=town.url)
    wait_until_polled(first)
    before = {node["nodeId"]: node.get("browseName") for node in first("crawl", start="i=85")["nodes"]}
    point = "ns=2;s=m0000.ActivePower"
    subscription = first("subscribe", nodeIds=[point], publishingInterval=100, queueSize=10)
    seen = [note["value"] for note in first("notes", id=subscription["id"], atLeast=3, timeoutMs=60_000)["notes"]]
    assert town.hub is not None
    took = town.hub.stop()
    first.close()
    assert took < 20, "a stop that waited for a client would take a minute"
    assert town.hub.process.returncode == 0

    for file in (town.folder / "data").rglob("*.db"):
        with sqlite3.connect(file) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)

    town.start_hub()
    second = ForeignClient()
    try:
        second("connect", url=town.url)
        after = {node["nodeId"]: node.get("browseName") for node in second("crawl", start="i=85")["nodes"]}
        assert after == before
        stored = second("history", nodeId=point, start=1_000_000_000_000, end=4_000_000_000_000)
        kept = [entry["value"] for page in stored["pages"] for entry in page]
        assert [v for v in seen if v is not None and v not in kept] == []
        wait_until_polled(second)
    finally:
        second.close()
