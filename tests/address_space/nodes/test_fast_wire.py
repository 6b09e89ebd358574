"""The column encoder writes exactly what asyncua's own encoder writes."""

from __future__ import annotations

import numpy as np
import pytest
from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary
from hypothesis import given, settings
from hypothesis import strategies as st

from address_space.model.clock import to_datetime
from address_space.model.quality import SEVERITY_BAD
from address_space.model.quantity import DataType
from address_space.nodes.wire import Columns, Timestamps, encode, encode_one

_NUMBERS = {
    DataType.BOOLEAN: st.booleans().map(float),
    DataType.UINT16: st.integers(0, 2**16 - 1).map(float),
    DataType.INT32: st.integers(-(2**31), 2**31 - 1).map(float),
    DataType.UINT32: st.integers(0, 2**32 - 1).map(float),
    DataType.DOUBLE: st.floats(allow_nan=False),
    DataType.DATETIME: st.integers(0, 4_000_000_000).map(float),
    DataType.STRING: st.just(float("nan")),
    DataType.LOCALIZED_TEXT: st.just(float("nan")),
}
_STATUSES = st.sampled_from([0, 0x408F0000, 0x40900000, 0x80310000, 0x80320000])
_INSTANTS = st.integers(0, 4_000_000_000_000_000).map(lambda us: us * 1000)


@st.composite
def _value(draw: st.DrawFn) -> tuple[DataType, float, int, int, int, str | None]:
    data_type = draw(st.sampled_from(list(DataType)))
    number = draw(st.one_of(_NUMBERS[data_type], st.just(float("nan"))))
    text = draw(st.one_of(st.none(), st.text(max_size=12)))
    return data_type, number, draw(_STATUSES), draw(_INSTANTS), draw(_INSTANTS), text


def _columns(values: list[tuple[DataType, float, int, int, int, str | None]]) -> Columns:
    types, numbers, status, source, server, texts = zip(*values, strict=True)
    return Columns(
        np.array(types, np.uint8),
        np.array(numbers, np.float64),
        np.array(status, np.uint32),
        np.array(source, np.int64),
        np.array(server, np.int64),
        {place: text for place, text in enumerate(texts) if text is not None},
    )


def _expected(value: tuple[DataType, float, int, int, int, str | None], timestamps: Timestamps) -> ua.DataValue:
    data_type, number, status, source, server, text = value
    held: object
    if data_type is DataType.STRING:
        held = text
    elif data_type is DataType.LOCALIZED_TEXT:
        held = None if text is None else ua.LocalizedText(text, "en")
    elif number != number:
        held = None
    elif data_type is DataType.BOOLEAN:
        held = bool(number)
    elif data_type is DataType.DOUBLE:
        held = number
    elif data_type is DataType.DATETIME:
        held = to_datetime(round(number) * 1_000_000_000)
    else:
        held = int(number)
    if held is None or status & SEVERITY_BAD:
        variant = ua.Variant(None, ua.VariantType.Null)
    else:
        variant = ua.Variant(held, ua.VariantType(int(data_type)))
    return ua.DataValue(
        variant,
        ua.StatusCode(status),
        to_datetime(source) if timestamps.source else None,
        to_datetime(server) if timestamps.server else None,
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(_value(), min_size=1, max_size=20), st.sampled_from(list(Timestamps)))
def test_any_mix_of_values_is_written_byte_for_byte_as_asyncua_writes_it(
    values: list[tuple[DataType, float, int, int, int, str | None]], timestamps: Timestamps
) -> None:
    written = encode(_columns(values), timestamps)
    expected = [struct_to_binary(_expected(value, timestamps)) for value in values]
    assert written.pieces() == expected
    assert [encode_one(*value, timestamps) for value in values] == expected


@settings(max_examples=60, deadline=None)
@given(st.lists(_value(), min_size=1, max_size=12), st.data())
def test_notifications_are_written_byte_for_byte_as_asyncua_writes_them(
    values: list[tuple[DataType, float, int, int, int, str | None]], data: st.DataObject
) -> None:
    clients = data.draw(st.lists(st.integers(0, 2**32 - 1), min_size=len(values), max_size=len(values)))
    written = encode(_columns(values), Timestamps.BOTH, np.array(clients, np.uint32))
    expected = [
        struct_to_binary(ua.MonitoredItemNotification(client, _expected(value, Timestamps.BOTH)))
        for client, value in zip(clients, values, strict=True)
    ]
    assert written.pieces() == expected


@pytest.mark.parametrize("timestamps", list(Timestamps))
def test_nothing_to_write_is_no_bytes(timestamps: Timestamps) -> None:
    none = np.empty(0)
    columns = Columns(
        none.astype(np.uint8), none, none.astype(np.uint32), none.astype(np.int64), none.astype(np.int64), {}
    )
    written = encode(columns, timestamps)
    assert written.buffer == b""
    assert written.pieces() == []


def test_a_text_with_a_lone_surrogate_does_not_break_the_answer() -> None:
    columns = Columns(
        np.array([DataType.STRING], np.uint8),
        np.array([np.nan]),
        np.array([0], np.uint32),
        np.array([0]),
        np.array([0]),
        {0: "meter \udc80"},
    )
    value = ua.DataValue(ua.Variant("meter \udc80", ua.VariantType.String), ua.StatusCode(0))
    assert encode(columns, Timestamps.NEITHER).buffer == struct_to_binary(value)
