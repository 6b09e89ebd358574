"""The line is cut in mid stream: what the queues hold reaches the client all the same (Part 4 6.7, 5.14.7)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from foreign import ForeignClient, Town, until
from relay import Relay
from services import Subscription, ask, changes_of, deadband, fault

pytestmark = pytest.mark.interop

POINTS = ["ns=2;s=m0000.ActivePower", "ns=2;s=m0001.ActivePower", "ns=2;s=m0002.VoltageL1"]
EVERY_POLL = deadband(0, 0, trigger=2)
POLL_MS = 1000
PUBLISH_TWICE = 2


@pytest.fixture
def traveller(calm_town: Town, relay: Relay) -> Iterator[ForeignClient]:
    """A client whose way to the hub can be cut."""
    foreign = ForeignClient()
    try:
        foreign("connect", url=relay.url)
        yield foreign
    finally:
        foreign.close()


@pytest.fixture
def stranger(calm_town: Town) -> Iterator[ForeignClient]:
    """A second client of the same application and user, on a connection of its own."""
    foreign = ForeignClient()
    try:
        foreign("connect", url=calm_town.url)
        yield foreign
    finally:
        foreign.close()


def assert_nothing_missed(client: ForeignClient, point: str, changes: list[dict[str, Any]]) -> None:
    """The changes are exactly what the hub recorded meanwhile; history is aligned to slots, so by value and status."""
    times = [change["source"] for change in changes]
    assert times == sorted(set(times)), f"{point} came twice or out of order"
    seen = [(change["value"], change["status"]) for change in changes]

    def recorded() -> list[tuple[Any, int]]:
        pages = client("history", nodeId=point, start=times[0] - 2 * POLL_MS, end=times[-1] + 2 * POLL_MS)["pages"]
        stored = [(entry["value"], entry["status"]) for page in pages for entry in page]
        return stored if seen[-1] in stored else []

    stored = until(recorded, 60, "the last change is recorded")
    at = stored.index(seen[0])
    assert stored[at : at + len(seen)] == seen, f"{point} has a hole"


def test_a_client_that_reconnects_misses_no_change(
    traveller: ForeignClient, relay: Relay, caller: ForeignClient
) -> None:
    subscription = traveller(
        "subscribe", nodeIds=POINTS, publishingInterval=250, queueSize=100, filter={"trigger": PUBLISH_TWICE}
    )
    notes = traveller("notes", id=subscription["id"], atLeast=6, timeoutMs=60_000)["notes"]
    for _ in range(2):
        relay.swallow(on=True)  # messages that the hub counts as sent and that never arrive
        began = caller("read", nodeIds=["i=2258"])["answers"][0]["server"]
        until(
            lambda: caller("read", nodeIds=["i=2258"])["answers"][0]["server"] > began + 1.5 * POLL_MS,  # noqa: B023
            60,
            "a poll whose messages are lost",
        )
        relay.refuse(on=True)
        relay.swallow(on=False)
        relay.cut()
        began = caller("read", nodeIds=["i=2258"])["answers"][0]["server"]
        until(
            lambda: caller("read", nodeIds=["i=2258"])["answers"][0]["server"] > began + 1.5 * POLL_MS,  # noqa: B023
            60,
            "a poll without a connection",
        )
        relay.refuse(on=False)
        notes += traveller("notes", id=subscription["id"], atLeast=15, timeoutMs=60_000)["notes"]
    assert relay.cuts == 2
    assert relay.connections >= 3
    assert "connection_lost" in traveller("events")["events"]
    assert {note["statusName"] for note in notes} == {"Good"}, "no queue overflowed"
    for at, point in enumerate(POINTS):
        changes = [note for note in notes if note["index"] == at]
        assert len(changes) >= 10
        assert_nothing_missed(caller, point, changes)


def transfer(client: ForeignClient, subscription: Subscription, *, initial: bool = False) -> dict[str, Any]:
    answer = ask(client, "TransferSubscriptions", subscriptionIds=[subscription.id], sendInitialValues=initial)
    result: dict[str, Any] = answer["results"][0]
    return result


def test_a_new_session_takes_over_the_stream_of_a_dead_connection_without_a_hole(
    traveller: ForeignClient, relay: Relay, stranger: ForeignClient, caller: ForeignClient
) -> None:
    subscription = Subscription(traveller, keep_alive=600)
    subscription.monitor(POINTS, queue=100, filter=EVERY_POLL)
    arrived = [subscription.publish() for _ in range(2)]
    relay.swallow(on=True)
    lost = [traveller("send", service="Publish", body={}, timeoutMs=60_000)["id"] for _ in range(2)]
    assert traveller("answer", id=lost[0], timeoutMs=2 * POLL_MS)["answer"] is None, "the hub's answer is lost"
    relay.refuse(on=True)
    relay.cut()

    moved = transfer(stranger, subscription)
    assert moved["statusCode"] == "Good"
    missed = [number for number in moved["availableSequenceNumbers"] if number > len(arrived)]
    assert missed, "messages were lost on the way"
    for number in missed:
        again = ask(stranger, "Republish", subscriptionId=subscription.id, retransmitSequenceNumber=number)
        arrived.append(again)
    subscription.client = stranger
    with subscription:
        arrived += [subscription.publish() for _ in range(3)]
    numbers = [one["notificationMessage"]["sequenceNumber"] for one in arrived]
    assert numbers == list(range(1, len(arrived) + 1))
    changes = [change for one in arrived for change in changes_of(one)]
    for handle, point in enumerate(POINTS, 1):
        assert_nothing_missed(caller, point, [change for change in changes if change["handle"] == handle])


def test_the_session_that_loses_a_subscription_is_told_and_has_it_no_longer(
    caller: ForeignClient, stranger: ForeignClient
) -> None:
    subscription = Subscription(caller, keep_alive=600)
    subscription.publish()
    pending = caller("send", service="Publish", body={}, timeoutMs=60_000)["id"]
    assert transfer(stranger, subscription)["statusCode"] == "Good"
    told = caller("answer", id=pending, timeoutMs=30_000)["answer"]
    assert told["subscriptionId"] == subscription.id
    assert told["notificationMessage"]["notificationData"][0]["status"] == "GoodSubscriptionTransferred"
    gone = fault(caller, "Republish", subscriptionId=subscription.id, retransmitSequenceNumber=1)
    assert gone == "BadSubscriptionIdInvalid"
    subscription.client = stranger
    with subscription:
        pass


def test_a_transfer_sends_present_values_again_when_asked(caller: ForeignClient, stranger: ForeignClient) -> None:
    quiet = [f"ns=2;s=m{number:04d}.Identification.Model" for number in range(3)]
    for initial in (True, False):
        subscription = Subscription(caller, keep_alive=3)
        subscription.monitor(quiet)
        subscription.changes(3)
        assert transfer(stranger, subscription, initial=initial)["statusCode"] == "Good"
        subscription.client = stranger
        with subscription:
            found = [change for _ in range(3) for change in changes_of(subscription.publish())]
        assert len(found) == (3 if initial else 0)


def own_message(subscription: Subscription) -> dict[str, Any]:
    """The next message of this subscription; others may tell before it that they were transferred away."""
    while (response := subscription.publish())["subscriptionId"] != subscription.id:
        told = response["notificationMessage"]["notificationData"]
        assert [one["status"] for one in told] == ["GoodSubscriptionTransferred"]
    return response


def test_only_the_same_application_may_take_a_subscription_over(calm_town: Town, caller: ForeignClient) -> None:
    other = ForeignClient()
    try:
        other("connect", url=calm_town.url, applicationName="SomebodyElse")
        with Subscription(caller, keep_alive=5) as subscription:
            assert transfer(other, subscription)["statusCode"] == "BadUserAccessDenied"
            assert own_message(subscription)["availableSequenceNumbers"] == []
            unknown = ask(other, "TransferSubscriptions", subscriptionIds=[4_000_000_001])["results"][0]
            assert unknown["statusCode"] == "BadSubscriptionIdInvalid"
    finally:
        other.close()
