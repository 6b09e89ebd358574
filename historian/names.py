"""Units by number and numbers by unit, for hundreds of thousands of them, without a dictionary entry for each."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from address_space.model.ids import NodeUid

Numbers = NDArray[np.int64]


class Names(Mapping[int, NodeUid]):
    """Units by their numbers, which a file gives out and which are small. Texts are the ones given last: where the
    plant's own are given, nothing is held twice.

    What is added replaces the lists as a whole, so other threads may look while one adds.
    """

    def __init__(self) -> None:
        self._uids: list[NodeUid | None] = []
        self._index: tuple[list[NodeUid], Numbers] = ([], np.empty(0, np.int64))
        """Units in alphabetical order, and the number of each."""

    def __len__(self) -> int:
        return len(self._index[0])

    def __iter__(self) -> Iterator[int]:
        return iter(np.sort(self._index[1]).tolist())

    def __getitem__(self, number: int) -> NodeUid:
        found = self._uids[number] if 0 <= number < len(self._uids) else None
        if found is None:
            raise KeyError(number)
        return found

    @property
    def end(self) -> int:
        """A number beyond all."""
        return len(self._uids)

    def add(self, uids: Iterable[str], numbers: Iterable[int]) -> None:
        """Units and their numbers; a unit keeps the number it has."""
        self.add_all(zip(uids, numbers, strict=True))

    def add_all(self, numbered: Iterable[tuple[str, int]]) -> None:
        """The same, in pairs."""
        every = list(self._uids)
        for text, number in numbered:
            if number >= len(every):
                every += [None] * (number + 1 - len(every))
            every[number] = NodeUid(text)
        known = [number for number, uid in enumerate(every) if uid is not None]
        known.sort(key=every.__getitem__)  # type: ignore[arg-type]  # those that are there
        self._uids = every
        self._index = [uid for number in known if (uid := every[number]) is not None], np.array(known, np.int64)

    def number(self, uid: str) -> int:
        """The number of a unit, -1 where it has none."""
        names, numbers = self._index
        place = bisect_left(names, uid)
        return int(numbers[place]) if place < len(names) and names[place] == uid else -1

    def numbers(self, uids: Sequence[str]) -> Numbers:
        """The numbers of units, -1 for those that have none."""
        return np.array([self.number(uid) for uid in uids], np.int64)
