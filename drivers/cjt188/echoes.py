"""Serial numbers (SER): counted for a line, and which meters are known to repeat them in their answers."""

from __future__ import annotations

from collections.abc import Hashable

TRUSTED = 2
"""So many right answers in a row, and a meter is expected to repeat what it was asked with."""
DOUBTED = 3
"""So many exchanges in a row that brought only wrong ones, and it no longer is."""


class Echoes:
    """A late answer carries the number of an earlier request. That gives it away, but only where the meter repeats
    numbers at all, and not all do."""

    def __init__(self) -> None:
        self._last = 0
        self._known: dict[Hashable, tuple[int, int]] = {}

    def next(self) -> int:
        """Serial number of the next request."""
        self._last = self._last + 1 & 0xFF
        return self._last

    def fits(self, meter: Hashable, asked: int, answered: int, *, strict: bool) -> bool:
        """Whether an answer with the number `answered` may be one to the request `asked`."""
        return answered in (asked, -1) or not (strict or self._known.get(meter, (0, 0))[0] >= TRUSTED)

    def heard(self, meter: Hashable, asked: int, answered: int) -> None:
        """An answer was taken."""
        right, _ = self._known.get(meter, (0, 0))
        if answered == asked:
            if right < TRUSTED:
                self._known[meter] = (right + 1, 0)
            elif self._known[meter][1]:
                self._known[meter] = (right, 0)
        elif right:
            del self._known[meter]

    def only_wrong(self, meter: Hashable) -> None:
        """An exchange brought nothing but answers with other numbers."""
        right, wrong = self._known.get(meter, (0, 0))
        if wrong + 1 >= DOUBTED:
            self._known.pop(meter, None)
        elif right:
            self._known[meter] = (right, wrong + 1)
