"""The driver over a simulated bus: what it sends, what it believes, and what it never takes for an answer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from address_space.model.quality import GOOD, Reason
from address_space.model.quantity import Quantity
from drivers.cjt188.echoes import TRUSTED
from drivers.cjt188.frame import ANY, DIGITS, Frame, encode
from drivers.cjt188.identifiers import DiOrder
from drivers.codec.frame68 import address_bytes
from drivers.errors import BadFrame, ChannelDown, DeviceRefused, NoAnswer
from drivers.simulators.cjt188 import Cjt188Station, ClockManner, Kind, Manners
from drivers.simulators.faults import (
    Dropped,
    Echo,
    EveryNth,
    ExceptionAnswer,
    Garbage,
    HalfFrame,
    Late,
    LongPreamble,
    NoiseBefore,
    Silent,
    StrayAnswer,
    WrongCheck,
    WrongLength,
    WrongUnit,
)

HEAT = """\
cjt188: {type: 0x20}
points:
  HeatEnergy: {di: 0x901F, field: heat_current, unit: kWh}
  Volume: {di: 0x901F, field: volume, unit: m3}
"""
PREPAID = """\
points:
  Volume: {di: 0x901F, field: cumulative, unit: m3}
  Prepayment.MeterCredit: {di: 0x8105, field: remaining}
