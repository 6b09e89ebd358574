"""What the OPC UA server is told: where it listens, whom it lets in, and how much it gives to one client."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from pathlib import Path

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that are published where the specification has a place for them, and always enforced."""

    nodes_per_read: int = 5_000
    nodes_per_write: int = 1_000
    nodes_per_browse: int = 1_000
    nodes_per_call: int = 100
    nodes_per_history_read: int = 100
    nodes_per_translate: int = 1_000
    nodes_per_register: int = 5_000
    items_per_call: int = 2_000
    connections: int = 200
    connections_per_address: int = 0
    sessions: int = 100
    subscriptions: int = 1_000
    subscriptions_per_session: int = 100
    items_per_subscription: int = 100_000
    items: int = 1_000_000
    item_queue: int = 1_000
    event_items: int = 2_000
    event_queue: int = 1_000
    event_queue_least: int = 10
    references_per_node: int = 1_000
    browse_points: int = 1_000
    history_points: int = 100
    history_values: int = 10_000
    history_events: int = 1_000
    notifications_per_publish: int = 10_000
    retained_messages: int = 100
    retained_bytes: int = 8 * _MIB
    call_s: float = 10.0
    calls_per_session: int = 10
    message_bytes: int = 16 * _MIB
    chunk_bytes: int = 65_536
    request_elements: int = 10_000
    assembling_bytes: int = 64 * _MIB
    unsent_bytes: int = 32 * _MIB
    unauthenticated_bytes: int = 256 * 1024
    unauthenticated_chunks: int = 200
    activation_s: float = 30.0
    stalled_s: float = 30.0
    channel_min_s: float = 10.0
    channel_max_s: float = 3_600.0
    publishing_min_ms: float = 100.0
    publishing_max_ms: float = 3_600_000.0
    keep_alive_max: int = 10_000
    lifetime_max: int = 30_000


@dataclass(frozen=True, slots=True)
class OpcUaOptions:
    """Settings of the OPC UA server.

    data_dir         below it lies `pki/own` with the server's certificate
    uri              application URI; empty is `urn:joulehub:<hostname>`
    advertised_urls  addresses that clients are given where they cannot reach the one they asked (NAT, containers);
                     empty answers with the address the client used
    allow_none       offer an endpoint without security
    allow_anonymous  let clients in without a user; they may only look
    locale           language of sessions that ask for none of the hub's languages
    """

    data_dir: Path
    host: str = "0.0.0.0"
    port: int = 4840
    path: str = "/joulehub"
    hostname: str = field(default_factory=socket.gethostname)
    uri: str = ""
    advertised_urls: tuple[str, ...] = ()
    allow_none: bool = False
    allow_anonymous: bool = False
    locale: str = "en"
    name: str = "JouleHub"
    version: str = "0.1.0"
    limits: Limits = field(default_factory=Limits)

    @property
    def application_uri(self) -> str:
        """One name for the endpoint descriptions, the certificate and ServerArray."""
        return self.uri or f"urn:joulehub:{self.hostname}"

    @property
    def url(self) -> str:
        """Address by the machine's own name; 0.0.0.0 is never told to anybody."""
        host = self.hostname if self.host in ("", "0.0.0.0", "::") else self.host
        return f"opc.tcp://{host}:{self.port}{self.path}"
