"""Deadlines on any clock for one thing at a time, at the price of one task that mostly sleeps.

A timer per exchange would cost two tasks per exchange; here a watchman wakes about once per deadline, looks whether
the exchange it finds is overdue, and ends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from address_space.model.clock import NS, Clock
from address_space.model.errors import HubError

_Result = TypeVar("_Result")


class Overrun(HubError):
    """The work was ended because its deadline had passed."""


@dataclass(slots=True)
class _Shift:
    task: asyncio.Task[Any]
    deadline_ns: int
    cancels: int = 0


class Watchman:
    """Ends work that overruns. `limit_s` is the usual deadline; none may be shorter."""

    def __init__(self, name: str, clock: Clock, limit_s: float) -> None:
        self.limit_s = limit_s
        self._name = name
        self._clock = clock
        self._shift: _Shift | None = None
        self._called = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Watchman:
        if self._tasks is not None:
            raise RuntimeError(f"{self._name} is already in use")
        self._tasks = asyncio.TaskGroup()
        await self._tasks.__aenter__()
        self._task = self._tasks.create_task(self._watch(), name=f"{self._name}-deadline")
        return self

    async def __aexit__(self, *failure: object) -> None:
        tasks, task = self._tasks, self._task
        self._tasks = self._task = None
        if tasks is not None and task is not None:
            task.cancel()
            await tasks.__aexit__(None, None, None)

    @property
    def on_duty(self) -> bool:
        """Whether it is in use."""
        return self._task is not None

    async def run(self, work: Coroutine[Any, Any, _Result], limit_s: float) -> _Result:
        """Result of `work`; raises Overrun where it took longer than `limit_s`. Cancellation passes through."""
        task = asyncio.current_task()
        if task is None or self._task is None:
            work.close()
            raise RuntimeError(f"{self._name} is not in use: enter it with `async with` first")
        before = task.cancelling()
        shift = self._shift = _Shift(task, self._clock.monotonic_ns() + round(limit_s * NS))
        if not self._called.is_set():
            self._called.set()
        try:
            return await work
        except asyncio.CancelledError:
            if shift.cancels and task.cancelling() - shift.cancels <= before:
                raise Overrun("the work did not end in time") from None
            raise
        finally:
            self._shift = None
            for _ in range(shift.cancels):
                task.uncancel()
            if task.cancelling() > before:
                raise asyncio.CancelledError  # also where the work swallowed it, as wait_for of Python 3.11 may

    async def _watch(self) -> None:
        while True:
            shift = self._shift
            if shift is None:
                self._called.clear()
                await self._called.wait()
                continue
            left_ns = shift.deadline_ns - self._clock.monotonic_ns()
            if left_ns > 0:
                await self._clock.sleep(min(left_ns / NS, self.limit_s))
                continue
            shift.deadline_ns += round(self.limit_s * NS)  # once more, should the work swallow its cancellation
            shift.cancels += 1
            shift.task.cancel()
