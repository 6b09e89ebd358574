"""Continuation points of one HistoryRead (OPC 10000-4 7.9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncua import ua

from server.opcua.errors import NoContinuationPoint

if TYPE_CHECKING:
    from server.opcua.session import HubSession


class NewPoints:
    """Keeps what is left of the nodes of one request.

    It may push out points of earlier requests of the session, never its own: beyond `limit` it raises
    NoContinuationPoint.
    """

    def __init__(self, session: HubSession, limit: int) -> None:
        self._session = session
        self._left = limit

    def keep(self, node: ua.NodeId, following: object | None) -> bytes | None:
        """The point from which a node's answer goes on, None where it is complete."""
        if following is None:
            return None
        if not self._left:
            raise NoContinuationPoint(
                f"no continuation point is left for {node.to_string()}", hint="ask for fewer nodes or values at once"
            )
        self._left -= 1
        return self._session.history_points.keep((node, following))


def goes_on(node: Any) -> bool:
    """Whether a HistoryReadValueId goes on from an earlier answer."""
    return bool(node.ContinuationPoint)
