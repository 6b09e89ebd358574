"""The View service set (Part 4 5.9): Browse in pages, BrowseNext, browse paths, registered nodes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Any

from asyncua import ua

from address_space.nodes.browse_wire import ReferenceWriter
from server.opcua.access import Right, SessionPolicy
from server.opcua.browse_request import BrowseRequests
from server.opcua.request import Request, fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from address_space.nodes import VirtualAddressSpace
    from server.opcua.options import Limits
    from server.opcua.session import HubSession

_BREATHE = 1_000
"""References after which other clients get a turn."""
_REFERENCES_PER_CALL = 50_000
_U32 = Struct("<I")
_I32 = Struct("<i")
_NO_POINT = _I32.pack(-1)
_ANY_INDEX = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Page:
    """Where a Browse goes on."""

    description: ua.BrowseDescription
    start: int
    limit: int


class BrowseService:
    """Answers from the address space, page by page."""

    def __init__(self, aspace: VirtualAddressSpace, policy: SessionPolicy, limits: Limits) -> None:
        self._aspace = aspace
        self._policy = policy
        self._limits = limits
        self._writer = ReferenceWriter(aspace)
        self._types: set[ua.NodeId] = set()
        self._requests = BrowseRequests(limits.nodes_per_browse)

    async def browse(self, request: Request) -> bytes:
        """Browse: results as they are sent."""
        session, asked = request.owner, self._requests.decode(request)
        self._admit(session, asked.descriptions, self._limits.nodes_per_browse)
        if not asked.view.is_null():
            raise fault(ua.StatusCodes.BadViewIdUnknown)
        limit = min(asked.most or self._limits.references_per_node, self._limits.references_per_node)
        return await self._turn(session, [Page(one, 0, limit) for one in asked.descriptions])

    async def browse_next(self, session: HubSession, asked: Any) -> bytes:
        """BrowseNext, or the release of continuation points: results as they are sent."""
        self._admit(session, asked.ContinuationPoints, self._limits.nodes_per_browse)
        pages = [session.browse_points.take(point or b"") for point in asked.ContinuationPoints]
        if asked.ReleaseContinuationPoints:
            return _array([_result(0) if page is not None else _INVALID for page in pages])
        return await self._turn(session, pages)

    async def translate(self, session: HubSession, asked: Any) -> list[ua.BrowsePathResult]:
        """TranslateBrowsePathsToNodeIds."""
        self._admit(session, asked.BrowsePaths, self._limits.nodes_per_translate)
        results = []
        followed = 0
        for path in asked.BrowsePaths:
            results.append(self._target(path))
            followed += len(path.RelativePath.Elements)
            if followed >= _BREATHE:
                followed = 0
                await asyncio.sleep(0)
        return results

    def register(self, session: HubSession, asked: Any) -> list[ua.NodeId]:
        """RegisterNodes: string ids are as fast as any here, so a node's own id is its registered one."""
        self._admit(session, asked.NodesToRegister, self._limits.nodes_per_register)
        nodes: list[ua.NodeId] = asked.NodesToRegister
        return nodes

    def _admit(self, session: HubSession, operations: Sequence[Any], most: int) -> None:
        if not operations:
            raise fault(ua.StatusCodes.BadNothingToDo)
        if len(operations) > most:
            raise fault(ua.StatusCodes.BadTooManyOperations)
        if not self._policy.may(session.user, Right.LOOK):
            raise fault(ua.StatusCodes.BadUserAccessDenied)

    async def _turn(self, session: HubSession, pages: Sequence[Page | None]) -> bytes:
        results: list[bytes] = []
        made = since = points = 0
        for page in pages:
            if page is None:
                results.append(_INVALID)
                continue
            code = self._wrong(page.description)
            if code:
                results.append(_result(code))
                continue
            room = max(min(page.limit, _REFERENCES_PER_CALL - made), 1)
            found, following = self._writer.page(page.description, page.start, room, session.locale)
            point = b""
            if following is not None:
                if points == self._limits.browse_points:
                    results.append(_result(int(ua.StatusCodes.BadNoContinuationPoints)))
                    continue
                points += 1
                point = session.browse_points.keep(Page(page.description, following, page.limit))
            results.append(_result(0, point, found))
            made += len(found)
            if made - since >= _BREATHE:
                since = made
                await asyncio.sleep(0)
        return _array(results)

    def _wrong(self, description: ua.BrowseDescription) -> int:
        if description.NodeId not in self._aspace:
            return int(ua.StatusCodes.BadNodeIdUnknown)
        if int(description.BrowseDirection) not in _DIRECTIONS:
            return int(ua.StatusCodes.BadBrowseDirectionInvalid)
        reference = description.ReferenceTypeId
        if not (reference.is_null() or reference in self._types):
            if self._class_of(reference) != ua.NodeClass.ReferenceType:
                return int(ua.StatusCodes.BadReferenceTypeIdInvalid)
            self._types.add(reference)
        return 0

    def _class_of(self, node: ua.NodeId) -> Any:
        value = self._aspace.read_attribute_value(node, ua.AttributeIds.NodeClass).Value
        return value.Value if value is not None else None

    def _target(self, path: Any) -> ua.BrowsePathResult:
        elements = path.RelativePath.Elements
        if not elements:
            return _no_path(ua.StatusCodes.BadNothingToDo)
        if any(element.TargetName is None or not element.TargetName.Name for element in elements):
            return _no_path(ua.StatusCodes.BadBrowseNameInvalid)
        if path.StartingNode not in self._aspace:
            return _no_path(ua.StatusCodes.BadNodeIdUnknown)
        nodes = [path.StartingNode]
        for element in elements:
            # each node once: where paths part and meet again they would double with every step
            following = (found for node in nodes for found in self._aspace.children_by_name(node, element))
            nodes = list(dict.fromkeys(following))
        if not nodes:
            return _no_path(ua.StatusCodes.BadNoMatch)
        result = ua.BrowsePathResult()
        result.Targets = [ua.BrowsePathTarget(node, _ANY_INDEX) for node in dict.fromkeys(nodes)]
        return result


def _no_path(code: int) -> ua.BrowsePathResult:
    return ua.BrowsePathResult(ua.StatusCode(code))


def _result(code: int, point: bytes = b"", references: Sequence[bytes] = ()) -> bytes:
    held = _I32.pack(len(point)) + point if point else _NO_POINT
    return b"".join((_U32.pack(code), held, _I32.pack(len(references)), *references))


def _array(results: list[bytes]) -> bytes:
    """The results and no diagnostics."""
    return b"".join((_I32.pack(len(results)), *results, _I32.pack(0)))


_INVALID = _result(int(ua.StatusCodes.BadContinuationPointInvalid))
_DIRECTIONS = (ua.BrowseDirection.Forward, ua.BrowseDirection.Inverse, ua.BrowseDirection.Both)
