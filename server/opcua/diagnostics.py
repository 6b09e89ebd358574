"""What ServerDiagnostics tells (Part 5 6.3.3, 12.9, 12.15): counted while serving, put together when read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncua import ua

if TYPE_CHECKING:
    from server.opcua.internal import HubInternalServer
    from server.opcua.subscription import HubSubscription

SECURITY_CODES = frozenset(
    {
        ua.StatusCodes.BadUserAccessDenied,
        ua.StatusCodes.BadIdentityTokenInvalid,
        ua.StatusCodes.BadIdentityTokenRejected,
        ua.StatusCodes.BadIdentityChangeNotSupported,
        ua.StatusCodes.BadSecurityChecksFailed,
        ua.StatusCodes.BadApplicationSignatureInvalid,
        ua.StatusCodes.BadUserSignatureInvalid,
        ua.StatusCodes.BadCertificateInvalid,
        ua.StatusCodes.BadCertificateUntrusted,
        ua.StatusCodes.BadNonceInvalid,
        ua.StatusCodes.BadSessionIdInvalid,
    }
)
"""Refusals for reasons of security."""


@dataclass(slots=True)
class Rejections:
    """Requests answered with a fault."""

    requests: int = 0
    security: int = 0

    def count(self, code: int) -> None:
        """One more."""
        self.requests += 1
        self.security += code in SECURITY_CODES


@dataclass(slots=True)
class Tally:
    """What happened to one subscription."""

    modified: int = 0
    enabled: int = 0
    disabled: int = 0
    republish_requests: int = 0
    republished: int = 0
    transfers: int = 0
    publishes: int = 0
    changes: int = 0
    events: int = 0
    late: int = 0
    discarded: int = 0


def summary(iserver: HubInternalServer) -> ua.ServerDiagnosticsSummaryDataType:
    """Counts of sessions, subscriptions and refusals as they are."""
    subscriptions = iserver.subscription_service
    told = ua.ServerDiagnosticsSummaryDataType()
    told.CurrentSessionCount = iserver.session_count
    told.CumulatedSessionCount = iserver.cumulated_sessions
    told.RejectedSessionCount = iserver.rejected_sessions
    told.SessionTimeoutCount = iserver.timed_out_sessions
    told.CurrentSubscriptionCount = len(subscriptions.hub_subscriptions())
    told.CumulatedSubscriptionCount = subscriptions.created
    told.PublishingIntervalCount = len({one.pace.interval_ms for one in subscriptions.hub_subscriptions()})
    told.RejectedRequestsCount = iserver.rejections.requests
    told.SecurityRejectedRequestsCount = iserver.rejections.security
    return told


def subscription(one: HubSubscription) -> ua.SubscriptionDiagnosticsDataType:
    """One element of SubscriptionDiagnosticsArray."""
    tally, pace, told = one.tally, one.pace, ua.SubscriptionDiagnosticsDataType()
    told.SessionId, told.SubscriptionId = one.session_id, one.id
    told.Priority, told.PublishingInterval = pace.priority, pace.interval_ms
    told.MaxKeepAliveCount, told.MaxLifetimeCount = pace.keep_alive, pace.lifetime
    told.MaxNotificationsPerPublish, told.PublishingEnabled = pace.max_notifications, one.publishing
    told.ModifyCount, told.EnableCount, told.DisableCount = tally.modified, tally.enabled, tally.disabled
    told.RepublishRequestCount = told.RepublishMessageRequestCount = tally.republish_requests
    told.RepublishMessageCount = tally.republished
    told.TransferRequestCount = told.TransferredToSameClientCount = tally.transfers
    told.PublishRequestCount, told.LatePublishRequestCount = tally.publishes, tally.late
    told.DataChangeNotificationsCount, told.EventNotificationsCount = tally.changes, tally.events
    told.NotificationsCount = tally.changes + tally.events
    told.CurrentKeepAliveCount, told.CurrentLifetimeCount = one.quiet, one.orphaned
    told.UnacknowledgedMessageCount, told.DiscardedMessageCount = len(one.available), tally.discarded
    told.MonitoredItemCount, told.DisabledMonitoredItemCount = one.item_count, one.disabled_count
    told.NextSequenceNumber = one.next_sequence
    return told
