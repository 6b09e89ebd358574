"""The ledger's own state: who sits where, which bits are set, which are missing. One thread at a time."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from address_space.model.ids import NodeUid
from address_space.model.quality import Reason
from historian.api import Readings, SeriesIds
from historian.gaps.calendars import Calendars
from historian.gaps.file import OPEN_MS, Assigned, Entry, LedgerFile, Sheeted
from historian.gaps.report import Code, Mark
from historian.gaps.seating import Seating
from historian.gaps.sheet import PAGE, Rows, Sheet
from historian.gaps.tracks import DAY_MS, Plan, Times, Track, placed
from historian.names import Names
from historian.schema import Measurement

MOST_SLOTS = 50_000
MOST_CELLS = 4_000_000
"""Slots of units that are looked at together."""
MOST_PENDING = 2_000_000
"""Bits that wait for a journal that cannot be written."""
KEPT_DAYS = 2
"""Days whose sheets stay in memory."""
SIGN_OF_LIFE_MS = 120_000
"""A hub runs whose last sign of life is no older than this."""
_BAD = 0x80000000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """Slots of some units of one track, and a `Code` for each: shape (units,), (slots,) and (units, slots).

    units      the ledger's numbers of the points
    before_ms  the slot before the first one, which the part before it ended with; -1 where there is none
    """

    track: Track
    points: Sequence[NodeUid]
    units: SeriesIds
    slots: Times
    codes: NDArray[np.uint8]
    before_ms: int = -1


class Book:
    """Everything that is known. Raises HistoryError where the file cannot be used.

    What is set is in memory at once; `journal` and `save` take it to the disk.
    """

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self.file = LedgerFile(path, readonly=readonly)
        self._names = Names()
        self._names.add_all(self.file.all_units())
        self.tracks = self.file.tracks()
        self._seating = {track: self._seated(track) for track in self.tracks}
        self._calendars = Calendars(self.file, self.tracks, readonly=readonly)
        self._sheets: dict[Sheeted, Sheet] = {}
        self._pending: list[Entry] = []
        self._unsaid = False
        """Whether something was set that only pages tell: the journal could not be written for too long."""
        self._kind = np.empty(0, np.int32)
        self._kinds: list[list[tuple[int, Measurement, frozenset[str]]]] = []
        self._wanted: dict[tuple[int, Measurement, tuple[str, ...]], list[tuple[int, Rows]]] = {}
        self.run_from_ms = 0
        self.runs = self.file.runs()
        for entry in self.file.journal():
            sheet = self._sheet(entry.sheet)
            if sheet.slots:
                sheet.set(entry.rows, entry.numbers)

    # who is expected

    def begin(self, now_ms: int) -> bool:
        """The hub runs from now on; returns whether it was stopped in order the last time, or never ran."""
        well = not self.runs or self.runs[-1][2]
        self.run_from_ms = max(now_ms, self.runs[-1][1] + 1 if self.runs else 0)
        self.runs.append((self.run_from_ms, self.run_from_ms, False))
        self.file.note([], self.run_from_ms, self.run_from_ms)
        return well

    def adopt(self, plan: Plan, now_ms: int) -> None:
        """Expect this from now on, and nothing else."""
        numbers = self.series(list(plan))
        self._names.add(plan, numbers.tolist())  # the plant's own texts instead of those of the file
        self._kind = np.full(int(numbers.max(initial=0)) + 1, -1, np.int32)
        self._kinds, self._wanted = [], {}
        kinds: dict[int, int] = {}
        wanted: dict[int, list[int]] = {}
        for number, expected in zip(numbers.tolist(), plan.values(), strict=True):
            kind = kinds.get(id(expected))
            if kind is None:
                kind = kinds[id(expected)] = len(self._kinds)
                self._kinds.append(
                    [(self._track(each.track), each.track.measurement, frozenset(each.fields)) for each in expected]
                )
            self._kind[number] = kind
            for track, _, _ in self._kinds[kind]:
                wanted.setdefault(track, []).append(number)
        changes = [change for track in self.tracks if (change := self._change(track, wanted.get(track, [])))]
        self.file.assign(changes, now_ms)
        for change in changes:
            self._seating[change.track] = self._seated(change.track)
        self._calendars.renew(now_ms)
        self.note_days(now_ms)
        self.file.let_go()

    def note_days(self, now_ms: int) -> None:
        """Keep the slots of schedules, which no one can tell once they are configured otherwise."""
        self._calendars.note(self.runs[-2][1] if len(self.runs) > 1 else now_ms, now_ms)

    def series(self, uids: Sequence[str]) -> SeriesIds:
        """Numbers of units."""
        numbers = self._names.numbers(uids)
        if (numbers < 0).any():
            numbers = self.file.units(uids)
            self._names.add(uids, numbers.tolist())
        return numbers

    def _track(self, track: Track) -> int:
        number = self.file.track(track)
        if number not in self._seating:
            self._seating[number] = self._seated(number)
        self.tracks[number] = track
        return number

    def _seated(self, track: int) -> Seating:
        return Seating(self.file.seats(track), self.file.duties(track))

    def _change(self, track: int, units: Sequence[int]) -> Assigned | None:
        """What must change so that these units are expected on a track, None where nothing must."""
        seating = self._seating[track]
        first_row, wanted = len(seating.units), np.unique(np.array(units, np.int64))
        rows = seating.rows_of(wanted)
        new = rows < 0
        rows[new] = first_row + np.arange(int(new.sum()))
        running = seating.on_duty(OPEN_MS)
        begun, ended = np.setdiff1d(rows, running), np.setdiff1d(running, rows)
        if not (len(begun) or len(ended)):
            return None
        return Assigned(track, first_row, wanted[new].tolist(), begun.tolist(), ended.tolist())

    # what was read

    def note(self, readings: Sequence[Readings]) -> None:
        """Set the slots of good readings."""
        for group in readings:
            known = group.series < len(self._kind)
            kinds = np.where(known, self._kind[np.where(known, group.series, 0)], -1) if len(self._kind) else None
            if kinds is None:
                continue
            for kind in np.unique(kinds).tolist():
                if kind >= 0:
                    for track, columns in self._columns(kind, group.measurement, group.fields):
                        rows = np.flatnonzero(kinds == kind)
                        self._note(track, group, rows, columns)

    def _note(self, track: int, group: Readings, rows: Rows, columns: Rows) -> None:
        status = group.status[np.ix_(rows, columns)]
        good = (status < _BAD) & ~np.isnan(group.values[np.ix_(rows, columns)])
        there = (good | (status == Reason.NOT_SUPPORTED.status)).all(axis=1) & good.any(axis=1)
        rows = rows[there]
        self.set(Mark.STORED, track, group.series[rows], group.time_ms[rows])

    def set(self, mark: Mark, track: int, units: SeriesIds, time_ms: Times) -> None:
        """Set a mark at the slots to which these times belong."""
        if not len(units):
            return
        days, numbers = self._placed(track, time_ms)
        seats = self._seating[track].rows_of(units)
        fits = (numbers >= 0) & (seats >= 0)
        for day in np.unique(days[fits]).tolist():
            chosen = fits & (days == day)
            if mark is Mark.FILLED:
                chosen &= ~self._is_stored(track, day, seats, numbers)
            entry = Entry(Sheeted(int(mark), track, day), seats[chosen], numbers[chosen])
            self._sheet(entry.sheet).set(entry.rows, entry.numbers)
            if not self._unsaid:
                self._pending.append(entry)

    def stored(self, track: Track, units: SeriesIds, time_ms: Times) -> NDArray[np.bool_]:
        """Whether the slots to which these times belong are set."""
        number = self.track_number(track)
        days, numbers = self._placed(number, time_ms)
        seats = self._seating[number].rows_of(units)
        found = np.zeros(len(units), np.bool_)
        for day in np.unique(days).tolist():
            found |= (days == day) & self._is_stored(number, day, seats, numbers)
        return found

    def _placed(self, track: int, time_ms: Times) -> tuple[Times, Times]:
        spec = self.tracks[track]
        days = () if spec.period_ms else np.unique(time_ms // DAY_MS).tolist()
        return placed(spec, time_ms, {day: self.slots(track, day) for day in days})

    def _is_stored(self, track: int, day: int, seats: Rows, numbers: Rows) -> NDArray[np.bool_]:
        sheet = self._sheet(Sheeted(int(Mark.STORED), track, day))
        found = np.zeros(len(seats), np.bool_)
        inside = (seats >= 0) & (numbers >= 0) & (numbers < sheet.slots)
        found[inside] = sheet.grid(seats[inside])[np.arange(int(inside.sum())), numbers[inside]]
        return found

    def tracks_of(self, number: int) -> list[int]:
        """Tracks on which a unit is expected now."""
        kind = int(self._kind[number]) if number < len(self._kind) else -1
        return [track for track, _, _ in self._kinds[kind]] if kind >= 0 else []

    def _columns(self, kind: int, measurement: Measurement, fields: tuple[str, ...]) -> list[tuple[int, Rows]]:
        key = (kind, measurement, fields)
        found = self._wanted.get(key)
        if found is None:
            found = []
            for track, of, wanted in self._kinds[kind]:
                columns = np.array([place for place, name in enumerate(fields) if name in wanted], np.int64)
                if of is measurement and len(columns):
                    found.append((track, columns))
            self._wanted[key] = found
        return found

    # to the disk

    def journal(self, now_ms: int) -> None:
        """What was set since is safe when this returns."""
        if self._unsaid:
            self.save(now_ms)
            return
        try:
            self.file.note(self._pending, self.run_from_ms, max(now_ms, self.run_from_ms))
        except BaseException:
            if sum(len(entry.rows) for entry in self._pending) + len(self._pending) > MOST_PENDING:
                self._pending, self._unsaid = [], True  # sheets hold it all, and are written as soon as can be
            raise
        self._pending = []
        self._lives(now_ms)

    def save(self, now_ms: int, *, ended: bool = False) -> None:
        """Write the pages that changed, and let go of days that are over."""
        pages = [
            (key, number, sheet.page(number)) for key, sheet in self._sheets.items() for number in sorted(sheet.dirty)
        ]
        self.file.save(pages, self.run_from_ms, max(now_ms, self.run_from_ms), ended=ended)
        self._pending, self._unsaid = [], False
        self._lives(now_ms)
        oldest = now_ms // DAY_MS - KEPT_DAYS + 1
        for sheet in self._sheets.values():
            sheet.dirty.clear()
        self._sheets = {key: sheet for key, sheet in self._sheets.items() if key.day >= oldest}
        self._calendars.let_go(oldest)

    @property
    def memory_bytes(self) -> int:
        """What the sheets take."""
        return sum(sheet.nbytes for sheet in self._sheets.values())

    @property
    def units(self) -> int:
        """How many units have ever been expected."""
        return len(self._names)

    def _lives(self, now_ms: int) -> None:
        if self.runs:
            self.runs[-1] = (self.run_from_ms, max(now_ms, self.run_from_ms), False)

    # what is missing

    def parts(self, points: Sequence[NodeUid] | None, start_ms: int, end_ms: int, now_ms: int) -> Iterator[Part]:
        """Slots in [start_ms, end_ms) that were expected by now, of these units or of all, in pieces of some units."""
        for number, track in sorted(self.tracks.items()):
            seating = self._seating[number]
            rows = self._rows(seating, points)
            begin_ms = max(start_ms, seating.begins_ms)
            stop_ms = min(end_ms, now_ms)
            every = [self.slots(number, day) for day in range(begin_ms // DAY_MS, -(-stop_ms // DAY_MS))]
            slots = np.concatenate(every) if every else np.empty(0, np.int64)
            slots = slots[(slots >= begin_ms) & (slots < stop_ms)]
            if not len(slots) or not len(rows):
                continue
            windows = np.array_split(slots, -(-len(slots) // MOST_SLOTS))
            step = max(MOST_CELLS // len(windows[0]) // PAGE, 1) * PAGE
            for first in range(0, len(rows), step):
                chosen = rows[first : first + step]
                units = seating.units[chosen].astype(np.int64)
                uids = [self._names[unit] for unit in units.tolist()]
                before_ms = -1
                for window in windows:
                    yield Part(track, uids, units, window, self._codes(number, chosen, window, now_ms), before_ms)
                    before_ms = int(window[-1])

    def number(self, point: NodeUid) -> int:
        """The number of a unit, -1 for one that was never expected; any thread may ask."""
        return self._names.number(point)

    def points(self) -> list[NodeUid]:
        """All units that were ever expected."""
        return list(self._names.values())

    @property
    def numbers_end(self) -> int:
        """A number beyond those of all units."""
        return self._names.end

    def track_number(self, track: Track) -> int:
        """The number of a track that is known."""
        return next(number for number, each in self.tracks.items() if each.key == track.key)

    def _rows(self, seating: Seating, points: Sequence[NodeUid] | None) -> Rows:
        if points is None:
            return np.arange(len(seating.units), dtype=np.int64)
        numbers = self._names.numbers(points)
        rows = seating.rows_of(numbers[numbers >= 0])
        return np.sort(rows[rows >= 0])

    def _codes(self, number: int, rows: Rows, slots: Times, now_ms: int) -> NDArray[np.uint8]:
        track, seating = self.tracks[number], self._seating[number]
        expected = seating.expected(rows, slots, now_ms, track.grace_ms)
        stored, filled, lacking = (self._bits(mark, number, rows, slots) for mark in Mark)
        down = self._down(slots, track.grace_ms, now_ms)
        codes = np.where(down, np.uint8(Code.HUB_DOWN), np.uint8(Code.NOT_READ))[None, :].repeat(len(rows), axis=0)
        codes[lacking] = Code.LACKING
        codes[stored] = Code.POLLED
        codes[stored & filled] = Code.FILLED
        codes[~expected] = Code.NOT_EXPECTED
        return codes

    def _bits(self, mark: Mark, number: int, rows: Rows, slots: Times) -> NDArray[np.bool_]:
        found = np.zeros((len(rows), len(slots)), np.bool_)
        for day in range(int(slots[0]) // DAY_MS, int(slots[-1]) // DAY_MS + 1):
            key = Sheeted(int(mark), number, day)
            of_day = self.slots(number, day)
            low, high = np.searchsorted(slots, [day * DAY_MS, (day + 1) * DAY_MS])
            if low < high:
                skipped = int(np.searchsorted(of_day, slots[low]))
                grid = self._looked_up(key, rows).grid(rows)
                found[:, low:high] = grid[:, skipped : skipped + high - low]
        return found

    def _down(self, slots: Times, grace_ms: int, now_ms: int) -> NDArray[np.bool_]:
        """Slots during whose time the hub did not run throughout."""
        begins = np.array([0, *(end for _, end, _ in self.runs)], np.int64)
        ends = np.array([*(begin for begin, _, _ in self.runs), OPEN_MS], np.int64)
        if self.runs and not self.runs[-1][2] and (self.run_from_ms or now_ms - begins[-1] < SIGN_OF_LIFE_MS):
            begins[-1] = max(begins[-1], now_ms)
        at = np.searchsorted(ends, slots, "right")
        found: NDArray[np.bool_] = begins[at] < slots + grace_ms
        return found

    def slots(self, track: int, day: int) -> Times:
        """Slots of a track on a UTC day."""
        return self._calendars.of(track, day)

    def forget(self, before_day: int) -> None:
        """Drop what is known of days before this one."""
        self.file.forget(before_day)
        self.runs[:-2] = [run for run in self.runs[:-2] if run[1] >= before_day * DAY_MS]

    def _sheet(self, key: Sheeted) -> Sheet:
        """A sheet to write in."""
        sheet = self._sheets.get(key)
        if sheet is None:
            sheet = self._sheets[key] = self._loaded(key, self.file.pages(key))
        return sheet

    def _looked_up(self, key: Sheeted, rows: Rows) -> Sheet:
        """A sheet to look at, with at least these rows."""
        if key in self._sheets:
            return self._sheets[key]
        return self._loaded(key, self.file.pages(key, int(rows[0]) // PAGE, int(rows[-1]) // PAGE))

    def _loaded(self, key: Sheeted, pages: Iterable[tuple[int, bytes]]) -> Sheet:
        sheet = Sheet(len(self.slots(key.track, key.day)))
        for number, packed in pages:
            try:
                sheet.load(number, packed)
            except (ValueError, zlib.error) as error:
                _log.error("gap ledger page damaged sheet=%s page=%d error=%s", tuple(key), number, error)
        return sheet
