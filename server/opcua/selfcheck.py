"""Are the seams of asyncua where the overrides expect them? Asked at every start, before anything listens."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from asyncua.common.connection import SecureConnection
from asyncua.server.address_space import AddressSpace
from asyncua.server.binary_server_asyncio import BinaryServer, OPCUAProtocol
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession
from asyncua.server.monitored_item_service import MonitoredItemService
from asyncua.server.server import Server
from asyncua.server.subscription_service import SubscriptionService
from asyncua.server.uaprocessor import UaProcessor

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
    Seam(InternalServer.create_session, ("self", "name", "user", "external")),
    Seam(InternalServer.register_external_session, ("self", "session")),
    Seam(InternalSession.activate_session, ("self", "params", "peer_certificate")),
    Seam(InternalSession.create_session, ("self", "params", "sockname")),
    Seam(InternalSession._start_timeout_watchdog, ("self",)),  # noqa: SLF001
    Seam(SubscriptionService.__init__, ("self", "aspace", "iserver")),
    Seam(MonitoredItemService.__init__, ("self", "isub", "aspace")),
    Seam(MonitoredItemService.datachange_callback, ("self", "handle", "value", "error")),
    Seam(MonitoredItemService._modify_monitored_item, ("self", "params")),  # noqa: SLF001
    Seam(MonitoredItemService._delete_monitored_items, ("self", "mid")),  # noqa: SLF001
    Seam(MonitoredItemService._set_monitoring_mode, ("self", "mode", "mid")),  # noqa: SLF001
    Seam(AddressSpace.read_attribute_value, ("self", "nodeid", "attr")),
    Seam(AddressSpace.add_datachange_callback, ("self", "nodeid", "attr", "callback")),
    Seam(UaProcessor.__init__, ("self", "internal_server", "transport", "limits")),
    Seam(UaProcessor.process, ("self", "header", "body")),
    Seam(UaProcessor.open_secure_channel, ("self", "algohdr", "seqhdr", "body")),
    Seam(UaProcessor.close, ("self",)),
    Seam(OPCUAProtocol.__init__, ("self", "iserver", "policies", "clients", "closing_tasks", "limits")),
    Seam(OPCUAProtocol.connection_made, ("self", "transport")),
    Seam(OPCUAProtocol.data_received, ("self", "data")),
    Seam(BinaryServer._make_protocol, ("self",)),  # noqa: SLF001
    Seam(SecureConnection.receive_from_header_and_body, ("self", "header", "body")),
    Seam(SecureConnection.message_to_binary, ("self", "message", "message_type", "request_id")),
)


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
    if moved:
        raise SeamMoved(
            f"asyncua's {', '.join(moved)} is not what the hub overrides",
            hint=f"reinstall asyncua=={ASYNCUA}; something changed its source",
        )
