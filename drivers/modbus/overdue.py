"""Answers that may still come on a line whose frames carry no number (RTU), so that none tells what it answers.

A unit that owes an answer is first asked for another number of registers than any it owes, so that what comes late
is known by its length. Only an answer of the length asked for shows that unit and hub are in step again.
"""

from __future__ import annotations

from collections import deque

from drivers.modbus.plan import Read

REMEMBERED = 2
"""Requests without an answer that are remembered a unit: the last one, and the attempt to get in step before it."""
BITS_A_BYTE = 8


class Overdue:
    """Sizes in bytes of the answers that units owe, the oldest forgotten first."""

    def __init__(self) -> None:
        self._owed: dict[int, deque[int]] = {}

    def note(self, unit: int, size: int) -> None:
        """A request for so many bytes got no answer that fits."""
        self._owed.setdefault(unit, deque(maxlen=REMEMBERED)).append(size)

    def owes(self, unit: int) -> bool:
        """Whether an answer of this unit may be one to an earlier request."""
        return unit in self._owed

    def settle(self, unit: int) -> None:
        """Unit and hub are in step."""
        self._owed.pop(unit, None)

    def clear(self) -> None:
        """A new connection: nothing that was asked on the old one can arrive."""
        self._owed.clear()

    def telling(self, unit: int, read: Read) -> Read:
        """A request near `read` whose answer cannot be confused with one that is owed, nor with that to `read`."""
        taken = {*self._owed.get(unit, ()), answer_size(read)}
        step = 1 if read.fc > 2 else BITS_A_BYTE
        shorter = (Read(read.fc, read.address, words) for words in range(read.words - step, 0, -step))
        longer = (Read(read.fc, read.address, read.words + step * more) for more in range(1, REMEMBERED + 2))
        return next(each for each in (*shorter, *longer) if answer_size(each) not in taken)


def answer_size(read: Read) -> int:
    """Data bytes of the answer."""
    return 2 * read.words if read.fc > 2 else (read.words + BITS_A_BYTE - 1) // BITS_A_BYTE
