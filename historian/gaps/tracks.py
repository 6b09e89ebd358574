"""What is expected when: the slots of a poll class, counted through each UTC day, and who is expected at them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from address_space.model.ids import NodeUid
from historian.schema import Measurement

DAY_MS = 86_400_000
FINEST_MS = 60_000
"""Classes that are read faster are judged by the minute: one good reading in it is enough."""
LEAST_GRACE_MS = 5_000
MOST_GRACE_MS = 60_000
"""How long beyond its time a reading may take to be stored before its slot counts as missing."""
Times = NDArray[np.int64]


class SlotSource(Protocol):
    """A calendar of slots."""

    def slots_ms(self, start_ms: int, end_ms: int) -> Times:
        """Slots with start_ms <= slot < end_ms, ascending."""


@dataclass(frozen=True, slots=True)
class Track:
    """One row of slots at which variables of one measurement are expected together.

    name       of its slots, for ever: `900 s` or that of a schedule
    period_ms  slots are its multiples since 1970, and a reading belongs to the slot in which it lies; 0 for a
               schedule, whose readings carry the slot itself
    grace_ms   how long after a slot it counts as missing
    source     slots of a schedule; None with a period, and for schedules that are no longer configured
    """

    measurement: Measurement
    name: str
    period_ms: int
    grace_ms: int
    source: SlotSource | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What it is stored under."""
        return self.measurement.value, self.name

    def slots(self, day: int) -> Times:
        """Slots of a UTC day (days since 1970), ascending."""
        start_ms = day * DAY_MS
        if self.period_ms:
            return np.arange(_first(day, self.period_ms), start_ms + DAY_MS, self.period_ms, dtype=np.int64)
        return self.source.slots_ms(start_ms, start_ms + DAY_MS) if self.source is not None else np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Expected:
    """Fields of a unit that are expected on a track."""

    track: Track
    fields: tuple[str, ...]


Plan = Mapping[NodeUid, Sequence[Expected]]
"""What is expected of each unit; units that are alike share one sequence."""


def periodic(measurement: Measurement, period_ms: int, finest_ms: int = FINEST_MS) -> Track:
    """A track of a poll period; one shorter than `finest_ms` is judged by its first multiple that is not, but is no
    track of that: what is read more often says nothing of what is read less often."""
    cell_ms = period_ms * -(-finest_ms // period_ms) if period_ms < finest_ms else period_ms
    name = f"{period_ms // 1000} s" if period_ms % 1000 == 0 else f"{period_ms} ms"
    return Track(measurement, name, cell_ms, cell_ms + _grace(cell_ms))


def scheduled(measurement: Measurement, name: str, source: SlotSource, late_ms: int) -> Track:
    """A track of a schedule, whose slots may be read up to `late_ms` after them."""
    return Track(measurement, name, 0, late_ms + _grace(late_ms), source)


def placed(track: Track, time_ms: Times, slots: Mapping[int, Times]) -> tuple[Times, Times]:
    """Day and number in it of the slot to which each time belongs, -1 where to none; `slots` by day for a schedule."""
    if track.period_ms:
        slot_ms = time_ms // track.period_ms * track.period_ms
        day = slot_ms // DAY_MS
        first = -(-day * DAY_MS // track.period_ms) * track.period_ms
        return day, (slot_ms - first) // track.period_ms
    day = time_ms // DAY_MS
    number = np.full(time_ms.shape, -1, np.int64)
    for each in np.unique(day).tolist():
        of_day = slots[each]
        rows = np.flatnonzero(day == each)
        at = np.searchsorted(of_day, time_ms[rows])
        fits = at < len(of_day)
        fits[fits] = of_day[at[fits]] == time_ms[rows][fits]
        number[rows[fits]] = at[fits]
    return day, number


def _first(day: int, period_ms: int) -> int:
    return -(-day * DAY_MS // period_ms) * period_ms


def _grace(span_ms: int) -> int:
    return min(max(span_ms, LEAST_GRACE_MS), MOST_GRACE_MS)
