"""Every quirk the schema accepts is decoded, and encoded back."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from address_space.model.clock import from_datetime
from address_space.model.ids import UnitHandle
from address_space.model.quality import GOOD, Reason
from address_space.model.value import EXACT_LIMIT
from drivers.api import Device
from drivers.codec import NumberType, Order, arrange
from drivers.codec import encode as encode_number
from drivers.errors import ProfileError
from drivers.modbus import compile_profile, encode_point, no_data, plan_reads
from drivers.modbus.answers import Answer, assemble, build_plan
from drivers.modbus.layout import CompiledPoint
from drivers.profiles import load_library

LIBRARY = {
    profile.name: compile_profile(profile)
    for profile in load_library().profiles.values()
    if profile.protocol == "modbus"
}


def read_out(profile: Any, registers: dict[int, int], ratio: tuple[float, float] = (1.0, 1.0)) -> Any:
    """A reading of all points of a device that holds `registers`, zero elsewhere."""
    meter = Device(UnitHandle(0), 0, "meter", profile, "1", ratio)
    plan = build_plan(profile, tuple(range(len(profile.points))))
    answers = {}
    for request in plan.requests:
        read = request.key.reads[0]
        words = [registers.get(place, 0) for place in range(read.address, read.end)]
        answers[request] = Answer(0, struct.pack(f">{len(words)}H", *words))
    return assemble(meter, plan, answers)


def one(compiled: Any, keys: str, registers: dict[int, int], quantity: str = "ActivePower", unit: str = "W") -> Any:
    """(value, status) of a profile with a single point."""
    text = f"points:\n  {quantity}: {{{keys}{', ' if keys else ''}unit: {unit}}}\n"
    reading = read_out(compiled(text), registers)
    return float(reading.values[0]), int(reading.status[0])


CASES = {
    "a number of four words": ("at: 0, type: uint64", {1: 1}, 2**32),
    "low word first": ("at: 0, type: int32, order: CDAB", {0: 0xFFFE, 1: 0xFFFF}, -2),
    "bytes swapped": ("at: 0, type: uint32, order: BADC", {1: 0x0100}, 1),
    "little-endian": ("at: 0, type: uint32, order: DCBA", {0: 0x0100}, 1),
    "the upper half of a register": ("at: 0, type: int8_hi", {0: 0xFE07}, -2),
    "the lower half of a register": ("at: 0, type: uint8_lo", {0: 0xFE07}, 7),
    "float64": ("at: 0, type: float64", dict(enumerate(struct.unpack(">4H", struct.pack(">d", 1.5)))), 1.5),
    "binary coded decimals": ("at: 0, type: bcd32", {0: 0x0012, 1: 0x3456}, 123456),
    "words of ten thousand": ("at: 0, type: mod10000, words: 3", {0: 1, 1: 2, 2: 3}, 100_020_003),
    "a range of bits": ("at: 0, type: uint16, bits: [4, 7]", {0: 0x12A4}, 10),
    "a bit": ("at: 0, type: bool, fc: 2", {0: 1}, 1),
    "halves far apart": ("at: [0x20, 0x10], type: int32", {0x20: 0xFFFF, 0x10: 0xFFFF}, -1),
    "sign and magnitude": ("at: 0, type: uint16, sign: magnitude", {0: 0x8005}, -5),
    "a sign elsewhere": ("at: 0, type: uint16, sign: {at: 9, type: uint8_lo, negative: 1}", {0: 5, 9: 1}, -5),
    "no sign elsewhere": ("at: 0, type: uint16, sign: {at: 9, type: uint8_lo, negative: 1}", {0: 5, 9: 0}, 5),
    "a scale register": ("at: 0, type: int16, factor: {at: 1, type: uint16, means: multiply}", {0: 3, 1: 20}, 60),
    "an exponent register": (
        "at: 0, type: int16, factor: {at: 1, type: int16, means: exponent}",
        {0: 3, 1: 0xFFFE},
        0.03,
    ),
    "a decimals register": ("at: 0, type: int16, factor: {at: 1, type: uint16, means: decimals}", {0: 31, 1: 1}, 3.1),
    "an offset": ("at: 0, type: uint16, scale: 0.1, offset: -40", {0: 650}, 25),
    "a map": ("at: 0, type: uint16, map: {2: 20, 3: 30}", {0: 3}, 30),
    "a sum": ("sum: [{at: 0, type: uint16}, {at: 5, type: uint16, scale: 10}]", {0: 7, 5: 2}, 27),
    "a difference": ("sum: [{at: 0, type: uint16}, {at: 5, type: uint16, subtract: true}]", {0: 7, 5: 9}, -2),
    "an inverted sign": ("at: 0, type: int16, scale: -1", {0: 5}, -5),
}


@pytest.mark.parametrize("case", CASES)
def test_it_decodes(case: str, compiled: Any) -> None:
    keys, registers, expected = CASES[case]
    assert one(compiled, keys, registers) == (expected, GOOD)


UNUSABLE = {
    "a sentinel": ("at: 0, type: int16, sentinels: [0x8000]", {0: 0x8000}, Reason.NOT_SUPPORTED),
    "a NaN": ("at: 0, type: float32", {0: 0x7FC0}, Reason.NOT_SUPPORTED),
    "a faulty probe": ("at: 0, type: uint16, faults: [0xFFFE]", {0: 0xFFFE}, Reason.SENSOR_FAILURE),
    "infinity": ("at: 0, type: float32", {0: 0x7F80}, Reason.OUT_OF_RANGE),
    "no decimal digit": ("at: 0, type: bcd16", {0: 0x00A0}, Reason.OUT_OF_RANGE),
    "a value missing in the map": ("at: 0, type: uint16, map: {1: 1}", {0: 2}, Reason.OUT_OF_RANGE),
    "an absurd exponent": (
        "at: 0, type: uint16, factor: {at: 1, type: int16, means: exponent}",
        {0: 1, 1: 5000},
        Reason.OUT_OF_RANGE,
    ),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_it_gives_no_value_but_a_reason_for(case: str, compiled: Any) -> None:
    keys, registers, reason = UNUSABLE[case]
    value, status = one(compiled, keys, registers)
    assert value != value
    assert status == reason.status


@pytest.mark.parametrize(("raw", "expected"), [(0.8, 0.8), (1.2, 0.8), (-1.2, -0.8), (-0.5, -0.5)])
def test_four_quadrant_power_factors_fold_back(raw: float, expected: float, compiled: Any) -> None:
    words = dict(enumerate(struct.unpack(">4H", struct.pack(">d", raw))))
    keys = "at: 0, type: float64, transform: four_quadrant_pf"
    value, status = one(compiled, keys, words, "PowerFactor", '"1"')
    assert (value, status) == (pytest.approx(expected), GOOD)


def test_a_counter_is_exact_where_a_float_would_not_be(compiled: Any) -> None:
    value, _ = one(compiled, "at: 0, type: uint32, scale: 0.01", {0: 0, 1: 29}, "ActiveEnergyImport", "kWh")
    assert value == 290
    large = 900_719_925_474_099
    words = dict(enumerate(struct.unpack(">4H", struct.pack(">Q", large))))
    value, _ = one(compiled, "at: 0, type: uint64, scale: 0.01", words, "ActiveEnergyImport", "kWh")
    assert int(value) == large * 10


def test_a_counter_beyond_exact_numbers_is_out_of_range(compiled: Any) -> None:
    words = dict(enumerate(struct.unpack(">4H", struct.pack(">Q", EXACT_LIMIT + 1))))
    value, status = one(compiled, "at: 0, type: uint64", words, "ActiveEnergyImport", "Wh")
    assert value != value
    assert status == Reason.OUT_OF_RANGE.status


def test_ratios_multiply_what_they_belong_to(compiled: Any) -> None:
    profile = compiled(
        """
