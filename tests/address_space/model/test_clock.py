"""The clocks, and conversions between nanoseconds and datetimes."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from address_space.model.clock import (
    EPOCH_1601_TICKS,
    NS,
    ManualClock,
    SystemClock,
    from_datetime,
    offset_ns,
    to_datetime,
)

moments = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants them naive


@given(moments)
def test_a_datetime_survives_the_way_through_nanoseconds(moment: datetime) -> None:
    assert to_datetime(from_datetime(moment)) == moment


@given(st.integers(-(2**60), 2**62))
def test_nanoseconds_lose_only_what_a_datetime_cannot_hold(ns: int) -> None:
    assert from_datetime(to_datetime(ns)) == ns - ns % 1000


def test_a_datetime_of_another_zone_is_the_same_instant() -> None:
    tashkent = timezone(timedelta(hours=5))
    assert from_datetime(datetime(2027, 1, 1, 5, tzinfo=tashkent)) == from_datetime(datetime(2027, 1, 1, tzinfo=UTC))


def test_a_naive_datetime_is_taken_as_utc() -> None:
    assert from_datetime(datetime(1970, 1, 2)) == 86_400 * NS  # noqa: DTZ001 - the subject


def test_the_opc_ua_epoch_lies_where_part_6_puts_it() -> None:
    span = datetime(1970, 1, 1, tzinfo=UTC) - datetime(1601, 1, 1, tzinfo=UTC)
    assert span // timedelta(microseconds=1) * 10 == EPOCH_1601_TICKS


async def test_the_system_clock_is_the_machine_clock() -> None:
    clock = SystemClock()
    before = time.time_ns(), time.monotonic_ns()
    seen = clock.now_ns(), clock.monotonic_ns()
    after = time.time_ns(), time.monotonic_ns()
    assert before[0] <= seen[0] <= after[0]
    assert before[1] <= seen[1] <= after[1]
    await clock.sleep(0)


async def test_sleepers_wake_in_the_order_of_their_deadlines_each_at_its_own_instant() -> None:
    clock = ManualClock()
    start = clock.now_ns()
    woken: list[tuple[str, int]] = []

    async def sleeper(name: str, *naps: float) -> None:
        for nap in naps:
            await clock.sleep(nap)
            woken.append((name, (clock.now_ns() - start) // NS))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(sleeper("late", 5), name="late")
        tasks.create_task(sleeper("twice", 1, 2), name="twice")
        tasks.create_task(sleeper("first", 1), name="first")
        await clock.advance(10)
    assert woken == [("twice", 1), ("first", 1), ("twice", 3), ("late", 5)]
    assert clock.now_ns() - start == clock.monotonic_ns() == 10 * NS


async def test_a_sleeper_does_not_wake_before_its_time() -> None:
    clock = ManualClock()
    nap = asyncio.create_task(clock.sleep(2), name="nap")
    await clock.advance(1.999)
    assert not nap.done()
    await clock.advance(0.001)
    assert nap.done()


async def test_a_cancelled_sleeper_disturbs_nobody() -> None:
    clock = ManualClock()
    gone = asyncio.create_task(clock.sleep(1), name="gone")
    stays = asyncio.create_task(clock.sleep(1), name="stays")
    await clock.advance(0)
    gone.cancel()
    await clock.advance(1)
    assert gone.cancelled()
    assert stays.done()


@pytest.mark.parametrize("seconds", [0, -1])
async def test_sleeping_for_no_time_returns_without_time_passing(seconds: float) -> None:
    clock = ManualClock()
    await clock.sleep(seconds)
    assert clock.monotonic_ns() == 0


async def test_a_jump_of_the_wall_clock_wakes_nobody() -> None:
    clock = ManualClock(start_ns=100 * NS)
    nap = asyncio.create_task(clock.sleep(60), name="nap")
    await clock.advance(0)
    clock.jump(3600)
    assert (clock.now_ns(), clock.monotonic_ns()) == (3700 * NS, 0)
    await clock.advance(59)
    assert not nap.done()
    clock.jump(-7200)
    await clock.advance(1)
    assert nap.done()
    assert clock.now_ns() == (100 + 3600 - 7200 + 60) * NS


def test_a_pause_between_the_looks_does_not_show_as_a_step() -> None:
    class Paused:
        """A process that stands still for a second after its first look at the time."""

        def __init__(self) -> None:
            self.looks = 0

        def monotonic_ns(self) -> int:
            self.looks += 1
            return 10 * NS + (NS if self.looks > 1 else 0)

        def now_ns(self) -> int:
            return 1_001 * NS

        async def sleep(self, seconds: float) -> None:
            raise AssertionError(seconds)

    assert offset_ns(Paused()) == 990 * NS
