"""Learning which registers a device lacks: a refused block is halved until what is refused is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from drivers.modbus.plan import Read

Span = tuple[int, int]
"""(first address, address behind the last) of registers that stand or fall together."""


@dataclass(slots=True)
class Split:
    """What is known of one block of one device.

    readable  runs that were read whole
    pending   groups of spans not tried yet
    absent    spans that were refused
    """

    fc: int
    expires_ns: int
    readable: list[Span] = field(default_factory=list)
    pending: list[tuple[Span, ...]] = field(default_factory=list)
    absent: list[Span] = field(default_factory=list)

    @classmethod
    def refused(cls, read: Read, spans: Sequence[Span], expires_ns: int) -> Split:
        """Of a block that was refused whole."""
        return cls(read.fc, expires_ns, pending=_halves(tuple(sorted(set(spans)))))

    def next_group(self) -> Read | None:
        """What to try next; None where all is known."""
        return _hull(self.fc, self.pending[0]) if self.pending else None

    def accept(self) -> None:
        """The group just tried was read."""
        group = self.pending.pop(0)
        self.readable.append((group[0][0], max(end for _, end in group)))

    def refuse(self) -> None:
        """The group just tried was refused."""
        group = self.pending.pop(0)
        if len(group) == 1:
            self.absent.append(group[0])
        else:
            self.pending[:0] = _halves(group)

    def reads(self, max_words: int) -> tuple[Read, ...]:
        """Requests for what is readable; runs that touch are read together."""
        runs: list[Span] = []
        for first, end in sorted(self.readable):
            if runs and first <= runs[-1][1] and max(end, runs[-1][1]) - runs[-1][0] <= max_words:
                runs[-1] = (runs[-1][0], max(end, runs[-1][1]))
            else:
                runs.append((first, end))
        return tuple(Read(self.fc, first, end - first) for first, end in runs)


def _halves(spans: tuple[Span, ...]) -> list[tuple[Span, ...]]:
    middle = (len(spans) + 1) // 2
    return [half for half in (spans[:middle], spans[middle:]) if half]


def _hull(fc: int, group: tuple[Span, ...]) -> Read:
    first = group[0][0]
    return Read(fc, first, max(end for _, end in group) - first)
