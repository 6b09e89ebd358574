"""Subscriptions and monitored items, service by service, as a foreign client sees them (Part 4 5.13, 5.14)."""

from __future__ import annotations

import time
from itertools import pairwise
from statistics import median
from typing import Any

import pytest

from foreign import ForeignClient, until
from services import DISABLED, OVERFLOW, REPORTING, SAMPLING, Subscription, ask, changes_of, deadband, fault

pytestmark = pytest.mark.interop

POWER = "ns=2;s=m0000.ActivePower"
VOLTAGE = "ns=2;s=m0000.VoltageL1"
ENERGY = "ns=2;s=m0000.ActiveEnergyImport"
ONLINE = "ns=2;s=m0000.Communication.Online"
POLL_MS = 1000
EVERY_POLL = deadband(0, 0, trigger=2)
ABSOLUTE, PERCENT = 1, 2


def span_of(client: ForeignClient, point: str) -> float:
    """Width of EURange."""
    low_high = client("read", nodeIds=[f"{point}.EURange"])["answers"][0]["value"]
    return float(low_high["high"] - low_high["low"])


# subscriptions


@pytest.mark.parametrize(
    ("asked", "revised"), [(0, 100), (-1, 100), (1, 100), (250, 250), (7_200_000, 3_600_000), (1e300, 3_600_000)]
)
def test_the_publishing_interval_is_clamped(caller: ForeignClient, asked: float, revised: float) -> None:
    with Subscription(caller, interval_ms=asked) as subscription:
        assert subscription.revised["revisedPublishingInterval"] == revised


def test_the_lifetime_is_at_least_three_keep_alives(caller: ForeignClient) -> None:
    with Subscription(caller, keep_alive=20, lifetime=1) as subscription:
        assert subscription.revised["revisedMaxKeepAliveCount"] == 20
        assert subscription.revised["revisedLifetimeCount"] >= 60
    with Subscription(caller, keep_alive=0, lifetime=0) as subscription:
        assert subscription.revised["revisedMaxKeepAliveCount"] > 0
        assert subscription.revised["revisedLifetimeCount"] >= 3 * subscription.revised["revisedMaxKeepAliveCount"]


def test_a_modified_subscription_answers_what_holds_and_publishes_at_the_new_pace(caller: ForeignClient) -> None:
    with Subscription(caller, interval_ms=60_000, keep_alive=5) as subscription:
        subscription.monitor([POWER])
        changed = ask(
            caller,
            "ModifySubscription",
            subscriptionId=subscription.id,
            requestedPublishingInterval=100,
            requestedLifetimeCount=300,
            requestedMaxKeepAliveCount=10,
            maxNotificationsPerPublish=1,
            priority=7,
        )
        assert changed["revisedPublishingInterval"] == 100
        assert (changed["revisedLifetimeCount"], changed["revisedMaxKeepAliveCount"]) == (300, 10)
        assert subscription.changes(1, within_s=60)
    gone = {"subscriptionId": subscription.id, "requestedPublishingInterval": 100}
    assert fault(caller, "ModifySubscription", **gone) == "BadSubscriptionIdInvalid"


def test_no_more_notifications_come_in_one_message_than_the_client_wants(caller: ForeignClient) -> None:
    points = [f"ns=2;s=m{number:04d}.ActivePower" for number in range(24)]
    with Subscription(caller, most=5) as subscription:
        subscription.monitor(points)
        handles: list[int] = []
        while len(set(handles)) < 24:
            response = subscription.publish()
            found = changes_of(response)
            assert 0 < len(found) <= 5
            assert response["moreNotifications"] is (len(handles) + len(found) < 24) or len(handles) + len(found) >= 24
            handles += [change["handle"] for change in found]


def test_the_first_message_comes_at_once_and_keep_alives_follow_in_step(caller: ForeignClient) -> None:
    with Subscription(caller, interval_ms=100, keep_alive=200) as subscription:
        began = time.monotonic()
        subscription.publish()
        assert time.monotonic() - began < 15, "a keep-alive would take 20 s"
    with Subscription(caller, interval_ms=100, keep_alive=4) as subscription:
        messages = [subscription.publish() for _ in range(6)]
        assert [changes_of(one) for one in messages] == [[]] * 6
        numbers = {one["notificationMessage"]["sequenceNumber"] for one in messages}
        assert numbers == {1}, "a keep-alive shows the number of the next message and uses none up"
        times = [one["notificationMessage"]["publishTime"] for one in messages[1:]]
        apart = median(later - one for one, later in pairwise(times))
        assert 300 <= apart <= 2000


