"""A simulated DL/T 645 meter, asked frame by frame."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from address_space.model.clock import NS
from address_space.model.quantity import Quantity
from drivers.dlt645 import formats, identifiers, identifiers_1997, records
from drivers.dlt645.frame import ANY, BROADCAST, Decoder, Frame, encode
from drivers.dlt645.item import Block, Item
from drivers.simulators import faults
from drivers.simulators.dlt645 import Dlt645Station, Manners
from drivers.simulators.dlt645_supply import Purse
from drivers.simulators.meter import Installation, Meter

METER = "202611220001"
NOON = int(datetime(2026, 11, 22, 7, tzinfo=UTC).timestamp())
"""Noon where the meters are."""
LOCAL = datetime(2026, 11, 22, 12)  # noqa: DTZ001 - as the meter's clock tells it
THREE = Installation("m1")
SINGLE = Installation("m2", phases=1)
LEVEL_2 = bytes.fromhex("02000000") + bytes(4)
Ask = Callable[..., Frame | None]


def asking(station: Dlt645Station) -> Ask:
    def ask(control: int, data: bytes | str = b"", *, address: str = METER, second: int = NOON) -> Frame | None:
        sent = bytes.fromhex(data) if isinstance(data, str) else data
        heard = station.answer(encode(Frame(address, control, sent)), second * NS)
        return None if heard is None else next(each for each in Decoder().feed(heard) if isinstance(each, Frame))

    return ask


def di(number: int, size: int = 4) -> bytes:
    return number.to_bytes(size, "little")


def values(frame: Frame | None, size: int = 4) -> dict[str, object]:
    """What an answer says by the names of its values."""
    assert frame is not None
    assert frame.control in (0x91, 0xB1, 0x81, 0xA1), f"{frame.control:02X} {frame.data.hex()}"
    number = int.from_bytes(frame.data[:size], "little")
    entry = identifiers.find(number) if size == 4 else identifiers_1997.find(number)
    assert entry is not None
    body = frame.data[size:]
    if isinstance(entry, Item):
        assert entry.fits(body)
        return {entry.name: entry.decode(body)}
    assert isinstance(entry, Block)
    assert entry.fits(body)
    return {item.name: item.decode(part) for item, part in entry.split(body)}


def read(ask: Ask, number: int, second: int = NOON) -> dict[str, object]:
    return values(ask(0x11, di(number), second=second))


def one(ask: Ask, number: int, second: int = NOON) -> object:
    (value,) = read(ask, number, second).values()
    return value


def status_3(ask: Ask, second: int = NOON) -> int:
    word = one(ask, 0x04000503, second)
    assert isinstance(word, int)
    return word


def switch(ask: Ask, command: int, second: int = NOON, *, head: bytes = LEVEL_2, ahead_min: int = 10) -> Frame | None:
    until = LOCAL + timedelta(seconds=second - NOON, minutes=ahead_min)
    return ask(0x1C, head + bytes([command, 0]) + formats.CLOCK.encode(until), second=second)


@pytest.mark.parametrize(
    ("number", "quantity", "tolerance"),
    [
        (0x00010000, Quantity.ACTIVE_ENERGY_IMPORT, 0.01),
        (0x00010200, Quantity.ACTIVE_ENERGY_IMPORT_T2, 0.01),
        (0x00030000, Quantity.REACTIVE_ENERGY_IMPORT, 0.01),
        (0x003D0000, Quantity.ACTIVE_ENERGY_IMPORT_L3, 0.01),
        (0x02010200, Quantity.VOLTAGE_L2, 0.06),
        (0x02020300, Quantity.CURRENT_L3, 0.0006),
        (0x02030000, Quantity.ACTIVE_POWER, 0.0001),
        (0x02060000, Quantity.POWER_FACTOR, 0.0006),
        (0x02800002, Quantity.FREQUENCY, 0.006),
        (0x02800004, Quantity.DEMAND_IMPORT, 0.0001),
    ],
)
def test_it_tells_what_the_meter_measures(number: int, quantity: Quantity, tolerance: float) -> None:
    measured = Meter(THREE).values(NOON)[quantity.code]
    assert measured is not None
    shown = one(asking(Dlt645Station(THREE, METER)), number)
    assert shown == pytest.approx(measured / quantity.per_unit, abs=tolerance)


@pytest.mark.parametrize(
    ("number", "count"),
    [
        (0x0001FF00, 5),
        (0x00010001, 1),
        (0x000100FF, 13),
        (0x0101FF00, 5),
        (0x0201FF00, 3),
        (0x0203FF00, 4),
        (0x0207FF00, 3),
        (0x020A01FF, 21),
        (0x020CFF00, 3),
        (0x040005FF, 7),
        (0x03010000, 6),
        (0x05060101, 5),
        (0x05060901, 5),
        (0x05061001, 8),
        (0x05040101, 5),
    ],
)
def test_blocks_have_their_usual_length(number: int, count: int) -> None:
    assert len(read(asking(Dlt645Station(THREE, METER)), number)) == count


def test_a_single_phase_meter_says_ff_for_the_phases_it_does_not_have() -> None:
    shown = read(asking(Dlt645Station(SINGLE, METER)), 0x0201FF00)
    assert shown["voltage_B"] is None
    assert shown["voltage_C"] is None
    assert isinstance(shown["voltage_A"], float)


def test_readings_are_those_of_the_secondary_side() -> None:
    direct, behind = Installation("m1", rated_current_a=60.0), Installation("m1", ratio=(40.0, 1.0))
    shown = one(asking(Dlt645Station(behind, METER)), 0x02030000)
    measured = Meter(behind).values(NOON)[Quantity.ACTIVE_POWER.code]
    assert measured is not None
    assert shown == pytest.approx(measured / 1000 / 40, abs=1e-4)
    assert direct.ratio == (1.0, 1.0)


def test_settled_energies_are_those_of_the_first_of_the_month() -> None:
    ask = asking(Dlt645Station(THREE, METER))
    first = int(datetime(2026, 10, 31, 19, tzinfo=UTC).timestamp())
    assert one(ask, 0x00010001) == one(ask, 0x00010000, first)


@pytest.mark.parametrize(
    ("control", "data", "error"),
    [
        (0x11, di(0x0F0F0F0F), 0x02),
        (0x11, di(0x00010000)[:2], 0x01),
        (0x12, di(0x00010000) + b"\1", 0x02),
        (0x14, di(0x04000102) + bytes.fromhex("0299999900000000") + b"\0\0\0", 0x04),
        (0x14, di(0x00010000) + LEVEL_2 + b"\0" * 4, 0x02),
        (0x14, di(0x04000103) + LEVEL_2 + b"\0" * 9, 0x01),
        (0x19, bytes.fromhex("0711111100000000"), 0x04),
        (0x03, bytes(30), 0x01),
    ],
)
def test_what_it_refuses_it_refuses_with_the_right_bit(control: int, data: bytes, error: int) -> None:
    answer = asking(Dlt645Station(THREE, METER))(control, data)
    assert answer is not None
    assert (answer.control, answer.data[0]) == (control | 0xC0, error)


def test_blocks_and_identifiers_may_be_unknown_to_a_make() -> None:
    station = Dlt645Station(THREE, METER, Manners(has_blocks=False, absent=frozenset({0x02800002})))
    ask = asking(station)
    for number in (0x0001FF00, 0x02800002):
        answer = ask(0x11, di(number))
        assert answer is not None
        assert (answer.control, answer.data) == (0xD1, b"\x02")
    assert station.refused == 2
    assert read(ask, 0x00010000)


def test_long_answers_come_in_parts() -> None:
    ask = asking(Dlt645Station(THREE, METER, Manners(most_data=16)))
    whole = asking(Dlt645Station(THREE, METER))(0x11, di(0x0001FF00))
    assert whole is not None
    part = ask(0x11, di(0x0001FF00))
    body, sequence = b"", 0
    while part is not None:
        end = len(part.data) - (1 if sequence else 0)
        assert part.data[:4] == di(0x0001FF00)
        body += part.data[4:end]
        if not part.more:
            break
        sequence += 1
        part = ask(0x12, di(0x0001FF00) + bytes([sequence]))
        assert part is not None
        assert part.data[-1] == sequence
    assert body == whole.data[4:]
    assert sequence >= 1


def test_the_wildcard_reads_the_address() -> None:
    ask = asking(Dlt645Station(THREE, METER))
    answer = ask(0x13, address=ANY)
    assert answer is not None
    assert (answer.control, answer.address, answer.data) == (0x93, METER, bytes.fromhex(METER)[::-1])
    assert ask(0x13, address="AAAAAAAA0001") == answer
    assert ask(0x13, address="AAAAAAAA0002") is None
    back = asking(Dlt645Station(THREE, METER, Manners(wildcard_back=True)))(0x11, di(0x00010000), address=ANY)
    assert back is not None
    assert back.address == ANY


def test_it_stays_silent_where_it_is_not_meant() -> None:
    ask = asking(Dlt645Station(THREE, METER))
    assert ask(0x11, di(0x00010000), address="000000000009") is None
    assert ask(0x91, di(0x00010000)) is None
    assert ask(0x01, "1090") is None
    assert ask(0x16, "99999999", address=BROADCAST) is None


def test_a_broadcast_sets_the_clock_only_a_little() -> None:
    ask = asking(Dlt645Station(THREE, METER, Manners(clock_off_s=120)))
    assert one(ask, 0x04000102) == "12:02:00"
    assert ask(0x08, formats.CLOCK.encode(LOCAL), address=BROADCAST) is None
    assert one(ask, 0x04000102) == "12:00:00"
    ask(0x08, formats.CLOCK.encode(LOCAL + timedelta(hours=1)), address=BROADCAST)
    assert one(ask, 0x04000102) == "12:00:00"
    assert one(ask, 0x04000101) == "2026-11-22 weekday 0"
    assert one(ask, 0x0400010C) == "2026-11-22 12:00:00 weekday 0"


def test_the_clock_and_parameters_are_written_with_a_password() -> None:
    ask = asking(Dlt645Station(THREE, METER, Manners(clock_off_s=86_400)))
    for number, value in ((0x04000101, formats.DATE.encode(LOCAL)), (0x04000102, formats.TIME.encode(LOCAL))):
        answer = ask(0x14, di(number) + LEVEL_2 + value)
        assert answer is not None
        assert answer.control == 0x94
    assert one(ask, 0x0400010C) == "2026-11-22 12:00:00 weekday 0"
    ask(0x14, di(0x04000104) + LEVEL_2 + b"\x05")
    assert one(ask, 0x04000104) == 5
    assert one(ask, 0x03300000) == 3


def test_a_trip_cuts_the_load_and_the_energy_stands_still() -> None:
    ask = asking(Dlt645Station(THREE, METER))
    before = one(ask, 0x00010000)
    answer = switch(ask, 0x1A)
    assert answer is not None
    assert (answer.control, answer.data) == (0x9C, b"")
    assert status_3(ask) & 0x50 == 0x50
    later = NOON + 86_400
    assert one(ask, 0x00010000, later) == before
    assert set(read(ask, 0x0202FF00, later).values()) == {0.0}
    assert one(ask, 0x02030000, later) == 0.0
    assert isinstance(one(ask, 0x02010100, later), float)
    switch(ask, 0x1C, later)
    assert status_3(ask, later) & 0x50 == 0
    assert one(ask, 0x00010000, later) == before
    assert one(ask, 0x02030000, later + 60) != 0.0
    grown = one(ask, 0x00010000, later + 3600)
    assert isinstance(grown, float)
    assert isinstance(before, float)
    assert 0 < grown - before < 50
    assert one(ask, 0x1D000001, later) == 1


def test_permission_to_close_may_wait_for_the_key() -> None:
    station = Dlt645Station(THREE, METER)
    station.relay.needs_key = True
    ask = asking(station)
    switch(ask, 0x1A)
    switch(ask, 0x1B)
    assert status_3(ask) & 0x50 == 0x10
    station.relay.press(NOON)
    assert status_3(ask) & 0x50 == 0


def test_a_relay_that_sticks_accepts_and_does_not_move() -> None:
    station = Dlt645Station(THREE, METER)
    station.relay.sticks = True
    ask = asking(station)
    answer = switch(ask, 0x1A)
    assert answer is not None
    assert answer.control == 0x9C
    assert status_3(ask) & 0x50 == 0x40


def test_kept_power_ignores_trips_until_it_is_released() -> None:
    ask = asking(Dlt645Station(THREE, METER))
    switch(ask, 0x3A)
    assert status_3(ask) & 0x1000
    refused = switch(ask, 0x1A)
    assert refused is not None
    assert refused.control == 0xDC
    switch(ask, 0x3B)
    assert switch(ask, 0x1A) is not None
    assert status_3(ask) & 0x10


@pytest.mark.parametrize(
    ("command", "head", "ahead_min", "error"),
    [
        (0x1A, bytes.fromhex("0299999900000000"), 10, 0x04),
        (0x1A, bytes.fromhex("0900000000000000"), 10, 0x04),
        (0x1A, LEVEL_2, -1, 0x01),
        (0x77, LEVEL_2, 10, 0x01),
    ],
)
def test_commands_without_right_time_or_meaning_are_refused(
    command: int, head: bytes, ahead_min: int, error: int
) -> None:
    ask = asking(Dlt645Station(THREE, METER))
    answer = switch(ask, command, head=head, ahead_min=ahead_min)
    assert answer is not None
    assert (answer.control, answer.data) == (0xDC, bytes([error]))
    assert status_3(ask) & 0x50 == 0


def test_a_prepaid_meter_counts_down_warns_and_trips() -> None:
    station = Dlt645Station(THREE, METER, purse=Purse(money=1500))
    ask = asking(station)
    assert one(ask, 0x00900200) == 15.0
    assert not status_3(ask) & 0x80
    second = NOON
    while not status_3(ask, second) & 0x10:
        second += 600
        assert second < NOON + 30 * 86_400
    assert status_3(ask, second) & 0x80
    assert status_3(ask, second) & 0x300 == 0x200
    assert one(ask, 0x00900200, second) == 0.0
    overdrawn = one(ask, 0x00900201, second)
    assert isinstance(overdrawn, float)
    assert overdrawn < 5


def test_a_purchase_counts_once() -> None:
    station = Dlt645Station(THREE, METER, Manners(sealed=True), purse=Purse(money=100))
    ask = asking(station)
    sealed = (5000).to_bytes(4, "little") + (1).to_bytes(4, "little") + bytes(14)
    first = ask(0x03, di(0x070102FF) + bytes(4) + sealed)
    again = ask(0x03, di(0x070102FF) + bytes(4) + sealed)
    assert first is not None
    assert again is not None
    assert (first.control, again.control, again.data) == (0x83, 0xC3, b"\x20\x00")
    assert one(ask, 0x00900200) == 51.0
    assert one(ask, 0x03330201) == 1


def test_load_records_are_those_of_the_time() -> None:
    ask = asking(Dlt645Station(THREE, METER))
    first = LOCAL - timedelta(hours=1)
    answer = ask(0x11, records.since(4, 3, first))
    assert answer is not None
    found = records.samples(4, answer.data[4:])
    assert sorted({each.at for each in found}) == [first + timedelta(minutes=15 * at) for at in range(3)]
    energies = [each.value for each in found if each.quantity is Quantity.ACTIVE_ENERGY_IMPORT]
    assert energies == [one(ask, 0x00010000, NOON - 3600 + 900 * at) for at in range(3)]
    newest = ask(0x11, records.newest(0))
    assert newest is not None
    assert {each.at for each in records.samples(0, newest.data[4:])} == {LOCAL}
    assert len(records.samples(0, newest.data[4:])) == 7 + 8 + 4 + 4 + 4 + 2


def test_frozen_values_are_those_of_midnight() -> None:
    ask = asking(Dlt645Station(THREE, METER))
    time = ask(0x11, di(0x05060002))
    assert time is not None
    at = records.frozen_time(time.data[4:])
    assert at == LOCAL.replace(hour=0) - timedelta(days=1)
    energies = ask(0x11, di(0x05060102))
    assert energies is not None
    samples = records.frozen_samples(at, 0x05060102, energies.data[4:])
    midnight = NOON - 12 * 3600 - 86_400
    assert samples[0].value == one(ask, 0x00010000, midnight)


def test_the_address_can_be_set() -> None:
    station = Dlt645Station(THREE, METER)
    answer = asking(station)(0x15, bytes.fromhex("000000000042")[::-1])
    assert answer is not None
    assert answer.control == 0x95
    assert station.address == "000000000042"


def test_values_stand_still_while_the_meter_is_frozen() -> None:
    station = Dlt645Station(THREE, METER)
    station.fault_state.set((faults.Frozen(),), NOON * NS)
    ask = asking(station)
    assert one(ask, 0x00010000, NOON + 3600) == one(asking(Dlt645Station(THREE, METER)), 0x00010000)


OLD = Manners(version="1997", passwords={0: "111111"})


@pytest.mark.parametrize(
    ("number", "quantity", "tolerance"),
    [
        (0x9010, Quantity.ACTIVE_ENERGY_IMPORT, 0.01),
        (0x9013, Quantity.ACTIVE_ENERGY_IMPORT_T3, 0.01),
        (0xB612, Quantity.VOLTAGE_L2, 0.6),
        (0xB621, Quantity.CURRENT_L1, 0.006),
        (0xB630, Quantity.ACTIVE_POWER, 0.0001),
        (0xB650, Quantity.POWER_FACTOR, 0.0006),
    ],
)
def test_a_meter_of_1997_tells_the_same(number: int, quantity: Quantity, tolerance: float) -> None:
    answer = asking(Dlt645Station(THREE, METER, OLD))(0x01, di(number, 2))
    measured = Meter(THREE).values(NOON)[quantity.code]
    assert measured is not None
    (shown,) = values(answer, 2).values()
    assert shown == pytest.approx(measured / quantity.per_unit, abs=tolerance)


def test_a_meter_of_1997_has_blocks_months_clock_and_numbers() -> None:
    ask = asking(Dlt645Station(THREE, METER, OLD))
    assert len(values(ask(0x01, "1F90"), 2)) == 5
    assert len(values(ask(0x01, "1FB6"), 2)) == 3
    assert values(ask(0x01, "32C0"), 2) == {"meter_number": METER}
    assert values(ask(0x01, "10C0"), 2) == {"date": "2026-11-22 weekday 0"}
    assert values(ask(0x01, "11C0"), 2) == {"time": "12:00:00"}
    first = int(datetime(2026, 10, 31, 19, tzinfo=UTC).timestamp())
    last_month = values(ask(0x01, "1094"), 2)["energy_active_import_last_month"]
    assert [last_month] == list(values(ask(0x01, "1090", second=first), 2).values())
    demand = values(ask(0x01, "10A0"), 2)["demand_active_import"]
    assert isinstance(demand, float)
    assert values(ask(0x01, "10B0"), 2) == {"demand_time_active_import": "11-21 19:15"}


def test_a_meter_of_1997_answers_the_broadcast_address_and_not_2007() -> None:
    ask = asking(Dlt645Station(THREE, METER, OLD))
    answer = ask(0x01, "1090", address=BROADCAST)
    assert answer is not None
    assert answer.address == METER
    assert ask(0x11, di(0x00010000)) is None
    assert ask(0x13, address=ANY) is None


def test_a_meter_of_1997_is_written_with_its_password() -> None:
    ask = asking(Dlt645Station(THREE, METER, OLD))
    wrong = ask(0x04, bytes.fromhex("11C0" + "00222222" + "000013"))
    right = ask(0x04, bytes.fromhex("11C0" + "00111111" + "000013"))
    unknown = ask(0x01, "FFEE")
    assert wrong is not None
    assert right is not None
    assert unknown is not None
    assert (wrong.control, wrong.data, right.control) == (0xC4, b"\x04", 0x84)
    assert (unknown.control, unknown.data) == (0xC1, b"\x02")
    assert values(ask(0x01, "11C0"), 2) == {"time": "13:00:00"}


def test_any_request_is_survived() -> None:
    for manners in (Manners(), OLD):
        ask = asking(Dlt645Station(THREE, METER, manners, purse=Purse(100) if manners is not OLD else None))
        for control in range(0x20):
            for data in (b"", b"\0", bytes(2), bytes(3), bytes(4), b"\xff" * 8, LEVEL_2 + bytes(8), bytes(50)):
                answer = ask(control, data)
                assert answer is None or answer.from_meter
