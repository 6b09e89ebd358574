"""The spool: what is to reach a distant store is on this disk first, and leaves it only when it was taken.

A reading is accepted when `append` returns, which is after the commit. Many appends at once share one commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from address_space.model.clock import Clock
from historian.errors import HistoryError
from historian.outbox import Outbox
from historian.owned import Owned
from historian.parcels import DeadLetter, Parcel, SpoolState, Verdict, Waiting
from historian.schema import Measurement

__all__ = ["DeadLetter", "Parcel", "Spool", "SpoolOptions", "SpoolState", "Verdict", "Waiting"]

FILE = "outbox.db"
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class SpoolOptions:
    """Bounds of the spool. Above `ceiling_bytes` of parcels gauges and states are shed, then counters, never events.

    reserve_bytes  kept back on the disk, so that parcels can leave when it is full; as much as is written between two
                   checkpoints
    """

    ceiling_bytes: int = 10 * 1024**3
    reserve_bytes: int = 24 * 1024**2


@dataclass(slots=True, eq=False)
class _Turn:
    """One append that waits for its commit."""

    parcels: Sequence[Parcel]
    done: bool = False
    error: HistoryError | None = None


class Spool:
    """Parcels on the way to their sinks. Use with `async with`; raises HistoryError where the disk does not write."""

    def __init__(self, folder: Path, clock: Clock, options: SpoolOptions | None = None) -> None:
        self.path = folder / FILE
        self.options = options if options is not None else SpoolOptions()
        self._clock = clock
        self._outbox: Owned[Outbox] = Owned("history-spool", "the spool is not open", str(self.path))
        self._turns: list[_Turn] = []
        self._commit = asyncio.Lock()
        self._arrived: dict[str, asyncio.Event] = {}

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Open or make the file; one that is damaged as a whole is put aside and a new one begun."""
        options = self.options
        await self._outbox.open(lambda: Outbox(self.path, options.ceiling_bytes, options.reserve_bytes))

    async def close(self) -> None:
        """Finish what was asked for and release the file; a second call does nothing."""
        await self._outbox.close(Outbox.close)

    async def append(self, parcels: Sequence[Parcel]) -> None:
        """Keep parcels; they are on the disk when this returns."""
        if not parcels:
            return
        turn = _Turn(parcels)
        self._turns.append(turn)
        async with self._commit:
            if not turn.done:
                await self._commit_all()
        if turn.error is not None:
            raise turn.error
        for sink in {parcel.sink for parcel in parcels}:
            self.arrivals(sink).set()

    def arrivals(self, sink: str) -> asyncio.Event:
        """Set whenever something for this sink was kept; whoever waits for it clears it."""
        return self._arrived.setdefault(sink, asyncio.Event())

    async def oldest(self, sink: str, parcels: int) -> list[Waiting]:
        """The first parcels that wait for a sink, oldest first."""
        return await self._outbox.run(lambda outbox: outbox.oldest(sink, parcels))

    async def settle(self, verdict: Verdict) -> None:
        """Do as the verdict says, all or nothing."""
        now_ms = self._clock.now_ns() // _NS_PER_MS
        await self._outbox.run(lambda outbox: outbox.settle(verdict, now_ms))

    async def state(self) -> SpoolState:
        """How much waits and what was given up."""
        return await self._outbox.run(Outbox.state)

    async def oldest_ms(self, measurements: Sequence[Measurement]) -> int:
        """Time of the oldest line of some measurements that waits, 0 where none does."""
        return await self._outbox.run(lambda outbox: outbox.oldest_ms(measurements))

    async def dead_letters(self, most: int = 100) -> list[DeadLetter]:
        """The newest dead letters."""
        return await self._outbox.run(lambda outbox: outbox.dead_letters(most))

    async def revive(self) -> int:
        """Put the dead letters back in the queue; says how many lines."""
        lines = await self._outbox.run(Outbox.revive)
        for event in self._arrived.values():
            event.set()
        return lines

    async def _commit_all(self) -> None:
        """Commit every append that waits, in one transaction; runs under the lock."""
        turns, self._turns = self._turns, []
        parcels = [parcel for turn in turns for parcel in turn.parcels]
        error: HistoryError | None = None
        try:
            work = self._outbox.begin(lambda outbox: outbox.append(parcels))
            try:
                await asyncio.shield(work)
            except asyncio.CancelledError:
                await asyncio.wait([work])  # the others' parcels are part of it: they learn what became of them
                found = work.exception()
                error = found if isinstance(found, HistoryError) else None
                raise
        except HistoryError as refused:
            error = refused
        finally:
            for turn in turns:
                turn.done, turn.error = True, error
