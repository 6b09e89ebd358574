"""The View service set (Part 4 5.9): Browse in pages, BrowseNext, browse paths, registered nodes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asyncua import ua

from server.opcua.access import Right, SessionPolicy
from server.opcua.request import fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from address_space.nodes import VirtualAddressSpace
    from server.opcua.options import Limits
    from server.opcua.session import HubSession

_BREATHE = 200
"""References after which other clients get a turn."""
_REFERENCES_PER_CALL = 50_000
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

    async def browse(self, session: HubSession, asked: Any) -> list[ua.BrowseResult]:
        """Browse."""
        self._admit(session, asked.NodesToBrowse, self._limits.nodes_per_browse)
        if not asked.View.ViewId.is_null():
            raise fault(ua.StatusCodes.BadViewIdUnknown)
        limit = asked.RequestedMaxReferencesPerNode or self._limits.references_per_node
        limit = min(limit, self._limits.references_per_node)
        pages = [Page(description, 0, limit) for description in asked.NodesToBrowse]
        return await self._turn(session, pages)

    async def browse_next(self, session: HubSession, asked: Any) -> list[ua.BrowseResult]:
        """BrowseNext, or the release of continuation points."""
        self._admit(session, asked.ContinuationPoints, self._limits.nodes_per_browse)
        pages = [session.browse_points.take(point or b"") for point in asked.ContinuationPoints]
        if asked.ReleaseContinuationPoints:
            return [ua.BrowseResult() if page is not None else _invalid() for page in pages]
        return await self._turn(session, pages)

    def translate(self, session: HubSession, asked: Any) -> list[ua.BrowsePathResult]:
        """TranslateBrowsePathsToNodeIds."""
        self._admit(session, asked.BrowsePaths, self._limits.nodes_per_translate)
        return [self._target(path) for path in asked.BrowsePaths]

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

    async def _turn(self, session: HubSession, pages: Sequence[Page | None]) -> list[ua.BrowseResult]:
        results: list[ua.BrowseResult] = []
        made = since = points = 0
        for page in pages:
            result = ua.BrowseResult()
            if page is None:
                results.append(_invalid())
                continue
            code = self._wrong(page.description)
            if code:
                result.StatusCode = ua.StatusCode(code)
                results.append(result)
                continue
            room = max(min(page.limit, _REFERENCES_PER_CALL - made), 1)
            found, following = self._aspace.browse_page(page.description, page.start, room, session.locale)
            if following is not None and points == self._limits.browse_points:
                result.StatusCode = ua.StatusCode(ua.StatusCodes.BadNoContinuationPoints)
                results.append(result)
                continue
            result.References = found
            if following is not None:
                points += 1
                result.ContinuationPoint = session.browse_points.keep(Page(page.description, following, page.limit))
            results.append(result)
            made += len(found)
            if made - since >= _BREATHE:
                since = made
                await asyncio.sleep(0)
        return results

    def _wrong(self, description: ua.BrowseDescription) -> int:
        if description.NodeId not in self._aspace:
            return int(ua.StatusCodes.BadNodeIdUnknown)
        reference = description.ReferenceTypeId
        if not reference.is_null() and self._class_of(reference) != ua.NodeClass.ReferenceType:
            return int(ua.StatusCodes.BadReferenceTypeIdInvalid)
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
            nodes = [found for node in nodes for found in self._aspace.children_by_name(node, element)]
        if not nodes:
            return _no_path(ua.StatusCodes.BadNoMatch)
        result = ua.BrowsePathResult()
        result.Targets = [ua.BrowsePathTarget(node, _ANY_INDEX) for node in dict.fromkeys(nodes)]
        return result


def _no_path(code: int) -> ua.BrowsePathResult:
    return ua.BrowsePathResult(ua.StatusCode(code))


def _invalid() -> ua.BrowseResult:
    return ua.BrowseResult(ua.StatusCode(ua.StatusCodes.BadContinuationPointInvalid))
