"""The hub's OPC UA server, put together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlparse

from asyncua import Server, ua

from address_space.model.clock import NS, Clock
from address_space.nodes import Report, VirtualAddressSpace, build_types, fill_namespaces
from address_space.nodes.fast import ReadLists
from address_space.nodes.projection import Projection
from historian.rollups.limits import Changes, unchanged
from server.opcua import server_nodes
from server.opcua.access import Right, SessionPolicy
from server.opcua.browsing import BrowseService
from server.opcua.calls import Binding, Callback, Protection
from server.opcua.certificates import host_names, own_certificate
from server.opcua.channel import Assembly
from server.opcua.faults import Faults
from server.opcua.hello import HubTransportLimits
from server.opcua.history import HistoryService
from server.opcua.history_events import EventHistory
from server.opcua.history_source import Rollups
from server.opcua.internal import HubInternalServer
from server.opcua.items import ItemService
from server.opcua.methods import CallService
from server.opcua.options import OpcUaOptions
from server.opcua.processor import Services
from server.opcua.reading import ReadService
from server.opcua.selfcheck import check
from server.opcua.services import AT_ONCE, Parts, service_table
from server.opcua.transport import HubBinaryServer
from server.opcua.writing import WriteService

if TYPE_CHECKING:
    from address_space.model.live import LiveTable
    from address_space.model.plant import Plant
    from historian.api import HistoryReader
    from historian.events import EventLog
    from server.opcua.events import EventHub

_logger = logging.getLogger(__name__)

_SECURE = (
    ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    ua.SecurityPolicyType.Basic256Sha256_Sign,
    ua.SecurityPolicyType.Aes128Sha256RsaOaep_SignAndEncrypt,
    ua.SecurityPolicyType.Aes128Sha256RsaOaep_Sign,
    ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
    ua.SecurityPolicyType.Aes256Sha256RsaPss_Sign,
)
_REFRESH_S = 1.0
_RETURN_NS = 60 * NS
"""How soon after a planned stop the server is told to be back."""


class HubServer:
    """OPC UA over a plant and its live table. `start` listens, `stop` says goodbye within a second.

    The engine calls `projection.touch(handles, changed)` once per group of applied batches.
    """

    def __init__(
        self,
        plant: Plant,
        live: LiveTable,
        options: OpcUaOptions,
        history: HistoryReader | None,
        clock: Clock,
        policy: SessionPolicy | None = None,
        *,
        rollups: Rollups | None = None,
        event_log: EventLog | None = None,
        changes: Changes = unchanged,
    ) -> None:
        """Raises SeamMoved where the installed asyncua is not the expected one."""
        check()
        self.options = options
        self.aspace = VirtualAddressSpace(plant, live, clock)
        self.projection = Projection(live)
        self.policy = policy or SessionPolicy(allow_anonymous=options.allow_anonymous)
        self._clock = clock
        self._iserver = HubInternalServer(self.aspace, self.projection, self.policy, options, clock)
        self._server = Server(iserver=self._iserver)
        self._binary: HubBinaryServer | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._lists = ReadLists(plant, self.aspace.handle_of)
        reads = ReadService(self.aspace, live, self._lists, self.policy, options.limits, clock)
        subscriptions = self._iserver.subscription_service
        self.events: EventHub = subscriptions.events
        """Where to tell of what happened."""
        kept_events = EventHistory(event_log, self.events) if event_log is not None else None
        self.aspace.facts.keeps_events = kept_events is not None
        self._calls = CallService(self.aspace, self.policy, options.limits)
        reads.may_execute = self._calls.may_execute
        parts = Parts(
            self._iserver,
            self.policy,
            reads,
            WriteService(self.aspace, reads, self.policy, options.limits),
            BrowseService(self.aspace, self.policy, options.limits),
            ItemService(plant, self.aspace.handle_of, subscriptions, reads, self.policy, options.limits),
            self._calls,
            HistoryService(
                plant,
                self.aspace.handle_of,
                self.aspace,
                history,
                self.policy,
                options.limits,
                rollups,
                kept_events,
                changes,
            ),
        )
        self.faults = Faults(clock)
        assembly = Assembly(options.limits.assembling_bytes)
        table = service_table(parts)
        self._services = Services(self._iserver, options.limits, clock, self.faults, assembly, table, AT_ONCE)

    async def start(self) -> None:
        """Build the nodes, make the certificate where there is none, and listen.

        Raises CertificateProblem, or OSError where the port is taken.
        """
        await self.build()
        server, options = self._server, self.options
        await self._load_certificate()
        server.name = options.name
        server.product_uri = "urn:joulehub"
        server.manufacturer_name = "JouleHub"
        server.application_type = ua.ApplicationType.Server
        server._application_uri = options.application_uri  # noqa: SLF001  # the setter would write nodes
        server.set_endpoint(options.advertised_urls[0] if options.advertised_urls else options.url)
        none = [ua.SecurityPolicyType.NoSecurity] if options.allow_none else []
        server.set_security_policy([*none, *_SECURE])
        await server._setup_server_nodes()  # noqa: SLF001  # asyncua's own way to make endpoints and policies
        for endpoint in self._iserver.endpoints:
            endpoint.Server.DiscoveryUrls = list(options.advertised_urls) or [options.url]
        await self._iserver.start()
        limits = options.limits
        transport = HubTransportLimits(
            limits.chunk_bytes,
            limits.chunk_bytes,
            math.ceil(limits.message_bytes / (limits.chunk_bytes // 2)),
            limits.message_bytes,
            limits.message_bytes,
        )
        self._binary = HubBinaryServer(self._services, options.host, options.port, transport)
        self._binary.set_policies(server._policies)  # noqa: SLF001
        try:
            await self._binary.start()
        except OSError:
            await self._iserver.stop()
            raise
        self._tasks = [
            asyncio.create_task(self._iserver.subscription_service.publisher.run(), name="opcua publisher"),
            asyncio.create_task(self._refresh(), name="opcua server status"),
        ]
        _logger.info("opcua listening url=%s", self.options.url)

    async def build(self) -> None:
        """Make the real nodes, without listening."""
        await self._iserver.load_standard_address_space()
        await self._iserver._address_space_fixes()  # noqa: SLF001
        build_types(self.aspace, self._clock.now_ns())
        fill_namespaces(self.aspace, self.options.application_uri, self._clock.now_ns())
        server_nodes.fill_server_nodes(self.aspace, self.options, self._clock.now_ns())
        if self.aspace.facts.keeps_events:
            server_nodes.offer_event_history(self.aspace, self.options.limits.history_events, self._clock.now_ns())
        server_nodes.serve_diagnostics(self._iserver)
        self._calls.prepare()

    async def stop(self, reason: str = "planned stop") -> None:
        """Publish the shutdown and its reason to those who subscribe, end what runs, close the port."""
        if self._binary is None:
            return
        now_ns = self._clock.now_ns()
        await server_nodes.set_state(self.aspace, ua.ServerState.Shutdown, 0, now_ns, reason, now_ns + _RETURN_NS)
        await self.set_service_level(0)
        self._iserver.subscription_service.publisher.flush()
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks = []
        await self._calls.close()
        for session in self._iserver.sessions():
            self._iserver.end(session, delete=True)
        await self._binary.stop()
        await self._iserver.stop()
        self._binary = None

    def bind(
        self,
        method: str | ua.NodeId,
        callback: Callback,
        *,
        right: Right = Right.CONTROL,
        protection: Protection = Protection.ENCRYPTED,
        executable: Callable[[str], bool] | None = None,
    ) -> None:
        """Put `async callback(owner_id, context, *inputs) -> outputs` behind a method.

        `method` is the path below the owner (`ReadNow`, `Switch.Trip`), the same for all owners, or a node id of
        another namespace. The callback runs for users with `right`, over channels with at least `protection`, where
        `executable` says so of the owner's id; its HubErrors become status codes (`server.opcua.methods.status_of`).
        """
        self._calls.bind(method, Binding(callback, right, protection, executable))

    def report_with(self, report: Callable[[str], Report | None]) -> None:
        """Show what `report` tells of a line or unit, by its id, when somebody looks."""
        self.aspace.facts.report = report

    @property
    def port(self) -> int:
        """Port it listens on, also where the system chose it."""
        return self._binary.port if self._binary is not None else self.options.port

    @property
    def endpoint_urls(self) -> Sequence[str]:
        """Where to connect."""
        if self.options.advertised_urls:
            return self.options.advertised_urls
        parsed = urlparse(self.options.url)
        return (parsed._replace(netloc=f"{parsed.hostname}:{self.port}").geturl(),)

    @property
    def session_count(self) -> int:
        """Sessions of clients."""
        return self._iserver.session_count

    @property
    def subscription_count(self) -> int:
        """Subscriptions of clients."""
        return len(self._iserver.subscription_service.hub_subscriptions())

    @property
    def item_count(self) -> int:
        """Monitored items of clients."""
        return int(self._iserver.subscription_service.item_count)

    async def set_service_level(self, level: int) -> None:
        """Show how well the hub can serve: 255 fully, 0 not at all (Part 4 6.6.2.4.2)."""
        await server_nodes.set_level(self.aspace, min(max(level, 0), 255), self._clock.now_ns())

    async def _refresh(self) -> None:
        while True:
            await server_nodes.refresh(self._iserver, self._clock.now_ns())
            await self._clock.sleep(_REFRESH_S)

    async def _load_certificate(self) -> None:
        options = self.options
        hosts = [*host_names(options.hostname), *(urlparse(url).hostname or "" for url in options.advertised_urls)]
        pki = options.data_dir / "pki"
        own = await asyncio.to_thread(own_certificate, pki, options.application_uri, hosts, self._clock.now_ns())
        await self._server.load_certificate(own.certificate)
        await self._server.load_private_key(own.key)
