"""One request and the wait for its answer, on two ends in memory and a clock that is moved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from address_space.model.clock import SystemClock
from drivers.errors import ChannelDown
from drivers.transport import Arrivals, SerialSettings, ask, pair
from drivers.transport.link import MOST_BUFFERED

CLOCK = SystemClock()


def whole(size: int) -> Callable[[bytes], bytes | None]:
    """Takes what comes until it is so long."""
    heard = bytearray()

    def take(data: bytes) -> bytes | None:
        heard.extend(data)
        return bytes(heard) if len(heard) >= size else None

    return take


async def test_the_answer_is_what_take_makes_of_what_arrives():
    near, far = pair()
    asking = asyncio.ensure_future(ask(near, b"ask", whole(6), 60.0, CLOCK))
    assert await far.receive(1) == b"ask"
    far.send(b"ans")
    await asyncio.sleep(0)
    far.send(b"wer")
    assert await asking == (b"answer", 6)


async def test_what_had_arrived_before_is_no_answer():
    near, far = pair()
    far.send(b"stale")
    assert await ask(near, b"ask", whole(1), 0.01, CLOCK) == (None, 0)


async def test_silence_and_half_an_answer_are_told_apart():
    near, far = pair()
    assert await ask(near, b"ask", whole(6), 0.01, CLOCK) == (None, 0)
    asking = asyncio.ensure_future(ask(near, b"ask", whole(6), 1.0, CLOCK, silence_s=0.01))
    await asyncio.sleep(0)
    far.send(b"ans")
    assert await asyncio.wait_for(asking, 60) == (None, 3)


async def test_a_device_that_babbles_on_is_not_heard_for_ever():
    near, far = pair()

    async def babble() -> None:
        while True:
            far.send(b"x")
            await asyncio.sleep(0.005)

    babbling = asyncio.ensure_future(babble())
    answer, heard = await asyncio.wait_for(ask(near, b"ask", lambda _: None, 1.0, CLOCK, silence_s=0.1), 15)
    babbling.cancel()
    assert answer is None
    assert heard > 1


async def test_a_slow_line_gives_the_request_time_to_leave():
    near, _ = pair()
    near.tune(SerialSettings(300))
    began = CLOCK.monotonic_ns()
    await ask(near, bytes(6), whole(1), 0.01, CLOCK)
    assert CLOCK.monotonic_ns() - began >= 6 * near.character_s * 1e9


async def test_a_line_that_is_lost_meanwhile_ends_the_wait():
    near, far = pair()
    asking = asyncio.ensure_future(ask(near, b"ask", whole(1), 60.0, CLOCK))
    await asyncio.sleep(0)
    near.arrivals.lose(ChannelDown("the cable was cut"))
    with pytest.raises(ChannelDown, match="cut"):
        await asyncio.wait_for(asking, 60)
    far.close()


async def test_a_wait_that_is_cancelled_leaves_the_line_usable():
    near, far = pair()
    asking = asyncio.ensure_future(ask(near, b"ask", whole(1), 60.0, CLOCK))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    far.send(b"late")
    assert near.discard() == b"late"


async def test_bytes_nobody_asks_for_do_not_pile_up():
    arrivals = Arrivals()
    for number in range(100):
        arrivals.feed(bytes((number,)) * 1000)
    kept = arrivals.take()
    assert len(kept) == MOST_BUFFERED
    assert kept.endswith(bytes((99,)) * 1000)


async def test_the_first_reason_of_a_loss_is_the_one_told():
    arrivals = Arrivals()
    arrivals.lose(ChannelDown("first"))
    arrivals.lose(ChannelDown("second"))
    with pytest.raises(ChannelDown, match="first"):
        await arrivals.receive(1)
    arrivals.restart()
    assert await arrivals.receive(0.001) == b""
