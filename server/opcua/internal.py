"""asyncua's internal server over the plant's virtual address space, with its services built anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from asyncua import ua
from asyncua.common.node import Node
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.address_space import (
    AddressSpace,
    AttributeService,
    MethodService,
    NodeManagementService,
    ViewService,
)
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import SessionState
from asyncua.ua.ua_binary import nodeid_to_binary

from address_space.model.clock import Clock
from server.opcua.access import SessionPolicy
from server.opcua.diagnostics import Rejections
from server.opcua.identity import credentials
from server.opcua.request import fault
from server.opcua.session import HubSession
from server.opcua.subscriptions import HubSubscriptionService

if TYPE_CHECKING:
    from address_space.nodes.projection import Projection
    from server.opcua.options import OpcUaOptions


class HubInternalServer(InternalServer):  # type: ignore[misc]
    """`InternalServer` makes its own address space and services; here they are replaced by the hub's."""

    method_service: MethodService

    def __init__(
        self, aspace: AddressSpace, projection: Projection, policy: SessionPolicy, options: OpcUaOptions, clock: Clock
    ) -> None:
        self._sessions: dict[bytes, HubSession] = {}
        self.clock = clock
        self.limits = options.limits
        self.advertised_urls = options.advertised_urls
        self.locale = options.locale
        self.cumulated_sessions = 0
        self.rejected_sessions = 0
        self.timed_out_sessions = 0
        self.rejections = Rejections()
        super().__init__(user_manager=policy)
        self.method_service.stop()
        self.aspace = aspace
        self.attribute_service = AttributeService(aspace)
        self.view_service = ViewService(aspace)
        self.method_service = MethodService(aspace)
        self.node_mgt_service = NodeManagementService(aspace)
        self.subscription_service = HubSubscriptionService(aspace, self, projection, policy, self.limits, clock)
        self.isession = HubSession(self, aspace, self.subscription_service, "Internal", user=User(role=UserRole.Admin))
        self.current_time_node = Node(self.isession, ua.NodeId(ua.ObjectIds.Server_ServerStatus_CurrentTime))
        self.server_status_node = Node(self.isession, ua.NodeId(ua.ObjectIds.Server_ServerStatus))
        # asyncua's clock task sleeps a second before it lets the server stop; the hub has its own
        self.disabled_clock = True
        self.allow_remote_admin = False
        self.max_connections = self.limits.connections
        self.max_subscriptions = self.limits.subscriptions
        self.max_pending_activation_seconds = self.limits.activation_s
        self.supported_tokens = _tokens(policy)

    # sessions

    @property
    def session_count(self) -> int:
        """Sessions of clients."""
        return len(self._sessions)

    def sessions(self) -> list[HubSession]:
        """Sessions of clients."""
        return list(self._sessions.values())

    def session_of(self, token: bytes) -> HubSession | None:
        """The session with this encoded authentication token."""
        return self._sessions.get(token)

    def create_session(
        self,
        name: str,
        user: User | None = None,
        external: bool = False,  # noqa: FBT001, FBT002
    ) -> HubSession:
        """A new session; makes room by ending one that its client lost, else raises BadTooManySessions."""
        if external and len(self._sessions) >= self.limits.sessions and not self._make_room():
            self.rejected_sessions += 1
            raise fault(ua.StatusCodes.BadTooManySessions)
        return HubSession(
            self,
            self.aspace,
            self.subscription_service,
            name,
            user=user or User(role=UserRole.Anonymous),
            external=external,
        )

    def lookup_external_session(self, auth_token: ua.NodeId) -> HubSession | None:
        """The session with this authentication token."""
        return self._sessions.get(nodeid_to_binary(auth_token))

    def register_external_session(self, session: HubSession) -> None:
        """Make a session known by its token."""
        self._sessions[nodeid_to_binary(session.auth_token)] = session

    def unregister_external_session(self, session: HubSession) -> None:
        """Forget a session."""
        self._sessions.pop(nodeid_to_binary(session.auth_token), None)

    def sweep_sessions(self) -> None:
        """End sessions that were silent for longer than agreed; their subscriptions wait for a transfer."""
        for session in self.sessions():
            if session.session_timeout is not None and session.idle_s > session.session_timeout:
                self.timed_out_sessions += 1
                self.end(session, delete=False)

    def end(self, session: HubSession, *, delete: bool) -> None:
        """End a session at once."""
        session.browse_points.clear()
        session.history_points.clear()
        session.publishes.clear()
        self.subscription_service.release(session, delete=delete)
        session.state = SessionState.Closed
        session.channel = None
        self.unregister_external_session(session)

    def decrypt_user_token(self, session: HubSession, token: Any) -> tuple[str, str]:
        """User name and password of a token; see `identity`."""
        return credentials(token, session.nonce or b"", self.private_key, session.mode)

    # discovery

    async def get_endpoints(self, params: Any = None, sockname: tuple[str, int] | None = None) -> list[Any]:
        """Endpoints at the address the client asked for, and every address at which the server can be found."""
        endpoints: list[Any] = await super().get_endpoints(params, sockname)
        if self.advertised_urls:
            for endpoint in endpoints:
                endpoint.Server.DiscoveryUrls = list(self.advertised_urls)
        return endpoints

    def find_servers(self, params: Any, sockname: tuple[str, int] | None = None) -> list[Any]:
        """This server, with every address at which it can be found."""
        servers: list[Any] = super().find_servers(params, sockname)
        if self.advertised_urls:
            for server in servers:
                server.DiscoveryUrls = list(self.advertised_urls)
        return servers

    def _mangle_endpoint_url(
        self, ep_url: str, params_ep_url: str | None = None, sockname: tuple[str, int] | None = None
    ) -> str:
        if not self.advertised_urls:
            mangled: str = super()._mangle_endpoint_url(ep_url, params_ep_url, sockname)
            return mangled
        asked = urlparse(params_ep_url or "").netloc
        for url in self.advertised_urls:
            if asked and urlparse(url).netloc == asked:
                return url
        return self.advertised_urls[0]

    def register_server(self, server: Any, conf: Any = None) -> None:  # noqa: ARG002
        """The hub is no discovery server."""
        raise fault(ua.StatusCodes.BadServiceUnsupported)

    def _make_room(self) -> bool:
        """End the session that is worth least: lost, then not activated, then lost with subscriptions to transfer."""
        sessions = self._sessions.values()
        lost = [one for one in sessions if one.channel is None]
        idle = [one for one in lost if not one.subscriptions]
        waiting = [one for one in sessions if one.state is SessionState.Created]
        worth_least = idle or waiting or lost
        if not worth_least:
            return False
        ended = max(worth_least, key=lambda one: one.idle_s)
        if ended.channel is not None:
            ended.channel.forget(ended)
        # subscriptions wait for whoever transfers them
        self.end(ended, delete=not ended.subscriptions)
        return True


def _tokens(policy: SessionPolicy) -> tuple[type, ...]:
    tokens: tuple[type, ...] = (ua.AnonymousIdentityToken,) if policy.allow_anonymous else ()
    return (*tokens, ua.UserNameIdentityToken) if policy.users is not None else tokens
