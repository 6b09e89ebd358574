"""What clients that know nothing of the simulator read, against its books."""

import asyncio
import shutil
import struct
from fractions import Fraction

import pytest
from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient

from address_space.model.clock import NS, ManualClock
from address_space.model.quality import GOOD
from address_space.model.quantity import Quantity
from drivers.modbus.compile import compile_profile
from drivers.modbus.decode import Program
from drivers.modbus.layout import CompiledPoint
from drivers.modbus.plan import Read, plan_reads
from drivers.profiles import ProfileLibrary
from drivers.simulators import Endpoint, Fleet, Framing, SimulatedMeter

ALL_PROFILES = (
    "abb/b23",
    "acrel/adl400",
    "carlo-gavazzi/em24",
    "eastron/sdm120",
    "eastron/sdm630",
    "schneider/iem3155",
)
TRANSFORMED = {"acrel/adl400": (40.0, 100.0)}


async def _read(client: AsyncModbusTcpClient, read: Read) -> bytes:
    function = client.read_holding_registers if read.fc == 3 else client.read_input_registers
    answer = await function(read.address, count=read.words, device_id=17)
    assert not answer.isError(), f"{read}: {answer}"
    return struct.pack(f">{read.words}H", *answer.registers)


def _resolution(point: CompiledPoint, value: float, ratio: tuple[float, float]) -> float:
    ct, pt = (Fraction(each) for each in ratio)
    if point.type.is_float:
        return abs(value) * 2**-23 + (1 if point.is_counter else 1e-9)
    return float(point.scale * point.ratio.pick(ct, pt))


@pytest.mark.parametrize("framing", Framing)
@pytest.mark.parametrize("name", ALL_PROFILES)
async def test_a_client_reads_what_stands_in_the_books(
    name: str, framing: Framing, library: ProfileLibrary, clock: ManualClock
) -> None:
    profile = library.get(name)
    ratio = TRANSFORMED.get(name, (1.0, 1.0))
    endpoint = Endpoint(framing=framing)
    make = compile_profile(profile).makes[0]
    offsets = range(len(make.points))
    reads = plan_reads(make, offsets)
    program = Program(make, offsets, reads)
    async with Fleet([SimulatedMeter("m1", profile, endpoint, "17", ratio)], clock) as fleet:
        framer = FramerType.SOCKET if framing is Framing.TCP else FramerType(framing.value)
        client = AsyncModbusTcpClient("127.0.0.1", port=fleet.port(endpoint), framer=framer, retries=0)
        assert await client.connect()
        try:
            for _ in range(3):
                data = b"".join([await _read(client, read) for read in reads])
                ct, pt = (Fraction(each) for each in ratio)
                values, statuses, _texts = program.run(data, ct, pt)
                for point, value, status in zip(make.points, values, statuses, strict=True):
                    assert point is not None
                    truth = fleet.books.value("m1", point.quantity)
                    assert status == GOOD
                    step = _resolution(point, truth, ratio)
                    if point.is_counter and not point.type.is_float:
                        assert value == truth // step * step, point.name
                    else:
                        assert value == pytest.approx(truth, abs=step), point.name
                await clock.advance(777)
        finally:
            client.close()


async def test_a_fine_register_shows_the_books_to_the_watt_hour(library: ProfileLibrary, clock: ManualClock) -> None:
    endpoint = Endpoint()
    meter = SimulatedMeter("m1", library.get("schneider/iem3155"), endpoint, "17")
    async with Fleet([meter], clock) as fleet:
        client = AsyncModbusTcpClient("127.0.0.1", port=fleet.port(endpoint), retries=0)
        assert await client.connect()
        try:
            seen = []
            for _ in range(20):
                await clock.advance(61)
                data = await _read(client, Read(3, 3203, 4))
                seen.append(int.from_bytes(data, "big"))
                assert seen[-1] == fleet.books.energy_wh("m1")
            assert seen == sorted(seen)
            assert seen[-1] > seen[0]
        finally:
            client.close()


async def test_books_tell_any_moment(library: ProfileLibrary, clock: ManualClock) -> None:
    fleet = Fleet([SimulatedMeter("m1", library.get("eastron/sdm120"), Endpoint())], clock)
    moment = clock.now_ns()
    now = fleet.books.energy_wh("m1")
    await clock.advance(86_400)
    assert fleet.books.energy_wh("m1") > now
    assert fleet.books.energy_wh("m1", moment) == now
    assert fleet.books.energy_wh("m1", moment - 86_400 * NS) < now


async def test_mbpoll_reads_the_floats_of_an_sdm630(library: ProfileLibrary, clock: ManualClock) -> None:
    tool = shutil.which("mbpoll")
    if tool is None:
        pytest.skip("mbpoll is not installed: apt-get install mbpoll")
    endpoint = Endpoint()
    async with Fleet([SimulatedMeter("m1", library.get("eastron/sdm630"), endpoint, "5")], clock) as fleet:
        wanted = {
            0: Quantity.VOLTAGE_L1,
            52: Quantity.ACTIVE_POWER,
            70: Quantity.FREQUENCY,
            72: Quantity.ACTIVE_ENERGY_IMPORT,
        }
        for address, quantity in wanted.items():
            options = f"-m tcp -p {fleet.port(endpoint)} -a 5 -t 3:float -B -0 -r {address} -c 1 -1 127.0.0.1"
            process = await asyncio.create_subprocess_exec(
                tool, *options.split(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
            )
            output, _ = await process.communicate()
            shown = [line for line in output.decode().splitlines() if line.startswith(f"[{address}]:")]
            assert shown, output.decode()
            truth = fleet.books.value("m1", quantity)
            truth = truth / 1000 if address == 72 else truth
            assert float(shown[0].partition(":")[2]) == pytest.approx(truth, rel=1e-5)