def test_a_subscription_nobody_asks_for_ends_after_its_lifetime(caller: ForeignClient) -> None:
    with Subscription(caller, interval_ms=100, keep_alive=1, lifetime=3) as subscription:
        subscription.monitor([POWER])
        lives = subscription.revised["revisedLifetimeCount"] * 0.1
        with Subscription(caller, interval_ms=100, keep_alive=600) as other:
            pending = caller("send", service="Publish", body={"subscriptionAcknowledgements": []})["id"]
            assert caller("answer", id=pending, timeoutMs=30_000)["answer"] is not None
            began = time.monotonic()
            until(
                lambda: (
                    fault(caller, "SetPublishingMode", publishingEnabled=True, subscriptionIds=[other.id]) == "Good"
                    and time.monotonic() - began > lives + 0.5
                ),
                lives + 60,
                "the lifetime is over",
            )
        gone = fault(caller, "Republish", subscriptionId=subscription.id, retransmitSequenceNumber=1)
        assert gone == "BadSubscriptionIdInvalid"


def test_publishing_that_is_switched_off_sends_only_keep_alives_and_loses_nothing(caller: ForeignClient) -> None:
    with Subscription(caller, interval_ms=100, keep_alive=3, publishing=False) as subscription:
        subscription.monitor([POWER], queue=10, filter=EVERY_POLL)
        assert [changes_of(subscription.publish()) for _ in range(6)] == [[]] * 6
        on = ask(caller, "SetPublishingMode", publishingEnabled=True, subscriptionIds=[subscription.id, 4_000_000_001])
        assert on["results"] == ["Good", "BadSubscriptionIdInvalid"]
        assert subscription.changes(2, within_s=60)


def test_messages_can_be_republished_until_they_are_acknowledged(caller: ForeignClient) -> None:
    with Subscription(caller) as subscription:
        subscription.monitor([POWER], queue=10, filter=EVERY_POLL)
        sent = [subscription.publish() for _ in range(3)]
        numbers = [one["notificationMessage"]["sequenceNumber"] for one in sent]
        assert numbers == [1, 2, 3]
        assert sent[-1]["availableSequenceNumbers"] == numbers
        again = ask(caller, "Republish", subscriptionId=subscription.id, retransmitSequenceNumber=2)
        assert again["notificationMessage"] == sent[1]["notificationMessage"]
        answer = subscription.publish(acknowledge=[2, 2, 99])
        assert answer["results"] == ["Good", "BadSequenceNumberUnknown", "BadSequenceNumberUnknown"]
        assert 2 not in answer["availableSequenceNumbers"]
        gone = fault(caller, "Republish", subscriptionId=subscription.id, retransmitSequenceNumber=2)
        assert gone == "BadMessageNotAvailable"


def test_publishing_without_a_subscription_is_refused(caller: ForeignClient) -> None:
    assert fault(caller, "Publish", subscriptionAcknowledgements=[]) == "BadNoSubscription"


# monitored items


def test_the_sampling_interval_is_revised_to_the_poll_period(caller: ForeignClient) -> None:
    shown = caller("read", nodeIds=[POWER], attribute="MinimumSamplingInterval")["answers"][0]["value"]
    assert shown == POLL_MS
    with Subscription(caller, interval_ms=2500) as subscription:
        revised = [
            subscription.monitor([POWER], sampling_ms=asked)[0]["revisedSamplingInterval"]
            for asked in (0, 10, 1000, 7000, -1)
        ]
        assert revised == [POLL_MS, POLL_MS, 1000, 7000, 2500]


def test_queue_sizes_are_revised_to_what_is_kept(caller: ForeignClient) -> None:
    with Subscription(caller) as subscription:
        sizes = [subscription.monitor([POWER], queue=asked)[0]["revisedQueueSize"] for asked in (0, 1, 10, 10**9)]
        assert sizes[:3] == [1, 1, 10]
        assert 100 <= sizes[3] <= 10_000


def test_items_that_cannot_be_are_refused_one_by_one(caller: ForeignClient) -> None:
    with Subscription(caller) as subscription:
        results = subscription.monitor([POWER, "ns=2;s=nobody", "ns=2;s=m0000", "i=2253"])
        assert [one["statusCode"] for one in results] == [
            "Good",
            "BadNodeIdUnknown",
            "BadAttributeIdInvalid",
            "BadAttributeIdInvalid",
        ]
        names = subscription.monitor(["ns=2;s=m0000", "i=2253"], attribute=4)
        assert [one["statusCode"] for one in names] == ["Good", "Good"]


