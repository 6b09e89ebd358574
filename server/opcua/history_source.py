"""Where history is read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from historian.aggregates import Aggregate, Intervals, Processed
from historian.api import HistoryReader
from server.opcua.history_variable import Answer, Variable


class Rollups(Protocol):
    """A quicker source of aggregates than stored values."""

    async def processed(self, aggregate: Aggregate, variable: Variable, spans: Intervals) -> Processed | None:
        """The same as from stored values, in rising order; None where only they can tell."""


@dataclass(frozen=True, slots=True)
class Source:
    """Stored values, and what was made of them beforehand, where there is such."""

    reader: HistoryReader
    rollups: Rollups | None = None


class Ask(Protocol):
    """What one variable is asked for, or what is left of it."""

    async def page(self, source: Source, most: int) -> Answer:
        """At most `most` values and what follows them; raises TooMuchHistory or HistoryError."""
