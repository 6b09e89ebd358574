"""OPC UA service calls as they are, through the foreign client: nothing is sent that a test did not ask for."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Sequence
from typing import Any

from foreign import ForeignClient

BOTH = 2
REPORTING, SAMPLING, DISABLED = 2, 1, 0
VALUE = 13
OVERFLOW = 0x480
"""Info bits of a data value whose queue lost something (Part 4 7.39.1)."""


def ask(client: ForeignClient, service: str, **body: Any) -> dict[str, Any]:
    """The response, or {"fault": name} where the server answers with a ServiceFault."""
    return client("service", service=service, body=body)


def fault(client: ForeignClient, service: str, **body: Any) -> str:
    """Name of the ServiceFault's code; "Good" where there is none."""
    return ask(client, service, **body).get("fault", "Good")


def refused(client: ForeignClient, service: str, **body: Any) -> list[str]:
    """Codes of the operations of a call that has one result for each."""
    answer = ask(client, service, **body)
    return [one if isinstance(one, str) else one["statusCode"] for one in answer["results"]]


def reads(nodes: Iterable[str], attribute: int = VALUE, **more: Any) -> list[dict[str, Any]]:
    """ReadValueIds."""
    return [{"nodeId": node, "attributeId": attribute, **more} for node in nodes]


def deadband(kind: int, value: float, trigger: int = 1) -> dict[str, Any]:
    """A DataChangeFilter; kind 1 is absolute, 2 percent."""
    return {"$type": "DataChangeFilter", "trigger": trigger, "deadbandType": kind, "deadbandValue": value}


class Subscription:
    """A subscription whose publish requests are sent by hand, one at a time; used in a `with` statement."""

    def __init__(
        self,
        client: ForeignClient,
        *,
        interval_ms: float = 100,
        keep_alive: int = 100,
        lifetime: int = 1000,
        most: int = 0,
        publishing: bool = True,
    ) -> None:
        self.client = client
        self.revised = ask(
            client,
            "CreateSubscription",
            requestedPublishingInterval=interval_ms,
            requestedMaxKeepAliveCount=keep_alive,
            requestedLifetimeCount=lifetime,
            maxNotificationsPerPublish=most,
            publishingEnabled=publishing,
            priority=0,
        )
        assert "fault" not in self.revised, self.revised
        self.id = self.revised["subscriptionId"]
        self._handles = itertools.count(1)

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        ask(self.client, "DeleteSubscriptions", subscriptionIds=[self.id])

    def monitor(
        self,
        nodes: Sequence[str],
        *,
        mode: int = REPORTING,
        sampling_ms: float = 0,
        queue: int = 1,
        oldest: bool = True,
        filter: dict[str, Any] | None = None,  # noqa: A002  # the specification's word
        attribute: int = VALUE,
    ) -> list[dict[str, Any]]:
        """Create items; client handles are 1, 2, … in the order of creation. Returns the results."""
        items = [
            {
                "itemToMonitor": {"nodeId": node, "attributeId": attribute},
                "monitoringMode": mode,
                "requestedParameters": self._parameters(next(self._handles), sampling_ms, queue, oldest, filter),
            }
            for node in nodes
        ]
        answer = ask(
            self.client,
            "CreateMonitoredItems",
            subscriptionId=self.id,
            timestampsToReturn=BOTH,
            itemsToCreate=items,
        )
        assert "fault" not in answer, answer
        results: list[dict[str, Any]] = answer["results"]
        return results

    def modify(
        self,
        item: int,
        handle: int,
        *,
        sampling_ms: float = 0,
        queue: int = 1,
        oldest: bool = True,
        filter: dict[str, Any] | None = None,  # noqa: A002
    ) -> dict[str, Any]:
        """ModifyMonitoredItems for one item; returns its result."""
        change = {
            "monitoredItemId": item,
            "requestedParameters": self._parameters(handle, sampling_ms, queue, oldest, filter),
        }
        answer = ask(
            self.client,
            "ModifyMonitoredItems",
            subscriptionId=self.id,
            timestampsToReturn=BOTH,
            itemsToModify=[change],
        )
        result: dict[str, Any] = answer["results"][0]
        return result

    def set_mode(self, mode: int, items: Sequence[int]) -> list[str]:
        """SetMonitoringMode."""
        return refused(
            self.client,
            "SetMonitoringMode",
            subscriptionId=self.id,
            monitoringMode=mode,
            monitoredItemIds=list(items),
        )

    def publish(self, acknowledge: Sequence[int] = ()) -> dict[str, Any]:
        """One PublishRequest and its response."""
        acknowledgements = [{"subscriptionId": self.id, "sequenceNumber": number} for number in acknowledge]
        return ask(self.client, "Publish", subscriptionAcknowledgements=acknowledgements)

    def changes(self, count: int, within_s: float = 60) -> list[dict[str, Any]]:
        """Publish, acknowledging, until `count` data changes came; each with `handle` beside its data value."""
        found: list[dict[str, Any]] = []
        deadline = time.monotonic() + within_s
        acknowledge: list[int] = []
        while len(found) < count:
            response = self.publish(acknowledge)
            assert "fault" not in response, response
            found += changes_of(response)
            acknowledge = [response["notificationMessage"]["sequenceNumber"]] if changes_of(response) else []
            assert time.monotonic() < deadline, f"{len(found)} of {count} changes within {within_s:g} s"
        return found

    @staticmethod
    def _parameters(
        handle: int, sampling_ms: float, queue: int, oldest: bool, data_filter: dict[str, Any] | None
    ) -> dict[str, Any]:
        return {
            "clientHandle": handle,
            "samplingInterval": sampling_ms,
            "queueSize": queue,
            "discardOldest": oldest,
            "filter": data_filter,
        }


def changes_of(response: dict[str, Any]) -> list[dict[str, Any]]:
    """Data changes of a PublishResponse."""
    return [
        {"handle": item["clientHandle"], **item["value"]}
        for part in response["notificationMessage"]["notificationData"] or []
        for item in part.get("monitoredItems", [])
    ]
