"""Registers of one unit looked at closely: readings as far as they have a say in what some hours have."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from address_space.model.ids import NodeUid
from historian.api import HistoryReader
from historian.calendar import Days
from historian.rollups import beside, reach
from historian.rollups.beside import Known, Register
from historian.rollups.file import RollupFile
from historian.rollups.repair import Around


class Closely:
    """Readings around a span [start, end) of one unit, each of them read once.

    behind  whether hours behind the span may be computed already
    """

    def __init__(
        self,
        reader: HistoryReader,
        uid: NodeUid,
        registers: Sequence[Register],
        span: tuple[int, int],
        *,
        behind: bool,
    ) -> None:
        self._reader = reader
        self._uid = uid
        self._registers = registers
        self._span = span
        self._behind = behind
        self._known: dict[str, tuple[Known, Known]] = {}

    async def opened(
        self, on_file: Callable[[Callable[[RollupFile], object]], Awaitable[object]], days: Days, unit: int
    ) -> tuple[int, int]:
        """The time [start, end] in which what is booked may be another once the readings of the span are.

        Where there are no readings on a side any more, that is as far as consumption is stored.
        """
        begins, ends = [self._span[0]], [self._span[1]]
        bare: list[tuple[str, bool, bool]] = []
        for register in self._registers:
            earlier = await beside.before(self._reader, self._uid, register, self._span[0])
            later = beside.NOTHING
            if self._behind:
                later = await beside.after(self._reader, self._uid, register, self._span[1])
            self._known[register.field] = earlier, later
            opens = beside.opens(register, beside.since_calm(register, earlier))
            closes = beside.until_calm(register, later)
            if opens is not None:
                begins.append(opens)
            if closes:
                ends.append(closes[-1].time_ms)
            if opens is None or (self._behind and not closes):
                bare.append((register.field, opens is None, self._behind and not closes))

        def look(file: RollupFile) -> None:
            for field, before, after in bare:
                if before:
                    begins.append(reach.begins(file, days, unit, field, self._span[0]))
                if after:
                    ends.append(reach.ends(file, days, unit, field, self._span[1]))

        if bare:
            await on_file(look)
        return min(begins), max(ends)

    async def around(self, span: tuple[int, int]) -> dict[str, Around]:
        """What lies around a wider span, of each register."""
        found: dict[str, Around] = {}
        for register in self._registers:
            earlier, later = self._known[register.field]
            earlier = await beside.before(self._reader, self._uid, register, span[0], earlier)
            later = await beside.after(self._reader, self._uid, register, span[1], later)
            found[register.field] = Around(beside.since_calm(register, earlier), beside.until_calm(register, later))
        return found
