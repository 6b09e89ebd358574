"""Arguments against their declaration: widening that loses nothing, bounds, arrays (OPC 10000-4 5.12.2)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from asyncua import ua
from hypothesis import given, settings
from hypothesis import strategies as st

from server.opcua.arguments import accept, outputs
from server.opcua.comparison import INTEGERS
from server.opcua.errors import CallRefused

_S = ua.StatusCodes
_T = ua.VariantType


class BuiltIns:
    """Data types of namespace 0 that are built-in types themselves, and two derived ones."""

    def built_in(self, data_type: ua.NodeId) -> ua.VariantType:
        derived = {ua.ObjectIds.Duration: _T.Double, ua.ObjectIds.UtcTime: _T.DateTime, 24: _T.Null}
        number = data_type.Identifier
        return derived[number] if number in derived else _T(number)


def declared(kind: int, *, array: bool = False, name: str = "Value") -> ua.Argument:
    return ua.Argument(Name=name, DataType=ua.NodeId(int(kind)), ValueRank=1 if array else -1)


def one(kind: int, variant: ua.Variant, **more: Any) -> Any:
    (value,) = accept([declared(kind, **more)], [variant], BuiltIns())  # type: ignore[arg-type]
    return value


def refusal(kind: int, variant: ua.Variant, **more: Any) -> int:
    with pytest.raises(CallRefused) as refused:
        one(kind, variant, **more)
    assert refused.value.status == _S.BadInvalidArgument
    return refused.value.arguments[0]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(list(INTEGERS)), st.sampled_from([*INTEGERS, _T.Float, _T.Double]), st.data())
def test_numbers_are_widened_only_where_every_value_has_its_like(given_kind, wanted, data) -> None:
    low, high = INTEGERS[given_kind]
    number = data.draw(st.integers(low, high))
    limits = INTEGERS.get(wanted, (-(2**24), 2**24) if wanted == _T.Float else (-(2**53), 2**53))
    if low < limits[0] or high > limits[1]:
        assert refusal(wanted, ua.Variant(number, given_kind)) == _S.BadTypeMismatch
    else:
        taken = one(wanted, ua.Variant(number, given_kind))
        assert taken == number
        assert isinstance(taken, float) is (wanted in (_T.Float, _T.Double))


@pytest.mark.parametrize(
    ("wanted", "variant", "expected"),
    [
        (_T.Double, ua.Variant(3, _T.Int16), 3.0),
        (_T.Double, ua.Variant(0.5, _T.Float), 0.5),
        (ua.ObjectIds.Duration, ua.Variant(7, _T.UInt32), 7.0),
        (_T.Int32, ua.Variant(7, _T.UInt16), 7),
        (_T.DateTime, ua.Variant(ua.get_win_epoch(), _T.DateTime), None),
        (_T.DateTime, ua.Variant(), None),
        (_T.String, ua.Variant(), None),
        (24, ua.Variant("anything", _T.String), "anything"),
    ],
)
def test_what_is_taken(wanted: int, variant: ua.Variant, expected: Any) -> None:
    assert one(wanted, variant) == expected


@pytest.mark.parametrize(
    ("wanted", "variant", "code"),
    [
        (_T.Int32, ua.Variant(3.0, _T.Double), _S.BadTypeMismatch),
        (_T.Int32, ua.Variant(3, _T.UInt32), _S.BadTypeMismatch),
        (_T.Float, ua.Variant(0.1, _T.Double), _S.BadTypeMismatch),
        (_T.Double, ua.Variant(3, _T.Int64), _S.BadTypeMismatch),
        (_T.Double, ua.Variant(Value=True, VariantType=_T.Boolean), _S.BadTypeMismatch),
        (_T.Boolean, ua.Variant(1, _T.Byte), _S.BadTypeMismatch),
        (_T.Double, ua.Variant("3", _T.String), _S.BadTypeMismatch),
        (_T.Double, ua.Variant(), _S.BadTypeMismatch),
        (_T.Double, ua.Variant(float("nan"), _T.Double), _S.BadOutOfRange),
        (_T.Double, ua.Variant(float("inf"), _T.Float), _S.BadOutOfRange),
        (_T.String, ua.Variant("x" * 5_000, _T.String), _S.BadOutOfRange),
    ],
)
def test_what_is_refused(wanted: int, variant: ua.Variant, code: int) -> None:
    assert refusal(wanted, variant) == code


def test_arrays_are_arrays_and_scalars_scalars() -> None:
    numbers = ua.Variant([1, 2], _T.Int16, is_array=True)
    assert one(_T.Double, numbers, array=True) == [1.0, 2.0]
    assert one(_T.Double, ua.Variant(), array=True) == []
    assert refusal(_T.Double, numbers) == _S.BadTypeMismatch
    assert refusal(_T.Double, ua.Variant(1.0, _T.Double), array=True) == _S.BadTypeMismatch


def test_each_argument_has_its_own_result() -> None:
    wanted = [declared(_T.Double), declared(_T.String), declared(_T.String, name="Reason")]
    given_ = [ua.Variant(1.0, _T.Double), ua.Variant(1, _T.Int32), ua.Variant("x" * 201, _T.String)]
    with pytest.raises(CallRefused) as refused:
        accept(wanted, given_, BuiltIns())  # type: ignore[arg-type]
    assert refused.value.arguments == (_S.Good, _S.BadTypeMismatch, _S.BadOutOfRange)


@pytest.mark.parametrize(
    ("kind", "value", "fits"),
    [
        (_T.UInt32, -1, False),
        (_T.UInt32, 2**32, False),
        (_T.UInt32, True, False),
        (_T.Double, 1, True),
        (_T.Double, "1", False),
        (_T.Double, None, False),
        (_T.String, None, True),
        (_T.DateTime, datetime(2026, 5, 1, tzinfo=UTC), True),
        (_T.LocalizedText, "done", True),
    ],
)
def test_outputs_are_held_against_their_declaration(kind: int, value: Any, fits: bool) -> None:
    def run() -> list[ua.Variant]:
        return outputs([declared(kind)], (value,), BuiltIns(), "ru")  # type: ignore[arg-type]

    if not fits:
        with pytest.raises(TypeError):
            run()
        return
    (made,) = run()
    assert made.VariantType == kind
    if kind == _T.LocalizedText:
        assert (made.Value.Text, made.Value.Locale) == ("done", "ru")
