"""The Write service (Part 4 5.11.4): an answer for each node that says why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncua import ua

from server.opcua.access import Right, SessionPolicy
from server.opcua.ranges import well_formed
from server.opcua.reading import NUMBERS, ReadService, attribute
from server.opcua.request import fault

if TYPE_CHECKING:
    from address_space.nodes import VirtualAddressSpace
    from server.opcua.options import Limits
    from server.opcua.session import HubSession

_CURRENT_WRITE = 2
_INTEGERS = {
    ua.VariantType.SByte: (-(2**7), 2**7 - 1),
    ua.VariantType.Byte: (0, 2**8 - 1),
    ua.VariantType.Int16: (-(2**15), 2**15 - 1),
    ua.VariantType.UInt16: (0, 2**16 - 1),
    ua.VariantType.Int32: (-(2**31), 2**31 - 1),
    ua.VariantType.UInt32: (0, 2**32 - 1),
    ua.VariantType.Int64: (-(2**63), 2**63 - 1),
    ua.VariantType.UInt64: (0, 2**64 - 1),
}
_EXACT_DOUBLE = 2**53


class WriteService:
    """Checks each write, and hands what may be done to the address space."""

    def __init__(self, aspace: VirtualAddressSpace, reads: ReadService, policy: SessionPolicy, limits: Limits) -> None:
        self._aspace = aspace
        self._reads = reads
        self._policy = policy
        self._limits = limits

    async def write(self, session: HubSession, nodes: list[Any]) -> list[ua.StatusCode]:
        """Results in the order asked; raises BadNothingToDo or BadTooManyOperations."""
        if not nodes:
            raise fault(ua.StatusCodes.BadNothingToDo)
        if len(nodes) > self._limits.nodes_per_write:
            raise fault(ua.StatusCodes.BadTooManyOperations)
        results = []
        for node in nodes:
            code = self._wrong(session, node)
            if code:
                results.append(ua.StatusCode(code))
                continue
            results += await session.write(ua.WriteParameters([node]))
        return results

    def _wrong(self, session: HubSession, node: Any) -> int:
        codes = ua.StatusCodes
        if not self._policy.may(session.user, Right.LOOK):
            return int(codes.BadUserAccessDenied)
        if node.NodeId not in self._aspace:
            return int(codes.BadNodeIdUnknown)
        held = self._aspace.read_attribute_value(node.NodeId, attribute(node.AttributeId))
        if held.StatusCode is not None and held.StatusCode.value == codes.BadAttributeIdInvalid:
            return int(codes.BadAttributeIdInvalid)
        if node.IndexRange and not well_formed(node.IndexRange):
            return int(codes.BadIndexRangeInvalid)
        if node.AttributeId != ua.AttributeIds.Value or not self._bit(node.NodeId, ua.AttributeIds.AccessLevel):
            return int(codes.BadNotWritable)
        may = self._policy.may(session.user, Right.CONTROL)
        if not may or not self._bit(node.NodeId, ua.AttributeIds.UserAccessLevel):
            return int(codes.BadUserAccessDenied)
        if node.IndexRange:
            return int(codes.BadWriteNotSupported)
        return self._misfit(node, held)

    def _misfit(self, node: Any, held: Any) -> int:
        """Fit a number to the type of its variable without loss; else say what is wrong with it."""
        given, before = node.Value.Value, held.Value
        if given is None or given.Value is None or before is None or before.VariantType == given.VariantType:
            fitted = given
        else:
            fitted = fit(given, before.VariantType)
            if fitted is None:
                return int(ua.StatusCodes.BadTypeMismatch)
            node.Value.Value = fitted
        bounds = self._reads.range_of(node.NodeId)
        number = None if fitted is None else fitted.Value
        if bounds is not None and isinstance(number, int | float) and not bounds[0] <= number <= bounds[1]:
            return int(ua.StatusCodes.BadOutOfRange)
        return 0

    def _bit(self, node: ua.NodeId, level: Any) -> bool:
        held = self._aspace.read_attribute_value(node, level).Value
        return held is not None and held.Value is not None and bool(int(held.Value) & _CURRENT_WRITE)


def fit(given: ua.Variant, wanted: ua.VariantType) -> ua.Variant | None:
    """A number as another numeric type, None where that would change it or it is no number."""
    number = given.Value
    if isinstance(number, bool) or not isinstance(number, int | float) or int(wanted.value) not in NUMBERS:
        return None
    if wanted in _INTEGERS:
        low, high = _INTEGERS[wanted]
        return ua.Variant(int(number), wanted) if number == number // 1 and low <= number <= high else None
    if isinstance(number, int) and abs(number) > _EXACT_DOUBLE:
        return None
    return ua.Variant(float(number), wanted)
