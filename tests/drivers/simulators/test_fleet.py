import asyncio
import time

import pytest

from address_space.model.clock import ManualClock
from address_space.model.errors import DuplicateId, UnknownId
from address_space.model.quantity import Quantity
from drivers.profiles import ProfileLibrary
from drivers.simulators import ConsumerClass, Endpoint, Fleet, Framing, Silent, SimulatedMeter

VOLTAGES = bytes((4, 0, 0, 0, 6))
HOME = Endpoint()


def test_an_id_and_a_unit_address_are_given_once(library: ProfileLibrary, clock: ManualClock) -> None:
    profile = library.get("eastron/sdm120")
    with pytest.raises(DuplicateId, match="described twice"):
        Fleet([SimulatedMeter("m1", profile, HOME, "1"), SimulatedMeter("m1", profile, HOME, "2")], clock)
    with pytest.raises(DuplicateId, match="address 1"):
        Fleet([SimulatedMeter("m1", profile, HOME, "1"), SimulatedMeter("m2", profile, HOME, "1")], clock)


@pytest.mark.parametrize("address", ["", "x", "-1", "256"])
def test_a_unit_id_is_a_number_up_to_255(address: str, library: ProfileLibrary, clock: ManualClock) -> None:
    with pytest.raises(ValueError, match="no Modbus unit id"):
        Fleet([SimulatedMeter("m1", library.get("eastron/sdm120"), HOME, address)], clock)


def test_an_unknown_variant_is_refused(library: ProfileLibrary, clock: ManualClock) -> None:
    with pytest.raises(ValueError, match="no variant 'x'"):
        Fleet([SimulatedMeter("m1", library.get("eastron/sdm120"), HOME, variant="x")], clock)


def test_an_unknown_meter_or_quantity_is_named(library: ProfileLibrary, clock: ManualClock) -> None:
    fleet = Fleet([SimulatedMeter("m1", library.get("eastron/sdm120"), HOME)], clock)
    with pytest.raises(UnknownId, match="'m2'"):
        fleet.meter("m2")
    with pytest.raises(UnknownId, match="'m2'"):
        fleet.books.energy_wh("m2")
    with pytest.raises(UnknownId, match="Volume"):
        fleet.books.value("m1", Quantity.VOLUME)


def test_one_phase_meters_are_told_by_their_profile(library: ProfileLibrary, clock: ManualClock) -> None:
    meters = [
        SimulatedMeter(name, library.get(f"eastron/{name}"), Endpoint(name=name)) for name in ("sdm120", "sdm630")
    ]
    fleet = Fleet(meters, clock)
    assert fleet.meter("sdm120").meter.installation.phases == 1
    assert fleet.meter("sdm630").meter.installation.phases == 3
    assert fleet.meter("sdm120").consumer_class in {ConsumerClass.HOUSEHOLD, ConsumerClass.SHOP}


def test_faults_may_be_described_beforehand(library: ProfileLibrary, clock: ManualClock) -> None:
    fleet = Fleet([SimulatedMeter("m1", library.get("eastron/sdm120"), HOME, faults=(Silent(),))], clock)
    assert fleet.meter("m1").fault == Silent()


async def test_a_plug_can_be_pulled_and_put_back(pair, clock: ManualClock, connect) -> None:
    async with Fleet(pair(HOME), clock) as fleet:
        wire = await connect(fleet, HOME)
        port = fleet.port(HOME)
        await fleet.stop(HOME)
        assert await wire.rest() == b""
        with pytest.raises(OSError, match="Connect call failed"):
            await connect(fleet, HOME)
        await fleet.start(HOME)
        assert fleet.port(HOME) == port
        wire = await connect(fleet, HOME)
        wire.send(2, VOLTAGES)
        assert (await wire.answer()).unit == 2


async def test_pulling_one_plug_leaves_the_others(library: ProfileLibrary, clock: ManualClock, connect) -> None:
    profile = library.get("eastron/sdm630")
    ends = [Endpoint(name=name) for name in ("a", "b")]
    async with Fleet([SimulatedMeter(end.name, profile, end) for end in ends], clock) as fleet:
        wire = await connect(fleet, ends[1])
        await fleet.stop(ends[0])
        await fleet.stop(ends[0])
        wire.send(1, VOLTAGES)
        assert (await wire.answer()).pdu[0] == 4


