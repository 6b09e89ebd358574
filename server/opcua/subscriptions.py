"""The Subscription service set (Part 4 5.14): owned by sessions, clamped, transferable, gone after their lifetime."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from asyncua import ua
from asyncua.server.subscription_service import SubscriptionService

from address_space.model.clock import Clock
from server.opcua.access import Right, SessionPolicy
from server.opcua.events import EventHub
from server.opcua.publishing import Publisher
from server.opcua.request import fault
from server.opcua.subscription import HubSubscription, Pace

if TYPE_CHECKING:
    from asyncua.server.address_space import AddressSpace

    from address_space.nodes.projection import Projection
    from server.opcua.internal import HubInternalServer
    from server.opcua.options import Limits
    from server.opcua.session import HubSession

_DEFAULT_KEEP_ALIVE = 10
_LIFETIME_KEEP_ALIVES = 3
_LARGEST_ID = 0x7FFF_FFFF


class HubSubscriptionService(SubscriptionService):  # type: ignore[misc]
    """All subscriptions. Those of the server itself stay asyncua's; clients get `HubSubscription`."""

    def __init__(
        self,
        aspace: AddressSpace,
        iserver: HubInternalServer,
        projection: Projection,
        policy: SessionPolicy,
        limits: Limits,
        clock: Clock,
    ) -> None:
        super().__init__(aspace, iserver=iserver)
        self.projection = projection
        self.limits = limits
        self.publisher = Publisher(self, clock)
        self.events = EventHub(aspace, policy, limits, clock)
        self.created = 0
        self._policy = policy
        self._clock = clock

    @property
    def busy(self) -> bool:
        """Whether there is a subscription or a session to look after."""
        return bool(self.subscriptions) or self.iserver.session_count > 0

    @property
    def item_count(self) -> int:
        """Monitored items of all clients."""
        return sum(subscription.item_count for subscription in self.hub_subscriptions())

    def hub_subscriptions(self) -> list[HubSubscription]:
        """Subscriptions of clients."""
        return [one for one in self.subscriptions.values() if isinstance(one, HubSubscription)]

    def create(self, session: HubSession, asked: Any) -> ua.CreateSubscriptionResult:
        """CreateSubscription."""
        if not self._policy.may(session.user, Right.LOOK):
            raise fault(ua.StatusCodes.BadUserAccessDenied)
        if len(session.subscriptions) >= self.limits.subscriptions_per_session or not self._room():
            raise fault(ua.StatusCodes.BadTooManySubscriptions)
        subscription = HubSubscription(
            self._fresh_id(),
            session,
            self._pace(asked),
            self.projection.items(),
            self.aspace,
            self.limits,
            self._clock.monotonic_ns,
            self.events,
        )
        subscription.publishing = asked.PublishingEnabled
        self.subscriptions[subscription.id] = subscription
        session.subscriptions[subscription.id] = subscription
        self.created += 1
        self.publisher.wake()
        pace = subscription.pace
        return ua.CreateSubscriptionResult(subscription.id, pace.interval_ms, pace.lifetime, pace.keep_alive)

    def modify(self, session: HubSession, asked: Any) -> ua.ModifySubscriptionResult:
        """ModifySubscription; the new interval counts from now."""
        subscription = self.owned(session, asked.SubscriptionId)
        pace = self._pace(asked)
        if pace.interval_ms != subscription.pace.interval_ms:
            subscription.due_ns = self._clock.monotonic_ns() + pace.interval_ns
        subscription.pace = pace
        subscription.tally.modified += 1
        subscription.data.RevisedPublishingInterval = pace.interval_ms
        return ua.ModifySubscriptionResult(pace.interval_ms, pace.lifetime, pace.keep_alive)

    def set_publishing(self, session: HubSession, ids: Iterable[int], *, enabled: bool) -> list[ua.StatusCode]:
        """SetPublishingMode."""
        results = []
        for subscription_id in ids:
            subscription = session.subscriptions.get(subscription_id)
            if subscription is not None:
                subscription.publishing = enabled
                subscription.tally.enabled += enabled
                subscription.tally.disabled += not enabled
                subscription.alive()
            results.append(_status(known=subscription is not None))
        return results

    def delete(self, session: HubSession, ids: Iterable[int]) -> list[ua.StatusCode]:
        """DeleteSubscriptions, of the session's own only."""
        results = []
        for subscription_id in ids:
            subscription = session.subscriptions.get(subscription_id)
            if subscription is not None:
                self._drop(subscription)
            results.append(_status(known=subscription is not None))
        self.publisher.dismiss(session)
        return results

    def republish_message(self, session: HubSession, subscription_id: int, sequence: int) -> bytes:
        """Republish: the NotificationMessage as it was written."""
        subscription = self.owned(session, subscription_id)
        message = subscription.republish(sequence)
        if message is None:
            raise fault(ua.StatusCodes.BadMessageNotAvailable)
        return message

    def transfer(self, session: HubSession, ids: Iterable[int], *, initial: bool) -> list[ua.TransferResult]:
        """TransferSubscriptions: the stream moves to `session` where the same user owned it."""
        results = []
        for subscription_id in ids:
            subscription = self.subscriptions.get(int(subscription_id))
            if not isinstance(subscription, HubSubscription):
                results.append(ua.TransferResult(ua.StatusCode(ua.StatusCodes.BadSubscriptionIdInvalid)))
            elif subscription.client != session.client:
                results.append(ua.TransferResult(ua.StatusCode(ua.StatusCodes.BadUserAccessDenied)))
            else:
                self._move(subscription, session, initial=initial)
                results.append(ua.TransferResult(ua.StatusCode(), subscription.available))
        return results

    def owned(self, session: HubSession, subscription_id: int) -> HubSubscription:
        """The session's own subscription; raises BadSubscriptionIdInvalid, also where it is another's."""
        subscription = session.subscriptions.get(subscription_id)
        if subscription is None:
            raise fault(ua.StatusCodes.BadSubscriptionIdInvalid)
        subscription.alive()
        return subscription

    def release(self, session: HubSession, *, delete: bool) -> None:
        """A session ends: its subscriptions end too, or wait to be transferred until their lifetime is over."""
        for subscription in list(session.subscriptions.values()):
            if delete:
                self._drop(subscription)
            else:
                subscription.session = None
        session.subscriptions.clear()

    def expire(self, subscription: HubSubscription) -> None:
        """End a subscription whose lifetime is over; its client may still hear of it."""
        if not subscription.expired:
            return
        session = subscription.session
        self._drop(subscription)
        if session is not None:
            self.publisher.farewell(session, subscription, ua.StatusCodes.BadTimeout)
            self.publisher.dismiss(session)

    def cancel(self, session: HubSession, handle: int) -> int:
        """Cancel: give up waiting publish requests with this handle; says how many."""
        found = [pending for pending in session.publishes if pending.request.handle == handle]
        for pending in found:
            session.publishes.remove(pending)
            self.publisher.refuse(session, pending, ua.StatusCodes.BadRequestCancelledByClient)
        return len(found)

    def sweep(self) -> None:
        """Close sessions that timed out, and answer publish requests that waited too long."""
        for session in self.iserver.sessions():
            self.publisher.expire_requests(session)
        self.iserver.sweep_sessions()

    async def delete_subscriptions(self, ids: list[int]) -> list[ua.StatusCode]:
        """asyncua's own way in, for subscriptions of the server itself."""
        for subscription in [one for one in self.hub_subscriptions() if one.id in ids]:
            self._drop(subscription)
        results: list[ua.StatusCode] = await super().delete_subscriptions(ids)
        return results

    def _room(self) -> bool:
        """Whether one more may be; where there are too many, one gives way whose session or client is gone."""
        if len(self.subscriptions) < self.limits.subscriptions:
            return True
        left = [one for one in self.hub_subscriptions() if one.session is None]
        lost = [one for one in self.hub_subscriptions() if one.session is not None and one.session.channel is None]
        if left or lost:
            self._drop(left[0] if left else max(lost, key=lambda one: one.session.idle_s if one.session else 0.0))
        return bool(left or lost)

    def _fresh_id(self) -> int:
        """An id that another client cannot guess."""
        while True:
            drawn = secrets.randbelow(_LARGEST_ID) + 1
            if drawn not in self.subscriptions:
                return drawn

    def _pace(self, asked: Any) -> Pace:
        limits = self.limits
        wanted = asked.RequestedPublishingInterval
        interval = limits.publishing_min_ms if wanted != wanted else wanted
        interval = min(max(interval, limits.publishing_min_ms), limits.publishing_max_ms)
        keep_alive = min(asked.RequestedMaxKeepAliveCount or _DEFAULT_KEEP_ALIVE, limits.keep_alive_max)
        lifetime = min(max(asked.RequestedLifetimeCount, _LIFETIME_KEEP_ALIVES * keep_alive), limits.lifetime_max)
        return Pace(interval, lifetime, keep_alive, asked.MaxNotificationsPerPublish, asked.Priority)

    def _drop(self, subscription: HubSubscription) -> None:
        subscription.close()
        self.subscriptions.pop(subscription.id, None)
        if subscription.session is not None:
            subscription.session.subscriptions.pop(subscription.id, None)

    def _move(self, subscription: HubSubscription, session: HubSession, *, initial: bool) -> None:
        former = subscription.session
        if former is not None and former is not session:
            former.subscriptions.pop(subscription.id, None)
            self.publisher.farewell(former, subscription, ua.StatusCodes.GoodSubscriptionTransferred)
            self.publisher.dismiss(former)
        subscription.session = session
        subscription.tally.transfers += 1
        session.subscriptions[subscription.id] = subscription
        subscription.alive()
        if initial:
            subscription.points.refresh()
            subscription.monitored_item_srv.restart()


def _status(*, known: bool) -> ua.StatusCode:
    return ua.StatusCode() if known else ua.StatusCode(ua.StatusCodes.BadSubscriptionIdInvalid)
