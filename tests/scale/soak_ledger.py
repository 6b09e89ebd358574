"""Whether a subscriber was told everything: what it was sent, compared sample by sample with what was recorded."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

MS = 1_000_000
GRACE_MS = 20_000
"""How long a sample may stand in one place before it must stand in the other: a late answer, a commit, a publish."""
LATE_MS = 20_000
"""Longest time between a slot and the answer read for it, on a bus full of silent meters."""
EARLY_MS = 5
LOOK_AHEAD = 40
EXAMPLES = 30


class Told(NamedTuple):
    """A sample that a subscriber was sent: one with a value that was read."""

    source_ns: int
    value: float
    status: int


class Kept(NamedTuple):
    """The same sample in the history."""

    slot_ms: int
    value: float
    status: int


@dataclass(slots=True)
class Findings:
    """What came of all comparisons; everything from `missed` to `wrong_counters` should be 0.

    compared          samples told that stand in the history too, in the same order
    missed            stand in the history and were not told
    unrecorded        were told and do not stand in the history
    different         have another value or status there
    reordered         came with a source time not later than the one before
    overflowed        notifications with the overflow bit
    skipped_messages  notification messages that never came, subscriptions that could not be taken over
    wrong_counters    counter readings that the meter never showed around that time
    counters_audited  counter readings compared with the meter's books
    examples          some of what went wrong, in words
    """

    compared: int = 0
    missed: int = 0
    unrecorded: int = 0
    different: int = 0
    reordered: int = 0
    overflowed: int = 0
    skipped_messages: int = 0
    wrong_counters: int = 0
    counters_audited: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> int:
        """How much went wrong."""
        amiss = (self.missed, self.unrecorded, self.different, self.reordered, self.overflowed)
        return sum(amiss) + self.skipped_messages + self.wrong_counters

    def note(self, kind: str, text: str) -> None:
        """Count one, and keep it as an example."""
        setattr(self, kind, getattr(self, kind) + 1)
        if sum(one.startswith(kind) for one in self.examples) < EXAMPLES:
            self.examples.append(f"{kind}: {text}")


class Ledger:
    """One monitored item: samples come in by `tell`, and `settle` takes out those that the history has too."""

    def __init__(self, point: str, findings: Findings, watcher: str = "") -> None:
        self.point = point
        self.watcher = watcher
        self._findings = findings
        self._open: deque[Told] = deque()
        self._settled_ms = 0
        self._last_ns = 0

    def since_ms(self, before_ms: int) -> float | None:
        """From when on the history is of interest, None where nothing was told yet."""
        if self._settled_ms:
            return self._settled_ms
        return self._open[0].source_ns / MS - before_ms if self._open else None

    def tell(self, told: Told) -> None:
        """One sample has arrived."""
        if told.source_ns <= self._last_ns:
            self._findings.note("reordered", f"{self.watcher} {self.point} {told} after {self._last_ns}")
        self._last_ns = told.source_ns
        self._open.append(told)

    def settle(self, history: Sequence[Kept], now_ms: float, heard_ms: float) -> list[Told]:
        """Compare with the history; returns the samples that agree with it and are done with.

        `heard_ms` is when the subscriber had last been told all there was: while its line is broken, nothing is missed.
        """
        kept = deque(one for one in history if one.slot_ms > self._settled_ms)
        if not self._settled_ms:
            self._find_beginning(kept)
            if not kept:
                return []
        agreed: list[Told] = []
        while kept and self._open:
            if _same(kept[0], self._open[0]):
                self._settled_ms = kept.popleft().slot_ms
                agreed.append(self._open.popleft())
            elif heard_ms - kept[0].slot_ms < GRACE_MS:
                break
            else:
                self._differ(kept)
        if not self._open:
            self._miss(kept, heard_ms)
        while not kept and self._open and now_ms - self._open[0].source_ns / MS > GRACE_MS:
            self._findings.note("unrecorded", f"{self.watcher} {self.point} {self._open.popleft()}")
        self._findings.compared += len(agreed)
        return agreed

    def _find_beginning(self, kept: deque[Kept]) -> None:
        """Drop what was recorded before the first sample told; of several fits, as values come twice, the best, and of
        equally good ones the latest: nothing is told before it was read, and most things soon after."""
        for _ in range(min(LOOK_AHEAD, len(self._open))):
            told = list(self._open)[: 2 * LOOK_AHEAD]
            every = list(kept)
            starts = [at for at, one in enumerate(every) if _same(one, told[0])]
            if starts:
                best = max(starts, key=lambda at: (sum(map(_same, every[at:], told)), at))
                for _ in range(best):
                    kept.popleft()
                return
            self._open.popleft()  # restored or held from before the subscription
        kept.clear()

    def _differ(self, kept: deque[Kept]) -> None:
        """The next of both are not the same: take out as much of either as makes most of what follows agree."""
        told_ahead, kept_ahead = list(self._open)[: 2 * LOOK_AHEAD], list(kept)[: 2 * LOOK_AHEAD]
        ways = [(1, 1), *((step, 0) for step in range(1, LOOK_AHEAD)), *((0, step) for step in range(1, LOOK_AHEAD))]
        surplus, lost = max(ways, key=lambda way: sum(map(_same, kept_ahead[way[1] :], told_ahead[way[0] :])))
        extra = [self._open.popleft() for _ in range(min(surplus, len(self._open)))]
        gone = [kept.popleft() for _ in range(min(lost, len(kept)))]
        if gone:
            self._settled_ms = gone[-1].slot_ms
        if extra and gone:
            self._findings.note("different", f"{self.watcher} {self.point} recorded {gone[0]}, told {extra[0]}")
            return
        for told in extra:
            self._findings.note("unrecorded", f"{self.watcher} {self.point} {told}, next recorded {kept_ahead[0]}")
        for one in gone:
            self._findings.note("missed", f"{self.watcher} {self.point} {one}, next told {told_ahead[0]}")

    def _miss(self, kept: deque[Kept], heard_ms: float) -> None:
        """Nothing more was told: what was recorded long enough ago was missed."""
        while kept and heard_ms - kept[0].slot_ms > GRACE_MS:
            one = kept.popleft()
            self._settled_ms = one.slot_ms
            self._findings.note("missed", f"{self.watcher} {self.point} {one}, nothing told since")


def _same(kept: Kept, told: Told) -> bool:
    late_ms = told.source_ns / MS - kept.slot_ms
    return kept[1:] == told[1:] and -EARLY_MS <= late_ms <= LATE_MS
