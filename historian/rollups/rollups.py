"""Rollups of a running hub: hours, days and months of every unit in the site's time zone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from address_space.model.clock import NS, Clock
from address_space.model.ids import NodeUid
from address_space.model.quantity import Quantity
from historian.api import HistoryWriter, RowReader
from historian.buckets import Buckets
from historian.calendar import LAST_MS, Days, Width
from historian.counters import ANOMALIES, Move
from historian.leap import LeapGuard
from historian.rollups import reading
from historian.rollups.anomalies import AnomalyTable
from historian.rollups.file import FILE
from historian.rollups.limits import Changes, Ratings, unchanged
from historian.rollups.lines import RollupLines
from historian.rollups.options import Anomaly, RollupOptions, RollupState
from historian.rollups.recent import RecentAnomalies, anomaly
from historian.rollups.tap import Tap
from historian.rollups.threads import FileThreads
from historian.rollups.waiting import WaitingHours
from historian.rollups.worker import Worker
from historian.schema import field_of


class Rollups:
    """`RollupReader`, and what keeps it right. Use with `async with`; `run` meanwhile.

    reader   the store that readings are read back from
    lines    where hours and days are written to besides, None for nowhere
    changes  when a unit's transformers changed, and by how much each field
    unread   time of the oldest reading that is stored and cannot be read back yet, 0 where there is none
    guard    by which day it is counted what is too old to be kept, None for one of its own
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        reader: RowReader,
        days: Days,
        ratings: Ratings,
        options: RollupOptions | None = None,
        *,
        lines: RollupLines | None = None,
        changes: Changes = unchanged,
        unread: Callable[[], Awaitable[int]] | None = None,
        guard: LeapGuard | None = None,
    ) -> None:
        self.options = options if options is not None else RollupOptions()
        self._days = days
        self._files = FileThreads(folder / FILE)
        guard = guard if guard is not None else LeapGuard(folder)
        self._worker = Worker(self._files, clock, reader, days, ratings, self.options, lines, changes, unread, guard)
        self.recent = RecentAnomalies(self._files, self._worker, clock)
        """What registers did lately."""

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Open or make the file; raises HistoryError."""
        await self._files.open()
        try:
            await self._worker.resume()
            await self.recent.refresh()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what was asked for and release the file; a second call does nothing."""
        await self._files.close()

    def tap(self, writer: HistoryWriter) -> HistoryWriter:
        """The same writer, of whose readings the rollups know."""
        return Tap(writer, self._worker)

    async def run(self) -> None:
        """Compute what is due, for ever."""
        await self._worker.run()

    async def catch_up(self) -> None:
        """Compute all that is due now."""
        while await self.step():
            pass

    async def step(self) -> bool:
        """Compute some of what is due; whether there is more to do."""
        return await self._worker.step()

    @property
    def widths(self) -> tuple[Width, ...]:
        """Widths of the buckets that are kept or put together from what is kept."""
        own = (Width.HOUR, Width.DAY, Width.MONTH)
        return (Width.QUARTER, *own) if self.options.quarters else own

    @property
    def settled_ms(self) -> int:
        """Hours that ended before are computed, but those that were opened again."""
        return self._worker.settled_ms

    async def buckets(self, point: NodeUid, quantity: Quantity, start_ms: int, end_ms: int, width: Width) -> Buckets:
        """All buckets that touch [start_ms, end_ms)."""
        return (await self.buckets_of_many([point], quantity, start_ms, end_ms, width))[0]

    async def buckets_of_many(
        self, points: Sequence[NodeUid], quantity: Quantity, start_ms: int, end_ms: int, width: Width
    ) -> list[Buckets]:
        """The same of many units."""
        closed, span = self._worker.closed_day, (start_ms, end_ms)
        return await self._files.read(
            lambda file: reading.read(file, self._days, points, quantity, span, width, closed)
        )

    async def settled(self, points: Sequence[NodeUid], start_ms: int, end_ms: int) -> bool:
        """Whether rollups of [start_ms, end_ms) say all that the stored readings do."""
        if end_ms > self._worker.settled_ms or self._worker.late:
            return False
        first, last = self._days.number(start_ms), self._days.number(max(end_ms - 1, start_ms))
        return not await self._files.read(lambda file: WaitingHours(file).count(points, first, last))

    async def anomalies(
        self,
        units: Sequence[NodeUid] | None = None,
        start_ms: int = 0,
        end_ms: int = LAST_MS,
        *,
        moves: Sequence[Move] = ANOMALIES,
        most: int = 100,
    ) -> list[Anomaly]:
        """Resets, exchanges, roll-overs and glitches of [start, end), newest first, of some units or of all."""
        span = (start_ms, end_ms)
        found = await self._files.read(lambda file: AnomalyTable(file).listed(units, span, moves, most))
        return [made for uid, jump in found if (made := anomaly(NodeUid(uid), jump)) is not None]

    async def untold(self, most: int) -> list[Anomaly]:
        """The oldest that nobody was told of, and that are still news."""
        found = await self._files.read(lambda file: AnomalyTable(file).untold(most))
        return [made for uid, jump in found if (made := anomaly(NodeUid(uid), jump)) is not None]

    async def told(self, anomalies: Sequence[Anomaly]) -> None:
        """Somebody was told of these; on the disk on return."""
        keys = [(one.point, field_of(one.quantity), one.time_ms) for one in anomalies]
        await self._files.write(lambda file: AnomalyTable(file).told(keys))

    async def state(self) -> RollupState:
        """How it does."""
        worker = self._worker
        waiting = await self._files.read(lambda file: WaitingHours(file).count())
        return RollupState(
            worker.settled_ms,
            waiting + worker.unsaved,
            worker.open_units,
            worker.computed,
            worker.busy_ns / NS,
            worker.damaged,
            worker.trouble,
        )

    @property
    def found(self) -> Mapping[Move, int]:
        """What registers did that did not simply go on, since the start."""
        return dict(self._worker.found)