"""


def litres(station: Cjt188Station, now_ns: int) -> float:
    """What the register shows, in litres."""
    return station.flow.millilitres(now_ns // 10**9) // 10_000 * 10.0


async def test_a_reading_is_what_the_meter_shows(bench: Any, compiled: Any, device: Any) -> None:
    station = bench.attach(Cjt188Station("1"))
    values = await bench.values(device(compiled()))
    assert values == {Quantity.VOLUME: (litres(station, bench.clock.now_ns()), GOOD)}
    assert litres(station, bench.clock.now_ns()) > 1000


async def test_the_request_is_the_standards(bench: Any, compiled: Any, device: Any) -> None:
    bench.attach(Cjt188Station("00123456789012"))
    meter = device(compiled(), "123456789012")
    await bench.values(meter)
    await bench.values(meter)
    assert bench.sent[0].hex(" ") == "fe fe fe 68 10 12 90 78 56 34 12 00 01 03 1f 90 01 e2 16"
    assert bench.sent[1].hex(" ") == "fe fe fe 68 10 12 90 78 56 34 12 00 01 03 1f 90 02 e3 16"


async def test_the_plan_tells_the_bytes_on_the_wire(bench: Any, compiled: Any, device: Any) -> None:
    station = bench.attach(Cjt188Station("1", manners=Manners(preamble=4)))
    meter = device(compiled())
    (request,) = bench.driver.plan(meter, (0,)).requests
    await bench.values(meter)
    reply = station.answer(bench.sent[0], bench.clock.now_ns())
    assert (request.sent, request.received) == (len(bench.sent[0]), len(reply or b""))


async def test_the_serial_number_starts_again_after_255(bench: Any, compiled: Any, device: Any) -> None:
    bench.attach(Cjt188Station("1"))
    meter = device(compiled())
    for _ in range(257):
        await bench.values(meter)
    assert [frame[-3] for frame in bench.sent[-3:]] == [255, 0, 1]


@pytest.mark.parametrize("order", ["le", "be"])
@pytest.mark.parametrize("answered", [DiOrder.LE, DiOrder.BE, None])
async def test_both_orders_of_the_identifier_are_read(
    bench: Any, compiled: Any, device: Any, order: str, answered: DiOrder | None
) -> None:
    bench.attach(Cjt188Station("1", manners=Manners(di_order=answered, accepts=(DiOrder(order),))))
    profile = compiled(
        f"cjt188: {{di_order: {order}}}\npoints:\n  Volume: {{di: 0x901F, field: cumulative, unit: m3}}\n"
    )
    assert (await bench.values(device(profile)))[Quantity.VOLUME][1] == GOOD


async def test_a_meter_that_answers_with_another_type_is_known_by_its_address(
    bench: Any, compiled: Any, device: Any
) -> None:
    bench.attach(Cjt188Station("1", Kind.HEAT, manners=Manners(answer_type=0x25)))
    values = await bench.values(device(compiled(HEAT)))
    assert values[Quantity.HEAT_ENERGY][1] == GOOD


@pytest.mark.parametrize("clock", list(ClockManner))
async def test_a_meters_clock_never_matters_to_a_reading(
    bench: Any, compiled: Any, device: Any, clock: ClockManner
) -> None:
    bench.attach(Cjt188Station("1", manners=Manners(clock=clock)))
    assert (await bench.values(device(compiled())))[Quantity.VOLUME][1] == GOOD


async def test_a_wildcard_reads_the_only_meter_of_a_line(bench: Any, compiled: Any, device: Any) -> None:
    bench.attach(Cjt188Station("77"))
    meter = device(compiled(), ANY)
    assert (await bench.values(meter))[Quantity.VOLUME][1] == GOOD
    assert await bench.driver.probe(meter) == "meter 00000000000077"


async def test_a_probe_of_a_silent_address_says_so(bench: Any, compiled: Any, device: Any) -> None:
    with pytest.raises(NoAnswer, match="no answer within 300 ms"):
        await bench.driver.probe(device(compiled()))


@pytest.mark.parametrize(
    "fault",
    [NoiseBefore(20), LongPreamble(30), LongPreamble(5, 0x00), Echo(), StrayAnswer()],
    ids=lambda fault: type(fault).__name__,
)
async def test_noise_that_leaves_the_answer_whole_does_no_harm(
    bench: Any, compiled: Any, device: Any, fault: Any
) -> None:
    station, other = bench.attach(Cjt188Station("1")), bench.attach(Cjt188Station("2"))
    await bench.values(device(compiled(), "2", 2))
    station.fault_state.set((fault,), bench.clock.now_ns())
    values = await bench.values(device(compiled()))
    assert values[Quantity.VOLUME] == (litres(station, bench.clock.now_ns()), GOOD)
    assert litres(other, bench.clock.now_ns()) != values[Quantity.VOLUME][0]


@pytest.mark.parametrize(
    ("fault", "error", "what"),
    [
        (Silent(), NoAnswer, "no answer"),
        (WrongCheck(), BadFrame, "checksum"),
        (WrongUnit(), BadFrame, "an answer of meter 00000000000002"),
        (HalfFrame(), BadFrame, "cut off"),
        (Garbage(), BadFrame, "arrived"),
        (StrayAnswer(alone=True), BadFrame, "an answer of meter 00000000000002"),
    ],
    ids=lambda part: type(part).__name__ if hasattr(part, "when") else None,
)
async def test_what_is_no_answer_is_not_taken_for_one(
    bench: Any, compiled: Any, device: Any, fault: Any, error: type[Exception], what: str
) -> None:
    station = bench.attach(Cjt188Station("1"))
    bench.attach(Cjt188Station("2"))
    await bench.values(device(compiled(), "2", 2))
    station.fault_state.set((fault,), bench.clock.now_ns())
    with pytest.raises(error, match=what) as caught:
        await bench.values(device(compiled()))
    assert caught.value.retryable  # type: ignore[attr-defined]


async def test_an_answer_of_unknown_length_gives_points_without_values(bench: Any, compiled: Any, device: Any) -> None:
    station = bench.attach(Cjt188Station("1"))
    station.fault_state.set((WrongLength(1),), bench.clock.now_ns())
    assert (await bench.values(device(compiled())))[Quantity.VOLUME][1] == Reason.BAD_FRAME.status


async def test_a_line_that_breaks_is_down_and_comes_back(bench: Any, compiled: Any, device: Any) -> None:
    station = bench.attach(Cjt188Station("1"))
    station.fault_state.set((Dropped(),), bench.clock.now_ns())
    with pytest.raises((ChannelDown, BadFrame)):
        await bench.values(device(compiled()))
    assert not bench.driver.connected


async def test_an_error_answer_carries_the_status(bench: Any, compiled: Any, device: Any) -> None:
    station = bench.attach(Cjt188Station("1"))
    station.fault_state.set((ExceptionAnswer(0x04),), bench.clock.now_ns())
    with pytest.raises(DeviceRefused, match="its status is 0004") as caught:
        await bench.values(device(compiled()))
    assert (caught.value.code, caught.value.reason, caught.value.retryable) == (0x0400, Reason.DEVICE_ERROR, False)


async def test_an_identifier_the_meter_does_not_know_is_not_supported(bench: Any, compiled: Any, device: Any) -> None:
    bench.attach(Cjt188Station("1"))
    profile = compiled("points:\n  Volume: {di: 0x911F, field: volume, unit: m3}\n")
    with pytest.raises(DeviceRefused) as caught:
        await bench.values(device(profile))
    assert caught.value.reason is Reason.NOT_SUPPORTED


async def test_the_credit_of_a_prepaid_meter_is_read(bench: Any, compiled: Any, device: Any) -> None:
    station = bench.attach(Cjt188Station("1"))
    bought = Frame(0x10, "00000000000001", 4, bytes.fromhex("13a001" + "01" + "50750000"))
    assert station.answer(encode(bought), bench.clock.now_ns())
    values = await bench.values(device(compiled(PREPAID)))
    assert values[Quantity.METER_CREDIT] == (75.5, GOOD)


# serial numbers


def late(ser: int, volume: str = "00000000") -> bytes:
    """An answer of meter 1 to an earlier request."""
    data = bytes.fromhex(f"1f90{ser:02x}{volume}2c000000002c") + bytes(9)
    return encode(Frame(0x10, "00000000000001", 0x81, data))


async def test_a_meter_that_does_not_repeat_serial_numbers_is_read(bench: Any, compiled: Any, device: Any) -> None:
    bench.attach(Cjt188Station("1", manners=Manners(echoes_ser=False)))
    meter = device(compiled())
    bench.driver._wire._echoes.next()
    for _ in range(5):
        assert (await bench.values(meter))[Quantity.VOLUME][1] == GOOD


async def test_with_strict_ser_another_serial_number_is_no_answer(bench: Any, compiled: Any, device: Any) -> None:
    bench.attach(Cjt188Station("1", manners=Manners(echoes_ser=False)))
    profile = compiled("cjt188: {strict_ser: true}\npoints:\n  Volume: {di: 0x901F, field: cumulative, unit: m3}\n")
    bench.driver._wire._echoes.next()
    with pytest.raises(BadFrame, match="serial number 01, asked was 02"):
        await bench.values(device(profile))


async def test_a_late_answer_of_a_meter_that_repeats_numbers_is_not_taken(
    bench: Any, compiled: Any, device: Any, clear_line: Callable[[Any, bytes], None]
) -> None:
    station = bench.attach(Cjt188Station("1"))
    meter = device(compiled())
    for _ in range(TRUSTED):
        await bench.values(meter)
    clear_line(station, late(1))
    values = await bench.values(meter)
    assert values[Quantity.VOLUME] == (litres(station, bench.clock.now_ns()), GOOD)


async def test_an_answer_held_back_until_the_next_request_is_not_taken_for_its_answer(
    bench: Any, compiled: Any, device: Any
) -> None:
    station = bench.attach(Cjt188Station("1"))
    meter = device(compiled())
    station.fault_state.set((Late(EveryNth(TRUSTED + 1)),), bench.clock.now_ns())
    for _ in range(TRUSTED):
        await bench.values(meter)
    with pytest.raises(NoAnswer):
        await bench.values(meter)
    held = litres(station, bench.clock.now_ns())
    await bench.clock.advance(48 * 3600)
    fresh = litres(station, bench.clock.now_ns())
    assert (await bench.values(meter))[Quantity.VOLUME] == (fresh, GOOD)
    assert fresh > held


async def test_a_meter_not_known_to_repeat_numbers_is_believed(
    bench: Any, compiled: Any, device: Any, clear_line: Callable[[Any, bytes], None]
) -> None:
    station = bench.attach(Cjt188Station("1"))
    clear_line(station, late(77))
    assert (await bench.values(device(compiled())))[Quantity.VOLUME] == (0.0, GOOD)


async def test_a_meter_that_stops_repeating_numbers_is_read_again_after_a_while(
    bench: Any, compiled: Any, device: Any
) -> None:
    station = bench.attach(Cjt188Station("1"))
    meter = device(compiled())
    for _ in range(TRUSTED):
        await bench.values(meter)
    station.manners = Manners(echoes_ser=False)
    station._ser = 200
    outcomes = []
    for _ in range(5):
        try:
            await bench.values(meter)
        except BadFrame:
            outcomes.append("bad")
        else:
            outcomes.append("good")
    assert outcomes == ["bad", "bad", "bad", "good", "good"]


@pytest.fixture
def clear_line() -> Callable[[Any, bytes], None]:
    """Let a station say something else first, once."""

    def install(station: Any, first: bytes) -> None:
        answer = station.answer

        def with_late(request: bytes, now_ns: int) -> bytes | None:
            station.answer = answer
            reply = answer(request, now_ns)
            return None if reply is None else first + reply

        station.answer = with_late

    return install


# the line


async def test_a_sleeping_meter_is_woken_before_each_request(
    benches: Callable[..., AbstractAsyncContextManager[Any]], compiled: Any, device: Any
) -> None:
    async with benches(wake_up_ms=100, wake_up_byte=0x55, preamble=10) as bench:
        bench.attach(Cjt188Station("1"))
        meter = device(compiled())
        await bench.values(meter)
        assert bench.sent[0].startswith(b"\x55" * 22 + b"\xfe" * 10 + b"\x68")
        assert bench.driver.plan(meter, (0,)).requests[0].sent == len(bench.sent[0])


async def test_a_meters_own_gap_is_kept_where_it_is_longer_than_the_channels(
    bench: Any, compiled: Any, device: Any, begun: Any
) -> None:
    bench.attach(Cjt188Station("1"))
    profile = compiled("cjt188: {gap_ms: 900}\npoints:\n  Volume: {di: 0x901F, field: cumulative, unit: m3}\n")
    meter = device(profile)
    await bench.values(meter)
    second = await begun(bench.values(meter))
    await bench.clock.advance(0.8)
    assert len(bench.sent) == 1
    await bench.clock.advance(0.2)
    await second
    assert len(bench.sent) == 2


async def test_the_address_on_the_wire_is_low_byte_first() -> None:
    assert address_bytes("00123456789012", DIGITS).hex() == "12907856341200"
