"""Work under a deadline can be cancelled from outside, whatever it makes of that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from address_space.model.clock import ManualClock
from drivers.deadline import Overrun, Watchman
from drivers.errors import NoAnswer


def answers() -> str:
    return "answer"


def fails() -> str:
    raise NoAnswer("cancelled", where="line")


@pytest.mark.parametrize("ends", [answers, fails])
async def test_a_cancellation_that_the_work_swallows_still_ends_the_caller(ends: Callable[[], str]) -> None:
    begun = asyncio.Event()

    async def stubborn() -> str:
        try:
            begun.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return ends()
        return "never"

    async def caller() -> None:
        async with Watchman("line", ManualClock(), 1.0) as watchman:
            while True:
                await watchman.run(stubborn(), 1.0)

    task = asyncio.create_task(caller(), name="caller")
    await begun.wait()
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=60)
    assert done == {task}
    assert task.cancelled()


async def test_work_that_overruns_is_ended_and_the_caller_goes_on() -> None:
    clock = ManualClock()

    async def caller() -> str:
        async with Watchman("line", clock, 1.0) as watchman:
            with pytest.raises(Overrun):
                await watchman.run(asyncio.Event().wait(), 1.0)
            return await watchman.run(asyncio.sleep(0, "next"), 1.0)

    task = asyncio.create_task(caller(), name="caller")
    while not task.done():
        await clock.advance(0.5)
    assert task.result() == "next"
