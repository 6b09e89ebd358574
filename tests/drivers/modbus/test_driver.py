"""The driver against a device made of bytes, with every trouble a line knows."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from address_space.model.clock import SystemClock
from address_space.model.ids import UnitHandle
from address_space.model.quality import GOOD, Reason
from drivers.api import Device, Request, WriteRequest
from drivers.errors import BadFrame, ChannelDown, DeviceRefused, NoAnswer
from drivers.modbus import Target, plugin
from drivers.modbus.refusals import EXCEPTION_NAMES, refusal
from drivers.transport import Lines

PLAIN = """
modbus: {fc: 3}
points:
  VoltageL1: {at: 0, type: uint16, scale: 0.1, unit: V}
  ActiveEnergyImport: {at: 1, type: uint32, scale: 0.01, unit: kWh}
"""


def plain(bench: Any) -> None:
    bench.device.registers.update({0: 2301, 1: 0, 2: 12345})


async def test_values_arrive_in_base_units(bench: Any, compiled: Any) -> None:
    plain(bench)
    reading = await bench.read(compiled(PLAIN))
    assert reading.values.tolist() == [230.1, 123_450]
    assert reading.status.tolist() == [GOOD, GOOD]
    assert len(bench.device.asked) == 1


async def test_silence_is_no_answer_and_the_line_stays_open(bench: Any, compiled: Any) -> None:
    plain(bench)

    async def silent(_device: Any, _asked: Any) -> None:
        return

    bench.device.behaviour = silent
    for _ in range(3):
        with pytest.raises(NoAnswer):
            await bench.read(compiled(PLAIN))
    bench.device.behaviour = None
    assert (await bench.read(compiled(PLAIN))).status.tolist() == [GOOD, GOOD]
    assert bench.device.connections == 1


async def test_a_late_answer_is_never_taken_for_the_next_ones(bench: Any, compiled: Any) -> None:
    plain(bench)
    late: list[asyncio.TimerHandle] = []

    async def tardy(device: Any, asked: Any) -> None:
        stale = device.frame(asked, bytes([3, 6]) + bytes.fromhex("000000000001"))
        late.append(asyncio.get_running_loop().call_later(0.6, device.raw, stale))

    bench.device.behaviour = tardy
    with pytest.raises(NoAnswer):
        await bench.read(compiled(PLAIN))
    bench.device.behaviour = None
    assert (await bench.read(compiled(PLAIN))).values.tolist() == [230.1, 123_450]


async def test_on_an_untagged_line_an_answer_one_request_behind_is_never_believed(rtu: Any, compiled: Any) -> None:
    plain(rtu)
    held: list[Any] = []

    async def one_behind(device: Any, asked: Any) -> None:
        if held:
            await device.answer(held.pop())
        held.append(asked)

    rtu.device.behaviour = one_behind
    for _ in range(4):
        with pytest.raises((NoAnswer, BadFrame)):
            await rtu.read(compiled(PLAIN))
    rtu.device.registers[0] = 2444
    rtu.device.behaviour = None
    assert (await rtu.read(compiled(PLAIN))).values.tolist() == [244.4, 123_450]
    lengths = [each.count for each in rtu.device.asked]
    assert all(a != b for a, b in pairwise(lengths))


async def test_a_device_in_step_is_asked_once_a_reading_on_an_untagged_line(rtu: Any, compiled: Any) -> None:
    plain(rtu)
    for _ in range(3):
        await rtu.read(compiled(PLAIN))
    assert len(rtu.device.asked) == 3


async def test_a_stale_frame_gives_the_answer_no_more_time(tcp: Any, compiled: Any) -> None:
    plain(tcp)
    loop = asyncio.get_running_loop()

    async def stale_then_late(device: Any, asked: Any) -> None:
        device.send(asked, bytes([3, 6]) + bytes(6), transaction=asked.transaction + 7)
        loop.call_later(0.8, device.send, asked, bytes([3, 6]) + bytes(6))

    tcp.device.behaviour = stale_then_late
    with pytest.raises(BadFrame, match="other transactions"):
        await tcp.read(compiled(PLAIN))


async def test_a_stale_frame_before_the_answer_is_passed_over(tcp: Any, compiled: Any) -> None:
    plain(tcp)

    async def stale_first(device: Any, asked: Any) -> None:
        device.send(asked, bytes([3, 6]) + bytes(6), transaction=asked.transaction + 7)
        await device.answer(asked)

    tcp.device.behaviour = stale_first
    assert (await tcp.read(compiled(PLAIN))).values.tolist() == [230.1, 123_450]


BROKEN = {
    "too few registers": lambda device, asked: device.send(asked, bytes([3, 4]) + bytes(4)),
    "too many registers": lambda device, asked: device.send(asked, bytes([3, 8]) + bytes(8)),
    "byte count that lies": lambda device, asked: device.send(asked, bytes([3, 6]) + bytes(4)),
    "another function": lambda device, asked: device.send(asked, bytes([4, 6]) + bytes(6)),
    "another unit": lambda device, asked: device.send(asked, bytes([3, 6]) + bytes(6), unit=9),
    "half an answer": lambda device, asked: device.raw(device.frame(asked, bytes([3, 6]) + bytes(6))[:9]),
    "garbage": lambda device, asked: device.raw(b"\xff\x00GARBAGE\xff\xff\xff"),
}


@pytest.mark.parametrize("fault", BROKEN)
async def test_what_is_no_answer_is_a_bad_frame_and_the_next_reading_is_good(
    bench: Any, fault: str, compiled: Any
) -> None:
    plain(bench)

    async def broken(device: Any, asked: Any) -> None:
        BROKEN[fault](device, asked)

    bench.device.behaviour = broken
    with pytest.raises(BadFrame):
        await bench.read(compiled(PLAIN))
    bench.device.behaviour = None
    if not bench.driver.connected:
        await bench.driver.open()
    assert (await bench.read(compiled(PLAIN))).values.tolist() == [230.1, 123_450]


async def test_a_wrong_checksum_is_a_bad_frame(rtu: Any, compiled: Any) -> None:
    async def noisy(device: Any, asked: Any) -> None:
        frame = device.frame(asked, bytes([3, 6]) + bytes(6))
        device.raw(frame[:-1] + bytes([frame[-1] ^ 1]))

    rtu.device.behaviour = noisy
    with pytest.raises(BadFrame, match="checksum"):
        await rtu.read(compiled(PLAIN))


@pytest.mark.parametrize("code", EXCEPTION_NAMES)
async def test_an_exception_answer_says_what_the_device_means(code: int, tcp: Any, compiled: Any) -> None:
    async def refuse(device: Any, asked: Any) -> None:
        device.send(asked, bytes([0x83, code]))

    tcp.device.behaviour = refuse
    with pytest.raises(DeviceRefused) as caught:
        await tcp.read(compiled(PLAIN))
    expected = {1: Reason.NOT_SUPPORTED, 2: Reason.NOT_SUPPORTED, 10: Reason.TIMEOUT, 11: Reason.TIMEOUT}
    assert caught.value.code == code
    assert caught.value.reason is expected.get(code, Reason.DEVICE_ERROR)
    assert caught.value.retryable is (code in (5, 6, 10, 11))


async def test_a_dropped_connection_fails_at_once_and_can_be_opened_again(tcp: Any, compiled: Any) -> None:
    plain(tcp)

    async def hang_up(device: Any, _asked: Any) -> None:
        device.writer.close()

    tcp.device.behaviour = hang_up
    started = asyncio.get_running_loop().time()
    with pytest.raises(ChannelDown):
        await tcp.read(compiled(PLAIN))
    assert asyncio.get_running_loop().time() - started < 0.15
    assert not tcp.driver.connected
    with pytest.raises(ChannelDown):
        await tcp.read(compiled(PLAIN))
    tcp.device.behaviour = None
    await tcp.driver.open()
    assert (await tcp.read(compiled(PLAIN))).status.tolist() == [GOOD, GOOD]
    assert tcp.device.connections == 2


async def test_a_port_that_nobody_listens_on_is_a_channel_down(unused_tcp_port_factory: Any) -> None:
    port = unused_tcp_port_factory()
    driver = plugin.create(
        "bus", plugin.options(host="127.0.0.1", port=port, connect_timeout_ms=500), Lines(SystemClock())
    )
    with pytest.raises(ChannelDown):
        await driver.open()
    assert not driver.connected


async def test_cancelling_a_request_leaves_the_line_usable(tcp: Any, compiled: Any) -> None:
    plain(tcp)

    async def silent(_device: Any, _asked: Any) -> None:
        return

    tcp.device.behaviour = silent
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(tcp.read(compiled(PLAIN)), 0.03)
    tcp.device.behaviour = None
    assert (await tcp.read(compiled(PLAIN))).status.tolist() == [GOOD, GOOD]


OPTIONAL = """
modbus: {fc: 4, max_gap: 10}
points:
  VoltageL1: {at: 0, type: uint16, unit: V}
  VoltageL2: {at: 1, type: uint16, unit: V, optional: true}
  VoltageL3: {at: 2, type: uint16, unit: V, optional: true}
  CurrentL1: {at: 3, type: uint16, unit: A}