points:
  VoltageL1: {at: 0, type: uint16, scale: 0.1, unit: V, ratio: pt}
  CurrentL1: {at: 1, type: uint16, scale: 0.01, unit: A, ratio: ct}
  ActiveEnergyImport: {at: 2, type: uint32, scale: 0.01, unit: kWh, ratio: ptct}
"""
    )
    reading = read_out(profile, {0: 1000, 1: 500, 3: 3}, (40.0, 2.5))
    assert reading.values.tolist() == [250.0, 200.0, 3000.0]


def _shown_by(point: CompiledPoint) -> st.SearchStrategy[Any]:
    """Values that a point can show."""
    if point.map is not None:
        return st.sampled_from(sorted(point.map.values()))
    if point.four_quadrant:
        return st.integers(-1, 1)
    highest = 30_000 if point.terms[0].register.bits is None else (1 << point.terms[0].register.bits[1]) - 1
    return st.integers(0, highest).map(lambda raw: raw * point.scale)


@pytest.mark.parametrize("name", LIBRARY)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_what_is_encoded_decodes_to_the_same_value(name: str, data: st.DataObject) -> None:
    profile = LIBRARY[name]
    point = data.draw(st.sampled_from([point for point in profile.points if point is not None]))
    value = data.draw(_shown_by(point))
    cells = encode_point(point, float(value))
    reading = read_out(profile, {cell.address: cell.word for cell in cells})
    index = profile.points.index(point)
    assert reading.status[index] == GOOD
    assert reading.values[index] == pytest.approx(float(round(value) if point.is_counter else value), rel=1e-6)


@given(st.sampled_from([kind for kind in NumberType if kind.bits]), st.sampled_from(list(Order)), st.data())
def test_arranged_integers_come_back(kind: NumberType, order: Order, data: st.DataObject) -> None:
    value = data.draw(st.integers(0, (1 << (kind.bits - 1)) - 1))
    wire = arrange(encode_number(kind, value), order)
    assert arrange(wire, order) == encode_number(kind, value)


@pytest.mark.parametrize("name", LIBRARY)
@settings(max_examples=20, deadline=None)
@given(filling=st.binary(min_size=2, max_size=2000))
def test_any_registers_at_all_decode_to_values_or_reasons(name: str, filling: bytes) -> None:
    profile = LIBRARY[name]
    registers: dict[int, int] = {}
    reads = plan_reads(profile.makes[0], range(len(profile.points)))
    places = [place for read in reads for place in range(read.address, read.end)]
    for index, place in enumerate(places):
        registers[place] = filling[2 * index % (len(filling) - 1)] << 8 | filling[(2 * index + 1) % len(filling)]
    reading = read_out(profile, registers)
    for value, status in zip(reading.values, reading.status, strict=True):
        assert (value == value) is (status == GOOD)


def test_a_device_can_say_that_it_has_no_data() -> None:
    profile = LIBRARY["abb/b23"]
    for index, point in enumerate(profile.points):
        assert point is not None
        cells = no_data(point)
        reading = read_out(profile, {cell.address: cell.word for cell in cells})
        assert reading.status[index] == Reason.NOT_SUPPORTED.status


def test_scales_are_exact_fractions() -> None:
    point = LIBRARY["carlo-gavazzi/em24"].points[0]
    assert point is not None
    assert point.scale == Fraction(1, 10)
    assert (point.fc, point.address, point.words, point.type, point.order) == (
        4,
        0,
        2,
        NumberType.INT32,
        Order.CDAB,
    )


QUOTIENT = """
points:
  PowerFactor: {at: 0, type: int16, unit: "1", over: {at: 1, type: uint16, scale: 10}}
