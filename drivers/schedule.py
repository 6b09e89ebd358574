"""When which device is due: slots aligned to the wall clock, spread so that no two devices stand in each other's way.

Slots live in wall time, waiting in monotonic time; the two are tied anew at each scheduling, so that neither drift
nor a step of the wall clock accumulates.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from address_space.model.clock import NS
from drivers.api import Device

NEVER = 2**62
MERGE_NS = NS // 2
"""Classes of one device that fall due this close together are read in one go."""
_ROW_BITS = 20
MAX_DEVICES = 1 << _ROW_BITS
_MS = NS // 1000


@dataclass(frozen=True, slots=True)
class PollClass:
    """Variables of a device (template offsets) that are read together, every `period_s`."""

    period_s: float
    offsets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PolledDevice:
    """A device and how often what of it is read, fastest class first; devices of one make share one tuple."""

    device: Device
    classes: tuple[PollClass, ...]


class Due(NamedTuple):
    """What to read now. `classes` is a bit mask, `slot_ns` the finest slot among them."""

    classes: int
    slot_ns: int
    missed: int


class Timetable:
    """Next nominal reading of each class of each device, in wall time. Rows are devices, columns their classes.

    Slot k of a class begins at k × period; it is read at the device's own phase in it. Phases of neighbours are
    spread evenly over the period. A slower class whose period is a multiple of the next faster one's falls together
    with it.
    """

    def __init__(self, devices: Sequence[PolledDevice], channel: str, seed: int) -> None:
        rows = len(devices)
        columns = max((len(polled.classes) for polled in devices), default=0)
        if rows > MAX_DEVICES:
            raise ValueError(f"{rows} devices on one channel, at most {MAX_DEVICES} are possible")
        self.period_ns = np.full((rows, columns), NEVER, np.int64)
        for row, polled in enumerate(devices):
            for column, poll_class in enumerate(polled.classes):
                self.period_ns[row, column] = max(round(poll_class.period_s * NS), _MS)
        order = np.random.default_rng([seed, zlib.crc32(channel.encode())])
        self.rank = _spread(order, rows)
        """Place of each device in any period, 0 to 1, evenly spaced in an order of its own."""
        self.phase_ns = self._phases(order)
        self.due_ns = np.full((rows, columns), NEVER, np.int64)
        self._classes = [len(polled.classes) for polled in devices]

    def shortest_s(self, row: int) -> float:
        """Shortest period of a device."""
        return int(self.period_ns[row].min()) / NS

    def next_ns(self, row: int) -> int:
        """When the next class of a device is due, in wall time."""
        return int(self.due_ns[row].min())

    def align(self, now_ns: int) -> NDArray[np.int64]:
        """Every class waits for its next slot from now on; returns the first due time of each device."""
        period = self.period_ns
        due = (now_ns - self.phase_ns) // period * period + period + self.phase_ns
        self.due_ns = np.where(period == NEVER, NEVER, due)
        first: NDArray[np.int64] = self.due_ns.min(axis=1, initial=NEVER)
        return first

    def take(self, row: int, now_ns: int) -> Due:
        """The classes of a device that are due now, each with one reading: slots that passed unread are missed."""
        classes = missed = slot_ns = 0
        due_ns, period_ns = self.due_ns[row].tolist(), self.period_ns[row].tolist()
        horizon_ns = max(now_ns, min(due_ns)) + min(MERGE_NS, period_ns[0] // 20)
        for column, due in enumerate(due_ns):
            if due > horizon_ns:
                continue
            period = period_ns[column]
            late = max((now_ns - due) // period, 0)
            slot = (due // period + late) * period
            missed += late
            classes |= 1 << column
            slot_ns = max(slot_ns, slot)
            self.due_ns[row, column] = slot + period + int(self.phase_ns[row, column])
        return Due(classes, slot_ns, missed)

    def take_all(self, row: int, now_ns: int) -> Due:
        """All classes of a device, whether due or not, in the slots that run now."""
        slot_ns = 0
        for column in range(self._classes[row]):
            period = int(self.period_ns[row, column])
            slot = now_ns // period * period
            slot_ns = max(slot_ns, slot)
            self.due_ns[row, column] = slot + period + int(self.phase_ns[row, column])
        return Due((1 << self._classes[row]) - 1, slot_ns, 0)

    def _phases(self, order: np.random.Generator) -> NDArray[np.int64]:
        phases = np.zeros_like(self.period_ns)
        rows, columns = phases.shape
        for column in range(columns):
            period = self.period_ns[:, column]
            known = period != NEVER
            if column == 0:
                phases[known, 0] = (self.rank * period)[known]
                continue
            faster = self.period_ns[:, column - 1]
            rank = _spread(order, rows)
            multiple = period % faster == 0
            beside = (rank * (period // faster)).astype(np.int64) * faster + phases[:, column - 1]
            apart = (rank * period).astype(np.int64)
            phases[known, column] = np.where(multiple, beside, apart)[known]
        return phases


class Agenda:
    """Rows by the time they are due, earliest first; 40 bytes a row. Times are monotonic nanoseconds, kept in ms.

    A row that is put again counts only where it was put last, also across agendas that share `tickets`.
    """

    def __init__(self, tickets: NDArray[np.int64]) -> None:
        self._tickets = tickets
        self._heap: list[int] = []

    def put(self, row: int, due_ns: int) -> None:
        """`row` is due then."""
        ticket = _ticket(row, due_ns)
        self._tickets[row] = ticket
        heappush(self._heap, ticket)

    def due_ns(self) -> int:
        """When the first row is due; NEVER where there is none."""
        heap = self._heap
        while heap and int(self._tickets[heap[0] & (MAX_DEVICES - 1)]) != heap[0]:
            heappop(heap)
        return (heap[0] >> _ROW_BITS) * _MS if heap else NEVER

    def take(self) -> int:
        """Remove the first row and return it; `due_ns` must have said that there is one."""
        row = heappop(self._heap) & (MAX_DEVICES - 1)
        self._tickets[row] = -1
        return row


class Rota:
    """Whose turn it is: devices that answer at their slots, suspects after their pause and within a share of the bus.

    Suspects are those that failed last time and those of which nothing is known yet. `probe_ns` is how long an
    attempt at one may last for nothing: with nobody else due for so long it is free.
    """

    def __init__(self, rows: int, probe_ns: int) -> None:
        tickets = np.full(rows, -1, np.int64)
        self._healthy = Agenda(tickets)
        self._suspects = Agenda(tickets)
        self._probe_ns = probe_ns
        self._probe_after_ns = 0

    def put(self, row: int, due_ns: int, *, suspect: bool) -> None:
        """`row` is due then; this replaces what was said of it before."""
        (self._suspects if suspect else self._healthy).put(row, due_ns)

    def charge(self, spent_ns: int, now_ns: int, share: float) -> None:
        """An attempt at a suspect took so long for nothing; such may take `share` of the time while others wait."""
        self._probe_after_ns = now_ns + round(spent_ns * (1 / share - 1))

    def take(self, now_ns: int) -> int | None:
        """Who is asked now: the earliest due of those that may; None where nobody is."""
        healthy_ns, suspect_ns = self._healthy.due_ns(), self._suspects.due_ns()
        if suspect_ns <= now_ns and (suspect_ns <= healthy_ns or healthy_ns > now_ns):
            free = healthy_ns > now_ns + self._probe_ns
            if free or now_ns >= self._probe_after_ns:
                return self._suspects.take()
        return self._healthy.take() if healthy_ns <= now_ns else None

    def next_ns(self, now_ns: int) -> int:
        """When to ask again after `take` gave nobody."""
        suspect_ns = self._suspects.due_ns()
        if suspect_ns <= now_ns:
            suspect_ns = self._probe_after_ns
        return min(self._healthy.due_ns(), suspect_ns)


def _ticket(row: int, due_ns: int) -> int:
    return (-(-max(due_ns, 0) // _MS)) << _ROW_BITS | row


def _spread(order: np.random.Generator, rows: int) -> NDArray[np.float64]:
    spread: NDArray[np.float64] = (order.permutation(rows) + order.random()) / max(rows, 1)
    return spread
