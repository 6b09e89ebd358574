"""Sessions: random tokens, taken over only by the same user and application, with what hangs on each (Part 4 5.7)."""

from __future__ import annotations

import secrets
from collections import deque
from typing import TYPE_CHECKING, Any

from asyncua import ua
from asyncua.crypto.permission_rules import User
from asyncua.server.internal_session import InternalSession, SessionState
from asyncua.ua.ua_binary import nodeid_to_binary

from address_space.model.clock import NS
from address_space.nodes import match_locale
from server.opcua.access import HubUser
from server.opcua.points import ContinuationPoints
from server.opcua.request import fault

if TYPE_CHECKING:
    from server.opcua.internal import HubInternalServer
    from server.opcua.processor import HubProcessor
    from server.opcua.publishing import PendingPublish
    from server.opcua.subscription import HubSubscription

_TOKEN_BYTES = 32
_FAREWELLS = 100


class HubSession(InternalSession):  # type: ignore[misc]
    """One client session.

    asyncua's tokens are numbers in a row and any client can activate any session: here tokens cannot be guessed,
    and another channel gets the session only with the same application certificate and the same user.
    """

    user: User
    nonce: bytes | None
    mode = ua.MessageSecurityMode.None_
    """How the channel is secured that the session is being activated on."""

    def __init__(self, internal_server: HubInternalServer, *args: Any, **kwargs: Any) -> None:
        super().__init__(internal_server, *args, **kwargs)
        self.touch()
        if self.external:
            self.iserver.unregister_external_session(self)
            self.auth_token = ua.NodeId(secrets.token_bytes(_TOKEN_BYTES), 0, ua.NodeIdType.ByteString)
            self.session_id = ua.NodeId(secrets.token_bytes(16), 1, ua.NodeIdType.ByteString)
            self.iserver.register_external_session(self)
        self.token: bytes = nodeid_to_binary(self.auth_token)
        self.client_certificate: bytes | None = None
        self.security: tuple[object, ...] = ()
        self.failures = 0
        self.application_uri = ""
        self.channel: HubProcessor | None = None
        self.publishes: deque[PendingPublish] = deque()
        self.farewells: deque[tuple[int, bytes]] = deque(maxlen=_FAREWELLS)
        """Last messages of subscriptions that left, by their id, until the session publishes."""
        self.subscriptions: dict[int, HubSubscription] = {}
        self.locale = internal_server.locale
        limits = internal_server.limits
        self.browse_points: ContinuationPoints[Any] = ContinuationPoints(limits.browse_points)
        self.history_points: ContinuationPoints[Any] = ContinuationPoints(limits.history_points)

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells this session's user from others."""
        return self.user.identity if isinstance(self.user, HubUser) else ()

    @property
    def client(self) -> tuple[object, ...]:
        """What a subscription's next owner must share with this one (Part 4 5.14.7): user and application."""
        return (self.identity, self.client_certificate, self.application_uri)

    @property
    def idle_s(self) -> float:
        """Seconds since the last request."""
        idle: float = (self.iserver.clock.monotonic_ns() - self._touched_ns) / NS
        return idle

    def touch(self) -> None:
        """A request came."""
        self._touched_ns = self.iserver.clock.monotonic_ns()

    def bind(self, channel: HubProcessor, params: Any) -> Any:
        """Activate on `channel`; raises where it is another's session, or secured in another way.

        asyncua counts the activated sessions of all servers together and refuses for ever beyond 1,000, since it does
        not see the hub end them. The hub counts its own (`Limits.sessions`), so that count is kept at 0.
        """
        elsewhere = self.channel is not channel
        certificate = channel.channel.peer_certificate
        if self.client_certificate != certificate or self.security != channel.channel.security:
            raise fault(ua.StatusCodes.BadSecurityChecksFailed)
        if elsewhere and self.state is not SessionState.Activated:
            raise fault(ua.StatusCodes.BadSecureChannelIdInvalid)
        before, user, nonce = self.identity, self.user, self.nonce
        taken_over = self.state is SessionState.Activated
        if not isinstance(_token(params), self.iserver.supported_tokens):
            raise fault(ua.StatusCodes.BadIdentityTokenRejected)
        self.mode = channel.policy.Mode
        result = self.activate_session(params, certificate)
        InternalSession._current_connections = 0  # noqa: SLF001
        if taken_over and elsewhere and self.identity != before:
            self.user, self.nonce = user, nonce
            raise fault(ua.StatusCodes.BadIdentityChangeNotSupported)
        if params.LocaleIds or not taken_over:
            self.locale = match_locale((locale for locale in params.LocaleIds or () if locale), self.iserver.locale)
        if elsewhere:
            self.publishes.clear()
            self.channel = channel
        return result

    def detach(self) -> None:
        """The channel is gone; the session waits for its client to come back."""
        self.channel = None
        self.publishes.clear()

    async def close_session(self, delete_subs: bool = True) -> None:  # noqa: FBT001, FBT002  # asyncua's signature
        """End; subscriptions that are not deleted wait to be transferred."""
        if self.state is SessionState.Closed:
            return
        self.browse_points.clear()
        self.history_points.clear()
        if self.external:
            self.iserver.subscription_service.release(self, delete=delete_subs)
            await super().close_session(delete_subs=False)
        else:
            await super().close_session(delete_subs)

    def _start_timeout_watchdog(self) -> None:
        """Sessions are swept by the publisher, not by a task each."""


def _token(params: Any) -> Any:
    """The identity token; a null one is anonymous (Part 4 5.7.3.2)."""
    token = params.UserIdentityToken
    if token is None or (isinstance(token, ua.ExtensionObject) and token.TypeId.Identifier in (0, None)):
        return ua.AnonymousIdentityToken()
    return token
