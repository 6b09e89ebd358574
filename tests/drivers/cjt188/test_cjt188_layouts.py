"""Numbers out of payloads: exact, with every unit, and honest where there is none."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from address_space.model.quality import GOOD, Reason
from address_space.model.state import ValveState
from drivers.api import Device
from drivers.cjt188.answers import Answer, assemble, build_plan
from drivers.cjt188.identifiers import DiOrder, di_bytes, is_di, name_of, read_di
from drivers.cjt188.layouts import clock_text, layout_of, sizes_of
from drivers.cjt188.units import UNITS
from drivers.cjt188.writes import clock_bytes, clock_of

HEAT = """\
cjt188: {type: 0x20}
points:
  HeatEnergy: {di: 0x901F, field: heat_current, unit: kWh}
  HeatPower: {di: 0x901F, field: heat_power, unit: kW}
  VolumeFlow: {di: 0x901F, field: flow, unit: m3/h}
  Volume: {di: 0x901F, field: volume, unit: m3}
  SupplyTemperature: {di: 0x901F, field: supply_temp, unit: °C}
  OperatingTime: {di: 0x901F, field: work_hours, unit: h}
"""
WATER = """\
cjt188: {has_valve: true}
points:
  Volume: {di: 0x901F, field: cumulative, unit: m3}
  Valve.State: {di: 0x901F, valve: true}
  Status.BatteryLow: {di: 0x901F, status: {byte: 1, bit: 2}}
  Status.ReverseFlow: {di: 0x901F, status: {byte: 2, bit: 0}}
