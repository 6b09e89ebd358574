"""Publish requests in, notification messages out (Part 4 5.14.5), and the beat that drives subscriptions."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING

from asyncua import ua

from address_space.model.clock import EPOCH_1601_TICKS, NS, Clock
from server.opcua.request import Request, fault, header

if TYPE_CHECKING:
    from server.opcua.session import HubSession
    from server.opcua.subscription import HubSubscription
    from server.opcua.subscriptions import HubSubscriptionService

BEAT_S = 0.05
"""Longest time the beat sleeps while there are sessions, so that a new subscription is not overslept."""
_SWEEP_NS = NS
_SPARE_REQUESTS = 10
_I32 = Struct("<i")
_U32 = Struct("<I")
_PUBLISH_RESPONSE = ua.ObjectIds.PublishResponse_Encoding_DefaultBinary
_SERVICE_FAULT = ua.ObjectIds.ServiceFault_Encoding_DefaultBinary


@dataclass(slots=True)
class PendingPublish:
    """A publish request that waits, with the results of its acknowledgements."""

    request: Request
    results: list[int]
    deadline_ns: int


class Publisher:
    """Brings subscriptions and publish requests together."""

    def __init__(self, service: HubSubscriptionService, clock: Clock) -> None:
        self._service = service
        self._clock = clock
        self._swept_ns = 0
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There is a subscription or a session to look after."""
        self._woken.set()

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            if not self._service.busy:
                self._woken.clear()
                await self._woken.wait()
            await self._clock.sleep(self._pause_s())
            self.beat()

    def beat(self) -> None:
        """Run every cycle that is due, and once a second look for what timed out."""
        now = self._clock.monotonic_ns()
        for subscription in self._service.hub_subscriptions():
            if subscription.due_ns <= now:
                subscription.tick(now)
                self._service.expire(subscription)
                if subscription.late and subscription.session is not None:
                    self.serve(subscription.session)
        if now - self._swept_ns >= _SWEEP_NS:
            self._swept_ns = now
            self._service.sweep()

    def accept(self, request: Request, acknowledgements: list[tuple[int, int]]) -> None:
        """Take a publish request; it is answered now or later."""
        session = request.owner
        if not session.subscriptions and not session.farewells:
            raise fault(ua.StatusCodes.BadNoSubscription)
        results = [_acknowledge(session, *one) for one in acknowledgements]
        now = self._clock.monotonic_ns()
        deadline = now + request.timeout_ms * 1_000_000 if request.timeout_ms else 0
        session.publishes.append(PendingPublish(request, results, deadline))
        self._part(session)
        self.serve(session)
        if len(session.publishes) > len(session.subscriptions) + _SPARE_REQUESTS:
            self.refuse(session, session.publishes.popleft(), ua.StatusCodes.BadTooManyPublishRequests)

    def serve(self, session: HubSession) -> None:
        """Send what is late for as long as there are requests to answer, highest priority and longest waiting first."""
        while session.publishes and session.channel is not None and not session.channel.congested:
            late = [one for one in session.subscriptions.values() if one.late]
            if not late:
                return
            chosen = min(late, key=lambda one: (-one.pace.priority, one.late_since_ns))
            self._send(session, chosen)

    def expire_requests(self, session: HubSession) -> None:
        """Answer requests that waited longer than their client wants with BadTimeout."""
        now = self._clock.monotonic_ns()
        for pending in [one for one in session.publishes if one.deadline_ns and one.deadline_ns < now]:
            session.publishes.remove(pending)
            self.refuse(session, pending, ua.StatusCodes.BadTimeout)

    def dismiss(self, session: HubSession) -> None:
        """No subscription is left to answer for."""
        while session.publishes and not session.subscriptions:
            self.refuse(session, session.publishes.popleft(), ua.StatusCodes.BadNoSubscription)

    def refuse(self, session: HubSession, pending: PendingPublish, code: int) -> None:
        """Answer a waiting request with a fault."""
        if session.channel is not None:
            ticks = self._clock.now_ns() // 100 + EPOCH_1601_TICKS
            session.channel.send(pending.request, header(_SERVICE_FAULT, pending.request.handle, ticks, code))

    def farewell(self, session: HubSession, subscription: HubSubscription, status: int) -> None:
        """Tell a session that a subscription left it: now, or when it publishes next."""
        session.farewells.append((subscription.id, subscription.status_message(status, self._clock.now_ns())))
        self._part(session)

    def flush(self) -> None:
        """Run a cycle of every subscription at once: the server stops."""
        now = self._clock.monotonic_ns()
        for subscription in self._service.hub_subscriptions():
            subscription.tick(now)
            if subscription.session is not None:
                self.serve(subscription.session)

    def _part(self, session: HubSession) -> None:
        while session.farewells and session.publishes and session.channel is not None:
            subscription_id, message = session.farewells.popleft()
            self._answer(session, session.publishes.popleft(), subscription_id, [], message, more=False)

    def _send(self, session: HubSession, subscription: HubSubscription) -> None:
        pending = session.publishes.popleft()
        message, more = subscription.message(self._clock.now_ns())
        self._answer(session, pending, subscription.id, subscription.available, message, more=more)

    def _answer(
        self,
        session: HubSession,
        pending: PendingPublish,
        subscription_id: int,
        available: list[int],
        message: bytes,
        *,
        more: bool,
    ) -> None:
        if session.channel is None:
            return
        ticks = self._clock.now_ns() // 100 + EPOCH_1601_TICKS
        body = b"".join(
            (
                header(_PUBLISH_RESPONSE, pending.request.handle, ticks),
                _U32.pack(subscription_id),
                _I32.pack(len(available)),
                *(_U32.pack(number) for number in available),
                b"\x01" if more else b"\x00",
                message,
                _I32.pack(len(pending.results)),
                *(_U32.pack(result) for result in pending.results),
                _I32.pack(0),
            )
        )
        session.channel.send(pending.request, body)

    def _pause_s(self) -> float:
        now = self._clock.monotonic_ns()
        nearest = min((one.due_ns for one in self._service.hub_subscriptions()), default=now + NS)
        return min(max((nearest - now) / NS, 0.0), BEAT_S)


def _acknowledge(session: HubSession, subscription_id: int, sequence: int) -> int:
    subscription = session.subscriptions.get(subscription_id)
    if subscription is None:
        return int(ua.StatusCodes.BadSubscriptionIdInvalid)
    return 0 if subscription.acknowledge(sequence) else int(ua.StatusCodes.BadSequenceNumberUnknown)
