"""One step of computing rollups: readings of a few hundred units in, rows of figures out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from address_space.model.ids import NodeUid
from historian.api import RowReader, Rows
from historian.calendar import Days, Instants, Width
from historian.counters import HOUR_MS
from historian.rollups import beside
from historian.rollups.anomalies import AnomalyTable, Jump
from historian.rollups.booking import Doubts, book
from historian.rollups.figures import COUNTER, SHAPES, Figures, Shape, composed, summarised, usable
from historian.rollups.file import Numbers, RollupFile
from historian.rollups.limits import Changes, Ratings
from historian.rollups.options import RollupOptions
from historian.rollups.reading import days_of_month, months_of, slices
from historian.rollups.repair import Around, repaired
from historian.schema import Measurement


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """Hours `first` … `last` of a local day, of some units."""

    day: int
    first: int
    last: int
    units: Numbers
    uids: Sequence[NodeUid]
    late: bool
    """Readings may be stored behind these hours already."""
    fresh: NDArray[np.bool_]
    """Which units have no readings before these hours."""
    news_ms: int = 0
    """What registers did before is no news any more."""


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """Figures as they were stored: of hours from `start_ms` on, or of a day."""

    width: Width
    start_ms: Instants
    units: Numbers
    figures: Figures


class Odd:
    """What registers did that was not known yet, and whether what is known of them is another now."""

    def __init__(self) -> None:
        self.new: list[tuple[NodeUid, Jump]] = []
        self.changed = False


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """Registers of one unit that need a closer look."""

    place: int
    fields: tuple[str, ...]
    odd: tuple[str, ...]


class Work:
    """Computes jobs. `closed_day` tells before which day days are put together."""

    def __init__(
        self,
        reader: RowReader,
        on_file: Callable[[Callable[[RollupFile], object]], Awaitable[object]],
        days: Days,
        ratings: Ratings,
        changes: Changes,
        options: RollupOptions,
        closed_day: Callable[[], int],
    ) -> None:
        self._reader = reader
        self._on_file = on_file
        self._days = days
        self._ratings = ratings
        self._changes = changes
        self._options = options
        self._closed_day = closed_day
        self._finest = Width.QUARTER if options.quarters else Width.HOUR

    async def run(self, job: Job) -> tuple[list[Written], Odd]:
        """Compute and store; what was stored of counters, and what was odd for the first time."""
        edges_ms = self._edges(job)
        odd = Odd()
        if len(edges_ms) < 2:
            return [], odd
        written: list[Written] = []
        looks: list[_Look] = []
        for measurement in (Measurement.ENERGY, Measurement.INST):
            margin = HOUR_MS if measurement is Measurement.ENERGY else 0
            found = await self._reader.read_rows(
                job.uids, measurement, int(edges_ms[0]) - margin, int(edges_ms[-1]) + margin
            )
            if not found:
                continue

            def compute(file: RollupFile, rows: Sequence[Rows] = found, shape: Shape = SHAPES[measurement]) -> None:
                with file.transaction():
                    for group in rows:
                        self._compute(file, job, shape, group, edges_ms, written, looks, odd)

            await self._on_file(compute)
        for look in looks:
            await self._look(job, look, edges_ms, written, odd)
        return written, odd

    def _edges(self, job: Job) -> Instants:
        hours = self._days.edges(job.day, Width.HOUR)
        low, high = job.first, min(job.last + 1, len(hours) - 1)
        if low >= high:
            return np.empty(0, np.int64)
        every = self._days.edges(job.day, self._finest)
        found: Instants = every[(every >= hours[low]) & (every <= hours[high])]
        return found

    def _end_hours(self, job: Job) -> tuple[int, int]:
        """When the first hour ends, and when the last one begins."""
        hours = self._days.edges(job.day, Width.HOUR)
        return int(hours[job.first + 1]), int(hours[min(job.last + 1, len(hours) - 1) - 1])

    # many units at once

    def _compute(
        self,
        file: RollupFile,
        job: Job,
        shape: Shape,
        rows: Rows,
        edges_ms: Instants,
        written: list[Written],
        looks: list[_Look],
        odd: Odd,
    ) -> None:
        places, unit = np.unique(rows.unit, return_inverse=True)
        if not len(places):
            return
        dense = Rows(rows.fields, unit.astype(np.int64), rows.time_ms, rows.values, rows.status, rows.present)
        figures = summarised(shape, dense, len(places), edges_ms)
        plain = np.ones(len(places), np.bool_)
        if shape is COUNTER:
            uids = [job.uids[place] for place in places.tolist()]
            bounds = self._ratings.bounds(uids, rows.fields)
            grace_ms = round(self._options.grace_s * 1000)
            doubts = book(figures, dense, usable(dense), bounds, edges_ms, grace_ms)
            if job.late:
                doubts.after[...] |= _bare_ends(dense, len(places), self._end_hours(job), edges_ms)
            changed = [bool(self._changes(uid)) for uid in uids]
            plain[:] = ~self._doubted(doubts, job, np.array(changed, np.bool_), looks, places, rows.fields)
        if plain.any():
            kept = Figures(shape, figures.fields, figures.data[plain])
            units = job.units[places[plain]]
            self._store(file, units, kept, edges_ms, written)
            if shape is COUNTER:
                span = (int(edges_ms[0]), int(edges_ms[-1]))
                odd.changed |= AnomalyTable(file).replace(units, rows.fields, span, ())[1]

    def _doubted(
        self,
        doubts: Doubts,
        job: Job,
        changed: NDArray[np.bool_],
        looks: list[_Look],
        places: Numbers,
        fields: tuple[str, ...],
    ) -> NDArray[np.bool_]:
        before = doubts.before & ~job.fresh[places][:, None]
        doubtful = doubts.odd | before | np.broadcast_to(changed[:, None], doubts.odd.shape)
        if job.late:
            doubtful |= doubts.after
        some: NDArray[np.bool_] = np.asarray(doubtful.any(axis=1))
        for row in np.flatnonzero(some).tolist():
            names = tuple(fields[field] for field in np.flatnonzero(doubtful[row]).tolist())
            odd = tuple(fields[field] for field in np.flatnonzero(doubts.odd[row] | changed[row]).tolist())
            looks.append(_Look(int(places[row]), names, odd))
        return some

    def _store(
        self, file: RollupFile, units: Numbers, figures: Figures, edges_ms: Instants, written: list[Written]
    ) -> None:
        """Figures of the finest buckets between the edges into the rows of all widths. Runs in a transaction."""
        first, last = self._days.number(int(edges_ms[0])), self._days.number(int(edges_ms[-1]) - 1)
        numbers = np.arange(first, last + 2)
        for place, low, high in slices(self._days.starts(numbers), edges_ms):
            day = int(numbers[place])
            part = Figures(figures.shape, figures.fields, figures.data[..., low:high])
            fine = self._days.edges(day, self._finest)
            hours = self._days.edges(day, Width.HOUR)
            if self._finest is Width.QUARTER:
                at = int(np.searchsorted(fine, edges_ms[low]))
                file.splice(Width.QUARTER, day, len(fine) - 1, at, units, part)
                kept = hours[(hours >= edges_ms[low]) & (hours < edges_ms[high])]
                part = composed(part, np.searchsorted(edges_ms[low:high], kept))
            at = int(np.searchsorted(hours, edges_ms[low]))
            rows = file.splice(Width.HOUR, day, len(hours) - 1, at, units, part)
            counters = figures.shape is COUNTER
            if counters:
                written.append(Written(Width.HOUR, hours[at : at + part.data.shape[3]], units, part))
            if day < self._closed_day():
                self.close_day(file, day, rows, written)

    def close_day(
        self, file: RollupFile, day: int, rows: Sequence[tuple[Numbers, Figures]], written: list[Written]
    ) -> None:
        """Put a day together from its hours. Runs in a transaction."""
        month, day_of_month = months_of(self._days, day)
        start = np.array([self._days.start(day)], np.int64)
        composed_days = file.compose_days(month, day_of_month, rows)
        for (units, _), figures in zip(rows, composed_days, strict=True):
            if figures.shape is COUNTER:
                written.append(Written(Width.DAY, start, units, figures))

    def close_month(self, file: RollupFile, month: int, unit: int) -> None:
        """Put the closed days of a unit's month together again."""
        units = np.array([unit], np.int64)
        with file.transaction():
            for day in days_of_month(self._days, month):
                if day < self._closed_day():
                    hours = len(self._days.edges(day, Width.HOUR)) - 1
                    for shape in SHAPES.values():
                        self.close_day(file, day, file.rows(Width.HOUR, day, shape, units, hours), [])

    # one unit, closely

    async def _look(self, job: Job, look: _Look, edges_ms: Instants, written: list[Written], odd: Odd) -> None:
        uid, number = job.uids[look.place], int(job.units[look.place])
        start_ms, end_ms = int(edges_ms[0]), int(edges_ms[-1])
        for field in look.fields:
            before = await beside.before(self._reader, uid, field, int(edges_ms[0]))
            after = await beside.after(self._reader, uid, field, int(edges_ms[-1]))
            steps = 2 if field in look.odd else 1
            if before:
                start_ms = min(start_ms, before[-steps:][0].time_ms)
            if after:
                end_ms = max(end_ms, after[:steps][-1].time_ms)
        wide_ms = self._wide(start_ms, end_ms)
        found = await self._reader.read_rows([uid], Measurement.ENERGY, int(wide_ms[0]), int(wide_ms[-1]))
        rows = found[0] if found else _no_rows(look.fields)
        around: dict[str, Around] = {}
        read = {rows.fields[place] for place in np.flatnonzero(usable(rows).any(axis=0)).tolist()}
        for field in rows.fields:
            if field not in read and field not in look.fields:
                continue
            before = await beside.before(self._reader, uid, field, int(wide_ms[0]))
            after = await beside.after(self._reader, uid, field, int(wide_ms[-1]))
            around[field] = Around(before, after)
        bounds = self._ratings.bounds([uid], rows.fields)
        limits = [self._ratings.limits(bounds, 0, field) for field in range(len(rows.fields))]

        def compute(file: RollupFile) -> None:
            figures, jumps = repaired(number, rows, around, limits, self._changes(uid), wide_ms)
            with file.transaction():
                self._store(file, np.array([number], np.int64), figures, wide_ms, written)
                span, units = (int(wide_ms[0]), int(wide_ms[-1])), np.array([number], np.int64)
                new, changed = AnomalyTable(file).replace(units, rows.fields, span, jumps, job.news_ms)
            odd.new.extend((uid, jump) for jump in new)
            odd.changed |= changed

        await self._on_file(compute)

    def _wide(self, start_ms: int, end_ms: int) -> Instants:
        """Edges of the finest buckets, whole hours, from the one that holds the start to the one with the end."""
        first, last = self._days.number(start_ms), self._days.number(end_ms - 1)
        parts = [self._days.edges(day, self._finest)[:-1] for day in range(first, last + 1)]
        every = np.append(np.concatenate(parts), self._days.start(last + 1))
        hours = np.concatenate([self._days.edges(day, Width.HOUR) for day in range(first, last + 1)])
        low = hours[hours <= start_ms].max()
        high = hours[hours >= end_ms].min()
        chosen: Instants = every[(every >= low) & (every <= high)]
        return chosen


