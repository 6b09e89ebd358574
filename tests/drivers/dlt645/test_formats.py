"""Values on the wire, both ways and exact."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.dlt645 import formats
from drivers.dlt645.formats import Format, bits, digits, moment, number, opaque, stamp, text


@pytest.mark.parametrize(
    ("chosen", "wire", "value"),
    [
        (formats.VOLTAGE, "0123", 230.1),
        (formats.CURRENT, "994900", 4.999),
        (formats.CURRENT, "994980", -4.999),
        (formats.ENERGY, "78563412", 123456.78),
        (formats.ENERGY_SIGNED, "01000080", -0.01),
        (formats.POWER, "999979", 79.9999),
        (formats.POWER, "9999F9", -79.9999),
        (formats.FACTOR, "0090", -1.0),
        (number(2), "2002", 220),
        (formats.COUNT, "010000", 1),
        (formats.DATE, "06060719", "2019-07-06 weekday 6"),
        (formats.TIME, "563412", "12:34:56"),
        (formats.CLOCK, "251102123456", "2056-34-12 02:11:25"),
        (formats.MINUTE, "1530221126", "2026-11-22 30:15"),
        (formats.CLOCK_WEEKDAY, "00001000221126", "2026-11-22 10:00:00 weekday 0"),
        (stamp("mhDM"), "00190622", "22-06 19:00"),
        (stamp("hD"), "0001", "day 01 hour 00"),
        (stamp("Nmh"), "023006", "06:30 number 2"),
        (text(4), "44434241", "ABCD"),
        (digits(6), "129078563412", "123456789012"),
        (bits(2), "1000", 16),
        (opaque(2), "ABCD", "ABCD"),
    ],
)
def test_values_read_as_meters_mean_them(chosen: Format, wire: str, value: object) -> None:
    assert chosen.decode(bytes.fromhex(wire)) == value


@pytest.mark.parametrize("chosen", [formats.VOLTAGE, formats.CURRENT, formats.ENERGY, formats.POWER, formats.DATE])
@pytest.mark.parametrize("fill", ["FF", "EE", "0A"])
def test_what_is_no_digit_is_not_available(chosen: Format, fill: str) -> None:
    assert chosen.decode(bytes.fromhex(fill) * chosen.size) is None


@given(st.integers(0, 4), st.integers(1, 6), st.booleans(), st.data())
def test_numbers_come_back_exactly(decimals: int, size: int, signed: bool, data: st.DataObject) -> None:
    largest = 8 * 10 ** (2 * size - 1) - 1 if signed else 10 ** (2 * size) - 1
    whole = data.draw(st.integers(-largest if signed else 0, largest))
    chosen = number(size, decimals, signed=signed)
    wire = chosen.encode(whole / 10**decimals)
    assert len(wire) == size
    assert chosen.whole(wire) == whole
    assert Fraction(str(chosen.decode(wire))) == Fraction(whole, 10**decimals)


@given(st.binary(max_size=12), st.sampled_from(list("nstbdo")), st.integers(0, 4), st.booleans())
def test_any_bytes_decode_without_an_error(data: bytes, kind: str, decimals: int, signed: bool) -> None:
    chosen = {
        "n": number(len(data), decimals, signed=signed),
        "s": stamp("smhWDMY"),
        "t": text(len(data)),
        "b": bits(len(data)),
        "d": digits(len(data)),
        "o": opaque(len(data)),
    }[kind]
    assert chosen.decode(data) is None or isinstance(chosen.decode(data), int | float | str)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)))  # noqa: DTZ001 - a meter knows no zone
def test_moments_come_back_to_the_second(at: datetime) -> None:
    assert moment("smhDMY", formats.CLOCK.encode(at)) == at.replace(microsecond=0)
    assert formats.CLOCK_WEEKDAY.encode(at)[3] == at.isoweekday() % 7


@pytest.mark.parametrize("wire", ["000000000000", "000000320126", "FFFFFFFFFFFF", "000025010126"])
def test_an_impossible_moment_is_none(wire: str) -> None:
    assert moment("smhDMY", bytes.fromhex(wire)) is None


@pytest.mark.parametrize(
    ("chosen", "value", "error"),
    [
        (formats.VOLTAGE, -1, OverflowError),
        (formats.VOLTAGE, 1000.0, OverflowError),
        (formats.POWER, 80, OverflowError),
        (text(2), "ABC", OverflowError),
        (bits(1), 256, OverflowError),
        (formats.CLOCK, "2026", TypeError),
        (stamp("Nmh"), datetime(2026, 1, 1), ValueError),  # noqa: DTZ001 - a meter knows no zone
    ],
)
def test_what_does_not_fit_is_refused(chosen: Format, value: float, error: type[Exception]) -> None:
    with pytest.raises(error):
        chosen.encode(value)


def test_halves_are_rounded_up_as_meters_do() -> None:
    assert formats.VOLTAGE.encode(230.15) == bytes.fromhex("0223")