"""


async def test_registers_a_device_lacks_are_found_once_and_the_others_are_read(tcp: Any, compiled: Any) -> None:
    tcp.device.registers.update({0: 230, 2: 231, 3: 5})
    profile = compiled(OPTIONAL)
    first = await tcp.read(profile)
    learning = len(tcp.device.asked)
    second = await tcp.read(profile)
    for reading in (first, second):
        assert reading.status.tolist() == [GOOD, Reason.NOT_SUPPORTED.status, GOOD, GOOD]
        assert reading.values[[0, 2, 3]].tolist() == [230, 231, 5]
    asked = [(each.address, each.count) for each in tcp.device.asked[learning:]]
    assert asked == [(0, 1), (2, 2)]


async def test_a_device_that_refused_everything_is_asked_again_and_believed_when_it_answers(
    tcp: Any, compiled: Any
) -> None:
    profile = compiled(OPTIONAL)
    for _ in range(2):
        assert set((await tcp.read(profile)).status.tolist()) == {Reason.NOT_SUPPORTED.status}
    learnt = len(tcp.device.asked)
    await tcp.read(profile)
    assert len(tcp.device.asked) == learnt + 1
    tcp.device.registers.update({0: 230, 1: 229, 2: 231, 3: 5})
    assert (await tcp.read(profile)).values.tolist() == [230, 229, 231, 5]
    assert len(tcp.device.asked) == learnt + 2


async def test_another_device_of_the_profile_is_not_blamed(tcp: Any, compiled: Any) -> None:
    profile = compiled(OPTIONAL)
    tcp.device.registers.update({0: 230, 2: 231, 3: 5})
    await tcp.read(profile, unit=1)
    tcp.device.registers[1] = 229
    assert (await tcp.read(profile, unit=2)).values.tolist() == [230, 229, 231, 5]


async def test_a_block_without_optional_points_is_refused_as_a_whole(tcp: Any, compiled: Any) -> None:
    with pytest.raises(DeviceRefused):
        await tcp.read(compiled(PLAIN))
    assert len(tcp.device.asked) == 1


RATIOS = """
modbus:
  ratios: {ct: {at: 0x38, type: uint16}, pt: 1}