"""


def test_a_power_factor_is_computed_from_power_and_apparent_power(compiled: Any) -> None:
    profile = compiled(QUOTIENT)
    reading = read_out(profile, {0: 0x10000 - 480, 1: 60})
    assert (reading.values.tolist(), reading.status.tolist()) == ([-0.8], [GOOD])
    assert read_out(profile, {0: 0, 1: 0}).status.tolist() == [Reason.NOT_SUPPORTED.status]
    point = profile.points[0]
    cells = encode_point(point, 0.95)
    assert read_out(profile, {cell.address: cell.word for cell in cells}).values.tolist() == [0.95]


PREFER = """
modbus: {max_gap: 0}
points:
  VoltageL1: {at: 50, type: uint16, unit: V}
  ActiveEnergyImport:
    {at: 0, type: float32, unit: kWh, prefer: {at: 10, type: uint64, sentinels: [0xFFFFFFFFFFFFFFFF]}}
"""


def test_a_register_of_better_resolution_is_preferred_where_the_device_has_it(compiled: Any) -> None:
    profile = compiled(PREFER)
    coarse = dict(enumerate(struct.unpack(">2H", struct.pack(">f", 16_777_216.0))))
    fine = dict(enumerate(struct.unpack(">4H", struct.pack(">Q", 16_777_217)), start=10))
    assert read_out(profile, coarse | fine).values.tolist() == [0, 16_777_217_000]
    none = dict.fromkeys(range(10, 14), 0xFFFF)
    reading = read_out(profile, coarse | none)
    assert (reading.values.tolist(), reading.status.tolist()) == ([0, 16_777_216_000], [GOOD, GOOD])


def test_what_a_device_refuses_is_read_from_the_register_of_lesser_resolution(compiled: Any) -> None:
    profile = compiled(PREFER)
    plan = build_plan(profile, (0, 1))
    answers = {}
    for request in plan.requests:
        read = request.key.reads[0]
        words = struct.unpack(">2H", struct.pack(">f", 5.0)) if read.address == 0 else (0,) * read.words
        data = struct.pack(f">{read.words}H", *words)
        answers[request] = Answer(0, data, absent=((10, 14),) if read.address == 10 else ())
    meter = Device(UnitHandle(0), 0, "meter", profile, "1")
    assert assemble(meter, plan, answers).values.tolist() == [0, 5000]


INVERTED = """
modbus: {inverted: true}
points:
  ActiveEnergyImport: {at: 0, type: uint16, unit: kWh}
  ActiveEnergyExport: {at: 1, type: uint16, unit: kWh, scale: 0.1}
  ActivePower: {at: 2, type: int16, unit: W}
  VoltageL1: {at: 3, type: uint16, unit: V}
