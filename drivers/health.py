"""How well devices and channels answer: compact columns per poller, small objects only where a person looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from address_space.model.clock import NS
from address_space.model.ids import UnitHandle
from address_space.model.quality import Reason
from drivers.sessions import Session, Sessions

MEMORY = 100
"""Pollings over which the success rate is smoothed."""
DEGRADED_BELOW = 0.9
"""A device that answers but with a success rate below this is degraded."""
ROUND_TRIP_WEIGHT = 0.2
LOAD_WINDOW_NS = 10 * NS

KINDS = (Reason.TIMEOUT, Reason.BAD_FRAME, Reason.DEVICE_ERROR, Reason.NOT_CONNECTED, Reason.MISCONFIGURED)
"""Kinds of error that are counted each by itself; any other counts as DEVICE_ERROR."""
_KIND = {reason: kind for kind, reason in enumerate(KINDS)}
_REASONS = tuple(Reason)
_REASON_CODE = {reason: code for code, reason in enumerate(_REASONS)}


class DeviceState(IntEnum):
    """How a device is doing, from its communication alone."""

    UNKNOWN = 0
    """Not polled yet."""
    ONLINE = 1
    DEGRADED = 2
    """Answers, but its last pollings failed or many of its recent ones did."""
    OFFLINE = 3


@dataclass(frozen=True, slots=True)
class DeviceSnapshot:
    """Statistics of one device. `success_rate` is 0 to 1; times are UTC nanoseconds, 0 for never."""

    unit: UnitHandle
    state: DeviceState
    reason: Reason
    pollings: int
    failures_in_row: int
    success_rate: float
    round_trip_ms: float
    last_good_ns: int
    errors: Mapping[Reason, int]
    slots_missed: int
    requests: int = 0


@dataclass(frozen=True, slots=True)
class ChannelSnapshot:
    """Statistics of one channel and of the devices on it, for a screen.

    `utilisation` is the share of time (0 to 1) during which an exchange was in flight, over the last 10 to 20 s.
    """

    channel: str
    up: bool
    error: str
    devices: Mapping[DeviceState, int]
    requests: int
    errors: Mapping[Reason, int]
    utilisation: float
    round_trip_ms: float
    last_good_ns: int
    losses: int
    slots_missed: int
    faults: int
    success_rate: float = 0.0
    reconnects: int = 0
    last_error: str = ""

    @property
    def state(self) -> DeviceState:
        """OFFLINE while the line is down or none of its devices answers, DEGRADED while not all are well."""
        known = sum(self.devices.values()) - self.devices.get(DeviceState.UNKNOWN, 0)
        if not self.up:
            return DeviceState.OFFLINE if self.error else DeviceState.UNKNOWN
        if not known:
            return DeviceState.UNKNOWN
        if self.devices.get(DeviceState.OFFLINE, 0) == known:
            return DeviceState.OFFLINE
        return DeviceState.ONLINE if self.devices.get(DeviceState.ONLINE, 0) == known else DeviceState.DEGRADED


class DeviceHealth:
    """Columns over the devices of one poller; rows are its devices. About 80 bytes a device."""

    def __init__(self, rows: int) -> None:
        self.pollings = np.zeros(rows, np.uint32)
        self.failures = np.zeros(rows, np.uint32)
        """Failed pollings in a row."""
        self.lost = np.zeros(rows, np.bool_)
        """Whether its communication counts as lost; only a success ends that."""
        self.reason = np.full(rows, _REASON_CODE[Reason.NEVER_READ], np.uint8)
        self.success_rate = np.zeros(rows, np.float32)
        self.round_trip_ms = np.zeros(rows, np.float32)
        self.last_good_ns = np.zeros(rows, np.int64)
        self.errors = np.zeros((rows, len(KINDS)), np.uint32)
        self.slots_missed = np.zeros(rows, np.uint32)
        self.requests = np.zeros(rows, np.uint32)
        self.since_ns = np.zeros(rows, np.int64)
        """Since when it has been lost, or has been answering again; 0 where neither has happened yet."""

    def turned(self, row: int, now_ns: int) -> float:
        """The device was lost or came back now; gives for how many seconds it had been as before, 0 where unknown."""
        before_ns, self.since_ns[row] = int(self.since_ns[row]), now_ns
        return max(now_ns - before_ns, 0) / NS if before_ns else 0.0

    def asked(self, row: int, answered: int, failed: Iterable[Reason]) -> None:
        """Requests were made: so many were answered, the others failed for these reasons."""
        reasons = list(failed)
        self.requests[row] += answered + len(reasons)
        for reason in reasons:
            self.error(row, reason)

    def error(self, row: int, reason: Reason) -> None:
        """One exchange failed."""
        self.errors[row, _KIND.get(reason, _KIND[Reason.DEVICE_ERROR])] += 1

    def answered(self, row: int, now_ns: int, round_trip_ms: float, reason: Reason = Reason.FRESH) -> None:
        """A polling brought at least one answer; `reason` is not FRESH where the device refused everything."""
        self._polled(row, reason, 1.0 if reason is Reason.FRESH else 0.0)
        self.failures[row] = 0
        self.lost[row] = False
        if reason is Reason.FRESH:
            self.last_good_ns[row] = now_ns
        if not self.since_ns[row]:
            self.since_ns[row] = now_ns
        known = float(self.round_trip_ms[row])
        self.round_trip_ms[row] = known + ROUND_TRIP_WEIGHT * (round_trip_ms - known) if known else round_trip_ms

    def failed(self, row: int, reason: Reason, lost_after: int) -> None:
        """A polling brought nothing."""
        self._polled(row, reason, 0.0)
        failures = int(self.failures[row]) + 1
        self.failures[row] = failures
        if failures >= lost_after:
            self.lost[row] = True

    def cut_off(self, row: int, now_ns: int = 0) -> bool:
        """The line is down: the device is lost without a fault of its own. False where that was so already."""
        code = _REASON_CODE[Reason.NOT_CONNECTED]
        if self.lost[row] and int(self.reason[row]) == code:
            return False
        if not self.lost[row]:
            self.since_ns[row] = now_ns
        self.reason[row] = code
        self.lost[row] = True
        return True

    def reason_of(self, row: int) -> Reason:
        """How its last polling ended; FRESH after a good one, NEVER_READ before the first."""
        return _REASONS[int(self.reason[row])]

    def state(self, row: int) -> DeviceState:
        """State of one device."""
        return DeviceState(int(self._states(slice(row, row + 1))[0]))

    def count(self) -> dict[DeviceState, int]:
        """How many devices are in which state."""
        counts = np.bincount(self._states(slice(None)), minlength=len(DeviceState))
        return {state: int(counts[state]) for state in DeviceState}

    def troubled(self, limit: int) -> list[int]:
        """Up to `limit` rows of devices that are offline or degraded, longest failing first."""
        rows = np.flatnonzero(self._states(slice(None)) >= DeviceState.DEGRADED)
        worst = np.argsort(-self.failures[rows].astype(np.int64), kind="stable")[: max(limit, 0)]
        found: list[int] = rows[worst].tolist()
        return found

    def snapshot(self, row: int, unit: UnitHandle) -> DeviceSnapshot:
        """Everything known of one device."""
        return DeviceSnapshot(
            unit=unit,
            state=self.state(row),
            reason=self.reason_of(row),
            pollings=int(self.pollings[row]),
            failures_in_row=int(self.failures[row]),
            success_rate=float(self.success_rate[row]),
            round_trip_ms=float(self.round_trip_ms[row]),
            last_good_ns=int(self.last_good_ns[row]),
            errors={kind: int(count) for kind, count in zip(KINDS, self.errors[row], strict=True)},
            slots_missed=int(self.slots_missed[row]),
            requests=int(self.requests[row]),
        )

    def _polled(self, row: int, reason: Reason, success: float) -> None:
        pollings = int(self.pollings[row]) + 1
        self.pollings[row] = pollings
        self.reason[row] = _REASON_CODE[reason]
        rate = float(self.success_rate[row])
        self.success_rate[row] = rate + (success - rate) / min(pollings, MEMORY)

    def _states(self, rows: slice) -> NDArray[np.uint8]:
        states = np.full(self.lost[rows].shape, DeviceState.ONLINE, np.uint8)
        states[(self.failures[rows] > 0) | (self.success_rate[rows] < DEGRADED_BELOW)] = DeviceState.DEGRADED
        states[(self.pollings[rows] == 0)] = DeviceState.UNKNOWN
        states[self.lost[rows]] = DeviceState.OFFLINE
        return states


@dataclass(slots=True)
class Tally:
    """What one channel has done so far; written by the channel only."""

    requests: int = 0
    errors: dict[Reason, int] = field(default_factory=dict)
    overruns: int = 0
    """Exchanges that were ended because the driver did not end them itself."""
    opened: int = 0
    losses: int = 0
    busy_ns: int = 0
    last_good_ns: int = 0
    round_trip_ns: int = 0
    """Duration of the exchange that was answered last."""
    smooth_round_trip_ms: float = 0.0
    success_rate: float = 0.0
    """Share of exchanges that were answered, smoothed over the last ones."""
    error: str = ""
    """Why the line is down; empty while it is up."""
    last_error: str = ""
    """What went wrong last."""
    sessions: Sessions = field(default_factory=Sessions)
    _judged: int = 0
    _marks: tuple[tuple[int, int], tuple[int, int]] | None = None

    def good(self, now_ns: int, round_trip_ns: int) -> None:
        """An exchange was answered."""
        self.last_good_ns = now_ns
        self.round_trip_ns = round_trip_ns
        self._judge(1.0)
        known = self.smooth_round_trip_ms
        took_ms = round_trip_ns / 1e6
        self.smooth_round_trip_ms = known + ROUND_TRIP_WEIGHT * (took_ms - known) if known else took_ms

    def bad(self, reason: Reason, error: str = "") -> None:
        """An exchange failed."""
        self.errors[reason] = self.errors.get(reason, 0) + 1
        self.last_error = error or self.last_error
        self._judge(0.0)

    @property
    def failed(self) -> int:
        """Errors of all kinds."""
        return sum(self.errors.values())

    def began(self, now_ns: int) -> None:
        """The line was opened."""
        self.opened += 1
        self.sessions.begin(now_ns, self.requests, self.failed)

    def ended(self, now_ns: int, why: str) -> Session | None:
        """The line was lost or closed; gives the session that ended with it."""
        return self.sessions.end(now_ns, self.requests, self.failed, why)

    def session_lines(self) -> tuple[str, ...]:
        """The last sessions, oldest first, one line each."""
        return self.sessions.lines(self.requests, self.failed)

    def busy(self, took_ns: int, monotonic_ns: int) -> None:
        """An exchange of this length ended now."""
        if self._marks is None:
            self._marks = ((monotonic_ns - took_ns, 0),) * 2
        self.busy_ns += took_ns
        if monotonic_ns - self._marks[1][0] >= LOAD_WINDOW_NS:
            self._marks = (self._marks[1], (monotonic_ns, self.busy_ns))

    def utilisation(self, monotonic_ns: int) -> float:
        """Share of time an exchange was in flight, over the last one to two windows of 10 s."""
        if self._marks is None:
            return 0.0
        mark_ns, busy_ns = self._marks[0]
        elapsed_ns = monotonic_ns - mark_ns
        return min((self.busy_ns - busy_ns) / elapsed_ns, 1.0) if elapsed_ns > 0 else 0.0

    def _judge(self, success: float) -> None:
        self._judged = min(self._judged + 1, MEMORY)
        self.success_rate += (success - self.success_rate) / self._judged
