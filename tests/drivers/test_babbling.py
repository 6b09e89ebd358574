"""One device that never stops sending, or half a bus that is dead, and what the others notice of it.

Lines here have real time, short: links wait by the event loop's own clock.
"""

from __future__ import annotations

import asyncio
import time

import pytest

from address_space.model.clock import SystemClock
from drivers.api import Line
from drivers.channel import Channel
from drivers.poller import PollClass, PolledDevice, Poller
from drivers.transport import SerialSettings, ask, pair
from drivers.transport.ask import LONGEST_ANSWER, MOST_HEARD, SILENCE_S

FLOOD = bytes(range(256)) * 16
SLIP_S = 20.0
"""How much later than it should an exchange may end on a busy machine; one without a bound is heard for longer."""


async def babble(far, every_s: float, data: bytes) -> None:
    while True:
        far.send(data)
        await asyncio.sleep(every_s)


@pytest.mark.parametrize(("every_s", "data"), [(0, FLOOD), (0.01, b"\x55"), (0.001, FLOOD[:30])])
@pytest.mark.parametrize("settings", [None, SerialSettings(9600)])
async def test_a_device_that_never_stops_sending_is_heard_for_a_bounded_time(every_s, data, settings):
    near, far = pair()
    if settings is not None:
        near.tune(settings)
    taken = bytearray()
    babbling = asyncio.ensure_future(babble(far, every_s, data))
    begun = time.monotonic()
    answer, heard = await ask(near, b"\x01", lambda more: taken.extend(more), 0.2, SystemClock(), silence_s=0.1)
    took_s = time.monotonic() - begun
    babbling.cancel()
    assert answer is None
    assert heard == len(taken) > 0
    assert took_s < 0.2 + 0.1 + LONGEST_ANSWER * near.character_s * 1.2 + SLIP_S
    assert heard <= MOST_HEARD + 64 * 1024
    assert SILENCE_S < 1


async def test_an_answer_inside_the_noise_is_still_found():
    near, far = pair()
    seen = bytearray()

    def take(data: bytes) -> bytes | None:
        seen.extend(data)
        return b"answer" if b"answer" in seen else None

    asyncio.get_running_loop().call_later(0.02, far.send, b"\xff" * 1000 + b"answer")
    assert (await ask(near, b"?", take, 0.5, SystemClock()))[0] == b"answer"


async def test_half_of_a_bus_at_9600_baud_is_dead_and_the_other_half_misses_no_slot(
    driver, sink, clock, device, running
):
    exchange_s = 0.18  # 8 bytes there, 90 back, 75 ms to answer
    for n in range(30):
        driver.devices[str(n)].latency_s = exchange_s
        driver.devices[str(n)].dead = n % 2 == 0
    line = Line(gap_s=0.02, timeout_s=1.0, quiet_s=0.5)
    devices = [PolledDevice(device(n), (PollClass(10, (0, 1)),)) for n in range(30)]
    under_test = Poller(Channel("bus", driver, line, clock), devices, sink, clock, seed=3)
    async with running(under_test.run()):
        await clock.advance(120)
        del sink.batches[:]
        missed = {unit: under_test.device(unit).slots_missed for unit in range(1, 30, 2)}
        await clock.advance(600)
    assert {unit: len(sink.read(unit)) for unit in range(1, 30, 2)} == dict.fromkeys(range(1, 30, 2), 60)
    assert {unit: under_test.device(unit).slots_missed for unit in range(1, 30, 2)} == missed
    assert all(driver.count(str(unit)) > 8 for unit in range(0, 30, 2))


async def test_a_full_bus_loses_no_more_than_their_share_to_its_dead_half(driver, sink, clock, device, running):
    for n in range(30):
        driver.devices[str(n)].latency_s = 0.18
        driver.devices[str(n)].dead = n % 2 == 0
    line = Line(gap_s=0.02, timeout_s=1.0, quiet_s=0.5)
    devices = [PolledDevice(device(n), (PollClass(1, (0, 1)),)) for n in range(30)]
    async with running(Poller(Channel("bus", driver, line, clock), devices, sink, clock, seed=3).run()):
        await clock.advance(200)
        del sink.batches[:]
        await clock.advance(300)
    assert len(sink.batches) >= 0.72 * 300 / (0.18 + 0.02)
