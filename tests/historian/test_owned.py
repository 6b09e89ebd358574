"""What belongs to one thread is made, used and released there."""

from __future__ import annotations

import asyncio
import threading

import pytest

from historian.errors import StoreClosed
from historian.owned import Owned

NAME = "of-its-own"


class Thing:
    """Remembers which threads had to do with it."""

    def __init__(self) -> None:
        self.threads = [threading.current_thread().name]
        self.done: list[int] = []

    def use(self, number: int) -> int:
        self.threads.append(threading.current_thread().name)
        self.done.append(number)
        return number

    def release(self) -> None:
        self.threads.append(threading.current_thread().name)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(NAME)]


async def test_all_that_is_asked_for_is_done_on_one_thread_in_turn() -> None:
    owned: Owned[Thing] = Owned(NAME, "it is not open")
    await owned.open(Thing)
    thing = owned.thing
    assert thing is not None
    begun = [owned.begin(lambda each, number=number: each.use(number)) for number in range(20)]
    closing = asyncio.ensure_future(owned.close(Thing.release))
    assert await asyncio.gather(*begun) == list(range(20))
    await closing
    assert thing.done == list(range(20))
    assert len(thing.threads) == 22
    assert len(set(thing.threads)) == 1
    assert threads() == []


async def test_who_comes_before_or_after_is_told_so() -> None:
    owned: Owned[Thing] = Owned(NAME, "it is not open", "here")
    with pytest.raises(StoreClosed, match="it is not open"):
        await owned.run(lambda thing: thing.use(1))
    await owned.open(Thing)
    await owned.close(Thing.release)
    await owned.close(Thing.release)
    assert owned.thing is None
    with pytest.raises(StoreClosed, match="here"):
        await owned.run(lambda thing: thing.use(1))


async def test_what_cannot_be_made_or_released_leaves_no_thread_behind() -> None:
    owned: Owned[Thing] = Owned(NAME, "it is not open")
    with pytest.raises(ZeroDivisionError):
        await owned.open(lambda: 1 // 0)  # type: ignore[arg-type,return-value]
    assert owned.thing is None
    await owned.open(Thing)
    with pytest.raises(ZeroDivisionError):
        await owned.close(lambda _: print(1 // 0))
    async with asyncio.timeout(120):
        while threads():  # noqa: ASYNC110  # threads end without an event
            await asyncio.sleep(0.01)
    with pytest.raises(StoreClosed):
        await owned.run(lambda thing: thing.use(1))