"""

Compile = Callable[..., Any]
MakeDevice = Callable[..., Device]


@pytest.fixture
def decoded(compiled: Compile, device: MakeDevice) -> Callable[[str, str], dict[str, tuple[float, int]]]:
    def decode(text: str, payload: str) -> dict[str, tuple[float, int]]:
        profile = compiled(text)
        plan = build_plan(profile, tuple(range(len(profile.points))), 3)
        (request,) = plan.requests
        reading = assemble(device(profile), plan, {request: Answer(bytes.fromhex(payload))})
        found = zip(profile.points, reading.values.tolist(), reading.status.tolist(), strict=True)
        return {point.quantity.path: (value, status) for point, value, status in found}

    return decode


def water(volume: str = "78563412", unit: str = "2c", clock: str = "00" * 7, status: str = "0000") -> str:
    return volume + unit + "000000002c" + clock + status


def heat(energy: str, unit: str, flow: str = "50340100", temp: str = "453000") -> str:
    return (
        "0000000005"
        + energy
        + unit
        + "4523000017"
        + flow
        + "35"
        + "907856342c"
        + temp
        + "282200"
        + "563412"
        + "00" * 7
        + "0000"
    )


@pytest.mark.parametrize(
    ("code", "litres"),
    [(0x29, 1234.56), (0x2A, 12345.6), (0x2B, 123456), (0x2C, 1234560), (0x2D, 12345600), (0x2E, 123456000)],
)
def test_every_unit_of_volume_becomes_litres(decoded: Any, code: int, litres: float) -> None:
    value, status = decoded(WATER, water("56341200", f"{code:02x}"))["Volume"]
    assert (value, status) == (round(litres), GOOD)


@pytest.mark.parametrize(
    ("code", "kilojoules"),
    [
        (0x01, Fraction(1, 10)),
        (0x02, Fraction(360)),
        (0x04, Fraction(36_000)),
        (0x05, Fraction(360_000)),
        (0x06, Fraction(3_600_000)),
        (0x08, Fraction(360_000_000)),
        (0x0B, Fraction(100)),
        (0x0E, Fraction(100_000)),
        (0x11, Fraction(100_000_000)),
        (0x13, Fraction(10_000_000_000)),
    ],
)
def test_every_unit_of_energy_becomes_kilojoules(decoded: Any, code: int, kilojoules: Fraction) -> None:
    value, status = decoded(HEAT, heat("00000100", f"{code:02x}"))["HeatEnergy"]
    assert (value, status) == (round(kilojoules), GOOD)


def test_the_unit_table_is_complete() -> None:
    wanted = {*range(0x01, 0x1D), *range(0x29, 0x2F), *range(0x32, 0x38), 0x40, *range(0x43, 0x4C)}
    assert set(UNITS) == wanted
    assert UNITS[0x49].size == Fraction(10**9, 3600)
    assert UNITS[0x40].size == Fraction(1, 3600)


def test_a_heat_meter_gives_all_its_numbers(decoded: Any) -> None:
    found = decoded(HEAT, heat("78563412", "05"))
    assert found == {
        "HeatEnergy": (444444408.0, GOOD),
        "HeatPower": (23450.0, GOOD),
        "VolumeFlow": (1345.0, GOOD),
        "Volume": (345678900.0, GOOD),
        "SupplyTemperature": (30.45, GOOD),
        "OperatingTime": (123456 * 3600.0, GOOD),
    }


def test_the_decimals_of_the_flow_are_the_profiles(decoded: Any) -> None:
    text = HEAT.replace("{type: 0x20}", "{type: 0x20, flow_decimals: 2}")
    assert decoded(text, heat("78563412", "05"))["VolumeFlow"] == (134500.0, GOOD)


def test_the_shorter_heat_form_is_told_by_its_length(decoded: Any) -> None:
    payload = (
        "0000000005"
        + "7856341205"
        + "45230017"
        + "50340135"
        + "907856342c"
        + "4530"
        + "2822"
        + "56341200"
        + "00" * 7
        + "0000"
    )
    found = decoded(HEAT, payload)
    assert found["VolumeFlow"] == (13450.0, GOOD)
    assert found["SupplyTemperature"] == (30.45, GOOD)
    assert found["OperatingTime"] == (123456 * 3600.0, GOOD)


def test_ff_is_not_available_and_another_letter_is_out_of_range(decoded: Any) -> None:
    assert decoded(WATER, water("ffffffff"))["Volume"][1] == Reason.NOT_SUPPORTED.status
    assert decoded(WATER, water("0a000000"))["Volume"][1] == Reason.OUT_OF_RANGE.status


@pytest.mark.parametrize("unit", ["00", "ff", "20", "05"])
def test_an_unknown_or_foreign_unit_is_taken_as_the_profiles_and_uncertain(decoded: Any, unit: str) -> None:
    assert decoded(WATER, water("78563412", unit))["Volume"] == (123456780.0, Reason.INCOMPLETE.status)


@pytest.mark.parametrize("clock", ["00" * 7, "60202032133220", "ff" * 7, "aabbccddeeff00"])
def test_a_bad_clock_never_fails_a_reading(decoded: Any, clock: str) -> None:
    assert decoded(WATER, water("78563412", clock=clock))["Volume"] == (123456780.0, GOOD)


@pytest.mark.parametrize(
    ("status", "valve", "battery", "reverse"),
    [
        ("0000", ValveState.OPEN, 0, 0),
        ("0100", ValveState.CLOSED, 0, 0),
        ("0300", ValveState.FAILURE, 0, 0),
        ("0200", ValveState.UNKNOWN, 0, 0),
        ("0501", ValveState.CLOSED, 1, 1),
        ("2184", ValveState.CLOSED, 0, 0),
    ],
)
def test_status_bits_are_those_of_the_standard(
    decoded: Any, status: str, valve: ValveState, battery: int, reverse: int
) -> None:
    found = decoded(WATER, water(status=status))
    assert found["Valve.State"] == (valve, GOOD)
    assert found["Status.BatteryLow"] == (battery, GOOD)
    assert found["Status.ReverseFlow"] == (reverse, GOOD)


def test_a_makers_own_status_bits_are_the_profiles(decoded: Any) -> None:
    mask = "valve: {mask: 0xC0, open: [0x00], closed: [0x40], moving: [0x80], failure: [0xC0]}"
    text = WATER.replace("{has_valve: true}", f"{{has_valve: true, {mask}}}").replace(
        "Status.BatteryLow: {di: 0x901F, status: {byte: 1, bit: 2}}",
        "Status.BatteryLow: {di: 0x901F, status: {byte: 1, bit: 5, active: 0}}",
    )
    found = decoded(text, water(status="4000"))
    assert found["Valve.State"] == (ValveState.CLOSED, GOOD)
    assert found["Status.BatteryLow"] == (1, GOOD)
    assert decoded(text, water(status="8000"))["Valve.State"] == (ValveState.IN_TRANSIT, GOOD)


def test_a_form_without_a_number_shows_it_as_not_supported(decoded: Any) -> None:
    found = decoded(WATER, "785634122c")
    assert found["Volume"] == (123456780.0, GOOD)
    assert found["Valve.State"][1] == Reason.NOT_SUPPORTED.status


def test_an_unknown_length_is_no_reading(decoded: Any) -> None:
    assert {status for _, status in decoded(WATER, "00" * 18).values()} == {Reason.BAD_FRAME.status}


def test_a_makers_own_form_goes_before_the_known_one_of_its_length(decoded: Any) -> None:
    own = "layouts: [{di: 0x901F, size: 19, fields: {cumulative: {at: 1, length: 3, decimals: 1}}, status_at: 17}]"
    text = WATER.replace("{has_valve: true}", f"{{has_valve: true, {own}}}")
    found = decoded(text, "aa785634" + "00" * 13 + "0100")
    assert found["Volume"] == (34567800.0, GOOD)
    assert found["Valve.State"] == (ValveState.CLOSED, GOOD)


@pytest.mark.parametrize("order", list(DiOrder))
@pytest.mark.parametrize("di", [0x901F, 0x911F, 0x810A, 0xA017, 0xD120, 0xD12B, 0xD305, 0xD4FF])
def test_an_identifier_is_known_in_either_order(di: int, order: DiOrder) -> None:
    assert name_of(di)
    assert is_di(di_bytes(di, order), di)
    if di != 0xD4FF:
        assert read_di(di_bytes(di, order)) == (di, order)


def test_every_family_of_identifiers_has_its_forms() -> None:
    assert sizes_of(0x901F) == (5, 7, 14, 19, 40, 43)
    for di, size in ((0xD125, 5), (0xD2FF, 5), (0xD2FF, 15), (0xD310, 23), (0xD401, 23), (0x8102, 15), (0x8105, 15)):
        form = layout_of(di, size)
        assert form is not None
        assert max((field.end for field in form.fields), default=0) <= size


@given(st.datetimes())
def test_a_clock_is_read_as_it_was_written(time: Any) -> None:
    whole = time.replace(microsecond=0, year=max(time.year, 1000))
    assert clock_of(clock_bytes(whole)) == whole
    assert clock_text(clock_bytes(whole)) == whole.strftime("%Y-%m-%d %H:%M:%S")


@given(st.binary(min_size=7, max_size=7))
def test_any_seven_bytes_are_a_time_or_none(data: bytes) -> None:
    clock_of(data)
    assert clock_text(data) is None or len(clock_text(data) or "") == 19
