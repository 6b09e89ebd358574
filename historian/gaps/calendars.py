"""The slots of tracks by UTC day. Those of schedules are kept in the file: who configures them otherwise changes only
what comes, and their bits are counted by them for ever."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from historian.gaps.file import LedgerFile
from historian.gaps.tracks import DAY_MS, Times, Track

AHEAD_DAYS = 14
"""So many days to come are noted: those that a hub is down before its schedules are configured otherwise."""
BACK_DAYS = 62
"""So many days since the last run are noted at once; others are when somebody asks for them. Clocks leap by years."""


class Calendars:
    """Slots of the tracks of a file, which may grow. Raises HistoryError where the file cannot be used."""

    def __init__(self, file: LedgerFile, tracks: Mapping[int, Track], *, readonly: bool) -> None:
        self._file = file
        self._tracks = tracks
        self._readonly = readonly
        self._slots: dict[tuple[int, int], Times] = {}
        self._noted_day = 0
        """The last day up to which all were noted."""

    def of(self, track: int, day: int) -> Times:
        """Slots of a day, ascending."""
        spec = self._tracks[track]
        if spec.period_ms:
            return spec.slots(day)
        found = self._slots.get((track, day))
        if found is None:
            kept = self._file.slots(track, day)
            if kept is None:
                kept = spec.slots(day)
                if not self._readonly and spec.source is not None:
                    self._file.keep_slots([(track, day, kept)])
            found = self._slots[track, day] = kept
        return found

    def note(self, since_ms: int, now_ms: int) -> None:
        """Keep those of schedules since a time, or since they were noted last, and for some days to come."""
        today = now_ms // DAY_MS
        first = min(max(since_ms // DAY_MS, self._noted_day, today - BACK_DAYS), today)
        fresh: list[tuple[int, int, Times]] = []
        for number, track in self._tracks.items():
            for day in range(first, today + AHEAD_DAYS + 1) if track.source is not None else ():
                if (number, day) not in self._slots:
                    kept = self._file.slots(number, day)
                    if kept is None:
                        kept = track.slots(day)
                        fresh.append((number, day, kept))
                    self._slots[number, day] = kept
        self._file.keep_slots(fresh)
        self._noted_day = today

    def renew(self, now_ms: int) -> None:
        """Have days to come told by the schedules as they are configured now, where nothing was read in them yet."""
        today = now_ms // DAY_MS
        fresh: list[tuple[int, int, Times]] = []
        for number, track in self._tracks.items():
            for day in range(today + 1, today + AHEAD_DAYS + 1) if track.source is not None else ():
                kept = self._file.slots(number, day)
                slots = track.slots(day) if kept is not None else None
                if kept is None or slots is None or np.array_equal(kept, slots) or self._file.is_marked(number, day):
                    continue
                fresh.append((number, day, slots))
                self._slots.pop((number, day), None)
        self._file.keep_slots(fresh)

    def let_go(self, oldest: int) -> None:
        """Forget in memory the days before this one."""
        self._slots = {key: slots for key, slots in self._slots.items() if key[1] >= oldest}
