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
from historian.rollups import reach
from historian.rollups.anomalies import AnomalyTable, Jump
from historian.rollups.beside import Register
from historian.rollups.booking import book
from historian.rollups.closely import Closely
from historian.rollups.doubts import TAIL_MS, in_turn, out_of_turn, seen
from historian.rollups.figures import COUNTER, SHAPES, Figure, Figures, Shape, composed, empty, summarised, usable
from historian.rollups.file import Known, Numbers, RollupFile
from historian.rollups.limits import Changes, Ratings
from historian.rollups.options import RollupOptions
from historian.rollups.reading import days_of_month, months_of, slices
from historian.rollups.repair import repaired
from historian.rollups.unrest import UnrestTable, unrest
from historian.schema import Measurement


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """Hours `first` … `last` of a local day, of some units."""

    day: int
    first: int
    last: int
    units: Numbers
    uids: Sequence[NodeUid]
    late: NDArray[np.bool_]
    """Of which units later hours may be computed already."""
    fresh: NDArray[np.bool_]
    """Which units have no readings before these hours."""
    uneasy: NDArray[np.bool_]
    """Which units have registers that were not calm before these hours, or are not yet."""
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
        self.until_ms: dict[int, int] = {}
        """By number, until when units that were looked at closely are not calm."""


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """Registers of one unit that need a closer look."""

    place: int
    fields: tuple[str, ...]


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
        self.kept_day = 0
        """What lies before stays as it is: its readings are gone."""

    async def run(self, job: Job) -> tuple[list[Written], Odd]:
        """Compute and store; what was stored of counters, and what was odd for the first time."""
        edges_ms = self._edges(job)
        odd = Odd()
        if len(edges_ms) < 2:
            return [], odd
        written: list[Written] = []
        looks: list[_Look] = []
        around_ms = TAIL_MS if job.late.any() else HOUR_MS
        for measurement in (Measurement.ENERGY, Measurement.INST):
            margin = around_ms if measurement is Measurement.ENERGY else 0
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
        plain, known = np.ones(len(places), np.bool_), None
        if shape is COUNTER:
            uids = [job.uids[place] for place in places.tolist()]
            counts = usable(dense)
            odd_steps = book(figures, dense, counts, self._ratings.bounds(uids, rows.fields), edges_ms)
            reads = seen(dense, counts, len(places), edges_ms, self._end_hours(job))
            changed = np.array([bool(self._changes(uid)) for uid in uids], np.bool_)
            late, uneasy = job.late[places], job.uneasy[places] | changed
            if late.any():
                span = (int(edges_ms[0]) - TAIL_MS, int(edges_ms[-1]) + TAIL_MS)
                uneasy |= late & np.isin(job.units[places], AnomalyTable(file).units(span))
            doubtful = np.where(late[:, None], out_of_turn(reads), in_turn(reads, job.fresh[places]))
            gone = reads.failing & ~(late[:, None] & (reads.before > 0))
            if gone.any():
                some = np.flatnonzero(gone.any(axis=1))
                hours, units = (job.first, job.last), job.units[places[some]]
                doubtful[some] = np.where(
                    gone[some],
                    reach.spoken_for(file, self._days, job.day, hours, units, rows.fields),
                    doubtful[some],
                )
            doubtful |= odd_steps | uneasy[:, None] & reads.concerned
            plain = ~np.asarray(doubtful.any(axis=1))
            for row in np.flatnonzero(~plain).tolist():
                names = tuple(rows.fields[field] for field in np.flatnonzero(reads.concerned[row]).tolist())
                looks.append(_Look(int(places[row]), names))
            known = reads.touched | ~np.isnan(figures.of(Figure.DELTA)).all(axis=2)
            known = known[plain] if not known[plain].all() else None
        if plain.any():
            kept = Figures(shape, figures.fields, figures.data[plain])
            units = job.units[places[plain]]
            self._store(file, units, kept, edges_ms, written, known)
            if shape is COUNTER:
                span = (int(edges_ms[0]), int(edges_ms[-1]))
                odd.changed |= AnomalyTable(file).replace(units, rows.fields, span, ())[1]

    def _store(
        self,
        file: RollupFile,
        units: Numbers,
        figures: Figures,
        edges_ms: Instants,
        written: list[Written],
        known: Known,
    ) -> None:
        """Figures of the finest buckets between the edges into the rows of all widths. Runs in a transaction.

        known  shape (units, fields), None for all: of others what is stored stays
        """
        first, last = self._days.number(int(edges_ms[0])), self._days.number(int(edges_ms[-1]) - 1)
        numbers = np.arange(first, last + 2)
        for place, low, high in slices(self._days.starts(numbers), edges_ms):
            day = int(numbers[place])
            if day < self.kept_day:
                continue
            part = Figures(figures.shape, figures.fields, figures.data[..., low:high])
            fine = self._days.edges(day, self._finest)
            hours = self._days.edges(day, Width.HOUR)
            if self._finest is Width.QUARTER:
                at = int(np.searchsorted(fine, edges_ms[low]))
                file.splice(Width.QUARTER, day, len(fine) - 1, at, units, part, known)
                kept = hours[(hours >= edges_ms[low]) & (hours < edges_ms[high])]
                part = composed(part, np.searchsorted(edges_ms[low:high], kept))
            at = int(np.searchsorted(hours, edges_ms[low]))
            rows = file.splice(Width.HOUR, day, len(hours) - 1, at, units, part, known)
            counters = figures.shape is COUNTER
            if counters:
                told = part if known is None else _only(part, known)
                written.append(Written(Width.HOUR, hours[at : at + part.data.shape[3]], units, told))
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
                if self.kept_day <= day < self._closed_day():
                    hours = len(self._days.edges(day, Width.HOUR)) - 1
                    for shape in SHAPES.values():
                        self.close_day(file, day, file.rows(Width.HOUR, day, shape, units, hours), [])

    # one unit, closely

    async def _look(self, job: Job, look: _Look, edges_ms: Instants, written: list[Written], odd: Odd) -> None:
        uid, number, late = job.uids[look.place], int(job.units[look.place]), bool(job.late[look.place])
        span = (int(edges_ms[0]), int(edges_ms[-1]))
        near = Closely(self._reader, uid, self._registers(uid, look.fields), span, behind=late)
        wide_ms = self._wide(*await near.opened(self._on_file, self._days, number))
        found = await self._reader.read_rows([uid], Measurement.ENERGY, int(wide_ms[0]), int(wide_ms[-1]))
        rows = found[0] if found else _no_rows(look.fields)
        registers = self._registers(uid, rows.fields)
        around = await near.around((int(wide_ms[0]), int(wide_ms[-1])))
        limits = [register.limits for register in registers]
        units, known = np.array([number], np.int64), np.array([[field in around for field in rows.fields]])

        def compute(file: RollupFile) -> None:
            figures, jumps = repaired(number, rows, around, limits, self._changes(uid), wide_ms)
            jumps = [jump for jump in jumps if jump.field in around]
            until_ms, seen_ms = unrest(registers, rows, around)
            with file.transaction():
                self._store(file, units, figures, wide_ms, written, None if known.all() else known)
                within = (int(wide_ms[0]), int(wide_ms[-1]))
                new, changed = AnomalyTable(file).replace(units, look.fields, within, jumps, job.news_ms)
                odd.until_ms[number] = UnrestTable(file).note(number, until_ms, seen_ms, newest=not late)
            odd.new.extend((uid, jump) for jump in new)
            odd.changed |= changed

        await self._on_file(compute)

    def _registers(self, uid: NodeUid, fields: tuple[str, ...]) -> list[Register]:
        bounds, changes = self._ratings.bounds([uid], fields), self._changes(uid)
        return [
            Register(field, self._ratings.limits(bounds, 0, place), changes.get(field, ()))
            for place, field in enumerate(fields)
        ]

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


def _only(figures: Figures, known: NDArray[np.bool_]) -> Figures:
    """The same without registers that are not known."""
    found = empty(figures.shape, figures.fields, figures.data.shape[0], figures.data.shape[3])
    np.copyto(found.data, figures.data, where=known[:, :, None, None])
    return found


def _no_rows(fields: tuple[str, ...]) -> Rows:
    shape = (0, len(fields))
    none = np.empty(0, np.int64)
    return Rows(fields, none, none, np.empty(shape), np.empty(shape, np.uint32), np.empty(shape, np.bool_))
