"""Every quirk the schema accepts is decoded, and encoded back."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from address_space.model.ids import UnitHandle
from address_space.model.quality import GOOD, Reason
from address_space.model.value import EXACT_LIMIT
from drivers.api import Device
from drivers.codec import NumberType, Order, arrange
from drivers.codec import encode as encode_number
from drivers.modbus import compile_profile, encode_point, no_data, plan_reads
from drivers.modbus.answers import Answer, assemble, build_plan
from drivers.profiles import load_library

LIBRARY = {name: compile_profile(load_library().get(name)) for name in load_library().names}


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


@pytest.mark.parametrize("name", LIBRARY)
@given(data=st.data())
def test_what_is_encoded_decodes_to_the_same_value(name: str, data: st.DataObject) -> None:
    profile = LIBRARY[name]
    point = data.draw(st.sampled_from([point for point in profile.points if point is not None]))
    raw = data.draw(st.integers(0, 30_000))
    value = raw * point.scale
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
