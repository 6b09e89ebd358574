"""HistoryRead at certain times (OPC 10000-11 6.5.5)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from asyncua import ua

from address_space.model.value import Instants, Statuses, Values
from historian.aggregates import Configuration, value_at
from historian.api import HistoryReader
from server.opcua.history_moments import moment_ns
from server.opcua.history_source import Source
from server.opcua.history_variable import NS_PER_MS, Answer, Variable, around, beside, raw_of

_DENSE = 100_000
"""Up to as many stored values are read in one go for all times together."""
_ONE_BY_ONE = 100
"""Times a page where each is looked up by itself."""


@dataclass(frozen=True, slots=True)
class AtTimeAsk:
    """Values at certain times from the `first` on, in the order asked for; all nodes of a request share the times."""

    variable: Variable
    at_ns: tuple[int, ...]
    simple: bool
    first: int = 0

    async def page(self, source: Source, most: int) -> Answer:
        """At most `most` of them, made of stored values whatever the rollups are."""
        taken = np.array(self.at_ns[self.first : self.first + most], np.int64)
        values, codes = await self._read(source.reader, taken)
        told = self.first + len(values)
        following = replace(self, first=told) if told < len(self.at_ns) else None
        kind = int(self.variable.quantity.value.data_type)
        return Answer(0, kind, taken[: len(values)], values, codes, following)

    async def _read(self, reader: HistoryReader, at_ns: Instants) -> tuple[Values, Statuses]:
        """Values of the first times, of all where stored values do not lie too dense between them."""
        configuration = Configuration()
        parts, full = await around(reader, self.variable, int(at_ns.min()), int(at_ns.max()), _DENSE, configuration)
        stepped = self.variable.stepped
        if not full:
            return value_at(raw_of(parts, configuration), at_ns, configuration, stepped=stepped, simple=self.simple)
        found = []
        for moment in at_ns[:_ONE_BY_ONE].tolist():
            edge_ms = moment // NS_PER_MS + 1
            near = [
                await beside(reader, self.variable, edge_ms, configuration, backward=backward)
                for backward in (True, False)
            ]
            one = np.array([moment], np.int64)
            found.append(value_at(raw_of(near, configuration), one, configuration, stepped=stepped, simple=self.simple))
        values, codes = zip(*found, strict=True)
        return np.concatenate(values), np.concatenate(codes)


def at_times(details: Any) -> tuple[int, ...] | int:
    """Times of ReadAtTimeDetails, or the status that refuses them."""
    moments = [moment_ns(moment) for moment in details.ReqTimes or ()]
    if not moments or None in moments:
        return int(ua.StatusCodes.BadInvalidArgument)
    return tuple(moment for moment in moments if moment is not None)
