"""The heart of the running hub: readings in, live table, subscribers and history out.

Pollers put readings and reports into one bounded queue; when it is full they wait, so a slow hub polls less rather
than grows. The engine takes what has gathered and applies it as one group: the cost follows the number of values,
not the number of readings.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from address_space.model import NS, Batch, Clock, LiveTable, MeterState, Plant, Quantity, Reason, UnitHandle
from address_space.model.live import Changed
from address_space.model.point import Template
from address_space.model.quality import GOOD
from address_space.model.quantity import SYSTEM
from address_space.model.state_watch import Cells, StateChange, StateWatch
from address_space.model.value import Handles, Instants, Statuses, Values
from drivers.api import Exchange
from historian.schema import Measurement, measurement_of

log = logging.getLogger(__name__)

QUEUE_LIMIT = 8192
GROUP_LIMIT = 512
AGE_EVERY_S = 1.0
_MS_NS = 1_000_000

_QUALITY = SYSTEM.index(Quantity.QUALITY)
_ONLINE = SYSTEM.index(Quantity.ONLINE)
_FAILURES = SYSTEM.index(Quantity.CONSECUTIVE_FAILURES)
_LAST_SUCCESS = SYSTEM.index(Quantity.LAST_SUCCESS)
_LAST_ERROR = SYSTEM.index(Quantity.LAST_ERROR)
_SYSTEM_OFFSETS = np.arange(len(SYSTEM), dtype=np.int64)


class Projection(Protocol):
    """Whoever shows live values to subscribers."""

    def touch(self, handles: Handles, changed: Changed) -> None:
        """These points were verified; `changed` says which of them differ in value or status."""


class Recording(Protocol):
    """Whoever keeps readings."""

    def offer(self, batch: Batch) -> None:
        """Take one reading; never blocks."""


class States(Protocol):
    """Whoever tells of changes of states."""

    def tell(self, changes: Sequence[StateChange]) -> None:
        """These states changed; never blocks."""


class Engine:
    """Applies readings and reports; `run` until cancelled. Implements `drivers.api.Sink`."""

    def __init__(
        self,
        plant: Plant,
        live: LiveTable,
        projection: Projection,
        recorder: Recording | None,
        clock: Clock,
        states: States | None = None,
    ) -> None:
        self.plant = plant
        self.live = live
        self.values_applied = 0
        self.readings_applied = 0
        self.rejected = 0
        self._projection = projection
        self._recorder = recorder
        self._clock = clock
        self._states = states
        self._watch = StateWatch(plant)
        self._queue: asyncio.Queue[Batch | Exchange] = asyncio.Queue(QUEUE_LIMIT)
        self._idle = asyncio.Event()
        self._idle.set()
        self._columns = _Columns(plant)
        self._gauges = {block.first_unit: _gauges(block.template) for block in plant.blocks}
        self._prime()

    # the poller's side

    async def deliver(self, batch: Batch) -> None:
        """Queue one reading; waits while the queue is full."""
        self._idle.clear()
        await self._queue.put(batch)

    async def report(self, exchange: Exchange) -> None:
        """Queue the outcome of one polling; waits while the queue is full."""
        self._idle.clear()
        await self._queue.put(exchange)

    # the hub's side

    async def run(self) -> None:
        """Apply what arrives, and let values age; ends only by cancellation."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._age_forever(), name="engine-age")
            while True:
                self._apply_guarded([await self._queue.get(), *self._gathered()])
                if self._queue.empty():
                    self._idle.set()
                await asyncio.sleep(0)

    def flush(self) -> None:
        """Apply now all that is queued; for the end, when `run` has ended and nobody delivers any more."""
        while not self._queue.empty():
            self._apply_guarded(self._gathered())
        self._idle.set()

    async def drained(self) -> None:
        """Return once everything queued so far has been applied."""
        await self._idle.wait()

    def apply(self, group: Sequence[Batch | Exchange]) -> None:
        """Apply readings and reports in order: a group is one vector operation until a unit comes round again."""
        now_ns = self._clock.now_ns()
        batches: dict[UnitHandle, Batch] = {}
        reports: dict[UnitHandle, Exchange] = {}
        for item in group:
            mine: dict[UnitHandle, Batch] | dict[UnitHandle, Exchange] = batches if isinstance(item, Batch) else reports
            if item.unit in mine or (isinstance(item, Batch) and item.unit in reports):
                self._flush(batches, reports, now_ns)
            if isinstance(item, Batch):
                batches[item.unit] = item
            else:
                reports[item.unit] = item
        self._flush(batches, reports, now_ns)

    def age(self) -> None:
        """One ageing pass: what was not refreshed turns uncertain, what was held long enough turns bad."""
        now_ns = self._clock.now_ns()
        handles = self.live.age(now_ns)
        if not handles.size:
            return
        self._projection.touch(handles, np.ones(handles.size, np.bool_))
        units = np.unique(self.plant.units_at(handles))
        quality = self._system_handles(units) + _QUALITY
        online = quality[self.live.value[quality] == MeterState.ONLINE]
        if online.size:
            self._show(online, np.full(online.size, float(MeterState.STALE)), GOOD, now_ns)

    def online_share(self) -> tuple[int, int]:
        """Units that answer, and units that are enabled."""
        quality = self._quality_handles
        states = self.live.value[quality]
        return int((states == MeterState.ONLINE).sum()), int((states != MeterState.DISABLED).sum())

    def states(self) -> dict[MeterState, int]:
        """How many units are in which state."""
        found, counts = np.unique(self.live.value[self._quality_handles], return_counts=True)
        return {MeterState(int(state)): int(count) for state, count in zip(found, counts, strict=True)}

    def units_in(self, states: Sequence[MeterState]) -> list[UnitHandle]:
        """Units that are in one of these states."""
        found = np.flatnonzero(np.isin(self.live.value[self._quality_handles], states))
        return [UnitHandle(unit) for unit in found.tolist()]

    def state_of(self, unit: UnitHandle) -> tuple[MeterState, str]:
        """State of a unit, and the last error that was seen with it."""
        state = MeterState(int(self.live.value[self._quality_handles[unit]]))
        return state, self.live.texts.get(int(self._first_system[unit]) + _LAST_ERROR, "")

    # inside

    def _gathered(self) -> list[Batch | Exchange]:
        return [self._queue.get_nowait() for _ in range(min(self._queue.qsize(), GROUP_LIMIT))]

    def _apply_guarded(self, group: list[Batch | Exchange]) -> None:
        try:
            self.apply(group)
        except Exception:  # noqa: BLE001 - the border of the task: one bad reading must not stop the hub
            for item in group:
                try:
                    self.apply([item])
                except Exception:
                    self.rejected += 1
                    log.exception("reading rejected unit=%s", self.plant.units[item.unit].id)

    def _flush(self, batches: dict[UnitHandle, Batch], reports: dict[UnitHandle, Exchange], now_ns: int) -> None:
        if batches:
            self._apply_batches(list(batches.values()), now_ns)
            batches.clear()
        if reports:
            self._apply_reports(list(reports.values()), now_ns)
            reports.clear()

    def _apply_batches(self, batches: list[Batch], now_ns: int) -> None:
        handles = np.concatenate([batch.handles for batch in batches])
        cells = self.plant.cells(handles)
        shown, status = self._columns.shown(
            cells,
            np.concatenate([batch.values for batch in batches]),
            np.concatenate([batch.status for batch in batches]),
        )
        sizes = [batch.handles.size for batch in batches]
        source_ns: Instants = np.repeat(np.array([batch.source_ns for batch in batches], np.int64), sizes)
        texts: dict[int, str] = {}
        for batch in batches:
            texts.update(batch.texts)
        changed = self.live.apply(handles, shown, status, source_ns, now_ns, texts)
        self._projection.touch(handles, changed)
        if self._states is not None and not self._watch.idle:
            changes = self._watch.changes(handles, cells, shown, status, changed)
            if changes:
                self._states.tell(changes)
        if self._recorder is not None:
            for batch in batches:
                self._recorder.offer(batch)
        self.values_applied += handles.size
        self.readings_applied += len(batches)

    def _apply_reports(self, reports: list[Exchange], now_ns: int) -> None:
        units = np.array([report.unit for report in reports], np.int64)
        first = self._system_handles(units)
        handles = (first[:, None] + _SYSTEM_OFFSETS).ravel()
        before = self.live.value[handles].reshape(len(reports), len(SYSTEM))
        values = np.empty((len(reports), len(SYSTEM)))
        texts: dict[int, str] = {}
        for row, report in enumerate(reports):
            good = not report.error
            values[row] = (
                _state_after(report, before[row, _QUALITY]),
                float(good),
                report.at_ns / NS if good else before[row, _LAST_SUCCESS],
                report.at_ns / NS,
                report.consecutive_failures,
                report.success_rate * 100.0,
                report.round_trip_ms,
                np.nan,
            )
            if not good:
                texts[int(first[row]) + _LAST_ERROR] = report.error
        status: Statuses = np.full(handles.size, GOOD, np.uint32)
        flat = values.ravel()
        status[np.isnan(flat) & (np.tile(_SYSTEM_OFFSETS, len(reports)) != _LAST_ERROR)] = Reason.NEVER_READ.status
        changed = self.live.apply(handles, flat, status, now_ns, now_ns, texts)
        self._projection.touch(handles, changed)
        for report in reports:
            if report.lost:
                self._lose(report, now_ns)
            elif not report.error and self.live.lost[report.unit]:
                self.live.found(report.unit)

    def _lose(self, report: Exchange, now_ns: int) -> None:
        before = self.live.lost[report.unit]
        handles = self.live.lose(report.unit, report.reason, now_ns)
        if handles.size:
            self._projection.touch(handles, np.ones(handles.size, np.bool_))
        if self._recorder is not None and not before:
            self._record_loss(self._recorder, report, now_ns)

    def _record_loss(self, recorder: Recording, report: Exchange, now_ns: int) -> None:
        """In history what is measured ends here, once a loss, so that no trend is drawn across it; registers go on."""
        gauges = self._gauges[self.plant.block_of_unit(report.unit).first_unit]
        handles: Handles = self.plant.first_handle(report.unit) + gauges
        if handles.size:
            values = np.full(handles.size, np.nan)
            status: Statuses = np.full(handles.size, report.reason.status, np.uint32)
            slot_ns = (now_ns // _MS_NS + 1) * _MS_NS  # behind every reading that was taken
            recorder.offer(Batch(report.unit, handles, values, status, now_ns, now_ns, slot_ns))

    def _show(self, handles: Handles, values: Values, status: int, now_ns: int) -> None:
        changed = self.live.apply(handles, values, np.full(handles.size, status, np.uint32), now_ns, now_ns)
        self._projection.touch(handles, changed)

    async def _age_forever(self) -> None:
        while True:
            await self._clock.sleep(AGE_EVERY_S)
            try:
                self.age()
            except Exception:
                log.exception("ageing failed")

    def _system_handles(self, units: NDArray[np.int64]) -> Handles:
        return self._first_system[units]

    def _prime(self) -> None:
        """Give the hub's own variables their state before the first polling, and set disabled units out of service."""
        firsts = [
            block.first_handle + np.arange(block.units, dtype=np.int64) * block.template.width + block.template.measured
            for block in self.plant.blocks
        ]
        self._first_system: Handles = np.concatenate(firsts) if firsts else np.empty(0, np.int64)
        self._quality_handles = self._first_system + _QUALITY
        for offset in (_QUALITY, _ONLINE, _FAILURES):
            self.live.value[self._first_system + offset] = 0.0
            self.live.status[self._first_system + offset] = GOOD
        self.live.status[self._first_system + _LAST_ERROR] = GOOD
        for handle, unit in enumerate(self.plant.units):
            if not unit.enabled:
                first = self.plant.first_handle(UnitHandle(handle))
                self.live.status[first : first + unit.template.measured] = Reason.OUT_OF_SERVICE.status
                self.live.value[self._first_system[handle] + _QUALITY] = MeterState.DISABLED


class _Columns:
    """What the engine needs per variable, as matrices (block × column)."""

    def __init__(self, plant: Plant) -> None:
        shape = (max(len(plant.blocks), 1), max((block.template.width for block in plant.blocks), default=1))
        self._divisors = np.ones(shape)
        self._low = np.full(shape, -np.inf)
        self._high = np.full(shape, np.inf)
        for row, block in enumerate(plant.blocks):
            template = block.template
            self._divisors[row, : template.width] = template.divisors
            self._low[row, : template.measured] = template.eu_low
            self._high[row, : template.measured] = template.eu_high

    def shown(self, cells: Cells, base: Values, status: Statuses) -> tuple[Values, Statuses]:
        """Base units to shown units; a good value outside EURange becomes UncertainEngineeringUnitsExceeded."""
        shown = base / self._divisors[cells]
        outside = (status == GOOD) & ((shown < self._low[cells]) | (shown > self._high[cells]))
        if outside.any():
            status = np.where(outside, np.uint32(Reason.RANGE_EXCEEDED.status), status)
        return shown, status


def _gauges(template: Template) -> Handles:
    """Offsets of what is measured, beside the registers."""
    kinds = [measurement_of(point.quantity) for point in template.points]
    return np.array([offset for offset, kind in enumerate(kinds) if kind is Measurement.INST], np.int64)


def _state_after(report: Exchange, before: float) -> float:
    if not report.error:
        return float(MeterState.ONLINE)
    if report.lost:
        return float(MeterState.COMM_LOST)
    if report.reason in (Reason.DEVICE_ERROR, Reason.NOT_SUPPORTED):
        return float(MeterState.DEVICE_ERROR)
    return before