points:
  CurrentL1: {at: 0, type: uint16, scale: 0.01, unit: A, ratio: ct}
"""


async def test_a_ratio_register_is_read_once_an_hour_and_multiplied(tcp: Any, compiled: Any) -> None:
    tcp.device.registers.update({0: 512, 0x38: 40})
    profile = compiled(RATIOS)
    assert (await tcp.read(profile)).values.tolist() == [204.8]
    assert (await tcp.read(profile)).values.tolist() == [204.8]
    assert [each.address for each in tcp.device.asked] == [0x38, 0, 0]


async def test_an_impossible_ratio_gives_no_values(tcp: Any, compiled: Any) -> None:
    tcp.device.registers.update({0: 512, 0x38: 0})
    with pytest.raises(DeviceRefused, match="CT"):
        await tcp.read(compiled(RATIOS))


VARIANTS = """
points:
  VoltageL1: {at: 0, type: uint16, scale: 0.1, unit: V}
  Frequency: {at: 1, type: uint16, scale: 0.01, unit: Hz}
variants:
  new:
    when: [{at: 100, type: string, words: 2, equals: SOCO}]
    points:
      VoltageL1: {at: 10, scale: 0.01}
      Frequency: null
      CurrentL1: {at: 11, type: uint16, unit: A}
