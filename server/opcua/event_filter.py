"""EventFilters: which fields a client wants of which events, checked clause by clause (Part 4 7.22.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary

from server.opcua.event_types import BASE_EVENT, EventTypes, key_of
from server.opcua.filters import Refused
from server.opcua.ranges import sliced
from server.opcua.where import Selection, Where, check

MOST_CLAUSES = 100
"""Select clauses, and elements of a where clause, that one filter may have; published as server capabilities."""
_A = ua.AttributeIds
_S = ua.StatusCodes
_ANY_TYPE = ua.NodeId()


@dataclass(frozen=True, slots=True, eq=False)
class EventFilter:
    """A filter ready for use. A selection that is None gives null; equal signatures select the same fields."""

    selections: tuple[Selection | None, ...]
    where: Where
    signature: bytes


class FilterRefused(Refused):
    """The filter as a whole cannot be had; `result` says why, clause by clause."""

    def __init__(self, code: int, result: ua.EventFilterResult | None = None) -> None:
        super().__init__(code)
        self.result = result


class Filters:
    """Understands event filters."""

    def __init__(self, types: EventTypes) -> None:
        self._types = types

    def understand(self, asked: Any) -> tuple[EventFilter, ua.EventFilterResult | None]:
        """The filter, and a result where some of its select clauses are wrong; raises FilterRefused."""
        if not isinstance(asked, ua.EventFilter):
            raise FilterRefused(_S.BadFilterNotAllowed if hasattr(asked, "DeadbandType") else _S.BadEventFilterInvalid)
        clauses = asked.SelectClauses or []
        if not clauses or max(len(clauses), len(asked.WhereClause.Elements or [])) > MOST_CLAUSES:
            raise FilterRefused(_S.BadEventFilterInvalid)
        selected = [self.select(clause) for clause in clauses]
        where, told = check(asked.WhereClause, self)
        failed = any(code for _, code in selected)
        result = None
        if failed or where is None:
            result = ua.EventFilterResult([ua.StatusCode(code) for _, code in selected], [], told)
        if where is None or all(code for _, code in selected):
            raise FilterRefused(_S.BadEventFilterInvalid, result)
        signature = b"".join(struct_to_binary(clause) for clause in clauses)
        return EventFilter(tuple(selection for selection, _ in selected), where, signature), result

    def is_event_type(self, type_id: ua.NodeId) -> bool:
        """Whether the type is BaseEventType or derived from it."""
        return self._types.is_event_type(type_id)

    def select(self, operand: ua.SimpleAttributeOperand) -> tuple[Selection | None, int]:
        """A SimpleAttributeOperand as a selection, and its status (Part 4 7.22.3, SelectClauseResults)."""
        path = operand.BrowsePath or []
        given = operand.TypeDefinitionId
        if not given.is_null() and not self._types.is_event_type(given):
            return None, _S.BadTypeDefinitionInvalid
        if any(not name.Name for name in path):
            return None, _S.BadBrowseNameInvalid
        key = key_of(path)
        has_value = self._types.ever(key) if path else False
        if has_value is None:
            return None, _S.BadNodeIdUnknown
        if operand.AttributeId != _A.NodeId and not (operand.AttributeId == _A.Value and has_value):
            return None, _S.BadAttributeIdInvalid
        if operand.IndexRange and _range_is_wrong(operand.IndexRange):
            return None, _S.BadIndexRangeInvalid
        # BaseEventType asks for the path in events of whatever type (Part 4 7.7.4.5)
        restricting = _ANY_TYPE if given.is_null() or given == BASE_EVENT else given
        return Selection(key, int(operand.AttributeId), restricting, operand.IndexRange or ""), _S.Good


def cut(value: ua.Variant, index_range: str) -> ua.Variant:
    """The part of a field that an IndexRange names, null where there is none."""
    if not index_range or value.Value is None:
        return value
    return sliced(ua.DataValue(value, ua.StatusCode()), index_range).Value


def _range_is_wrong(index_range: str) -> bool:
    probe = sliced(ua.DataValue(ua.Variant("", ua.VariantType.String), ua.StatusCode()), index_range)
    return probe.StatusCode is not None and probe.StatusCode.value == _S.BadIndexRangeInvalid
