"""Records: which of them count, when they were made, and the periods between them."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from address_space.model.quantity import Quantity
from drivers.codec import crc16_modbus
from drivers.modbus.log_period import Period
from drivers.modbus.logs import Log
from tests.drivers.modbus.log_rig import DAY_MS, HOUR_MS, QUARTER_MS, log_of


def wall(*fields: int) -> datetime:
    """What a clock on the wall shows."""
    return datetime(*fields, tzinfo=UTC).replace(tzinfo=None)  # type: ignore[arg-type,misc]


BERLIN, TASHKENT, KATHMANDU = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Tashkent"), ZoneInfo("Asia/Kathmandu")
IMPORT, VOLTAGE = Quantity.ACTIVE_ENERGY_IMPORT, Quantity.VOLTAGE_L1
NOW_MS = round(datetime(2026, 11, 22, 8, 7, tzinfo=UTC).timestamp()) * 1000
FIELDS = """
log:
  at: 0x1000
  words: 8
  count: 3000
  newest: search
  period: 15min
  time: {at: 0, format: [year2 month, day hour, minute second]}
  checksum: {at: 7, kind: KIND}
  valid: [{at: 6, type: uint16, bits: [0, 3], equals: 1}]
  values:
    ActiveEnergyImport: {at: 3, type: uint32, order: CDAB, scale: 10, sentinels: [0xFFFFFFFF]}
    VoltageL1: {at: 5, type: uint16, scale: 0.1, sentinels: [0xFFFF]}