"""


async def test_a_variant_is_recognised_and_read_its_own_way(tcp: Any, compiled: Any) -> None:
    profile = compiled(VARIANTS)
    tcp.device.registers.update({0: 1, 1: 5000, 10: 23010, 11: 7, 100: 0x534F, 101: 0x434F})
    reading = await tcp.read(profile)
    assert [point.name for point in profile.profile.points] == ["VoltageL1", "Frequency", "CurrentL1"]
    assert reading.status.tolist() == [GOOD, Reason.NOT_SUPPORTED.status, GOOD]
    assert reading.values[[0, 2]].tolist() == [230.1, 7]


async def test_a_device_that_lacks_the_identifying_register_is_the_profile_itself(tcp: Any, compiled: Any) -> None:
    tcp.device.registers.update({0: 2301, 1: 5000})
    reading = await tcp.read(compiled(VARIANTS))
    assert reading.status.tolist() == [GOOD, GOOD, Reason.NOT_SUPPORTED.status]
    assert reading.values[:2].tolist() == [230.1, 50.0]


async def test_a_failed_request_gives_its_points_its_reason(tcp: Any, compiled: Any) -> None:
    profile = compiled(PLAIN.replace("at: 1", "at: 200"))
    tcp.device.registers.update({0: 2301})
    meter = Device(UnitHandle(1), 0, "meter", profile, "1")
    plan = tcp.driver.plan(meter, (0, 1))
    answers: dict[Request, Any] = {plan.requests[0]: await tcp.driver.request(meter, plan.requests[0])}
    answers[plan.requests[1]] = Reason.BAD_FRAME
    reading = tcp.driver.decode(meter, plan, answers)
    assert reading.status.tolist() == [GOOD, Reason.BAD_FRAME.status]
    nothing = tcp.driver.decode(meter, plan, {})
    assert nothing.status.tolist() == [Reason.TIMEOUT.status] * 2


async def test_writes_are_sent_once_and_say_how_they_ended(tcp: Any, compiled: Any) -> None:
    meter = Device(UnitHandle(1), 0, "meter", compiled(PLAIN), "1")
    done = await tcp.driver.write(meter, WriteRequest(Target(16, 0x57), (1, 1)))
    assert done.acknowledged is True
    assert tcp.device.asked[-1].pdu == bytes.fromhex("1000570002040001 0001")

    async def refuse(device: Any, asked: Any) -> None:
        device.send(asked, bytes([asked.pdu[0] | 0x80, 3]))

    tcp.device.behaviour = refuse
    assert (await tcp.driver.write(meter, WriteRequest(Target(6, 1), (1,)))).acknowledged is False

    async def silent(_device: Any, _asked: Any) -> None:
        return

    tcp.device.behaviour = silent
    before = len(tcp.device.asked)
    assert (await tcp.driver.write(meter, WriteRequest(Target(5, 1), (1,)))).acknowledged is None
    assert len(tcp.device.asked) == before + 1


def test_devices_of_one_profile_share_a_plan_on_every_channel(compiled: Any) -> None:
    profile = compiled(PLAIN)
    options = plugin.options(host="127.0.0.1")
    lines = Lines(SystemClock())
    plans = [
        plugin.create(channel, options, lines).plan(Device(UnitHandle(unit), 0, "meter", profile, str(unit)), (0, 1))
        for unit, channel in enumerate(("a", "b"), start=1)
    ]
    assert plans[0] is plans[1]


async def test_a_probe_tells_the_first_value(tcp: Any, compiled: Any) -> None:
    plain(tcp)
    meter = Device(UnitHandle(1), 0, "meter", compiled(PLAIN), "1")
    assert await tcp.driver.probe(meter) == "test/meter: VoltageL1 = 230.1 V"


def test_an_unknown_exception_code_is_a_device_error() -> None:
    assert refusal(77, "unit 1").reason is Reason.DEVICE_ERROR


@pytest.mark.parametrize("address", ["1", "247", "0", "255"])
def test_possible_unit_addresses_pass(address: str) -> None:
    assert plugin.check_address(address, None) == ""


@pytest.mark.parametrize("address", ["", "248", "254", "256", "-1", "1.5", "abc", "٣"])
def test_impossible_unit_addresses_are_told(address: str) -> None:
    assert "no Modbus unit address" in plugin.check_address(address, None)
