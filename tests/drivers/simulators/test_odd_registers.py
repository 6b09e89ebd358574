"""Registers that are more than a scaled number, built by the simulator and taken apart by the driver."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from address_space.model.clock import NS, ManualClock
from address_space.model.quality import GOOD
from address_space.model.quantity import Quantity
from drivers.modbus.compile import compile_profile
from drivers.modbus.decode import Program, decode_registers
from drivers.modbus.layout import RatioRegister
from drivers.modbus.plan import plan_reads
from drivers.profiles import Profile, ProfileLibrary
from drivers.simulators.image import make_layout
from drivers.simulators.meter import Installation, Meter
from drivers.simulators.pdu import Table
from drivers.simulators.unit import ModbusUnit


def only(profile: Profile, quantity: Quantity, address: dict[str, Any], **settings: Any) -> Profile:
    offset = profile.offset(quantity)
    assert offset is not None
    point = replace(profile.points[offset], address=address)
    return replace(profile, points=(point,), settings={**profile.settings, **settings})


def words(unit: ModbusUnit, clock: ManualClock, fc: int, first: int, count: int) -> bytes:
    return unit.bank(clock.now_ns()).read_words(Table(fc), first, count)


@pytest.mark.parametrize(
    ("quantity", "address", "step"),
    [
        (Quantity.VOLTAGE_L1, {"at": 9, "type": "uint16", "scale": 0.1}, 0.1),
        (Quantity.VOLTAGE_L1, {"at": 9, "type": "int32", "scale": 0.01, "order": "DCBA"}, 0.01),
        (Quantity.VOLTAGE_L1, {"at": [12, 9], "type": "uint32", "scale": 0.001}, 0.001),
        (Quantity.VOLTAGE_L1, {"at": 9, "type": "uint32", "bits": [4, 23], "scale": 0.001}, 0.001),
        (Quantity.VOLTAGE_L1, {"at": 9, "type": "bcd32", "scale": 0.01}, 0.01),
        (Quantity.VOLTAGE_L1, {"at": 9, "type": "uint32", "scale": 0.1, "sign": "magnitude"}, 0.1),
        (
            Quantity.VOLTAGE_L1,
            {"at": 9, "type": "uint16", "scale": 1, "factor": {"at": 20, "type": "uint16", "means": "decimals"}},
            1,
        ),
        (Quantity.VOLTAGE_L1, {"at": 9, "type": "float64", "order": "CDAB", "offset": -40}, 1e-9),
        (
            Quantity.ACTIVE_ENERGY_IMPORT,
            {"sum": [{"at": 0, "type": "uint32", "scale": 10}, {"at": 8, "type": "uint32", "scale": 10}]},
            10,
        ),
        (Quantity.ACTIVE_ENERGY_IMPORT, {"at": 9, "type": "mod10000", "words": 4, "scale": 1}, 1),
        (Quantity.ACTIVE_ENERGY_IMPORT, {"at": 9, "type": "uint64", "scale": 1, "order": "CDAB"}, 1),
    ],
)
def test_the_driver_understands_it(
    quantity: Quantity, address: dict[str, Any], step: float, library: ProfileLibrary, clock: ManualClock
) -> None:
    profile = only(library.get("schneider/iem3155"), quantity, address, base=0)
    compiled = compile_profile(profile)
    meter = Meter(Installation("m1"))
    unit = ModbusUnit(meter, make_layout(compiled, (1.0, 1.0)))
    make = compiled.makes[0]
    reads = plan_reads(make, [0])
    data = b"".join(words(unit, clock, read.fc, read.address, read.words) for read in reads)
    values, statuses, _ = Program(make, [0], reads).run(data, Fraction(1), Fraction(1))
    assert statuses == [GOOD]
    assert values[0] == pytest.approx(meter.values(clock.now_ns() // NS)[quantity.code], abs=step)


def test_a_device_that_tells_its_ratio_holds_it(library: ProfileLibrary, clock: ManualClock) -> None:
    ratios = {"ct": {"at": 30, "type": "uint16"}, "pt": 1.0}
    address = {"at": 9, "type": "uint16", "scale": 0.001, "ratio": "ct"}
    profile = only(library.get("acrel/adl400"), Quantity.CURRENT_L1, address, ratios=ratios, max_gap=40, max_words=60)
    compiled = compile_profile(profile)
    meter = Meter(Installation("m1", ratio=(80.0, 1.0)))
    unit = ModbusUnit(meter, make_layout(compiled, (80.0, 1.0)))
    source = compiled.makes[0].ct
    assert isinstance(source, RatioRegister)
    held = words(unit, clock, 3, 30, 1)
    assert decode_registers(source.register, {30: int.from_bytes(held, "big")}) == 80
    ampere = int.from_bytes(words(unit, clock, 3, 9, 1), "big") / 1000 * 80
    assert ampere == pytest.approx(meter.values(clock.now_ns() // NS)[Quantity.CURRENT_L1.code], abs=0.08)


def test_what_the_meter_cannot_know_is_no_data(library: ProfileLibrary, clock: ManualClock) -> None:
    profile = library.get("eastron/sdm630")
    compiled = compile_profile(profile)
    unit = ModbusUnit(Meter(Installation("m1", phases=1)), make_layout(compiled, (1.0, 1.0)))
    assert words(unit, clock, 4, 2, 2) == bytes.fromhex("7fc00000")