async def test_a_port_that_is_taken_leaves_nothing_open(library: ProfileLibrary, clock: ManualClock) -> None:
    profile = library.get("eastron/sdm630")
    async with Fleet([SimulatedMeter("m1", profile, HOME)], clock) as fleet:
        taken = Endpoint(port=fleet.port(HOME))
        other = Fleet([SimulatedMeter("m1", profile, HOME), SimulatedMeter("m2", profile, taken)], clock)
        with pytest.raises(OSError, match="address already in use"):
            await other.__aenter__()
        assert not any(server.running for server in other.servers.values())


async def test_nothing_runs_on_after_the_fleet(pair, clock: ManualClock, connect) -> None:
    before = asyncio.all_tasks()
    async with Fleet(pair(HOME), clock) as fleet:
        wire = await connect(fleet, HOME)
        wire.send(1, VOLTAGES)
        await wire.answer()
    assert await wire.rest() == b""
    assert asyncio.all_tasks() == before


async def test_many_clients_are_served_at_once(pair, clock: ManualClock, connect) -> None:
    async with Fleet(pair(HOME), clock) as fleet:
        wires = [await connect(fleet, HOME) for _ in range(20)]
        for transaction, wire in enumerate(wires):
            wire.send(1 + transaction % 2, VOLTAGES, transaction)
        assert [(await wire.answer()).transaction for wire in wires] == list(range(20))


async def test_a_thousand_meters_live_in_one_process(library: ProfileLibrary, clock: ManualClock, connect) -> None:
    profile = library.get("eastron/sdm630")
    ends = [Endpoint(name=f"gateway{number}") for number in range(10)]
    meters = [
        SimulatedMeter(f"m{bus}-{unit}", profile, end, str(unit))
        for bus, end in enumerate(ends)
        for unit in range(1, 101)
    ]
    began = time.process_time()
    async with Fleet(meters, clock) as fleet:
        print(f"1000 meters started in {time.process_time() - began:.2f} s of CPU")
        for end in ends:
            wire = await connect(fleet, end)
            for unit in range(1, 101):
                wire.send(unit, VOLTAGES, unit)
            assert [(await wire.answer()).unit for _ in range(100)] == list(range(1, 101))
        assert sum(server.requests for server in fleet.servers.values()) == 1000


def test_it_runs_on_uvloop_as_well(pair, clock: ManualClock) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def ask() -> bytes:
        async with Fleet(pair(HOME), clock) as fleet:
            reader, writer = await asyncio.open_connection(HOME.host, fleet.port(HOME))
            writer.write(bytes.fromhex("0007 0000 0006 02 04 0000 0006"))
            async with asyncio.timeout(60):
                answer = await reader.readexactly(21)
            await fleet.stop(HOME)
            assert await reader.read() == b""
            writer.close()
            return answer

    assert uvloop.run(ask())[:9] == bytes.fromhex("0007 0000 000f 02 04 0c")


async def test_over_rtu_a_broadcast_and_a_stranger_get_no_answer(pair, clock: ManualClock, connect) -> None:
    rtu = Endpoint(framing=Framing.RTU)
    async with Fleet(pair(rtu), clock) as fleet:
        wire = await connect(fleet, rtu)
        for unit in (0, 99, 2):
            wire.send(unit, VOLTAGES)
        assert (await wire.take(17))[0] == 2


async def test_over_tcp_a_gateway_says_that_a_stranger_is_silent(pair, clock: ManualClock, connect) -> None:
    async with Fleet(pair(HOME), clock) as fleet:
        wire = await connect(fleet, HOME)
        wire.send(99, VOLTAGES)
        assert (await wire.answer()).pdu == bytes((0x84, 11))


@pytest.mark.parametrize("unit", [0, 255])
async def test_the_only_device_at_a_port_answers_to_0_and_255(
    unit: int, library: ProfileLibrary, clock: ManualClock, connect
) -> None:
    async with Fleet([SimulatedMeter("m1", library.get("eastron/sdm630"), HOME, "7")], clock) as fleet:
        wire = await connect(fleet, HOME)
        wire.send(unit, VOLTAGES)
        answer = await wire.answer()
        assert (answer.unit, answer.pdu[0]) == (unit, 4)
