"""Every fault as a client sees it: byte for byte, on both framings where they differ."""

import itertools

import pytest

from address_space.model.clock import ManualClock
from address_space.model.quantity import Quantity
from drivers.codec import crc16_modbus
from drivers.simulators import (
    Babbling,
    Between,
    Dropped,
    Echo,
    Endpoint,
    EveryNth,
    ExceptionAnswer,
    Fault,
    Fleet,
    Forced,
    Framing,
    Frozen,
    Garbage,
    HalfFrame,
    Late,
    LongPreamble,
    NoiseBefore,
    Rollover,
    Silent,
    SimulatedMeter,
    Slow,
    StrayAnswer,
    WrongCheck,
    WrongLength,
    WrongUnit,
)

VOLTAGES = bytes((4, 0, 0, 0, 6))
ENERGY = bytes((4, 0, 72, 0, 2))
TCP = Endpoint()
RTU = Endpoint(framing=Framing.RTU)


def tcp(unit: int, pdu: bytes, transaction: int) -> bytes:
    return transaction.to_bytes(2, "big") + b"\0\0" + (len(pdu) + 1).to_bytes(2, "big") + bytes((unit,)) + pdu


async def test_a_sound_meter_answers(pair, clock, connect) -> None:
    async with Fleet(pair(TCP), clock) as fleet:
        wire = await connect(fleet, TCP)
        wire.send(1, VOLTAGES, transaction=0xBEEF)
        answer = await wire.answer()
        assert (answer.transaction, answer.unit, answer.pdu[:2]) == (0xBEEF, 1, bytes((4, 12)))


@pytest.mark.parametrize("fault", [NoiseBefore(), LongPreamble(), Echo(), HalfFrame(), StrayAnswer(), Babbling()])
async def test_faults_of_a_serial_line_do_not_show_on_modbus_tcp(pair, clock, connect, fault: Fault) -> None:
    async with Fleet(pair(TCP), clock) as fleet:
        fleet.meter("faulty").fault = fault
        wire = await connect(fleet, TCP)
        wire.send(1, VOLTAGES, 7)
        assert (await wire.answer()).transaction == 7


async def test_a_silent_unit_says_nothing_and_its_neighbour_answers(pair, clock, connect) -> None:
    async with Fleet(pair(TCP), clock) as fleet:
        fleet.meter("faulty").fault = Silent()
        wire = await connect(fleet, TCP)
        wire.send(1, VOLTAGES, 1)
        wire.send(2, VOLTAGES, 2)
        assert (await wire.answer()).transaction == 2
        fleet.meter("faulty").fault = None
        wire.send(1, VOLTAGES, 3)
        assert (await wire.answer()).transaction == 3
        assert fleet.meter("faulty").requests == 2


async def test_a_slow_unit_answers_after_its_delay_and_not_before(pair, clock: ManualClock, connect) -> None:
    async with Fleet(pair(TCP), clock) as fleet:
        fleet.meter("faulty").fault = Slow(3.0)
        wire = await connect(fleet, TCP)
        wire.send(1, VOLTAGES, 1)
        wire.send(2, VOLTAGES, 2)
        assert (await wire.answer()).transaction == 2
        await clock.advance(2.9)
        wire.send(2, VOLTAGES, 3)
        assert (await wire.answer()).transaction == 3
        await clock.advance(0.2)
        assert (await wire.answer()).transaction == 1


async def test_an_answer_that_is_still_due_does_not_outlive_the_fleet(pair, clock, connect) -> None:
    async with Fleet(pair(TCP), clock) as fleet:
        fleet.meter("faulty").fault = Slow(1000.0)
        wire = await connect(fleet, TCP)
        wire.send(1, VOLTAGES)
        wire.send(2, VOLTAGES)
        await wire.answer()
    assert await wire.rest() == b""


@pytest.mark.parametrize(("words", "left"), [(-1, 10), (-6, 0), (2, 16)])
async def test_a_wrong_length_is_well_framed(words: int, left: int, pair, clock, connect) -> None:
    async with Fleet(pair(TCP), clock) as fleet:
        fleet.meter("faulty").fault = WrongLength(words)
        wire = await connect(fleet, TCP)
        wire.send(1, VOLTAGES)
        pdu = (await wire.answer()).pdu
        assert pdu[1] == len(pdu) - 2 == left


