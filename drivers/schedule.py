"""When which device is due: slots aligned to the wall clock, spread so that no two devices stand in each other's way.

Slots live in wall time, waiting in monotonic time; the two are tied anew at each scheduling, so that neither drift
nor a step of the wall clock accumulates.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from address_space.model.clock import NS
from drivers.api import Device
from drivers.slots import Late, Schedule

NEVER = 2**62
MERGE_NS = NS // 2
"""Classes of one device that fall due this close together are read in one go."""
_ROW_BITS = 20
MAX_DEVICES = 1 << _ROW_BITS
_MS = NS // 1000
_QUEUE_NS = NS // 4
"""Within this time after a slot of a schedule all its devices take their places in the queue."""
_LOOSE_NS = NS
"""Readings outside any slot are stamped to the second."""


@dataclass(frozen=True, slots=True)
class PollClass:
    """Variables of a device (template offsets) that are read together, every `period_s`.

    With a `schedule` they are read at its slots instead; `period_s` is then the shortest time between two of them.
    """

    period_s: float
    offsets: tuple[int, ...]
    schedule: Schedule | None = None


@dataclass(frozen=True, slots=True)
class PolledDevice:
    """A device and how often what of it is read, fastest class first; devices of one make share one tuple."""

    device: Device
    classes: tuple[PollClass, ...]


class Due(NamedTuple):
    """What to read now. `classes` is a bit mask, `slot_ns` the finest slot among them.

    `scheduled` says that the slot is one of a schedule; nothing else is then read with it.
    """

    classes: int
    slot_ns: int
    missed: int
    scheduled: bool = False


class Timetable:
    """Next nominal reading of each class of each device, in wall time. Rows are devices, columns their classes.

    Slot k of a class begins at k × period; it is read at the device's own phase in it. Phases of neighbours are
    spread evenly over the period. A slower class whose period is a multiple of the next faster one's falls together
    with it. A class with a schedule is read at the schedule's own times, on all devices alike.
    """

    def __init__(self, devices: Sequence[PolledDevice], channel: str, seed: int) -> None:
        rows = len(devices)
        columns = max((len(polled.classes) for polled in devices), default=0)
        if rows > MAX_DEVICES:
            raise ValueError(f"{rows} devices on one channel, at most {MAX_DEVICES} are possible")
        self.period_ns = np.full((rows, columns), NEVER, np.int64)
        self._scheduled = np.zeros((rows, columns), np.bool_)
        for row, polled in enumerate(devices):
            for column, poll_class in enumerate(polled.classes):
                self.period_ns[row, column] = max(round(poll_class.period_s * NS), _MS)
                self._scheduled[row, column] = poll_class.schedule is not None
        order = np.random.default_rng([seed, zlib.crc32(channel.encode())])
        self.rank = _spread(order, rows)
        """Place of each device in any period, 0 to 1, evenly spaced in an order of its own."""
        self.phase_ns = self._phases(order)
        self.due_ns = np.full((rows, columns), NEVER, np.int64)
        self._classes = [polled.classes for polled in devices]
        self._any_schedule: NDArray[np.bool_] = np.array(self._scheduled.any(axis=1), np.bool_)

    def shortest_s(self, row: int) -> float:
        """Shortest period of a device."""
        return int(self.period_ns[row].min()) / NS

    def grid_ns(self, row: int) -> int:
        """To what the time of a reading outside any slot is rounded down."""
        regular = self.period_ns[row][~self._scheduled[row]]
        finest = int(regular.min(initial=NEVER))
        return finest if finest != NEVER else _LOOSE_NS

    def next_ns(self, row: int, now_ns: int) -> int:
        """When a device that has just been read is to be read next, in wall time.

        Of those that a schedule makes due at once, whoever was read earlier last time goes first.
        """
        due_ns = int(self.due_ns[row].min())
        if not self._any_schedule[row]:
            return due_ns
        column = int(self.due_ns[row].argmin())
        period_ns = int(self.period_ns[row, column])
        read_at = (now_ns - due_ns) % period_ns if self._scheduled[row, column] else 0
        return due_ns + read_at * _QUEUE_NS // period_ns

    def begin(self, now_ns: int) -> list[tuple[int, int]]:
        """Schedules begin: with the slot that runs where it may be caught up, else with the next one. Returns row and
        column of those to be caught up."""
        late: list[tuple[int, int]] = []
        for row in np.flatnonzero(self._any_schedule).tolist():
            for column, schedule in self._schedules(row):
                slot_ns = schedule.running_ns(now_ns) if schedule.late is Late.CATCH_UP else None
                if slot_ns is not None and schedule.in_time(slot_ns, now_ns):
                    self.due_ns[row, column] = slot_ns + schedule.offset_ns
                    late.append((row, column))
                else:
                    self.due_ns[row, column] = schedule.next_due_ns(now_ns)
        return late

    def remember(self, row: int, column: int, last_slot_ns: int) -> None:
        """The last slot of a class with a schedule that was read before the hub was started."""
        schedule = self._classes[row][column].schedule
        if schedule is None:
            return
        slot_ns = int(self.due_ns[row, column]) - schedule.offset_ns
        if slot_ns <= last_slot_ns:
            self.due_ns[row, column] = schedule.due_after_ns(slot_ns)

    def resume(self, now_ns: int) -> NDArray[np.uint32]:
        """After a time without a line: slots that passed and are not to be caught up are dropped. Returns how many,
        by row."""
        dropped = np.zeros(len(self._classes), np.uint32)
        for row in np.flatnonzero(self._any_schedule & (self.due_ns.min(axis=1, initial=NEVER) <= now_ns)).tolist():
            for column, schedule in self._schedules(row):
                if schedule.late is Late.DROP and self.due_ns[row, column] <= now_ns:
                    dropped[row] += self._skip(row, column, schedule, now_ns)
        return dropped

    def align(self, now_ns: int) -> NDArray[np.int64]:
        """Every class waits for its next slot from now on; returns the first due time of each device.

        Slots that a step forward jumped over stay due where they belong to a schedule or still run. After a step back
        that is shorter than the time between two slots, the one that was read last is not read again.
        """
        period = self.period_ns
        due = (now_ns - self.phase_ns) // period * period + period + self.phase_ns
        before = self.due_ns
        kept = self._scheduled | (np.abs(before - due) <= period)
        self.due_ns = np.where(period == NEVER, NEVER, np.where(kept, before, due))
        for row in np.flatnonzero(self._any_schedule).tolist():
            for column, schedule in self._schedules(row):
                if int(before[row, column]) - now_ns > 2 * int(period[row, column]):
                    self.due_ns[row, column] = schedule.next_due_ns(now_ns)
        first: NDArray[np.int64] = self.due_ns.min(axis=1, initial=NEVER)
        return first

    def take(self, row: int, now_ns: int) -> Due:
        """The classes of a device that are due now, each with one reading: slots that passed unread are missed.

        Classes with a schedule come first, those of one slot at a time; no classes at all are returned where only
        slots were due for which it is too late.
        """
        missed = classes = slot_ns = 0
        due_ns, period_ns = self.due_ns[row].tolist(), self.period_ns[row].tolist()
        if self._any_schedule[row]:
            due = self._take_scheduled(row, now_ns)
            due_ns = np.where(self._scheduled[row], NEVER, due_ns).tolist()
            if due.classes or min(due_ns) > now_ns:
                return due
            missed = due.missed
        horizon_ns = max(now_ns, min(due_ns)) + min(MERGE_NS, period_ns[0] // 20)
        for column, due_at in enumerate(due_ns):
            if due_at > horizon_ns:
                continue
            period = period_ns[column]
            late = max((now_ns - due_at) // period, 0)
            slot = (due_at // period + late) * period
            missed += late
            classes |= 1 << column
            slot_ns = max(slot_ns, slot)
            self.due_ns[row, column] = slot + period + int(self.phase_ns[row, column])
        return Due(classes, slot_ns, missed)

    def take_all(self, row: int, now_ns: int) -> Due:
        """All classes of a device, whether due or not, in the slots that run now. Slots of schedules that are due stay
        so, to be read by themselves; where there is nothing else, they are what is returned."""
        missed = classes = 0
        if self._any_schedule[row]:
            if self._scheduled[row][: len(self._classes[row])].all():
                due = self._take_scheduled(row, now_ns)
                if due.classes:
                    return due
                missed = due.missed
            for column, _ in self._schedules(row):
                if self.due_ns[row, column] > now_ns:
                    classes |= 1 << column
        regular, slot_ns = self.settle(row, now_ns)
        return Due(classes | regular, slot_ns or now_ns // _LOOSE_NS * _LOOSE_NS, missed)

    def settle(self, row: int, now_ns: int) -> tuple[int, int]:
        """The slots that run now of all classes with a period count as read; returns the classes and the finest."""
        classes = slot_ns = 0
        for column in range(len(self._classes[row])):
            if self._scheduled[row, column]:
                continue
            period = int(self.period_ns[row, column])
            slot = now_ns // period * period
            slot_ns = max(slot_ns, slot)
            classes |= 1 << column
            self.due_ns[row, column] = slot + period + int(self.phase_ns[row, column])
        return classes, slot_ns

    def give_back(self, row: int, due: Due) -> int:
        """What was taken was not read: slots that may be caught up are due again. Returns how many are missed."""
        missed = 0
        if due.scheduled:
            for column, schedule in self._schedules(row):
                if not due.classes >> column & 1:
                    continue
                if schedule.late is Late.CATCH_UP:
                    self.due_ns[row, column] = due.slot_ns + schedule.offset_ns
                else:
                    missed += 1
        return missed

    def _schedules(self, row: int) -> Iterator[tuple[int, Schedule]]:
        for column, poll_class in enumerate(self._classes[row]):
            if poll_class.schedule is not None:
                yield column, poll_class.schedule

    def _take_scheduled(self, row: int, now_ns: int) -> Due:
        """The classes of the earliest slot that is due and may still be read."""
        missed, chosen_ns, classes = 0, NEVER, 0
        for column, schedule in self._schedules(row):
            if self.due_ns[row, column] > now_ns:
                continue
            first_ns = int(self.due_ns[row, column]) - schedule.offset_ns
            slot_ns = max(schedule.running_ns(now_ns) or first_ns, first_ns)
            if not schedule.in_time(slot_ns, now_ns):
                missed += self._skip(row, column, schedule, now_ns)
                continue
            missed += schedule.slots.count(first_ns // NS, slot_ns // NS)
            self.due_ns[row, column] = slot_ns + schedule.offset_ns
            if slot_ns < chosen_ns:
                chosen_ns, classes = slot_ns, 0
            classes |= (slot_ns == chosen_ns) << column
        if not classes:
            return Due(0, 0, missed)
        for column, schedule in self._schedules(row):
            if classes >> column & 1:
                self.due_ns[row, column] = schedule.due_after_ns(chosen_ns)
        return Due(classes, chosen_ns, missed, scheduled=True)

    def _skip(self, row: int, column: int, schedule: Schedule, now_ns: int) -> int:
        """Wait for the next slot; returns how many are missed by that."""
        first_ns = int(self.due_ns[row, column]) - schedule.offset_ns
        self.due_ns[row, column] = due_ns = schedule.next_due_ns(now_ns)
        return schedule.slots.count(first_ns // NS, (due_ns - schedule.offset_ns) // NS)

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