def test_a_full_queue_sets_the_overflow_bit_and_keeps_what_was_agreed(caller: ForeignClient) -> None:
    with Subscription(caller, interval_ms=5_500) as subscription:
        subscription.monitor([POWER], queue=2, oldest=True, filter=EVERY_POLL)
        subscription.monitor([POWER], queue=2, oldest=False, filter=EVERY_POLL)
        subscription.monitor([POWER], queue=50, filter=EVERY_POLL)
        found: list[dict[str, Any]] = []
        while len({one["handle"] for one in found}) < 3:
            found = changes_of(subscription.publish())
        kept_new, kept_old, kept_all = ([one for one in found if one["handle"] == handle] for handle in (1, 2, 3))
        assert len(kept_new) == len(kept_old) == 2
        assert len(kept_all) >= 4
        times = [one["source"] for one in kept_all]
        assert [one["source"] for one in kept_new] == times[-2:]
        assert kept_old[0]["source"] == times[0]
        assert kept_old[1]["source"] == times[-1]
        assert kept_new[0]["status"] == OVERFLOW, "the oldest that is left shows that others were dropped before it"
        assert kept_old[1]["status"] == OVERFLOW, "the newest shows that it took the place of others"
        assert {one["status"] for one in (kept_new[1], kept_old[0], *kept_all)} == {0}


@pytest.fixture(scope="module")
def ladder(caller: ForeignClient) -> dict[tuple[int, float], tuple[list[float], list[float]]]:
    """By kind and width of the deadband in volts: what was polled and what was reported."""
    span = span_of(caller, VOLTAGE)
    bands = [(kind, 0.001 * 2.0**step) for kind in (ABSOLUTE, PERCENT) for step in range(12)]
    with Subscription(caller, interval_ms=500) as subscription:
        subscription.monitor([VOLTAGE], queue=100, filter=EVERY_POLL)
        for kind, volts in bands:
            width = volts if kind == ABSOLUTE else volts / span * 100
            assert subscription.monitor([VOLTAGE], queue=100, filter=deadband(kind, width))[0]["statusCode"] == "Good"
        found: list[dict[str, Any]] = []
        while len([one for one in found if one["handle"] == 1]) < 15:
            found += changes_of(subscription.publish())
    series = [[float(one["value"]) for one in found if one["handle"] == handle] for handle in range(1, len(bands) + 2)]
    return {band: (series[0], reported) for band, reported in zip(bands, series[1:], strict=True)}


def beyond(polled: list[float], band: float) -> list[float]:
    """Values further than the deadband from the one that was reported before."""
    reported = polled[:1]
    for value in polled[1:]:
        if abs(value - reported[-1]) > band:
            reported.append(value)
    return reported


@pytest.mark.parametrize("kind", [1, 2], ids=["absolute", "percent of EURange"])
def test_a_deadband_is_taken_from_the_last_value_that_was_reported(
    ladder: dict[tuple[int, float], tuple[list[float], list[float]]], kind: int
) -> None:
    telling = 0
    for (of_kind, volts), (polled, reported) in ladder.items():
        if of_kind == kind:
            assert reported == beyond(polled, volts), f"deadband of {volts} V"
            telling += 1 < len(reported) < len(polled) - 1
    assert telling >= 2, "some deadbands hold some values back and let others through"


@pytest.mark.parametrize(
    ("node", "kind", "value", "status"),
    [
        (POWER, 2, 101, "BadDeadbandFilterInvalid"),
        (POWER, 2, -1, "BadDeadbandFilterInvalid"),
        (POWER, 1, -0.5, "BadDeadbandFilterInvalid"),
        (POWER, 3, 1, "BadDeadbandFilterInvalid"),
        (ONLINE, 1, 1, "BadFilterNotAllowed"),
        ("ns=2;s=m0000.Communication.LastError", 1, 1, "BadFilterNotAllowed"),
        ("ns=2;s=m0000.Communication.ConsecutiveFailures", 2, 1, "BadMonitoredItemFilterUnsupported"),
    ],
)
def test_deadbands_that_cannot_be_are_refused(
    caller: ForeignClient, node: str, kind: int, value: float, status: str
) -> None:
    with Subscription(caller) as subscription:
        assert subscription.monitor([node], filter=deadband(kind, value))[0]["statusCode"] == status


