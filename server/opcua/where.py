"""Where clauses of event filters: checked once, then evaluated in three-valued logic (Part 4 7.7)."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from asyncua import ua

from server.opcua.comparison import bitwise, cast, equal, order, text, truth
from server.opcua.errors import PatternError
from server.opcua.like import Like

_O = ua.FilterOperator
_S = ua.StatusCodes
Value: TypeAlias = ua.Variant | None
"""An operand's value; None is NULL."""


@dataclass(frozen=True, slots=True)
class Selection:
    """A field that a client asks for. `type` is null where the event's own type does not matter."""

    path: str
    attribute: int
    type: ua.NodeId
    index_range: str = ""


class Scene(Protocol):
    """What a where clause looks at: one event, as one subscriber sees it."""

    def value(self, selection: Selection) -> ua.Variant:
        """A field of the event; a null Variant where it has none such."""

    def is_a(self, event_type: ua.NodeId) -> bool:
        """Whether the event is of this type or one derived from it."""


class Lookup(Protocol):
    """What checking a filter needs to know of the address space."""

    def select(self, operand: Any) -> tuple[Selection | None, int]:
        """A SimpleAttributeOperand as a selection, and its status."""

    def is_event_type(self, type_id: ua.NodeId) -> bool:
        """Whether the type is BaseEventType or derived from it."""


@dataclass(frozen=True, slots=True)
class _Element:
    """Index of the element whose result is the operand."""

    index: int


_Operand: TypeAlias = _Element | Selection | ua.Variant


@dataclass(frozen=True, slots=True)
class _Step:
    operator: int
    operands: tuple[_Operand, ...]
    pattern: Like | None = None


class Where:
    """A checked where clause."""

    def __init__(self, steps: Sequence[_Step] = ()) -> None:
        self._steps = steps

    def accepts(self, scene: Scene) -> bool:
        """Whether the first element is TRUE; NULL is not. Without elements everything is accepted.

        Elements refer only to later ones, so each is evaluated once, from the last to the first.
        """
        results: list[Value] = [None] * len(self._steps)
        for index in range(len(self._steps) - 1, -1, -1):
            step = self._steps[index]
            results[index] = _run(step, [_resolved(one, scene, results) for one in step.operands], scene)
        return not results or truth(results[0]) is True


def check(clause: ua.ContentFilter, lookup: Lookup) -> tuple[Where | None, ua.ContentFilterResult]:
    """The clause ready to be evaluated, or None and what is wrong with which element and operand."""
    elements = clause.Elements or []
    steps: list[_Step] = []
    results = []
    for index, element in enumerate(elements):
        step, result = _checked(element, index, len(elements), lookup)
        results.append(result)
        if step is not None:
            steps.append(step)
    if len(steps) == len(elements):
        return Where(steps), ua.ContentFilterResult()
    return None, ua.ContentFilterResult(results)


def _checked(
    element: ua.ContentFilterElement, index: int, count: int, lookup: Lookup
) -> tuple[_Step | None, ua.ContentFilterElementResult]:
    operands = element.FilterOperands or []
    wanted = _COUNTS.get(element.FilterOperator)
    if wanted is None:
        return None, _result(_S.BadFilterOperatorUnsupported, [0] * len(operands))
    least, most = wanted
    if not least <= len(operands) <= most:
        return None, _result(_S.BadFilterOperandCountMismatch, [0] * len(operands))
    checked = [_operand(one, index, count, lookup) for one in operands]
    codes = [code for _, code in checked]
    found = tuple(operand for operand, _ in checked if operand is not None)
    pattern = None
    if not any(codes):
        codes, pattern = _special(element.FilterOperator, found, lookup)
    if any(codes):
        return None, _result(_S.BadFilterOperandInvalid, codes)
    return _Step(int(element.FilterOperator), found, pattern), _result(_S.Good, codes)


def _operand(operand: Any, index: int, count: int, lookup: Lookup) -> tuple[_Operand | None, int]:
    if isinstance(operand, ua.LiteralOperand):
        return operand.Value, _S.Good
    if isinstance(operand, ua.ElementOperand):
        inside = index < operand.Index < count
        return (_Element(operand.Index), _S.Good) if inside else (None, _S.BadFilterElementInvalid)
    if isinstance(operand, ua.SimpleAttributeOperand):
        return lookup.select(operand)
    # AttributeOperand and what is not known at all: event filters take neither (Part 4 7.22.3)
    return None, _S.BadFilterOperandInvalid


def _special(kind: int, operands: tuple[_Operand, ...], lookup: Lookup) -> tuple[list[int], Like | None]:
    """What single operators demand of literals, so that a mistake is told at once and not by silence."""
    codes = [int(_S.Good)] * len(operands)
    literals = [one if isinstance(one, ua.Variant) else None for one in operands]
    if kind == _O.OfType:
        codes[0] = _type_problem(literals[0], lookup)
    elif kind == _O.Cast and literals[1] is not None and _target(literals[1]) is None:
        codes[1] = _S.BadFilterLiteralInvalid
    elif kind == _O.Like and literals[1] is not None:
        pattern = text(literals[1])
        try:
            if pattern is not None:
                return codes, Like(pattern)
        except PatternError:
            pass
        codes[1] = _S.BadFilterLiteralInvalid
    return codes, None


