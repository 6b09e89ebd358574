"""Whether a subscriber was told everything: what it was sent, compared sample by sample with what was recorded."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

MS = 1_000_000
GRACE_MS = 20_000
"""How long a sample may be in one place before it must be in the other: commits, publishing, a broken line."""
LATE_MS = 20_000
"""Longest time between a slot and the answer read for it, with a bus full of silent meters."""
LOOK_AHEAD = 8


class Told(NamedTuple):
    """A sample that a subscriber was sent, Good or at least usable."""

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
    """What came of all comparisons."""

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

    def note(self, kind: str, text: str) -> None:
        """Count one and keep it as an example."""
        setattr(self, kind, getattr(self, kind) + 1)
        if sum(one.startswith(kind) for one in self.examples) < 30:
            self.examples.append(f"{kind}: {text}")


class Ledger:
    """One monitored item. Told samples come in by `tell`; `settle` takes those away that the history has too."""

    def __init__(self, point: str, findings: Findings) -> None:
        self.point = point
        self.settled_ms = 0
        """Slot of the last sample that stood in both; 0 before the first."""
        self._findings = findings
        self._open: deque[Told] = deque()
        self._last_ns = 0

    @property
    def oldest_ns(self) -> int | None:
        """Source time of the oldest sample not settled."""
        return self._open[0].source_ns if self._open else None

    @property
    def waiting(self) -> list[Told]:
        """Samples not settled."""
        return list(self._open)

    def tell(self, told: Told) -> None:
        """One usable sample has arrived."""
        if told.source_ns <= self._last_ns:
            self._findings.note("reordered", f"{self.point} {told} after {self._last_ns}")
        self._last_ns = told.source_ns
        self._open.append(told)

    def settle(self, kept: Sequence[Kept], now_ms: int) -> list[tuple[Kept, Told]]:
        """Compare with the history after `settled_ms`; returns the pairs that agree."""
        kept = [one for one in kept if one.slot_ms > self.settled_ms]
        if not self.settled_ms:
            kept = self._from_the_beginning(kept)
        pairs: list[tuple[Kept, Told]] = []
        at = 0
        while at < len(kept) and self._open:
            if _same(kept[at], self._open[0]):
                pairs.append((kept[at], self._open.popleft()))
                at += 1
            elif now_ms - kept[at].slot_ms < GRACE_MS:
                break
            else:
                at += self._differ(kept, at)
            if at:
                self.settled_ms = kept[at - 1].slot_ms
        for one in kept[at:]:
            if now_ms - one.slot_ms > GRACE_MS and self.settled_ms and not self._open:
                self._findings.note("missed", f"{self.point} {one}")
                self.settled_ms = one.slot_ms
        while self._open and at >= len(kept) and now_ms - self._open[0].source_ns / MS > GRACE_MS:
            self._findings.note("unrecorded", f"{self.point} {self._open.popleft()}")
        self._findings.compared += len(pairs)
        return pairs

    def _from_the_beginning(self, kept: Sequence[Kept]) -> list[Kept]:
        """The history from the first sample told on: where most of what follows agrees, for values may come twice."""
        for _ in range(min(LOOK_AHEAD, len(self._open))):
            told = list(self._open)[: 2 * LOOK_AHEAD]
            starts = [at for at, one in enumerate(kept) if _same(one, told[0])]
            if starts:
                best = max(starts, key=lambda at: sum(map(_same, kept[at:], told)))
                return list(kept[best:])
            self._open.popleft()  # restored or held from before the subscription
        return []

    def _differ(self, kept: Sequence[Kept], at: int) -> int:
        """The next of both are not the same; returns how many of the history are done with."""
        ahead = list(self._open)[:LOOK_AHEAD]
        for steps, told in enumerate(ahead):
            if steps and _same(kept[at], told):
                for _ in range(steps):
                    self._findings.note("unrecorded", f"{self.point} {self._open.popleft()}, then {self._open[0]}, next {kept[at]}")
                return 0
        for steps, one in enumerate(kept[at : at + LOOK_AHEAD]):
            if steps and _same(one, ahead[0]):
                for lost in kept[at : at + steps]:
                    self._findings.note("missed", f"{self.point} {lost}, next {ahead[0]}")
                return steps
        self._findings.note("different", f"{self.point} {kept[at]} {self._open.popleft()}")
        return 1


def _same(kept: Kept, told: Told) -> bool:
    late_ms = told.source_ns / MS - kept.slot_ms
    return kept.value == told.value and kept.status == told.status and -5.0 <= late_ms <= LATE_MS
