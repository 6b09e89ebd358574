"""Arguments of methods against their declaration: how many, of which type, within which bounds (Part 4 5.12.2)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from asyncua import ua

from server.opcua.comparison import INTEGERS
from server.opcua.datatypes import DataTypes
from server.opcua.errors import CallRefused

_T = ua.VariantType
_S = ua.StatusCodes
LONGEST_TEXT = 4_096
"""Characters of a String argument."""
LONGEST_REASON = 200
"""Characters of an argument called Reason: it goes to the audit record."""
_EXACT_IN_FLOAT, _EXACT_IN_DOUBLE = 2**24, 2**53
_NULLABLE = frozenset({_T.String, _T.DateTime, _T.ByteString, _T.LocalizedText, _T.Guid, _T.NodeId})


def accept(declared: Sequence[ua.Argument], given: Sequence[ua.Variant], types: DataTypes) -> list[Any]:
    """The inputs as plain values; numbers are widened where that loses nothing, an unset DateTime is None.

    Raises CallRefused with what is wrong, argument by argument.
    """
    if len(given) < len(declared):
        raise CallRefused(_S.BadArgumentsMissing, f"{len(declared)} arguments are needed and {len(given)} were given")
    if len(given) > len(declared):
        raise CallRefused(_S.BadTooManyArguments, f"{len(declared)} arguments are taken and {len(given)} were given")
    values: list[Any] = []
    codes: list[int] = []
    for argument, variant in zip(declared, given, strict=True):
        code, value = _checked(argument, variant, types.built_in(argument.DataType))
        codes.append(code)
        values.append(value)
    if any(codes):
        names = ", ".join(argument.Name for argument, code in zip(declared, codes, strict=True) if code)
        raise CallRefused(_S.BadInvalidArgument, f"wrong in type or out of range: {names}", arguments=codes)
    return values


def outputs(declared: Sequence[ua.Argument], given: Any, types: DataTypes, locale: str) -> list[ua.Variant]:
    """What a callback returned, as declared; raises TypeError where it is something else."""
    values = () if given is None else given
    if not isinstance(values, tuple) or len(values) != len(declared):
        raise TypeError(f"{len(declared)} outputs are declared, {given!r} was returned")
    made = []
    for argument, value in zip(declared, values, strict=True):
        kind = types.built_in(argument.DataType)
        is_array = argument.ValueRank >= 0
        if is_array != isinstance(value, list) or not _fits(value, kind, is_array=is_array):
            raise TypeError(f"the output {argument.Name} is declared as {kind.name}, {value!r} was returned")
        if kind is _T.LocalizedText and isinstance(value, str):
            made.append(ua.Variant(ua.LocalizedText(value, locale), kind))
        else:
            made.append(ua.Variant(value, kind, is_array=is_array))
    return made


def _fits(value: Any, kind: ua.VariantType, *, is_array: bool) -> bool:
    if is_array:
        return all(_fits(one, kind, is_array=False) for one in value)
    if kind in INTEGERS:
        low, high = INTEGERS[kind]
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    python = _PYTHON.get(kind)
    if python is None:
        return True
    if value is None:
        return kind in _NULLABLE
    return isinstance(value, python) and (kind is _T.Boolean or not isinstance(value, bool))


_PYTHON: Mapping[ua.VariantType, tuple[type, ...]] = {
    _T.Boolean: (bool,),
    _T.Float: (float, int),
    _T.Double: (float, int),
    _T.String: (str,),
    _T.DateTime: (datetime,),
    _T.ByteString: (bytes,),
    _T.NodeId: (ua.NodeId,),
    _T.LocalizedText: (str, ua.LocalizedText),
}


def _checked(argument: ua.Argument, given: ua.Variant, kind: ua.VariantType) -> tuple[int, Any]:
    value = given.Value
    if value is None and given.VariantType in (_T.Null, kind) and (kind in _NULLABLE or argument.ValueRank >= 0):
        return _S.Good, [] if argument.ValueRank >= 0 else None
    if isinstance(value, list) is not (argument.ValueRank >= 0) or value is None:
        return _S.BadTypeMismatch, None
    if not _widens(given.VariantType, kind):
        return _S.BadTypeMismatch, None
    if isinstance(value, list):
        made = [_value(one, kind) for one in value]
        return (_S.Good, made) if all(_in_bounds(argument, one, kind) for one in made) else (_S.BadOutOfRange, None)
    plain = _value(value, kind)
    return (_S.Good, plain) if _in_bounds(argument, plain, kind) else (_S.BadOutOfRange, None)


def _value(value: Any, kind: ua.VariantType) -> Any:
    if kind in (_T.Float, _T.Double):
        return float(value)
    if kind is _T.DateTime and value == ua.get_win_epoch():
        return None
    return value


def _in_bounds(argument: ua.Argument, value: Any, kind: ua.VariantType) -> bool:
    if kind in (_T.Float, _T.Double):
        return math.isfinite(value)
    if kind is _T.String and value is not None:
        return len(value) <= (LONGEST_REASON if argument.Name == "Reason" else LONGEST_TEXT)
    return True


def _widens(given: ua.VariantType, wanted: ua.VariantType) -> bool:
    """Whether every value of one type has its like in the other."""
    if given == wanted or wanted is _T.Null:
        return True
    if given == _T.Float and wanted == _T.Double:
        return True
    if given not in INTEGERS:
        return False
    low, high = INTEGERS[given]
    if wanted in INTEGERS:
        least, most = INTEGERS[wanted]
        return least <= low and high <= most
    if wanted == _T.Float:
        return high <= _EXACT_IN_FLOAT
    return wanted == _T.Double and high <= _EXACT_IN_DOUBLE
