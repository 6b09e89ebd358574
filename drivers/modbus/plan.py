"""Which requests learn a set of points: registers merged within the device's limits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from drivers.modbus.layout import CompiledPoint, Limits, Make

BITS_PER_WORD = 16


@dataclass(frozen=True, slots=True, order=True)
class Read:
    """One read request: function code, wire address of the first register (or bit), how many."""

    fc: int
    address: int
    words: int

    @property
    def end(self) -> int:
        """Address behind the last."""
        return self.address + self.words

    def covers(self, fc: int, place: int) -> bool:
        """Whether its answer holds this register."""
        return self.fc == fc and self.address <= place < self.end

    def __str__(self) -> str:
        return f"FC{self.fc} 0x{self.address:04X} x {self.words}"


def plan_reads(make: Make, offsets: Sequence[int]) -> tuple[Read, ...]:
    """Requests for the points at `offsets`, ascending by function code and address.

    Runs of adjacent words are never split, points of one atomic group never parted, a gap is read along only where
    the device allows it and it is no longer than the limit.
    """
    points = [point for offset in offsets if (point := make.points[offset]) is not None]
    spans = _spans(points)
    if make.clock is not None:
        spans.append(Read(make.clock.fc, make.clock.address, make.clock.format.size))
    return merge(spans, make.limits)


def merge(spans: Iterable[Read], limits: Limits) -> tuple[Read, ...]:
    """As few requests as the limits allow, each span whole in one of them."""
    blocks = [Read(*block) for block in limits.blocks]
    chosen: set[Read] = set()
    loose: set[Read] = set()
    for span in spans:
        home = next((block for block in blocks if block.fc == span.fc and _within(span, block)), None)
        if home is not None:
            chosen.add(home)
        else:
            loose.add(span)
    if limits.one_value_per_read:
        return tuple(sorted(chosen | loose))
    merged: list[Read] = []
    for span in sorted(loose):
        joined = _joined(merged[-1], span, limits) if merged else None
        if joined is not None:
            merged[-1] = joined
        else:
            merged.append(span)
    return tuple(sorted({*chosen, *merged}))


def _spans(points: Iterable[CompiledPoint]) -> list[Read]:
    spans: list[Read] = []
    groups: dict[str, Read] = {}
    for point in points:
        own = [Read(register.fc, first, count) for register in point.all_registers for first, count in register.runs]
        if not point.atomic:
            spans += own
            continue
        for span in own:
            groups[point.atomic] = _hull(groups.get(point.atomic, span), span)
    return spans + list(groups.values())


def _joined(before: Read, span: Read, limits: Limits) -> Read | None:
    capacity = limits.max_words * (BITS_PER_WORD if span.fc < 3 else 1)
    together = _hull(before, span)
    if before.fc != span.fc or span.address - before.end > limits.max_gap:
        return None
    overlapping = span.address < before.end
    return together if together.words <= capacity or (overlapping and _within(span, before)) else None


def _hull(one: Read, other: Read) -> Read:
    first = min(one.address, other.address)
    return Read(one.fc, first, max(one.end, other.end) - first)


def _within(inner: Read, outer: Read) -> bool:
    return outer.address <= inner.address and inner.end <= outer.end