def _bare_ends(rows: Rows, units: int, end_hours: tuple[int, int], edges_ms: Instants) -> NDArray[np.bool_]:
    """Registers, shape (units, fields), without a reading in the first or the last hour, but with one just beyond it:
    the hour of that one has its share of the same way, and is not among these."""
    counts, time_ms = usable(rows), rows.time_ms
    begin, end = int(edges_ms[0]), int(edges_ms[-1])

    def some(chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        found = np.zeros((units, counts.shape[1]), np.bool_)
        np.logical_or.at(found, rows.unit[chosen], counts[chosen])
        return found

    first = some(time_ms < begin) & ~some((time_ms >= begin) & (time_ms < end_hours[0]))
    last = some(time_ms >= end) & ~some((time_ms >= end_hours[1]) & (time_ms < end))
    return first | last | _failed(rows, counts, units, edges_ms)


def _failed(rows: Rows, counts: NDArray[np.bool_], units: int, edges_ms: Instants) -> NDArray[np.bool_]:
    """Registers with a bucket of nothing but failed readings: one of them may stand where a good one did."""
    at = np.flatnonzero((rows.time_ms >= edges_ms[0]) & (rows.time_ms < edges_ms[-1]))
    place = (rows.unit[at], np.searchsorted(edges_ms, rows.time_ms[at], "right") - 1)
    good, failed = (np.zeros((units, len(edges_ms) - 1, counts.shape[1]), np.bool_) for _ in range(2))
    np.logical_or.at(good, place, counts[at])
    np.logical_or.at(failed, place, rows.present[at] & ~counts[at])
    return np.asarray((failed & ~good).any(axis=1))


def _no_rows(fields: tuple[str, ...]) -> Rows:
    shape = (0, len(fields))
    none = np.empty(0, np.int64)
    return Rows(fields, none, none, np.empty(shape), np.empty(shape, np.uint32), np.empty(shape, np.bool_))