def _type_problem(literal: ua.Variant | None, lookup: Lookup) -> int:
    if literal is None or not isinstance(literal.Value, ua.NodeId):
        return int(_S.BadFilterOperandInvalid)
    return int(_S.Good if lookup.is_event_type(literal.Value) else _S.BadTypeDefinitionInvalid)


def _result(code: int, operands: list[int]) -> ua.ContentFilterElementResult:
    return ua.ContentFilterElementResult(ua.StatusCode(code), [ua.StatusCode(one) for one in operands])


def _resolved(operand: _Operand, scene: Scene, results: list[Value]) -> Value:
    if isinstance(operand, _Element):
        return results[operand.index]
    value = scene.value(operand) if isinstance(operand, Selection) else operand
    return None if value.Value is None else value


def _run(step: _Step, operands: list[Value], scene: Scene) -> Value:
    if step.operator == _O.OfType:
        literal = operands[0]
        return _boolean(literal is not None and scene.is_a(literal.Value))
    if step.pattern is not None:
        subject = text(operands[0])
        return None if operands[0] is None else _boolean(subject is not None and step.pattern.matches(subject))
    return _OPERATORS[step.operator](operands)


def _boolean(value: bool | None) -> Value:  # noqa: FBT001  # three-valued, it is the value itself
    return None if value is None else ua.Variant(value, ua.VariantType.Boolean)


def _both(compare: Callable[[ua.Variant, ua.Variant], bool | None]) -> Callable[[list[Value]], Value]:
    """An operator on two values that is NULL where one of them is."""

    def run(operands: list[Value]) -> Value:
        left, right = operands
        return None if left is None or right is None else _boolean(compare(left, right))

    return run


def _ordered(fits: Callable[[int, int], bool]) -> Callable[[list[Value]], Value]:
    def compare(left: ua.Variant, right: ua.Variant) -> bool:
        found = order(left, right)
        return found is not None and fits(found, 0)

    return _both(compare)


def _between(operands: list[Value]) -> Value:
    value, low, high = operands
    return _and([_AT_LEAST([value, low]), _AT_MOST([value, high])])


def _in_list(operands: list[Value]) -> Value:
    found: Value = _boolean(value=False)
    for candidate in operands[1:]:
        found = _or([found, _EQUALS([operands[0], candidate])])
    return found


def _and(operands: list[Value]) -> Value:
    truths = [truth(one) for one in operands]
    if False in truths:
        return _boolean(value=False)
    return None if None in truths else _boolean(value=True)


def _or(operands: list[Value]) -> Value:
    truths = [truth(one) for one in operands]
    if True in truths:
        return _boolean(value=True)
    return None if None in truths else _boolean(value=False)


def _not(operands: list[Value]) -> Value:
    held = truth(operands[0])
    return None if held is None else _boolean(not held)


def _like(left: ua.Variant, right: ua.Variant) -> bool:
    subject, pattern = text(left), text(right)
    if subject is None or pattern is None:
        return False
    try:
        return Like(pattern).matches(subject)
    except PatternError:
        return False


def _cast(operands: list[Value]) -> Value:
    value, wanted = operands
    target = None if wanted is None else _target(wanted)
    return None if value is None or target is None else cast(value, target)


def _target(literal: ua.Variant) -> ua.VariantType | None:
    """The built-in type that a literal of Cast names."""
    named = literal.Value
    if not isinstance(named, ua.NodeId) or named.NamespaceIndex != 0:
        return None
    try:
        found = ua.VariantType(named.Identifier)
    except ValueError:
        return None
    return None if found is ua.VariantType.Null else found


def _bits(combine: Callable[[int, int], int]) -> Callable[[list[Value]], Value]:
    def run(operands: list[Value]) -> Value:
        left, right = operands
        return None if left is None or right is None else bitwise(left, right, combine)

    return run


_EQUALS = _both(equal)
_AT_LEAST = _ordered(operator.ge)
_AT_MOST = _ordered(operator.le)
_OPERATORS: Mapping[int, Callable[[list[Value]], Value]] = {
    _O.Equals: _EQUALS,
    _O.IsNull: lambda operands: _boolean(operands[0] is None),
    _O.GreaterThan: _ordered(operator.gt),
    _O.LessThan: _ordered(operator.lt),
    _O.GreaterThanOrEqual: _AT_LEAST,
    _O.LessThanOrEqual: _AT_MOST,
    _O.Like: _both(_like),
    _O.Not: _not,
    _O.Between: _between,
    _O.InList: _in_list,
    _O.And: _and,
    _O.Or: _or,
    _O.Cast: _cast,
    _O.BitwiseAnd: _bits(operator.and_),
    _O.BitwiseOr: _bits(operator.or_),
}
_MANY = 1_000
_COUNTS: Mapping[int, tuple[int, int]] = {
    **dict.fromkeys(_OPERATORS, (2, 2)),
    _O.IsNull: (1, 1),
    _O.Not: (1, 1),
    _O.OfType: (1, 1),
    _O.Between: (3, 3),
    _O.InList: (2, _MANY),
}
"""Least and most operands of every operator that event filters can use; InView and RelatedTo are not among them."""
