"""IndexRange (Part 4 7.27) on arrays and strings."""

from __future__ import annotations

import dataclasses
from typing import Any

from asyncua import ua


def sliced(value: ua.DataValue, text: str) -> ua.DataValue:
    """The part of a value that a NumericRange names, or the value with the status that says why not."""
    try:
        ranges = [_parse(part) for part in text.split(",")]
    except ValueError:
        return _status(value, ua.StatusCodes.BadIndexRangeInvalid)
    held = value.Value.Value if value.Value is not None else None
    if value.StatusCode is not None and value.StatusCode.is_bad():
        return value
    try:
        part = _cut(held, ranges)
    except TypeError:
        return _status(value, ua.StatusCodes.BadIndexRangeNoData)
    if not part:
        return _status(value, ua.StatusCodes.BadIndexRangeNoData)
    variant = ua.Variant(part, value.Value.VariantType, is_array=isinstance(part, list))
    return dataclasses.replace(value, Value=variant)


def well_formed(text: str) -> bool:
    """Whether a text is a NumericRange at all."""
    try:
        return bool([_parse(part) for part in text.split(",")])
    except ValueError:
        return False


def _parse(part: str) -> slice:
    first, colon, last = part.partition(":")
    if not first.isdecimal() or (colon and not last.isdecimal()):
        raise ValueError(part)
    start = int(first)
    if not colon:
        return slice(start, start + 1)
    if int(last) <= start:
        raise ValueError(part)
    return slice(start, int(last) + 1)


def _cut(held: Any, ranges: list[slice]) -> Any:
    if not isinstance(held, list | str | bytes):
        raise TypeError("scalars have no ranges")
    part = held[ranges[0]]
    if len(ranges) == 1:
        return part
    if not isinstance(part, list):
        raise TypeError("more dimensions asked than there are")
    return [inner for inner in (_cut(item, ranges[1:]) for item in part) if inner]


def _status(value: ua.DataValue, code: int) -> ua.DataValue:
    return dataclasses.replace(value, Value=ua.Variant(), StatusCode=ua.StatusCode(code))