"""
CRC, SUM = (log_of(FIELDS.replace("KIND", kind)) for kind in ("crc16", "sum16"))
ONE = Fraction(1)


def made(at: datetime, energy: int, voltage: int, flags: int = 1, kind: str = "crc16") -> bytes:
    low, high = energy & 0xFFFF, energy >> 16
    body = bytes((at.year % 100, at.month, at.day, at.hour, at.minute, at.second))
    body += struct.pack(">HHHH", low, high, voltage, flags)
    if kind == "sum16":
        return body + (sum(struct.unpack(">7H", body)) & 0xFFFF).to_bytes(2, "big")
    return body + crc16_modbus(body)


local = st.datetimes(wall(2026, 1, 1), wall(2026, 11, 22)).map(lambda at: at.replace(microsecond=0))


@given(local, st.integers(0, 2**32 - 2), st.integers(0, 2**16 - 2), st.sampled_from(["crc16", "sum16"]))
def test_a_sound_record_is_read_exactly(at: datetime, energy: int, voltage: int, kind: str) -> None:
    log: Log = CRC if kind == "crc16" else SUM
    record = made(at, energy, voltage, kind=kind)
    dated = log.dated(record, TASHKENT, NOW_MS)
    assert dated is not None
    assert dated.certain
    assert dated.time_ms == round(at.replace(tzinfo=TASHKENT).timestamp()) * 1000
    assert dict(log.values(record, ONE, ONE)) == {IMPORT: 10 * energy, VOLTAGE: pytest.approx(voltage / 10)}


@given(local, st.integers(0, 127), st.integers(0, 2**32 - 2))
def test_a_record_with_a_wrong_bit_is_none(at: datetime, bit: int, energy: int) -> None:
    record = bytearray(made(at, energy, 2300))
    record[bit // 8] ^= 1 << bit % 8
    assert CRC.dated(bytes(record), TASHKENT, NOW_MS) is None


@given(st.binary(max_size=20))
def test_any_bytes_at_all_are_a_record_or_none(data: bytes) -> None:
    for log in (CRC, SUM):
        dated = log.dated(data, BERLIN, NOW_MS)
        assert dated is None or len(data) == 16


@pytest.mark.parametrize("byte", [0x00, 0xFF])
def test_what_was_never_written_is_no_record(byte: int) -> None:
    bare = log_of(
        "log: {at: 0, words: 2, count: 9, newest: first, period: 1d, "
        "values: {ActiveEnergyImport: {at: 0, type: uint32}}}"
    )
    assert not bare.is_sound(bytes((byte,)) * 4)
    assert bare.is_sound(b"\0\0\0\1")


def test_a_record_counts_only_where_it_says_that_it_is_valid() -> None:
    at = wall(2026, 11, 22, 10)
    assert CRC.is_sound(made(at, 5, 2300, flags=0xFFF1))
    assert not CRC.is_sound(made(at, 5, 2300, flags=0xFFF3))


def test_a_value_that_the_meter_did_not_have_is_left_out() -> None:
    at = wall(2026, 11, 22, 10)
    assert [quantity for quantity, _ in CRC.values(made(at, 2**32 - 1, 2300), ONE, ONE)] == [VOLTAGE]


@pytest.mark.parametrize(
    "at",
    [wall(2026, 11, 24, 13, 8), wall(2000, 1, 1, 0, 15), wall(2099, 1, 1), wall(2025, 1, 1)],
)
def test_a_time_ahead_or_older_than_the_log_can_be_is_none(at: datetime) -> None:
    assert CRC.dated(made(at, 5, 2300), TASHKENT, NOW_MS) is None


@pytest.mark.parametrize(
    ("at", "certain"),
    [
        (wall(2026, 10, 25, 1, 45), True),
        (wall(2026, 10, 25, 2, 0), False),
        (wall(2026, 10, 25, 2, 45), False),
        (wall(2026, 10, 25, 3, 0), True),
        (wall(2026, 3, 29, 2, 30), False),
    ],
)
def test_an_hour_that_the_clock_shows_twice_or_never_is_not_certain(at: datetime, certain: bool) -> None:
    dated = CRC.dated(made(at, 5, 2300), BERLIN, NOW_MS)
    assert dated is not None
    assert dated.certain is certain


# periods

zones = st.sampled_from([UTC, BERLIN, TASHKENT, KATHMANDU])
periods = st.sampled_from(["900s", "15min", "30min", "1h", "6h", "1d", "7d", "1mo", "3mo"]).map(Period.of)
moments = st.integers(1_700_000_000, 1_800_000_000).map(lambda second: 1000 * second)


@settings(max_examples=300)
@given(periods, zones, moments)
def test_a_time_lies_in_one_period(period: Period, zone: ZoneInfo, at_ms: int) -> None:
    floor, ceil = period.floor(at_ms, zone), period.ceil(at_ms, zone)
    assert floor <= at_ms <= ceil
    if period.is_calendar or not hasattr(zone, "key") or zone.key != "Europe/Berlin":
        assert period.floor(floor, zone) == floor
        assert ceil == (floor if floor == at_ms else period.add(floor, 1, zone))


@settings(max_examples=300)
@given(periods, st.sampled_from([UTC, BERLIN, TASHKENT]), moments, st.integers(0, 100))
def test_periods_are_counted_as_they_are_added(period: Period, zone: ZoneInfo, at_ms: int, steps: int) -> None:
    floor = period.floor(at_ms, zone)
    before = period.add(floor, -steps, zone)
    assert before <= floor
    assert period.steps(before, floor, zone) == steps
    assert period.add(before, steps, zone) == floor


def test_days_and_months_are_those_of_the_zone() -> None:
    day, month = Period.of("1d"), Period.of("1mo")
    at_ms = round(datetime(2026, 10, 26, 12, tzinfo=BERLIN).timestamp()) * 1000
    midnight = day.floor(at_ms, BERLIN)
    assert midnight == round(datetime(2026, 10, 26, tzinfo=BERLIN).timestamp()) * 1000
    assert midnight - day.add(midnight, -1, BERLIN) == 25 * HOUR_MS
    first = month.floor(at_ms, BERLIN)
    assert first == round(datetime(2026, 10, 1, tzinfo=BERLIN).timestamp()) * 1000
    assert month.add(first, 5, BERLIN) == round(datetime(2027, 3, 1, tzinfo=BERLIN).timestamp()) * 1000
    assert (str(day), day.longest_ms, month.longest_ms) == ("1d", DAY_MS, 31 * DAY_MS)
    assert Period.of("15min").mean_ms == QUARTER_MS
    assert timedelta(milliseconds=Period.of("6h").mean_ms) == timedelta(hours=6)
