"""Every Modbus meter of the library, simulated and read by the driver: what arrives is what the meter counted."""

from __future__ import annotations

from fractions import Fraction

import pytest

from address_space.model.clock import ManualClock, SystemClock
from address_space.model.errors import UnknownId
from address_space.model.ids import UnitHandle
from address_space.model.quality import GOOD, Reason
from drivers.api import Device
from drivers.modbus import ModbusDriver, Options, compile_profile
from drivers.modbus.layout import CompiledPoint
from drivers.profiles import load_library
from drivers.simulators import Endpoint, Fleet, SimulatedMeter
from drivers.transport import Lines

LIBRARY = load_library()
MAKES = [
    (name, variant)
    for name in LIBRARY.names
    if LIBRARY.get(name).protocol == "modbus"
    for variant in ("", *(each.name for each in LIBRARY.get(name).variants))
]
RATIO = (40.0, 1.0)


def resolution(point: CompiledPoint, value: float, ratio: tuple[float, float]) -> float:
    """How far a value may be off because of the register it went through."""
    if point.type.is_float:
        return abs(value) * 2**-22 + float(point.is_counter)
    ct, pt = map(Fraction, ratio)
    return float(point.scale * point.ratio.pick(ct, pt))


@pytest.mark.parametrize(("name", "variant"), MAKES, ids=[f"{name} {variant}".strip() for name, variant in MAKES])
async def test_the_driver_reads_what_the_meter_counted(name: str, variant: str, clock: ManualClock) -> None:
    profile = LIBRARY.get(name)
    compiled = compile_profile(profile)
    make = next(each for each in compiled.makes if each.name == variant)
    ratio = RATIO if any(point and point.ratio.value != "none" for point in make.points) else (1.0, 1.0)
    endpoint = Endpoint()
    meter = SimulatedMeter("m1", profile, endpoint, "17", ratio, variant=variant)
    async with Fleet([meter], clock) as fleet:
        options = Options.model_validate({"host": "127.0.0.1", "port": fleet.port(endpoint)})
        driver = ModbusDriver("c", options, Lines(SystemClock()).link("c", options), SystemClock())
        device = Device(UnitHandle(0), 0, "m1", compiled, "17", ratio)
        plan = driver.plan(device, range(len(profile.points)))
        await driver.open()
        try:
            answers = {request: await driver.request(device, request) for request in plan.requests}
        finally:
            await driver.close()
        reading = driver.decode(device, plan, answers)
        for point, quantity, value, status in zip(
            make.points, compiled.quantities, reading.values, reading.status, strict=True
        ):
            if point is None:
                assert status == Reason.NOT_SUPPORTED.status
                continue
            try:
                truth = fleet.books.value("m1", quantity)
            except UnknownId:
                continue
            assert status == GOOD, point.name
            off = resolution(point, truth, ratio)
            assert value == pytest.approx(truth, abs=off), point.name