def test_a_modified_item_has_its_new_parameters_at_once(caller: ForeignClient) -> None:
    with Subscription(caller) as subscription:
        item = subscription.monitor([VOLTAGE], filter=deadband(1, 1e9))[0]["monitoredItemId"]
        assert len(subscription.changes(1)) == 1
        changed = subscription.modify(item, 77, sampling_ms=3000, queue=20, filter=EVERY_POLL)
        assert changed["statusCode"] == "Good"
        assert (changed["revisedSamplingInterval"], changed["revisedQueueSize"]) == (3000, 20)
        assert subscription.modify(item, 77, queue=20, filter=EVERY_POLL)["revisedSamplingInterval"] == POLL_MS
        assert {one["handle"] for one in subscription.changes(2)} == {77}
        assert subscription.modify(item, 77, filter=deadband(2, 200))["statusCode"] == "BadDeadbandFilterInvalid"
        assert subscription.modify(item + 1000, 5)["statusCode"] == "BadMonitoredItemIdInvalid"


def test_monitoring_modes_say_what_is_sampled_and_what_is_sent(caller: ForeignClient) -> None:
    with Subscription(caller, keep_alive=3) as subscription:
        item = subscription.monitor([POWER], mode=DISABLED, queue=10, filter=EVERY_POLL)[0]["monitoredItemId"]
        assert [changes_of(subscription.publish()) for _ in range(5)] == [[]] * 5
        assert subscription.set_mode(SAMPLING, [item]) == ["Good"]
        assert [changes_of(subscription.publish()) for _ in range(5)] == [[]] * 5
        assert subscription.set_mode(REPORTING, [item, 5]) == ["Good", "BadMonitoredItemIdInvalid"]
        sampled = changes_of(subscription.publish())
        assert len(sampled) >= 2, "what was sampled is sent"
        assert subscription.set_mode(DISABLED, [item]) == ["Good"]
        assert [changes_of(subscription.publish()) for _ in range(5)] == [[]] * 5
        assert subscription.set_mode(REPORTING, [item]) == ["Good"]
        assert subscription.changes(1)


def test_a_triggering_item_sends_what_the_items_it_triggers_have_sampled(caller: ForeignClient) -> None:
    with Subscription(caller, keep_alive=3) as subscription:
        trigger = subscription.monitor([ENERGY], mode=DISABLED)[0]["monitoredItemId"]
        linked = subscription.monitor([POWER, VOLTAGE], mode=SAMPLING, queue=10, filter=EVERY_POLL)
        power, voltage = (one["monitoredItemId"] for one in linked)
        answer = ask(
            caller,
            "SetTriggering",
            subscriptionId=subscription.id,
            triggeringItemId=trigger,
            linksToAdd=[power, voltage, 5],
            linksToRemove=[],
        )
        assert answer["addResults"] == ["Good", "Good", "BadMonitoredItemIdInvalid"]
        assert [changes_of(subscription.publish()) for _ in range(5)] == [[]] * 5
        subscription.set_mode(REPORTING, [trigger])
        assert {1, 2, 3} <= {one["handle"] for one in subscription.changes(4)}
        answer = ask(
            caller,
            "SetTriggering",
            subscriptionId=subscription.id,
            triggeringItemId=trigger,
            linksToAdd=[],
            linksToRemove=[voltage, 5],
        )
        assert answer["removeResults"] == ["Good", "BadMonitoredItemIdInvalid"]


@pytest.mark.parametrize(
    ("item", "links", "status"),
    [(5, [1], "BadMonitoredItemIdInvalid"), (None, [], "BadNothingToDo")],
)
def test_triggering_that_cannot_be_is_refused(
    caller: ForeignClient, item: int | None, links: list[int], status: str
) -> None:
    with Subscription(caller) as subscription:
        own = subscription.monitor([ENERGY])[0]["monitoredItemId"]
        code = fault(
            caller,
            "SetTriggering",
            subscriptionId=subscription.id,
            triggeringItemId=item or own,
            linksToAdd=links,
            linksToRemove=[],
        )
        assert code == status


def test_deleted_items_are_silent_and_unknown_ones_named(caller: ForeignClient) -> None:
    with Subscription(caller, keep_alive=3) as subscription:
        items = [one["monitoredItemId"] for one in subscription.monitor([POWER, VOLTAGE], filter=EVERY_POLL)]
        subscription.changes(2)
        answer = ask(
            caller, "DeleteMonitoredItems", subscriptionId=subscription.id, monitoredItemIds=[items[0], items[0], 9]
        )
        assert answer["results"] == ["Good", "BadMonitoredItemIdInvalid", "BadMonitoredItemIdInvalid"]
        subscription.publish()
        assert {one["handle"] for one in subscription.changes(2)} == {2}
