"""What a request may hold, found out before asyncua makes objects of it.

asyncua's decoder believes every count and length: an array of two thousand million nulls takes five bytes, and a
negative string length lets it read the same bytes for ever (Part 6 5.1.9 asks for limits). Here the bytes are
walked by the same type declarations, and nothing is made until they are known to be finite, well formed and few.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import Enum, IntFlag
from functools import cache
from struct import Struct, error
from typing import Any

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import get_safe_type_hints, nodeid_from_binary
from asyncua.ua.uatypes import (
    type_allow_subclass,
    type_from_list,
    type_from_optional,
    type_is_list,
    type_is_optional,
    type_is_union,
)

from server.opcua.request import fault, skip_node_id, undecodable

NESTING = 100
"""Levels of Variants and ExtensionObjects in one another (Part 6 5.2.2.16)."""
_DIMENSIONS = 32
_PLAIN_PER_ELEMENT = 16
_I32 = Struct("<i")
_SIZES = {
    "Boolean": 1,
    "SByte": 1,
    "Byte": 1,
    "Char": 1,
    "Int16": 2,
    "UInt16": 2,
    "Int32": 4,
    "UInt32": 4,
    "Int64": 8,
    "UInt64": 8,
    "Float": 4,
    "Double": 8,
    "DateTime": 8,
    "Guid": 16,
    "StatusCode": 4,
}
_STRINGS = ("String", "CharArray")
_OPAQUE = ("ByteString", "Bytes", "XmlElement")
_BEYOND_BUILT_IN = 25
_BINARY_BODY = 1

_NULL = type("Null", (), {})
"""Stands for an element without bytes; an array of them is refused."""

Walk = Callable[[bytes, int, "Allowance"], int]
"""From the offset of a value to the offset behind it."""


class Allowance:
    """What is left to one request: elements of arrays, levels of nesting, bytes up to `end`."""

    __slots__ = ("depth", "elements", "end", "most")

    def __init__(self, elements: int, most: int, end: int) -> None:
        self.elements = elements
        self.most = most
        self.end = end
        self.depth = 0

    def take(self, elements: int) -> None:
        """Spend; raises BadEncodingLimitsExceeded where nothing is left."""
        self.elements -= elements
        if self.elements < 0:
            raise fault(ua.StatusCodes.BadEncodingLimitsExceeded)

    def deeper(self) -> None:
        """One level down; raises BadEncodingLimitsExceeded."""
        self.depth += 1
        if self.depth > NESTING:
            raise fault(ua.StatusCodes.BadEncodingLimitsExceeded)


def inspect(kind: Any, body: bytes, offset: int, *, elements: int, most: int = 0) -> None:
    """Raise what refuses a structure of `kind` at `offset`, before it is decoded.

    most      operations in one request: BadTooManyOperations; 0 is no limit of its own
    elements  all array elements together: BadEncodingLimitsExceeded
    """
    allowance = Allowance(elements, most, len(body))
    try:
        end = _structure(kind, top=True)(body, offset, allowance)
    except (error, IndexError) as broken:
        raise undecodable() from broken
    if end > len(body):
        raise undecodable()


@cache
def _structure_of(kind: Any) -> Walk:
    """As `_structure`; refuses what asyncua declares with a type that it does not have."""
    try:
        return _structure(kind)
    except (AttributeError, NameError):
        return _refused


@cache
def _structure(kind: Any, *, top: bool = False) -> Walk:
    if issubclass(kind, ua.UaUnion):
        return _refused
    hints = get_safe_type_hints(kind, {"ua": ua})
    steps: list[tuple[int, int, Walk | None]] = []
    optional = 0
    for field in fields(kind):
        hint, bit = hints[field.name], 0
        if type_is_optional(hint):
            hint, bit = type_from_optional(hint), 1 << optional
            optional += 1
        size = 0 if type_allow_subclass(hint) or type_is_list(hint) or type_is_union(hint) else _fixed(hint)
        if field.name == "Encoding":
            steps.append((-1, size, None))
        elif size and not bit and steps and steps[-1][0] == 0 and steps[-1][2] is None:
            steps[-1] = (0, steps[-1][1] + size, None)
        elif size:
            steps.append((bit, size, None))
        else:
            steps.append((bit, 0, _of(hint, top=top)))
    return _walk_of(tuple(steps))


def _walk_of(steps: tuple[tuple[int, int, Walk | None], ...]) -> Walk:
    def walk(data: bytes, at: int, left: Allowance) -> int:
        mask = 0
        for bit, size, inner in steps:
            if bit == -1:
                mask = int.from_bytes(data[at : at + size], "little")
                at += size
            elif bit == 0 or mask & bit:
                at = at + size if inner is None else inner(data, at, left)
        if at > left.end:
            raise undecodable()
        return at

    return walk


def _fixed(kind: Any) -> int:
    """Bytes of a type that always has the same, else 0."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        named = kind.datatype() if issubclass(kind, IntFlag) and hasattr(kind, "datatype") else "Int32"
        return _SIZES[named]
    return _SIZES.get(kind.__name__, 0)


