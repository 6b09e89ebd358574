"""How well devices and channels answer: compact columns per poller, small objects only where a person looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from address_space.model.clock import NS
from address_space.model.ids import UnitHandle
from address_space.model.quality import Reason

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


class DeviceHealth:
    """Columns over the devices of one poller; rows are its devices. About 70 bytes a device."""

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
        known = float(self.round_trip_ms[row])
        self.round_trip_ms[row] = known + ROUND_TRIP_WEIGHT * (round_trip_ms - known) if known else round_trip_ms

    def failed(self, row: int, reason: Reason, lost_after: int) -> None:
        """A polling brought nothing."""
        self._polled(row, reason, 0.0)
        failures = int(self.failures[row]) + 1
        self.failures[row] = failures
        if failures >= lost_after:
            self.lost[row] = True

    def cut_off(self, row: int) -> bool:
        """The line is down: the device is lost without a fault of its own. False where that was so already."""
        code = _REASON_CODE[Reason.NOT_CONNECTED]
        if self.lost[row] and int(self.reason[row]) == code:
            return False
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
    error: str = ""
    """Why the line is down; empty while it is up."""
    _marks: tuple[tuple[int, int], tuple[int, int]] | None = None

    def good(self, now_ns: int, round_trip_ns: int) -> None:
        """An exchange was answered."""
        self.last_good_ns = now_ns
        self.round_trip_ns = round_trip_ns
        known = self.smooth_round_trip_ms
        took_ms = round_trip_ns / 1e6
        self.smooth_round_trip_ms = known + ROUND_TRIP_WEIGHT * (took_ms - known) if known else took_ms

    def bad(self, reason: Reason) -> None:
        """An exchange failed."""
        self.errors[reason] = self.errors.get(reason, 0) + 1

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
