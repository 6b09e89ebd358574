"""Are the seams of asyncua where the overrides expect them? Asked at every start, before anything listens."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from asyncua.common.connection import MessageChunk, SecureConnection, TransportLimits
from asyncua.crypto.permission_rules import User
from asyncua.crypto.security_policies import SecurityPolicyFactory, SecurityPolicyNone
from asyncua.server.address_space import AddressSpace, NodeData
from asyncua.server.binary_server_asyncio import BinaryServer, OPCUAProtocol
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession
from asyncua.server.monitored_item_service import MonitoredItemService
from asyncua.server.server import Server
from asyncua.server.subscription_service import SubscriptionService
from asyncua.server.uaprocessor import UaProcessor
from asyncua.ua.ua_binary import get_safe_type_hints, nodeid_from_binary, struct_from_binary

from server.opcua.errors import SeamMoved

ASYNCUA = "2.1.0"
"""The one release the overrides were written for."""


@dataclass(frozen=True, slots=True)
class Seam:
    """A method of asyncua that is overridden or called, with its parameters."""

    method: Callable[..., Any]
    parameters: tuple[str, ...]


SEAMS = (
    Seam(Server._setup_server_nodes, ("self",)),  # noqa: SLF001
    Seam(Server._get_bind_socket_info, ("self",)),  # noqa: SLF001
    Seam(InternalServer.__init__, ("self", "user_manager")),
    Seam(InternalServer.load_standard_address_space, ("self", "shelf_file")),
    Seam(InternalServer._address_space_fixes, ("self",)),  # noqa: SLF001
    Seam(InternalServer._mangle_endpoint_url, ("self", "ep_url", "params_ep_url", "sockname")),  # noqa: SLF001
    Seam(InternalServer.get_endpoints, ("self", "params", "sockname")),
    Seam(InternalServer.find_servers, ("self", "params", "sockname")),
    Seam(InternalServer.create_session, ("self", "name", "user", "external")),
    Seam(InternalServer.register_external_session, ("self", "session")),
    Seam(InternalSession.activate_session, ("self", "params", "peer_certificate")),
    Seam(InternalSession.create_session, ("self", "params", "sockname")),
    Seam(InternalSession._start_timeout_watchdog, ("self",)),  # noqa: SLF001
    Seam(SubscriptionService.__init__, ("self", "aspace", "iserver")),
    Seam(MonitoredItemService.__init__, ("self", "isub", "aspace")),
    Seam(MonitoredItemService.datachange_callback, ("self", "handle", "value", "error")),
    Seam(MonitoredItemService._delete_monitored_items, ("self", "mid")),  # noqa: SLF001
    Seam(AddressSpace.read_attribute_value, ("self", "nodeid", "attr")),
    Seam(AddressSpace.set_attribute_value_callback, ("self", "nodeid", "attr", "callback")),
    Seam(AddressSpace.add_datachange_callback, ("self", "nodeid", "attr", "callback")),
    Seam(UaProcessor.__init__, ("self", "internal_server", "transport", "limits")),
    Seam(UaProcessor.process, ("self", "header", "body")),
    Seam(OPCUAProtocol.__init__, ("self", "iserver", "policies", "clients", "closing_tasks", "limits")),
    Seam(OPCUAProtocol.connection_made, ("self", "transport")),
    Seam(OPCUAProtocol.data_received, ("self", "data")),
    Seam(BinaryServer._make_protocol, ("self",)),  # noqa: SLF001
    Seam(SecureConnection.receive_from_header_and_body, ("self", "header", "body")),
    Seam(MessageChunk.max_body_size, ("crypto", "max_chunk_size")),
    Seam(SecureConnection.message_to_binary, ("self", "message", "message_type", "request_id")),
    Seam(InternalServer.decrypt_user_token, ("self", "isession", "token")),
    Seam(InternalServer.lookup_external_session, ("self", "auth_token")),
    Seam(InternalServer.unregister_external_session, ("self", "session")),
    Seam(InternalServer.register_server, ("self", "server", "conf")),
    Seam(InternalServer.get_new_channel_id, ("self",)),
    Seam(InternalSession.__init__, ("self", "internal_server", "aspace", "submgr", "name", "user", "external")),
    Seam(InternalSession.close_session, ("self", "delete_subs")),
    Seam(InternalSession.touch, ("self",)),
    Seam(SubscriptionService.delete_subscriptions, ("self", "ids")),
    Seam(AddressSpace.__init__, ("self",)),
    Seam(AddressSpace.__contains__, ("self", "nodeid")),
    Seam(AddressSpace.__getitem__, ("self", "nodeid")),
    Seam(AddressSpace.get, ("self", "nodeid")),
    Seam(AddressSpace.write_attribute_value, ("self", "nodeid", "attr", "value")),
    Seam(AddressSpace.delete_datachange_callback, ("self", "handle")),
    Seam(AddressSpace.add_method_callback, ("self", "methodid", "callback")),
    Seam(NodeData.__init__, ("self", "nodeid")),
    Seam(User.__init__, ("self", "role", "name")),
    Seam(UaProcessor.send_response, ("self", "requesthandle", "seqhdr", "response", "msgtype")),
    Seam(OPCUAProtocol.connection_lost, ("self", "ex")),
    Seam(OPCUAProtocol._process_received_message_loop, ("self",)),  # noqa: SLF001
    Seam(BinaryServer.__init__, ("self", "internal_server", "hostname", "port", "limits")),
    Seam(BinaryServer._close_task_loop, ("self",)),  # noqa: SLF001
    Seam(SecureConnection.__init__, ("self", "security_policy", "limits")),
    Seam(SecureConnection.open, ("self", "params", "server")),
    Seam(SecureConnection.revolve_tokens, ("self",)),
    Seam(SecureConnection._receive, ("self", "msg")),  # noqa: SLF001
    Seam(SecureConnection._drop_incoming_parts, ("self",)),  # noqa: SLF001
    Seam(
        TransportLimits.__init__,
        ("self", "max_recv_buffer", "max_send_buffer", "max_chunk_count", "max_message_size"),
    ),
    Seam(MessageChunk.from_header_and_body, ("security_policy", "header", "buf", "use_prev_key")),
    Seam(SecurityPolicyFactory.matches, ("self", "uri", "mode")),
    Seam(SecurityPolicyFactory.create, ("self", "peer_certificate")),
    Seam(get_safe_type_hints, ("cls", "extra_ns")),
    Seam(nodeid_from_binary, ("data",)),
    Seam(struct_from_binary, ("objtype", "data")),
)
"""Each is in `docs/security.md`, or in the docstring of the module that overrides it."""

PARTS: tuple[tuple[str, ...], ...] = (
    ("_sequence_number", "_peer_sequence_number", "_incoming_parts", "_incoming_size", "_limits", "_policies"),
    ("security_policy", "security_token", "next_security_token", "local_nonce", "remote_nonce"),
)
"""Attributes of a SecureConnection that the hub reads or sets."""


def check(seams: tuple[Seam, ...] = SEAMS, installed: str | None = None) -> None:
    """Raise SeamMoved, naming every method that is not as expected."""
    found = installed if installed is not None else version("asyncua")
    if found != ASYNCUA:
        raise SeamMoved(
            f"asyncua {found} is installed, and the hub was written for {ASYNCUA}",
            hint=f"install asyncua=={ASYNCUA}",
        )
    moved = [
        f"{seam.method.__qualname__}({', '.join(inspect.signature(seam.method).parameters)})"
        for seam in seams
        if tuple(inspect.signature(seam.method).parameters) != seam.parameters
    ]
    connection = SecureConnection(SecurityPolicyNone(), TransportLimits())
    moved += [f"SecureConnection.{name}" for part in PARTS for name in part if not hasattr(connection, name)]
    if moved:
        raise SeamMoved(
            f"asyncua's {', '.join(moved)} is not what the hub overrides",
            hint=f"reinstall asyncua=={ASYNCUA}; something changed its source",
        )
