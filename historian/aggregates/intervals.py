"""Processing intervals (OPC 10000-13 5.4.2.2)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from address_space.model.value import Instants
from historian.aggregates.raw import Mask


@dataclass(frozen=True, slots=True, eq=False)
class Intervals:
    """Consecutive intervals, always in rising order here: interval k lies between edges k and k+1.

    reverse  time flows backward: an interval begins at its later edge, which it includes, instead of the earlier one
    cut      the one that is shorter than the others, -1 where none is
    """

    edges_ns: Instants
    reverse: bool = False
    cut: int = -1

    def __len__(self) -> int:
        return len(self.edges_ns) - 1

    @property
    def low_ns(self) -> Instants:
        """Earlier edges."""
        return self.edges_ns[:-1]

    @property
    def high_ns(self) -> Instants:
        """Later edges."""
        return self.edges_ns[1:]

    @property
    def start_ns(self) -> Instants:
        """Where each begins, as time flows."""
        return self.high_ns if self.reverse else self.low_ns

    def places(self, time_ns: Instants) -> Instants:
        """Positions in rising times at which the intervals begin and end, shape (len + 1,)."""
        return np.searchsorted(time_ns, self.edges_ns, "right" if self.reverse else "left")

    def partial(self, first_ns: int, last_ns: int) -> Mask:
        """Those that are not whole: cut, or with the begin or end of all data in them (5.3.3.2)."""
        low, high = self.low_ns, self.high_ns
        begins = (first_ns > low) & ((first_ns <= high) if self.reverse else (first_ns < high))
        ends = ((last_ns > low) if self.reverse else (last_ns >= low)) & (last_ns < high)
        found: Mask = begins | ends
        if self.cut >= 0:
            found[self.cut] = True
        return found

    def beyond(self, first_ns: int, last_ns: int) -> Mask:
        """Those that lie wholly before the first or behind the last value."""
        if self.reverse:
            return (self.high_ns < first_ns) | (self.low_ns >= last_ns)
        return (self.high_ns <= first_ns) | (self.low_ns > last_ns)


def intervals(start_ns: int, end_ns: int, width_ns: int, most: int) -> tuple[Intervals, bool]:
    """The first `most` intervals from start to end, and whether there are more; a width of 0 takes all as one.

    The last may be shorter. Start and end must differ.
    """
    reverse = end_ns < start_ns
    span = abs(end_ns - start_ns)
    width = width_ns or span
    count = -(-span // width)
    taken = min(count, most)
    steps = np.append(np.arange(taken, dtype=np.int64) * width, min(taken * width, span))
    cut = -1
    if taken == count and span % width:
        cut = 0 if reverse else taken - 1
    if reverse:
        return Intervals((start_ns - steps)[::-1], reverse=True, cut=cut), taken < count
    return Intervals(start_ns + steps, cut=cut), taken < count


def part_of(whole: Intervals, first: int, last: int) -> Intervals:
    """Intervals first to last - 1."""
    inside = first <= whole.cut < last
    return replace(whole, edges_ns=whole.edges_ns[first : last + 1], cut=whole.cut - first if inside else -1)
