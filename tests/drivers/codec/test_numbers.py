"""Values in registers, both ways."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer.rtu import FramerRTU

from drivers.codec import (
    NumberType,
    Order,
    arrange,
    crc16_modbus,
    decode,
    encode,
    from_bcd,
    from_mod10000,
    to_bcd,
    to_mod10000,
    to_words,
)

INTEGERS = [kind for kind in NumberType if kind.bits]
orders = st.sampled_from(list(Order))


@st.composite
def typed_integers(draw: st.DrawFn) -> tuple[NumberType, int]:
    kind = draw(st.sampled_from(INTEGERS))
    low, high = (-(1 << (kind.bits - 1)), (1 << (kind.bits - 1)) - 1) if kind.is_signed else (0, (1 << kind.bits) - 1)
    return kind, draw(st.integers(low, high))


@given(typed_integers())
def test_every_integer_comes_back_as_it_was_written(typed: tuple[NumberType, int]) -> None:
    kind, value = typed
    assert decode(kind, encode(kind, value)) == value


@given(st.floats(width=32, allow_nan=False))
def test_every_float32_comes_back_as_it_was_written(value: float) -> None:
    assert decode(NumberType.FLOAT32, encode(NumberType.FLOAT32, value)) == value


@given(st.floats(allow_nan=False))
def test_every_float64_comes_back_as_it_was_written(value: float) -> None:
    assert decode(NumberType.FLOAT64, encode(NumberType.FLOAT64, value)) == value


@given(st.integers(0, 99_999_999))
def test_bcd_and_mod10000_are_their_own_inverses(value: int) -> None:
    assert from_bcd(to_bcd(value)) == value
    assert decode(NumberType.BCD32, encode(NumberType.BCD32, value)) == value
    assert from_mod10000(to_mod10000(value, 3)) == value


@given(st.binary(min_size=2, max_size=8).filter(lambda data: len(data) % 2 == 0), orders)
def test_every_order_is_its_own_inverse(data: bytes, order: Order) -> None:
    assert arrange(arrange(data, order), order) == data


@given(st.sampled_from(list(NumberType)), st.binary(min_size=8, max_size=8))
def test_any_bytes_at_all_decode_to_a_value_or_to_none(kind: NumberType, data: bytes) -> None:
    value = decode(kind, data[: 2 * (kind.words or 4)])
    assert value is None or isinstance(value, int | float | str)


@pytest.mark.parametrize(
    ("order", "wire"), [("ABCD", "43664000"), ("CDAB", "40004366"), ("BADC", "66430040"), ("DCBA", "00406643")]
)
def test_the_four_orders_of_230_25_volts(order: str, wire: str) -> None:
    assert decode(NumberType.FLOAT32, arrange(bytes.fromhex(wire), Order(order))) == 230.25


def test_64_bits_low_word_first_reverse_all_four_words() -> None:
    assert to_words(arrange(struct.pack(">Q", 0x0001000200030004), Order.CDAB)) == (4, 3, 2, 1)


def test_halves_of_a_register() -> None:
    data = bytes([0xFE, 0x07])
    assert decode(NumberType.UINT8_HI, data) == 254
    assert decode(NumberType.INT8_HI, data) == -2
    assert decode(NumberType.UINT8_LO, data) == 7


def test_a_nibble_above_nine_is_no_number() -> None:
    assert decode(NumberType.BCD16, bytes([0x12, 0x3A])) is None
    assert decode(NumberType.MOD10000, struct.pack(">HH", 1, 10_000)) is None


def test_text_ends_at_nul_and_loses_its_padding() -> None:
    assert decode(NumberType.STRING, b"SOCO  \0x") == "SOCO"
    assert decode(NumberType.STRING, b"A\xff\x01B") == "A??B"


def test_what_does_not_fit_is_refused_and_not_cut() -> None:
    with pytest.raises(OverflowError):
        encode(NumberType.UINT16, 65_536)
    with pytest.raises(OverflowError):
        encode(NumberType.BCD16, 10_000)
    with pytest.raises(OverflowError):
        encode(NumberType.MOD10000, 10**8, 2)
    with pytest.raises(OverflowError):
        encode(NumberType.STRING, "ABCDE", 2)
    with pytest.raises(TypeError):
        encode(NumberType.UINT16, "5")


def test_nan_stays_nan() -> None:
    value = decode(NumberType.FLOAT32, bytes.fromhex("7fc00000"))
    assert isinstance(value, float)
    assert math.isnan(value)


def test_checksum_of_the_serial_line_guides_kind_of_frame() -> None:
    assert crc16_modbus(bytes.fromhex("010300000002")) == bytes.fromhex("c40b")


@given(st.binary(max_size=64))
def test_the_checksum_is_the_one_that_pymodbus_makes(data: bytes) -> None:
    assert crc16_modbus(data) == FramerRTU.compute_CRC(data).to_bytes(2, "big")