def _of(hint: Any, *, top: bool = False) -> Walk:
    if type_allow_subclass(hint):
        return _extension
    if type_is_list(hint):
        return _list(type_from_list(hint), top=top)
    if type_is_union(hint):
        return _refused
    return _named(hint)


def _named(kind: Any) -> Walk:
    name = kind.__name__
    size = _fixed(kind)
    if size:
        return lambda _data, at, _left: at + size
    known = {
        "ExtensionObject": _extension,
        "NodeId": _node_id,
        "ExpandedNodeId": _node_id,
        "Variant": _variant,
        "Null": _refused,
        **dict.fromkeys(_STRINGS, _string),
        **dict.fromkeys(_OPAQUE, _opaque),
    }
    if name in known:
        return known[name]
    held: Any = kind
    if is_dataclass(kind):
        # looked up when it is needed: types may hold themselves
        return lambda data, at, left: _structure(held)(data, at, left)
    return _refused


@cache
def _list(element: Any, *, top: bool = False) -> Walk:
    size = _fixed(element)
    inner = _named(element) if not type_allow_subclass(element) else _extension

    def walk(data: bytes, at: int, left: Allowance) -> int:
        (count,) = _I32.unpack_from(data, at)
        at += _I32.size
        if count <= 0:
            return at
        if top and left.most and count > left.most:
            raise fault(ua.StatusCodes.BadTooManyOperations)
        if count > left.end - at:
            raise undecodable()
        if size:
            left.take(count // _PLAIN_PER_ELEMENT)
            return _within(at + count * size, left)
        left.take(count)
        for _ in range(count):
            at = inner(data, at, left)
        return at

    return walk


def _within(at: int, left: Allowance) -> int:
    if at > left.end:
        raise undecodable()
    return at


def _refused(_data: bytes, _at: int, _left: Allowance) -> int:
    raise undecodable()


def _opaque(data: bytes, at: int, left: Allowance) -> int:
    (length,) = _I32.unpack_from(data, at)
    if length < -1:
        raise undecodable()
    return _within(at + _I32.size + max(length, 0), left)


def _string(data: bytes, at: int, left: Allowance) -> int:
    end = _opaque(data, at, left)
    try:
        data[at + _I32.size : end].decode()
    except UnicodeDecodeError as broken:
        raise undecodable() from broken
    return end


def _node_id(data: bytes, at: int, left: Allowance) -> int:
    return _within(skip_node_id(data, at), left)


def _extension(data: bytes, at: int, left: Allowance) -> int:
    start = at
    at = _node_id(data, at, left)
    encoding = data[at]
    at += 1
    if encoding == 0:
        return _within(at, left)
    if encoding != _BINARY_BODY:
        raise undecodable()
    (length,) = _I32.unpack_from(data, at)
    at += _I32.size
    if length < 0:
        raise undecodable()
    end = _within(at + length, left)
    kind = ua.extension_objects_by_typeid.get(nodeid_from_binary(Buffer(data, start)))
    if kind is not None:
        left.deeper()
        outer, left.end = left.end, end
        _structure_of(kind)(data, at, left)
        left.end = outer
        left.depth -= 1
    return end


def _variant(data: bytes, at: int, left: Allowance) -> int:
    encoding = data[at]
    at += 1
    built_in, is_array, has_dimensions = encoding & 0x3F, bool(encoding & 0x80), bool(encoding & 0x40)
    if has_dimensions and not is_array:
        raise undecodable()
    left.deeper()
    if not is_array:
        at = at if built_in == 0 else _built_in(built_in)(data, at, left)
    else:
        (count,) = _I32.unpack_from(data, at)
        at = _built_in_array(built_in)(data, at, left)
        if has_dimensions:
            at = _dimensions(data, at, left, max(count, 0))
    left.depth -= 1
    return _within(at, left)


@cache
def _built_in(number: int) -> Walk:
    if number > _BEYOND_BUILT_IN:
        return _opaque
    name = ua.VariantType(number).name
    if name == "Variant":
        # only an array of Variants is allowed (Part 6 5.2.2.16)
        return _refused
    return _named(getattr(ua, name)) if name not in _SIZES else _sized(_SIZES[name])


@cache
def _built_in_array(number: int) -> Walk:
    if number > _BEYOND_BUILT_IN:
        return _list(ua.ByteString)
    return _list(_NULL if number == 0 else getattr(ua, ua.VariantType(number).name))


def _sized(size: int) -> Walk:
    return lambda _data, at, _left: at + size


def _dimensions(data: bytes, at: int, left: Allowance, count: int) -> int:
    """Their product must be the number of values: asyncua fills up what is missing (Part 6 5.2.2.16)."""
    (number,) = _I32.unpack_from(data, at)
    at += _I32.size
    if not 0 < number <= _DIMENSIONS:
        raise undecodable()
    declared = 1
    for position in range(number):
        (length,) = _I32.unpack_from(data, at + position * _I32.size)
        if length < 0:
            raise undecodable()
        declared *= length
    if declared != count:
        raise undecodable()
    return _within(at + number * _I32.size, left)
