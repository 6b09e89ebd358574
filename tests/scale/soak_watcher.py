"""The client of the soak that must miss nothing, whatever happens to its connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from asyncua import Client, ua

from address_space.model.clock import from_datetime
from tests.scale.soak_client import Identity, Tally, ask, break_off, client_of, node, usable
from tests.scale.soak_ledger import Findings, Ledger, Told

PUBLISH_MS = 500.0
LIFETIME = 120
KEEP_ALIVE = 10
PUBLISHES = 3
"""Publish requests under way."""
_OVERFLOW = 0x0480


class Watcher:
    """A subscription that outlives its connections: it is transferred, and what was lost on the way is asked again."""

    def __init__(
        self,
        name: str,
        url: str,
        points: Sequence[str],
        findings: Findings,
        tally: Tally,
        *,
        queue: int,
        identity: Identity | None = None,
    ) -> None:
        self.name = name
        self.ledgers = {point: Ledger(point, findings, name) for point in points}
        self.reconnects = 0
        self.republished = 0
        self.heard_ms = 0.0
        """When everything that there was to tell had last been told."""
        self._url = url
        self._by_handle = list(self.ledgers.values())
        self._findings = findings
        self._tally = tally
        self._queue = queue
        self._identity = identity
        self._subscription = 0
        self._sequence = 0
        self._held: dict[int, Any] = {}
        self._acknowledge: list[int] = []

    async def run(self) -> None:
        """Connect, take over or create, and publish until the connection breaks."""
        client = await client_of(self._url, self._identity)
        await client.connect()
        try:
            if not self._subscription or not await self._take_over(client):
                await self._create(client)
            async with asyncio.TaskGroup() as tasks:
                for _ in range(PUBLISHES):
                    tasks.create_task(self._publish(client), name=f"publish {self.name}")
        finally:
            await break_off(client)

    async def _create(self, client: Client) -> None:
        request = ua.CreateSubscriptionRequest()
        request.Parameters = ua.CreateSubscriptionParameters(PUBLISH_MS, LIFETIME, KEEP_ALIVE, 0, True, 0)
        made = await ask(client, request, ua.CreateSubscriptionResponse)
        self._subscription, self._sequence = made.Parameters.SubscriptionId, 0
        self._held.clear()
        items = [
            ua.MonitoredItemCreateRequest(
                ua.ReadValueId(node(point), ua.AttributeIds.Value),
                ua.MonitoringMode.Reporting,
                ua.MonitoringParameters(
                    number,
                    0.0,
                    ua.DataChangeFilter(ua.DataChangeTrigger.StatusValueTimestamp, 0, 0.0),
                    self._queue,
                    True,
                ),
            )
            for number, point in enumerate(self.ledgers)
        ]
        parameters = ua.CreateMonitoredItemsParameters(self._subscription, ua.TimestampsToReturn.Both, items)
        results = await client.uaclient.create_monitored_items(parameters)
        for result in results:
            result.StatusCode.check()
        self._tally.done[f"subscriptions of {self.name}"] += 1

    async def _take_over(self, client: Client) -> bool:
        """Transfer the subscription and ask again for what was lost; False where it is gone."""
        self.reconnects += 1
        request = ua.TransferSubscriptionsRequest()
        request.Parameters = ua.TransferSubscriptionsParameters([self._subscription], False)
        moved = (await ask(client, request, ua.TransferSubscriptionsResponse)).Parameters.Results[0]
        if not moved.StatusCode.is_good():
            self._findings.note("skipped_messages", f"{self.name}: transfer {moved.StatusCode}")
            return False
        for sequence in moved.AvailableSequenceNumbers:
            if sequence > self._sequence:
                again = ua.RepublishRequest()
                again.Parameters = ua.RepublishParameters(self._subscription, sequence)
                self._take((await ask(client, again, ua.RepublishResponse)).NotificationMessage)
                self.republished += 1
            else:
                self._acknowledge.append(sequence)
        return True

    async def _publish(self, client: Client) -> None:
        while True:
            acknowledge, self._acknowledge = self._acknowledge, []
            response = await client.uaclient.publish(
                [ua.SubscriptionAcknowledgement(self._subscription, sequence) for sequence in acknowledge]
            )
            self._tally.done["publish responses"] += 1
            response.ResponseHeader.ServiceResult.check()
            if response.Parameters.SubscriptionId == self._subscription:
                self._take(response.Parameters.NotificationMessage)
                if not self._held and not response.Parameters.MoreNotifications:
                    self.heard_ms = time.time() * 1000

    def _take(self, message: Any) -> None:
        """In the order of their numbers; a keep-alive carries the number that comes next."""
        if not message.NotificationData:
            return
        self._held[message.SequenceNumber] = message
        while self._sequence + 1 in self._held:
            self._sequence += 1
            self._acknowledge.append(self._sequence)
            self._tell(self._held.pop(self._sequence))
        if len(self._held) > 2 * PUBLISHES:
            first = min(self._held)
            self._findings.note("skipped_messages", f"{self.name}: {self._sequence} to {first}")
            self._sequence = first - 1

    def _tell(self, message: Any) -> None:
        for part in message.NotificationData:
            if isinstance(part, ua.StatusChangeNotification):
                self._tally.done[f"status change {part.Status}"] += 1
                continue
            for item in part.MonitoredItems:
                self._tally.done["notifications"] += 1
                ledger, data = self._by_handle[item.ClientHandle], item.Value
                status = data.StatusCode.value if data.StatusCode is not None else 0
                if status & _OVERFLOW == _OVERFLOW:
                    self._findings.note("overflowed", f"{ledger.point} {data}")
                code = usable(data.StatusCode)
                if code is not None:
                    ledger.tell(Told(from_datetime(data.SourceTimestamp), float(data.Value.Value), code))