async def test_a_wrong_transaction_comes_back_over_tcp(pair, clock, connect) -> None:
    async with Fleet(pair(TCP), clock) as fleet:
        fleet.meter("faulty").fault = WrongCheck()
        wire = await connect(fleet, TCP)
        wire.send(1, VOLTAGES, 1)
        answer = await wire.answer()
        assert answer.transaction != 1
        assert len(answer.pdu) == 14


async def test_a_wrong_checksum_comes_back_over_rtu(pair, clock, connect) -> None:
    async with Fleet(pair(RTU), clock) as fleet:
        wire = await connect(fleet, RTU)
        wire.send(1, VOLTAGES)
        sound = await wire.take(17)
        fleet.meter("faulty").fault = WrongCheck()
        wire.send(1, VOLTAGES)
        broken = await wire.take(17)
        assert crc16_modbus(sound[:-2]) == sound[-2:]
        assert crc16_modbus(broken[:-2]) != broken[-2:]
        assert broken[:-2] == sound[:-2]


async def test_a_wrong_unit_answers(pair, clock, connect) -> None:
    async with Fleet(pair(RTU), clock) as fleet:
        fleet.meter("faulty").fault = WrongUnit(shift=4)
        wire = await connect(fleet, RTU)
        wire.send(1, VOLTAGES)
        answer = await wire.take(17)
        assert answer[0] == 5
        assert crc16_modbus(answer[:-2]) == answer[-2:]


@pytest.mark.parametrize("code", [1, 2, 4, 6])
async def test_an_exception_is_answered(code: int, pair, clock, connect) -> None:
    async with Fleet(pair(TCP), clock) as fleet:
        fleet.meter("faulty").fault = ExceptionAnswer(code)
        wire = await connect(fleet, TCP)
        wire.send(1, VOLTAGES)
        assert (await wire.answer()).pdu == bytes((0x84, code))


async def test_a_connection_is_dropped_in_the_middle_of_an_answer(pair, clock, connect) -> None:
    async with Fleet(pair(TCP), clock) as fleet:
        fleet.meter("faulty").fault = Dropped(sent=9)
        wire, other = await connect(fleet, TCP), await connect(fleet, TCP)
        wire.send(1, VOLTAGES, 1)
        wire.send(2, VOLTAGES, 2)
        assert await wire.rest() == tcp(1, bytes(14), 1)[:7] + bytes((4, 12))
        other.send(2, VOLTAGES, 3)
        assert (await other.answer()).transaction == 3


async def test_garbage_is_the_same_in_every_run(pair, clock, connect) -> None:
    seen = []
    for _ in range(2):
        async with Fleet(pair(TCP), clock) as fleet:
            fleet.meter("faulty").fault = Garbage(size=21)
            wire = await connect(fleet, TCP)
            wire.send(1, VOLTAGES)
            seen.append(await wire.take(21))
    assert seen[0] == seen[1]


async def test_a_late_answer_comes_just_before_the_next_one(pair, clock, connect) -> None:
    async with Fleet(pair(TCP), clock) as fleet:
        fleet.meter("faulty").fault = Late(EveryNth(3))
        wire = await connect(fleet, TCP)
        for transaction in range(1, 7):
            wire.send(1, VOLTAGES, transaction)
            wire.send(2, VOLTAGES, 100 + transaction)
        order = [(await wire.answer()).transaction for _ in range(11)]
        assert order == [1, 101, 2, 102, 103, 3, 4, 104, 5, 105, 106]


async def test_a_unit_that_is_always_late_is_always_one_answer_behind(pair, clock, connect) -> None:
    async with Fleet(pair(RTU), clock) as fleet:
        fleet.meter("faulty").fault = Late()
        wire = await connect(fleet, RTU)
        wire.send(1, VOLTAGES)
        wire.send(1, ENERGY)
        assert (await wire.take(17))[2] == 12


async def test_a_late_answer_belongs_to_the_connection_that_asked(pair, clock, connect) -> None:
    async with Fleet(pair(TCP), clock) as fleet:
        wire, other = await connect(fleet, TCP), await connect(fleet, TCP)
        fleet.meter("faulty").fault = Late()
        wire.send(1, VOLTAGES, 1)
        wire.send(2, VOLTAGES, 2)
        assert (await wire.answer()).transaction == 2
        fleet.meter("faulty").fault = None
        other.send(1, VOLTAGES, 3)
        assert (await other.answer()).transaction == 3


