"""Lines that hear themselves: the echo goes, the answer stays, and trouble with the echo is told."""

from __future__ import annotations

import asyncio
import random

import pytest

from address_space.model.clock import SystemClock
from drivers.errors import BadFrame, ChannelDown, NoAnswer
from drivers.transport import EchoLink, LineOptions, Lines, PairLink, SerialSettings, pair

REQUEST = bytes.fromhex("010400000002 71CB")
ANSWER = bytes.fromhex("0104040000 0001 3B44")


@pytest.fixture
def line() -> tuple[EchoLink, PairLink]:
    near, far = pair("bus")
    return EchoLink(near, "ch1", SystemClock()), far


async def test_the_echo_is_taken_out_of_what_is_received(line):
    link, far = line
    link.send(REQUEST)
    far.send(REQUEST + ANSWER)
    assert await link.receive(1) == ANSWER


async def test_an_echo_and_an_answer_in_any_pieces_give_the_answer(line):
    link, far = line
    dice = random.Random(1)
    for _ in range(200):
        link.discard()
        link.send(REQUEST)
        stream = REQUEST + ANSWER
        cuts = sorted(dice.sample(range(1, len(stream)), dice.randrange(6)))
        pieces = [stream[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

        async def speak(pieces: list[bytes] = pieces) -> None:
            for piece in pieces:
                far.send(piece)
                await asyncio.sleep(0)

        speaking = asyncio.ensure_future(speak())
        got = b""
        while len(got) < len(ANSWER):
            got += await link.receive(1)
        await speaking
        assert got == ANSWER


async def test_an_answer_equal_to_the_request_is_kept(line):
    link, far = line
    write = bytes.fromhex("0106000A0001 69C8")
    link.send(write)
    far.send(write + write)
    assert await link.receive(1) == write


async def test_what_stands_before_the_echo_is_older_and_dropped(line):
    link, far = line
    link.send(REQUEST)
    far.send(b"late answer" + REQUEST + ANSWER)
    assert await link.receive(1) == ANSWER


async def test_a_silent_line_has_lost_its_echo_and_says_so(line):
    link, _ = line
    link.send(REQUEST)
    with pytest.raises(NoAnswer, match=r"ch1 \(bus.*did not echo what was sent.*take `echo` out"):
        await link.receive(0.01)


async def test_a_garbled_echo_is_told_with_both_sides(line):
    link, far = line
    link.send(REQUEST)
    far.send(bytes((REQUEST[0] ^ 8,)) + REQUEST[1:])
    with pytest.raises(BadFrame, match=r"01 04 00 00 00 02 71 CB went out, 09 04 00 00 00 02 71 CB came back"):
        await link.receive(0.02)


async def test_a_line_without_echo_is_told_though_a_device_answers(line):
    link, far = line
    link.send(REQUEST)
    far.send(ANSWER)
    with pytest.raises(BadFrame, match="where the adapter has no echo"):
        await link.receive(0.02)


async def test_only_the_device_being_silent_is_silence(line):
    link, far = line
    link.send(REQUEST)
    far.send(REQUEST)
    assert await link.receive(0.02) == b""


async def test_trouble_is_over_with_the_next_request(line):
    link, far = line
    link.send(REQUEST)
    with pytest.raises(NoAnswer):
        await link.receive(0.01)
    far.send(REQUEST)  # the echo that came too late
    assert link.discard() == REQUEST
    link.send(REQUEST)
    far.send(REQUEST + ANSWER)
    assert await link.receive(1) == ANSWER


async def test_it_is_open_closed_and_tuned_with_its_line(line):
    link, _ = line
    await link.open()
    assert link.connected
    link.tune(SerialSettings(2400))
    assert link.character_s == SerialSettings(2400).character_s
    link.close()
    assert not link.connected
    with pytest.raises(ChannelDown):
        link.send(b"x")


def test_any_transport_may_have_an_echo():
    lines = Lines(SystemClock())
    link = lines.link("c1", LineOptions(host="10.0.0.1", port=1, echo=True))
    assert isinstance(link, EchoLink)
    assert link.name == "10.0.0.1:1"