"""


def test_a_meter_mounted_the_wrong_way_round_is_turned_by_one_key(compiled: Any) -> None:
    assert read_out(compiled(INVERTED), {0: 5, 1: 70, 2: 300, 3: 230}).values.tolist() == [7000, 5000, -300, 230]
    with pytest.raises(ProfileError, match="nothing to be swapped with"):
        compiled(INVERTED.replace("  ActiveEnergyExport: {at: 1, type: uint16, unit: kWh, scale: 0.1}\n", ""))


@pytest.mark.parametrize(("direction", "value"), [(0, 250.5), (1, -250.5)])
def test_a_direction_bit_gives_a_float_its_sign(direction: int, value: float, compiled: Any) -> None:
    words = dict(enumerate(struct.unpack(">2H", struct.pack(">f", 250.5)))) | {9: direction << 3}
    keys = "at: 0, type: float32, sign: {at: 9, type: uint16, bits: [3, 3], negative: 1}"
    assert one(compiled, keys, words) == (value, GOOD)


STAMPED = """
modbus: {clock: {at: 20, format: [year, month, day, hour, minute, second], stamp: true}}
points:
  VoltageL1: {at: 18, type: uint16, unit: V}
"""


def test_a_device_that_keeps_time_dates_its_readings_in_its_zone(compiled: Any) -> None:
    profile = compiled(STAMPED)
    words = {18: 230, 20: 2026, 21: 11, 22: 22, 23: 18, 24: 5, 25: 59}
    plan = build_plan(profile, (0,))
    (request,) = plan.requests
    read = request.key.reads[0]
    data = b"".join(words.get(place, 0).to_bytes(2, "big") for place in range(read.address, read.end))
    meter = Device(UnitHandle(0), 0, "meter", profile, "1", zone=ZoneInfo("Asia/Tashkent"))
    reading = assemble(meter, plan, {request: Answer(0, data)})
    assert reading.device_time_ns == from_datetime(datetime(2026, 11, 22, 13, 5, 59, tzinfo=UTC))
    assert assemble(meter, plan, {request: Reason.TIMEOUT}).device_time_ns is None