async def test_a_fault_keeps_its_schedule(pair, clock: ManualClock, connect) -> None:
    async with Fleet(pair(TCP), clock) as fleet:
        fleet.meter("faulty").fault = ExceptionAnswer(6, Between(10, 20))
        wire = await connect(fleet, TCP)
        seen = []
        for _ in range(6):
            wire.send(1, VOLTAGES)
            seen.append((await wire.answer()).pdu[0])
            await clock.advance(5)
        assert seen == [4, 4, 0x84, 0x84, 4, 4]


async def test_a_fault_at_every_nth_request_spares_the_others(pair, clock, connect) -> None:
    async with Fleet(pair(TCP), clock) as fleet:
        fleet.meter("faulty").fault = ExceptionAnswer(4, EveryNth(3))
        wire = await connect(fleet, TCP)
        seen = []
        for _ in range(7):
            wire.send(1, VOLTAGES)
            seen.append((await wire.answer()).pdu[0])
        assert seen == [4, 4, 0x84, 4, 4, 0x84, 4]


async def _read(wire, request: bytes = VOLTAGES) -> bytes:
    wire.send(1, request)
    return (await wire.answer()).pdu


async def test_frozen_values_stand_still_until_the_fault_ends(pair, clock: ManualClock, connect) -> None:
    async with Fleet(pair(TCP), clock) as fleet:
        fleet.meter("faulty").fault = Frozen(Between(30, 90))
        wire = await connect(fleet, TCP)
        first = await _read(wire)
        await clock.advance(30)
        at_freezing = await _read(wire)
        await clock.advance(50)
        frozen = await _read(wire)
        wire.send(2, VOLTAGES)
        neighbour = (await wire.answer()).pdu
        await clock.advance(50)
        healed = await _read(wire)
        assert first != at_freezing == frozen != healed
        assert neighbour != frozen


async def test_what_is_used_while_frozen_shows_afterwards(pair, clock: ManualClock, connect) -> None:
    async with Fleet(pair(TCP), clock) as fleet:
        wire = await connect(fleet, TCP)
        before = await _read(wire, ENERGY)
        fleet.meter("faulty").fault = Frozen()
        await clock.advance(7200)
        assert await _read(wire, ENERGY) == before
        fleet.meter("faulty").fault = None
        assert await _read(wire, ENERGY) != before


async def test_a_counter_rolls_over_while_the_books_go_on(library, clock: ManualClock, connect) -> None:
    meter = SimulatedMeter("m1", library.get("acrel/adl400"), TCP)
    async with Fleet([meter], clock) as fleet:
        wire = await connect(fleet, TCP)
        fleet.meter("m1").fault = Rollover(in_s=3600)
        request = bytes((3, 0, 0x0A, 0, 2))
        books, shown = [], []
        for _ in range(5):
            shown.append(int.from_bytes((await _read(wire, request))[2:], "big"))
            books.append(fleet.books.value("m1", Quantity.ACTIVE_ENERGY_IMPORT))
            await clock.advance(1500)
        assert shown[0] < shown[1] < shown[2]
        assert shown[2] > 2**32 - 2_000
        assert shown[3] < 2_000
        assert shown[3] < shown[4]
        assert books == sorted(books)
        used = [(later - earlier) % 2**32 for earlier, later in itertools.pairwise(shown)]
        assert sum(used) == pytest.approx((books[-1] - books[0]) / 10, abs=1)
        fleet.meter("m1").fault = None
        healed = int.from_bytes((await _read(wire, request))[2:], "big")
        assert healed == fleet.books.energy_wh("m1") // 10


async def test_a_frozen_unit_can_be_slow_too(pair, clock: ManualClock, connect) -> None:
    faults: tuple[Fault, ...] = (Frozen(), ExceptionAnswer(6, EveryNth(2)))
    async with Fleet(pair(TCP), clock) as fleet:
        fleet.meter("faulty").faults = faults
        wire = await connect(fleet, TCP)
        first = await _read(wire)
        assert await _read(wire) == bytes((0x84, 6))
        await clock.advance(60)
        assert await _read(wire) == first
        assert fleet.meter("faulty").faults == faults


async def test_forced_registers_hold_their_words_until_the_fault_ends(pair, clock: ManualClock, connect) -> None:
    async with Fleet(pair(TCP), clock) as fleet:
        wire = await connect(fleet, TCP)
        before = await _read(wire)
        fleet.meter("faulty").fault = Forced(0, (0x7F80, 0), table=4)
        forced = await _read(wire)
        assert forced[2:6] == bytes((0x7F, 0x80, 0, 0))
        assert forced[6:] == before[6:]
        fleet.meter("faulty").fault = None
        assert await _read(wire) == before
