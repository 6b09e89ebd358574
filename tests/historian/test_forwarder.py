"""The forwarder's table of answers, line by line, without a network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from address_space.model.clock import ManualClock
from historian.forwarder import POST_LINES, Answer, Forwarder, Reply
from historian.schema import Measurement
from historian.spool import Parcel, Spool

CLOCK = ManualClock(1_800_000_000_000_000_000)
Judge = Callable[[list[bytes]], Reply]


class Shelf:
    """A sink that keeps what it takes; `judge` says what it answers to the lines of a post."""

    name = "shelf"

    def __init__(self) -> None:
        self.kept: set[bytes] = set()
        self.posts: list[int] = []
        self.judge: Judge = lambda _: Reply(Answer.STORED)

    async def post(self, lines: bytes) -> Reply:
        each = lines.split(b"\n")
        self.posts.append(len(each))
        reply = self.judge(each)
        if reply.answer is Answer.STORED:
            self.kept.update(each)
        return reply


class Bench:
    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.shelf = Shelf()
        self.forwarder = Forwarder(spool, self.shelf, CLOCK)
        self.sent: set[bytes] = set()

    async def append(self, count: int, *, parcels: int = 1, bad: tuple[int, ...] = ()) -> None:
        for number in range(parcels):
            lines = [b"bad %d" % line if line in bad else b"line %d-%d" % (number, line) for line in range(count)]
            self.sent.update(lines)
            body = b"\n".join(lines)
            await self.spool.append([Parcel("shelf", Measurement.ENERGY, body, count, 0, count)])


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with Spool(tmp_path, CLOCK) as spool:
        yield Bench(spool)


def refusing(status: str) -> Judge:
    """Refuses a post as a whole because of any bad line in it."""

    def judge(lines: list[bytes]) -> Reply:
        wrong = any(line.startswith(b"bad") for line in lines)
        return Reply(Answer.REFUSED, status) if wrong else Reply(Answer.STORED)

    return judge


async def test_what_was_taken_leaves_the_spool(bench: Bench) -> None:
    await bench.append(100, parcels=3)
    await bench.forwarder.drain()
    assert bench.shelf.kept == bench.sent
    assert (await bench.spool.state()).parcels == 0
    assert bench.forwarder.state.sent_lines == 300


async def test_small_parcels_go_together_and_never_more_than_a_post_holds(bench: Bench) -> None:
    await bench.append(POST_LINES // 4, parcels=10)
    await bench.forwarder.drain()
    assert bench.shelf.posts == [POST_LINES, POST_LINES, POST_LINES // 2]


@pytest.mark.parametrize("bad", [(0,), (99,), (17, 18), (3, 50, 98), tuple(range(0, 100, 10))])
async def test_bad_lines_are_found_and_every_good_line_is_stored(bench: Bench, bad: tuple[int, ...]) -> None:
    bench.shelf.judge = refusing("400 partial write")
    await bench.append(100, parcels=2, bad=bad)
    await bench.forwarder.drain()
    assert bench.shelf.kept == {line for line in bench.sent if line.startswith(b"line")}
    letters = await bench.spool.dead_letters()
    assert sorted(letter.lines for letter in letters) == sorted(2 * [b"bad %d" % number for number in bad])
    assert {letter.error for letter in letters} == {"400 partial write"}
    assert bench.forwarder.state.dead_lines == 2 * len(bad)
    assert (await bench.spool.state()).parcels == 0


async def test_a_post_that_is_too_large_is_halved_until_it_fits(bench: Bench) -> None:
    bench.shelf.judge = lambda lines: Reply(Answer.TOO_LARGE if len(lines) > 30 else Answer.STORED)
    await bench.append(1000)
    await bench.forwarder.drain()
    assert bench.shelf.kept == bench.sent
    assert (await bench.spool.state()).dead == 0


@pytest.mark.parametrize("answer", [Answer.DENIED, Answer.LATER])
async def test_all_is_kept_while_the_store_is_away_or_denies(bench: Bench, answer: Answer) -> None:
    bench.shelf.judge = lambda _: Reply(answer, "503 out for lunch")
    await bench.append(50, parcels=4)
    await bench.forwarder.drain()
    assert (await bench.spool.state()).lines == 200
    assert bench.forwarder.state.trouble == "503 out for lunch"
    assert bench.forwarder.state.denied is (answer is Answer.DENIED)
    bench.shelf.judge = lambda _: Reply(Answer.STORED)
    await bench.forwarder.drain()
    assert bench.shelf.kept == bench.sent
    assert bench.forwarder.state.trouble == ""


async def test_pauses_grow_to_a_minute_and_follow_what_the_store_asks(bench: Bench) -> None:
    bench.shelf.judge = lambda _: Reply(Answer.LATER)
    await bench.append(1)
    pauses = [await bench.forwarder._round() for _ in range(9)]
    assert all(pause is not None and 0.7 <= pause <= 60 for pause in pauses)
    assert pauses[0] < pauses[3] < pauses[8]
    assert pauses[8] >= 40
    bench.forwarder._healed()
    bench.shelf.judge = lambda _: Reply(Answer.LATER, retry_after_s=20)
    asked = await bench.forwarder._round()
    assert asked is not None
    assert 15 <= asked <= 20


async def test_nothing_waiting_is_no_round(bench: Bench) -> None:
    assert await bench.forwarder._round() is None


async def test_a_sink_that_breaks_its_word_and_raises_stops_nothing(tmp_path: Path) -> None:
    clock = ManualClock(1_800_000_000_000_000_000)
    async with Spool(tmp_path, clock) as spool:
        shelf = Shelf()
        forwarder = Forwarder(spool, shelf, clock)

        def broken(_: list[bytes]) -> Reply:
            raise ValueError("no such answer is known")

        shelf.judge = broken
        await spool.append([Parcel("shelf", Measurement.ENERGY, b"line", 1, 0, 1)])
        task = asyncio.create_task(forwarder.run())
        while not forwarder.state.trouble:
            await spool.state()
        assert "no such answer" in forwarder.state.trouble
        shelf.judge = lambda _: Reply(Answer.STORED)
        while not shelf.kept:
            await clock.advance(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert shelf.kept == {b"line"}
