"""Published limits hold, and what is not offered is said to be so (Part 4 7.38, Part 5 6.3.11)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from foreign import ForeignClient
from services import BOTH, REPORTING, Subscription, ask, fault, reads

pytestmark = pytest.mark.interop

POWER = "ns=2;s=m0000.ActivePower"
Body = Callable[[int], dict[str, Any]]


def browses(count: int) -> list[dict[str, Any]]:
    """BrowseDescriptions that each find more than one reference."""
    return [{"nodeId": "i=84", "referenceTypeId": "i=33", "includeSubtypes": True, "resultMask": 1}] * count


LIMITS: dict[str, tuple[str, str, Body]] = {
    "MaxNodesPerRead": ("i=11705", "Read", lambda n: {"timestampsToReturn": BOTH, "nodesToRead": reads([POWER] * n)}),
    "MaxNodesPerWrite": (
        "i=11707",
        "Write",
        lambda n: {
            "nodesToWrite": [{"nodeId": POWER, "attributeId": 13, "value": {"value": {"dataType": 11, "value": 1}}}] * n
        },
    ),
    "MaxNodesPerMethodCall": (
        "i=11709",
        "Call",
        lambda n: {"methodsToCall": [{"objectId": "i=2253", "methodId": "i=11492", "inputArguments": []}] * n},
    ),
    "MaxNodesPerBrowse": ("i=11710", "Browse", lambda n: {"nodesToBrowse": browses(n)}),
    "MaxNodesPerRegisterNodes": ("i=11711", "RegisterNodes", lambda n: {"nodesToRegister": [POWER] * n}),
    "MaxNodesPerTranslateBrowsePathsToNodeIds": (
        "i=11712",
        "TranslateBrowsePathsToNodeIds",
        lambda n: {"browsePaths": [{"startingNode": "i=84", "relativePath": {"elements": []}}] * n},
    ),
    "MaxNodesPerHistoryReadData": (
        "i=12165",
        "HistoryRead",
        lambda n: {
            "historyReadDetails": {
                "$type": "ReadRawModifiedDetails",
                "isReadModified": False,
                "startTime": {"$time": 1},
                "endTime": {"$time": 2},
                "numValuesPerNode": 1,
                "returnBounds": False,
            },
            "timestampsToReturn": BOTH,
            "nodesToRead": [{"nodeId": POWER}] * n,
        },
    ),
}


def published(client: ForeignClient, node: str) -> int:
    """A limit as clients read it."""
    limit = client("read", nodeIds=[node])["answers"][0]["value"]
    assert limit, f"{node} says that there is no limit"
    return int(limit)


@pytest.mark.parametrize("name", LIMITS)
def test_a_published_limit_is_kept_to_the_very_operation(caller: ForeignClient, name: str) -> None:
    node, service, body = LIMITS[name]
    limit = published(caller, node)
    assert fault(caller, service, **body(limit)) == "Good"
    assert fault(caller, service, **body(limit + 1)) == "BadTooManyOperations"
    assert fault(caller, service, **body(0)) == "BadNothingToDo"


def test_the_limit_of_monitored_items_per_call_is_kept(caller: ForeignClient) -> None:
    limit = published(caller, "i=11714")
    with Subscription(caller, interval_ms=60_000) as subscription:
        assert {one["statusCode"] for one in subscription.monitor([POWER] * limit)} == {"Good"}
        item = {
            "itemToMonitor": {"nodeId": POWER, "attributeId": 13},
            "monitoringMode": REPORTING,
            "requestedParameters": {"clientHandle": 1, "queueSize": 1},
        }
        of = {"subscriptionId": subscription.id}
        many = {**of, "timestampsToReturn": BOTH, "itemsToCreate": [item] * (limit + 1)}
        assert fault(caller, "CreateMonitoredItems", **many) == "BadTooManyOperations"
        none = {**of, "timestampsToReturn": BOTH, "itemsToCreate": []}
        assert fault(caller, "CreateMonitoredItems", **none) == "BadNothingToDo"
        too_many = {**of, "monitoredItemIds": [1] * (limit + 1)}
        assert fault(caller, "DeleteMonitoredItems", **too_many) == "BadTooManyOperations"
        assert fault(caller, "SetMonitoringMode", **too_many, monitoringMode=0) == "BadTooManyOperations"


def test_the_limit_of_continuation_points_is_kept_and_the_answer_says_so(caller: ForeignClient) -> None:
    limit = published(caller, "i=2735")
    most = published(caller, "i=11710")
    results: list[dict[str, Any]] = []
    while len(results) <= limit:
        count = min(most, limit + 1)
        answer = ask(caller, "Browse", requestedMaxReferencesPerNode=1, nodesToBrowse=browses(count))
        results += answer["results"]
        refused = [one for one in answer["results"] if one["statusCode"] == "BadNoContinuationPoints"]
        held = [one["continuationPoint"] for one in answer["results"] if one["continuationPoint"]]
        assert len(held) <= limit
        assert len(held) + len(refused) == count
    point = next(one["continuationPoint"] for one in reversed(results) if one["continuationPoint"])
    points = {"releaseContinuationPoints": True, "continuationPoints": [{"$bytes": point}]}
    assert ask(caller, "BrowseNext", **points)["results"][0]["statusCode"] == "Good"


def test_a_client_gets_only_so_many_subscriptions(caller: ForeignClient) -> None:
    made: list[int] = []
    code = "Good"
    while code == "Good" and len(made) < 2000:
        answer = ask(
            caller,
            "CreateSubscription",
            requestedPublishingInterval=60_000,
            requestedLifetimeCount=100,
            requestedMaxKeepAliveCount=30,
            publishingEnabled=False,
        )
        code = answer.get("fault", "Good")
        if code == "Good":
            made.append(answer["subscriptionId"])
    try:
        assert code == "BadTooManySubscriptions"
        assert len(set(made)) == len(made) >= 30
    finally:
        ask(caller, "DeleteSubscriptions", subscriptionIds=made)


def test_more_publish_requests_than_the_server_keeps_are_refused_oldest_first(caller: ForeignClient) -> None:
    with Subscription(caller, keep_alive=10_000) as subscription:
        subscription.publish()
        pending = [caller("send", service="Publish", body={}, timeoutMs=60_000)["id"] for _ in range(40)]
        first = caller("answer", id=pending[0], timeoutMs=30_000)["answer"]
        last = caller("answer", id=pending[-1], timeoutMs=50)["answer"]
        assert first == {"fault": "BadTooManyPublishRequests"}
        assert last is None
    assert caller("answer", id=pending[-1], timeoutMs=30_000)["answer"] == {"fault": "BadNoSubscription"}


@pytest.mark.parametrize(
    ("service", "body"),
    [
        ("QueryFirst", {}),
        ("QueryNext", {}),
        ("AddNodes", {"nodesToAdd": []}),
        ("DeleteNodes", {"nodesToDelete": [{"nodeId": POWER}]}),
        ("AddReferences", {"referencesToAdd": []}),
        ("DeleteReferences", {"referencesToDelete": []}),
        ("FindServersOnNetwork", {}),
        ("RegisterServer", {}),
        ("RegisterServer2", {}),
    ],
)
def test_what_is_not_offered_is_answered_as_unsupported_and_the_session_lives_on(
    caller: ForeignClient, service: str, body: dict[str, Any]
) -> None:
    assert fault(caller, service, **body) == "BadServiceUnsupported"
    assert caller("read", nodeIds=[POWER])["answers"][0]["statusName"] == "Good"
