"""Takes device readings as they come and commits them to a store, at least once a second.

What is accepted is written; what cannot be accepted is counted. While the store cannot write, readings wait in memory:
above three quarters of the capacity gauges and states are refused, above all of it counters too.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import numpy as np

from address_space.model.clock import NS, Clock
from address_space.model.ids import NodeUid
from address_space.model.plant import Plant
from address_space.model.value import Batch
from historian.api import END_MS, HistoryWriter, Readings, Row
from historian.columns import Columns, Thresholds, picked, readings_of_rows
from historian.errors import HistoryError, StoreClosed, StoreFull
from historian.schema import Measurement, measurement_of

COMMIT_S = 0.5
COMMIT_VALUES = 200_000
CAPACITY_VALUES = 2_000_000
CLOSE_S = 10.0
_COUNTER = 1
_NS_PER_MS = 1_000_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RecorderCounters:
    """Values since the start, and how far behind the store is."""

    accepted: int
    committed: int
    dropped_inst: int
    """Gauges and states refused for want of room."""
    dropped_energy: int
    """Counters refused for want of room."""
    lost: int
    """Accepted values that the store refused for good, or that could not be written before the end."""
    lag_s: float
    """Age of the oldest value that is not committed."""

    @property
    def pending(self) -> int:
        """Accepted and not committed yet."""
        return self.accepted - self.committed - self.lost


@dataclass(slots=True, eq=False)
class _Chunk:
    """What is committed together."""

    columns: Columns
    since_ns: int
    batches: list[Batch] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    size: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Wiring:
    columns: Columns
    thresholds: Thresholds
    first_units: list[int]
    whole: list[bool]
    """Per block: every measured variable is recorded and none has a deadband."""


class Recorder:
    """Bounded buffer before a store. Use with `async with`; the store is opened before and closed after.

    commit_s         how long a reading waits at most before it is written
    commit_values    so many values are written without waiting
    capacity_values  so many wait at most
    """

    def __init__(
        self,
        store: HistoryWriter,
        plant: Plant,
        clock: Clock,
        *,
        commit_s: float = COMMIT_S,
        commit_values: int = COMMIT_VALUES,
        capacity_values: int = CAPACITY_VALUES,
    ) -> None:
        self._store = store
        self._plant = plant
        self._clock = clock
        self._commit_s = commit_s
        self._commit_values = commit_values
        self._capacity = capacity_values
        self._inst_capacity = capacity_values * 3 // 4
        self._chunks: deque[_Chunk] = deque()
        self._wiring: _Wiring | None = None
        self._task: asyncio.Task[None] | None = None
        self._work = asyncio.Event()
        self._urgent = asyncio.Event()
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._accepted = 0
        self._committed = 0
        self._lost = 0
        self._refused_times = 0
        self._dropped = {Measurement.ENERGY: 0, Measurement.INST: 0}
        self._fault: HistoryError | None = None
        self._refusing = False

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def counters(self) -> RecorderCounters:
        """How it is doing."""
        lag_ns = self._clock.monotonic_ns() - self._chunks[0].since_ns if self._chunks else 0
        return RecorderCounters(
            self._accepted,
            self._committed,
            self._dropped[Measurement.INST],
            self._dropped[Measurement.ENERGY],
            self._lost,
            lag_ns / NS,
        )

    @property
    def fault(self) -> HistoryError | None:
        """Why nothing can be written at the moment, None while all is well."""
        return self._fault

    async def open(self) -> None:
        """Number the plant's units and begin to commit; raises HistoryError."""
        await self.adopt(self._plant)
        self._task = asyncio.create_task(self._run(), name="recorder")

    async def adopt(self, plant: Plant) -> None:
        """Take handles as those of another plant from here on; what was offered before is still written."""
        columns = Columns(plant, await self._store.series([unit.id for unit in plant.units]))
        whole = []
        for index, block in enumerate(plant.blocks):
            measured = block.template.measured
            plain = not any(point.deadband > 0 for point in block.template.points)
            whole.append(plain and bool(columns.recorded(index)[:measured].all()))
        first_units = [block.first_unit for block in plant.blocks]
        self._wiring = _Wiring(columns, Thresholds(plant), first_units, whole)
        self._plant = plant

    def offer(self, batch: Batch) -> None:
        """Take a reading for the store; never waits. What there is no room for is dropped and counted."""
        wiring = self._wiring
        if wiring is None or not len(batch.handles):
            return
        if batch.slot_ns < 0:
            self._refuse_time(batch.slot_ns // _NS_PER_MS, len(batch.handles))
            return
        block = bisect_right(wiring.first_units, batch.unit) - 1
        pending = self._accepted - self._committed - self._lost
        roomy = pending + len(batch.handles) <= self._inst_capacity
        if not (roomy and wiring.whole[block]):
            reduced = self._reduced(wiring, block, batch, pending)
            if reduced is None:
                return
            batch = reduced
        chunk = self._open_chunk(wiring.columns)
        chunk.batches.append(batch)
        self._accept(chunk, len(batch.handles))

    def offer_row(self, row: Row) -> None:
        """Take a reading that is not of a point of the plant (or is known by the unit's id only), whole or not."""
        wiring = self._wiring
        if wiring is None or not len(row.quantities):
            return
        if not 0 <= row.slot_ms < END_MS:
            self._refuse_time(row.slot_ms, len(row.quantities))
            return
        pending = self._accepted - self._committed - self._lost
        measurements = [measurement_of(quantity) for quantity in row.quantities]
        has_energy = Measurement.ENERGY in measurements
        if pending + len(row.quantities) > (self._capacity if has_energy else self._inst_capacity):
            for measurement in measurements:
                if measurement is not None:
                    self._drop(measurement, 1)
            return
        chunk = self._open_chunk(wiring.columns)
        chunk.rows.append(row)
        self._accept(chunk, len(row.quantities))

    async def flush(self) -> None:
        """Return when all that was accepted so far is committed; raises HistoryError where the store cannot."""
        target = self._accepted
        if target <= self._committed + self._lost:
            return
        if self._task is None or self._task.done():
            raise StoreClosed("the recorder is not running")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((target, done))
        self._urgent.set()
        await done

    async def close(self) -> None:
        """Commit what was accepted and stop; what a failing store does not take is counted as lost and logged."""
        task, self._task = self._task, None
        self._wiring = None
        if task is None:
            return
        self._task = task
        try:
            async with asyncio.timeout(CLOSE_S):
                await self.flush()
        except (HistoryError, TimeoutError) as error:
            pending = self.counters.pending
            self._lost += pending
            _log.error("history lost at the end values=%d error=%s", pending, error)
        finally:
            self._task = None
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._chunks.clear()

    # taking

    def _first_handle(self, block: int, batch: Batch) -> int:
        of_block = self._plant.blocks[block]
        return of_block.first_handle + (batch.unit - of_block.first_unit) * of_block.template.width

    def _reduced(self, wiring: _Wiring, block: int, batch: Batch, pending: int) -> Batch | None:
        """What of a batch is to be recorded and has room."""
        offsets = batch.handles - self._first_handle(block, batch)
        places = np.flatnonzero(wiring.columns.recorded(block)[offsets])
        if len(places) < len(offsets):
            batch, offsets = picked(batch, places), offsets[places]
        moved = wiring.thresholds.filter(block, offsets, batch)
        if moved is not None and len(moved) < len(offsets):
            batch, offsets = picked(batch, moved), offsets[moved]
        if pending + len(offsets) > self._inst_capacity:
            counters = np.flatnonzero(wiring.columns.recorded(block)[offsets] == _COUNTER)
            self._drop(Measurement.INST, len(offsets) - len(counters))
            if pending + len(counters) > self._capacity:
                self._drop(Measurement.ENERGY, len(counters))
                return None
            batch = picked(batch, counters)
        if not len(batch.handles):
            return None
        wiring.thresholds.note(block, batch)
        return batch

    def _open_chunk(self, columns: Columns) -> _Chunk:
        if self._chunks:
            last = self._chunks[-1]
            if last.columns is columns and last.size < self._commit_values:
                return last
        chunk = _Chunk(columns, self._clock.monotonic_ns())
        self._chunks.append(chunk)
        self._work.set()
        return chunk

    def _accept(self, chunk: _Chunk, values: int) -> None:
        chunk.size += values
        self._accepted += values
        if chunk.size >= self._commit_values and self._fault is None:
            self._urgent.set()

    def _drop(self, measurement: Measurement, values: int) -> None:
        if values and not self._refusing:
            self._refusing = True
            _log.error("history buffer full, readings dropped capacity=%d fault=%s", self._capacity, self._fault)
        self._dropped[measurement] += values

    def _refuse_time(self, time_ms: int, values: int) -> None:
        """No store holds such a time: it is refused here, so that it takes no other reading with it."""
        if not self._refused_times:
            _log.error("history cannot hold a time, readings lost time_ms=%d values=%d", time_ms, values)
        self._refused_times += values
        self._accepted += values
        self._lost += values

    # committing

    async def _run(self) -> None:
        while True:
            await self._work.wait()
            await self._pause()
            await self._commit()

    async def _pause(self) -> None:
        """Wait for the commit interval, or less where it is urgent."""
        if not self._urgent.is_set():
            sleeper = asyncio.create_task(self._clock.sleep(self._commit_s), name="recorder-interval")
            urgent = asyncio.create_task(self._urgent.wait(), name="recorder-urgent")
            try:
                await asyncio.wait((sleeper, urgent), return_when=asyncio.FIRST_COMPLETED)
            finally:
                sleeper.cancel()
                urgent.cancel()
                await asyncio.gather(sleeper, urgent, return_exceptions=True)
        self._urgent.clear()

    async def _commit(self) -> None:
        """Write chunk after chunk until nothing is left or the store fails for now."""
        while self._chunks:
            chunk = self._chunks[0]
            if len(self._chunks) == 1:
                self._chunks.append(_Chunk(chunk.columns, self._clock.monotonic_ns()))
            try:
                await self._store.write(await self._readings(chunk))
            except HistoryError as error:
                if error.retryable:
                    self._failing(error)
                    return
                self._lose(chunk, error)
            except (MemoryError, OSError) as error:
                self._failing(_lacking(error))
                return
            except Exception as error:  # noqa: BLE001 - the border of the task: count it and go on
                self._lose(chunk, error)
            else:
                self._committed += chunk.size
                self._healed()
            self._chunks.popleft()
            self._settle(None)
            if len(self._chunks) == 1 and not self._chunks[0].size:
                self._chunks.clear()
        self._work.clear()

    async def _readings(self, chunk: _Chunk) -> list[Readings]:
        found = await asyncio.to_thread(chunk.columns.readings, chunk.batches)
        if chunk.rows:
            units: list[NodeUid] = [row.point for row in chunk.rows]
            found += readings_of_rows(chunk.rows, await self._store.series(units))
        return found

    def _failing(self, error: HistoryError) -> None:
        if self._fault is None:
            _log.error("history cannot be written, readings wait in memory error=%s", error)
        self._fault = error
        self._settle(error)

    def _healed(self) -> None:
        if self._fault is not None:
            _log.warning("history can be written again pending=%d", self.counters.pending)
        if self._refusing:
            _log.warning("history buffer takes readings again dropped=%d", sum(self._dropped.values()))
        self._fault = None
        self._refusing = False

    def _lose(self, chunk: _Chunk, error: Exception) -> None:
        self._lost += chunk.size
        _log.error("history refused, readings lost values=%d error=%r", chunk.size, error)

    def _settle(self, error: HistoryError | None) -> None:
        """Answer those who wait in `flush`."""
        settled = self._committed + self._lost
        waiting: list[tuple[int, asyncio.Future[None]]] = []
        for target, done in self._waiters:
            if done.done():
                continue
            if target <= settled:
                done.set_result(None)
            elif error is not None:
                done.set_exception(error)
            else:
                waiting.append((target, done))
        self._waiters = waiting


def _lacking(error: MemoryError | OSError) -> StoreFull:
    """What the machine lacks at the moment: memory, or handles of files."""
    lacks = (error.strerror if isinstance(error, OSError) else "") or "out of memory"
    return StoreFull(
        f"history cannot be written ({lacks.lower()})",
        hint="give the hub more of it, or end what else takes it; what waits is then written without a restart",
    )
