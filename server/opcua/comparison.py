"""Comparing and converting values of different types as filters do (Part 4 7.7.3, tables of conversion rules)."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from asyncua import ua

_T = ua.VariantType

INTEGERS: Mapping[ua.VariantType, tuple[int, int]] = {
    _T.SByte: (-(2**7), 2**7 - 1),
    _T.Byte: (0, 2**8 - 1),
    _T.Int16: (-(2**15), 2**15 - 1),
    _T.UInt16: (0, 2**16 - 1),
    _T.Int32: (-(2**31), 2**31 - 1),
    _T.UInt32: (0, 2**32 - 1),
    _T.Int64: (-(2**63), 2**63 - 1),
    _T.UInt64: (0, 2**64 - 1),
}
"""Integer types with their least and greatest value."""
_NUMERIC = frozenset({*INTEGERS, _T.Float, _T.Double, _T.Boolean, _T.StatusCode})
_TEXTS = frozenset({_T.String, _T.LocalizedText, _T.QualifiedName})
_IDS = frozenset({_T.NodeId, _T.ExpandedNodeId})
_WORDS = {"true": True, "1": True, "false": False, "0": False}


def equal(one: ua.Variant, other: ua.Variant) -> bool:
    """Whether two values are equal after implicit conversion; False where there is none."""
    pair = _common(one, other)
    return pair is not None and bool(pair[0] == pair[1])


def order(one: ua.Variant, other: ua.Variant) -> int | None:
    """-1, 0 or 1; None where the two cannot be ordered."""
    pair = _common(one, other)
    if pair is None:
        return None
    left, right = pair
    kinds: tuple[type | tuple[type, ...], ...] = ((int, float), str, datetime)
    if not any(isinstance(left, kind) and isinstance(right, kind) for kind in kinds):
        return None
    if left == right:
        return 0
    if left < right:
        return -1
    return 1 if left > right else None


def truth(value: ua.Variant | None) -> bool | None:
    """A value as three-valued logic takes it: None is NULL, as is everything that is no Boolean."""
    if value is None or value.Value is None or value.is_array:
        return None
    if value.VariantType == _T.Boolean:
        return bool(value.Value)
    return _WORDS.get(value.Value.strip().lower()) if value.VariantType == _T.String else None


def text(value: ua.Variant | None) -> str | None:
    """The text of a String, LocalizedText or QualifiedName; None for anything else."""
    if value is None or value.VariantType not in _TEXTS or isinstance(value.Value, list):
        return None
    return _text(value.Value)


def cast(value: ua.Variant, target: ua.VariantType) -> ua.Variant | None:
    """The value as another built-in type; None where it cannot be (Part 4 7.7.3, Cast)."""
    if value.Value is None or isinstance(value.Value, list):
        return None
    if value.VariantType == target:
        return value
    convert = _CASTS.get(target)
    if target in INTEGERS:
        made = _to_integer(value, *INTEGERS[target])
    elif convert is None:
        return None
    else:
        try:
            made = convert(value)
        except (ValueError, TypeError, OverflowError, AttributeError, ua.UaError):
            return None
    return None if made is None else ua.Variant(made, target)


def bitwise(one: ua.Variant, other: ua.Variant, combine: Callable[[int, int], int]) -> ua.Variant | None:
    """Two integers bit by bit, as the wider of their types; None where one is no integer."""
    if one.VariantType not in INTEGERS or other.VariantType not in INTEGERS:
        return None
    if isinstance(one.Value, list) or isinstance(other.Value, list):
        return None
    wider = max(one.VariantType, other.VariantType, key=lambda kind: INTEGERS[kind][1])
    low, high = INTEGERS[wider]
    mask = (1 << (high - low).bit_length()) - 1
    result = combine(one.Value & mask, other.Value & mask)
    return ua.Variant(result - mask - 1 if result > high else result, wider)


def _common(one: ua.Variant, other: ua.Variant) -> tuple[Any, Any] | None:
    left, right = one.Value, other.Value
    if isinstance(left, list) or isinstance(right, list):
        return (left, right) if one.VariantType == other.VariantType else None
    kinds = (one.VariantType, other.VariantType)
    if kinds[0] in _NUMERIC and kinds[1] in _NUMERIC:
        return _number(left), _number(right)
    if kinds[0] in _TEXTS and kinds[1] in _TEXTS:
        return _text(left), _text(right)
    if kinds[0] in _IDS and kinds[1] in _IDS:
        return _plain_id(left), _plain_id(right)
    if kinds[0] == kinds[1]:
        return (_utc(left), _utc(right)) if kinds[0] == _T.DateTime else (left, right)
    if kinds[1] == _T.String:
        found = _from_text(right, kinds[0])
        return None if found is None else (_comparable(left), found)
    if kinds[0] == _T.String:
        found = _from_text(left, kinds[1])
        return None if found is None else (found, _comparable(right))
    return None


def _from_text(given: str, kind: ua.VariantType) -> Any:
    """A string as something that compares with values of `kind`; None where no implicit conversion leads there."""
    if kind in _NUMERIC:
        return _parsed(given)
    if kind == _T.Guid:
        try:
            return uuid.UUID(given)
        except ValueError:
            return None
    return given if kind in _IDS else None


def _comparable(value: Any) -> Any:
    if isinstance(value, ua.NodeId):
        return value.to_string()
    return _number(value) if isinstance(value, ua.StatusCode) else value


def _parsed(given: str) -> int | float | bool | None:
    word = given.strip()
    for read in (int, float):
        try:
            return read(word)
        except ValueError:
            continue
    return _WORDS.get(word.lower())


def _number(value: Any) -> Any:
    return value.value if isinstance(value, ua.StatusCode) else value


def _text(value: Any) -> str | None:
    if isinstance(value, ua.LocalizedText):
        return str(value.Text) if value.Text is not None else None
    if isinstance(value, ua.QualifiedName):
        return str(value.Name) if value.Name is not None else None
    return value if isinstance(value, str) else None


def _plain_id(value: Any) -> tuple[Any, Any]:
    return value.NamespaceIndex, value.Identifier


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _to_integer(value: ua.Variant, low: int, high: int) -> int | None:
    number = _parsed(value.Value) if value.VariantType == _T.String else _number(value.Value)
    if not isinstance(number, int | float) or (isinstance(number, float) and not math.isfinite(number)):
        return None
    # halves go away from zero, as OPC 10000-4 casts floating point numbers
    whole = math.floor(abs(number) + 0.5) if isinstance(number, float) else abs(number)
    whole = -whole if number < 0 else whole
    return whole if low <= whole <= high else None


def _to_float(value: ua.Variant) -> float | None:
    number = _parsed(value.Value) if value.VariantType == _T.String else _number(value.Value)
    return float(number) if isinstance(number, int | float) else None


def _to_boolean(value: ua.Variant) -> bool | None:
    if value.VariantType == _T.String:
        return truth(value)
    return bool(_number(value.Value)) if value.VariantType in _NUMERIC else None


def _to_string(value: ua.Variant) -> str | None:
    held = value.Value
    if value.VariantType in _TEXTS:
        return _text(held)
    if isinstance(held, ua.NodeId):
        return str(held.to_string())
    if isinstance(held, datetime):
        return _utc(held).isoformat().replace("+00:00", "Z")
    if isinstance(held, bool):
        return "true" if held else "false"
    return str(_number(held)) if isinstance(held, int | float | uuid.UUID | ua.StatusCode) else None


def _to_status(value: ua.Variant) -> ua.StatusCode | None:
    code = _to_integer(value, 0, INTEGERS[_T.UInt32][1])
    return None if code is None else ua.StatusCode(code)


_CASTS: Mapping[ua.VariantType, Callable[[ua.Variant], Any]] = {
    _T.Boolean: _to_boolean,
    _T.Float: _to_float,
    _T.Double: _to_float,
    _T.String: _to_string,
    _T.Guid: lambda value: uuid.UUID(value.Value),
    _T.NodeId: lambda value: ua.NodeId.from_string(value.Value),
    _T.DateTime: lambda value: _utc(datetime.fromisoformat(value.Value)),
    _T.StatusCode: _to_status,
    _T.LocalizedText: lambda value: ua.LocalizedText(_to_string(value)),
    _T.QualifiedName: lambda value: ua.QualifiedName(_to_string(value)),
}
