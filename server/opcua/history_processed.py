"""HistoryRead of aggregates (OPC 10000-11 6.5.4): what is asked, and one page of answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from asyncua import ua

from address_space.model.quantity import DataType
from address_space.nodes.wire import STATUS_CODE
from historian.aggregates import Aggregate, Configuration, Intervals, Processed, ResultType, calculate, intervals
from historian.aggregates.intervals import part_of
from historian.api import HistoryReader
from server.opcua.errors import TooMuchHistory
from server.opcua.history_moments import moment_ns
from server.opcua.history_source import Source
from server.opcua.history_variable import NS_PER_MS, Answer, Variable, around, raw_of

VALUES_AT_ONCE = 1_000_000
"""Stored values that one page of one node is made of, at most."""
_IN_A_THREAD = 20_000
"""From as many values on they are worked on beside the other clients."""
_INVALID_INPUTS = int(ua.StatusCodes.BadAggregateInvalidInputs)
"""Percentages that contradict each other, and what a variable's type has no room for (OPC 10000-13 4.2.1.2, 5.3.2)."""
_NUMBERS = {number.value: number for number in Aggregate}
NUMBERS_ONLY = frozenset(
    {
        Aggregate.AVERAGE,
        Aggregate.TIME_AVERAGE,
        Aggregate.TIME_AVERAGE_2,
        Aggregate.TOTAL,
        Aggregate.RANGE,
        Aggregate.DELTA,
        Aggregate.DELTA_BOUNDS,
    }
)
"""Aggregates that are made of numbers only."""


@dataclass(frozen=True, slots=True)
class ProcessedAsk:
    """Intervals of `width_ns` (0: one of all) from start to end, which lies before it where time flows backward."""

    variable: Variable
    aggregate: Aggregate
    configuration: Configuration
    start_ns: int
    end_ns: int
    width_ns: int

    async def page(self, source: Source, most: int) -> Answer:
        """At most `most` intervals; raises TooMuchHistory where a single one has more values than are read at once."""
        spans, more = intervals(self.start_ns, self.end_ns, self.width_ns, most)
        found: Processed | None = None
        if source.rollups is not None and self.configuration == Configuration():
            found = await source.rollups.processed(self.aggregate, self.variable, spans)
        if found is None:
            spans, found, cut = await self._from_values(source.reader, spans)
            more = more or cut
        following: ProcessedAsk | None = None
        if more:
            edge = int(spans.edges_ns[0] if spans.reverse else spans.edges_ns[-1])
            following = replace(self, start_ns=edge)
        if spans.reverse:
            found = found.reversed()
        kind = self._kind()
        values, status = found.values, found.status
        if kind == int(DataType.UINT32) and (values < 0).any():
            status = np.where(values < 0, np.uint32(_INVALID_INPUTS), status)
        return Answer(0, kind, found.time_ns, values, status, following)

    async def _from_values(self, reader: HistoryReader, spans: Intervals) -> tuple[Intervals, Processed, bool]:
        """Of as many intervals as can be told at once, and whether these are not all."""
        cut = False
        while True:
            low, high = int(spans.edges_ns[0]), int(spans.edges_ns[-1])
            parts, full = await around(reader, self.variable, low, high, VALUES_AT_ONCE, self.configuration)
            if not full:
                break
            if len(spans) == 1:
                raise TooMuchHistory(
                    f"one interval of {self.variable.uid} has more than {VALUES_AT_ONCE:,} values",
                    hint="ask for shorter intervals",
                )
            half = len(spans) // 2
            spans, cut = part_of(spans, half, len(spans)) if spans.reverse else part_of(spans, 0, half), True
        raw = raw_of(parts, self.configuration)
        stepped, counting = self.variable.stepped, self.variable.counting

        def work() -> Processed:
            return calculate(self.aggregate, raw, spans, self.configuration, stepped=stepped, counting=counting)

        found = await asyncio.to_thread(work) if len(raw) + len(spans) > _IN_A_THREAD else work()
        return spans, found, cut

    def _kind(self) -> int:
        result = self.aggregate.result
        if result is ResultType.SOURCE:
            return int(self.variable.quantity.value.data_type)
        return _KINDS[result]


_KINDS = {
    ResultType.DOUBLE: int(DataType.DOUBLE),
    ResultType.COUNT: int(DataType.INT32),
    ResultType.STATUS: STATUS_CODE,
}


@dataclass(frozen=True, slots=True)
class Processing:
    """Details of a ReadProcessed request that hold for all its nodes."""

    start_ns: int
    end_ns: int
    width_ns: int
    aggregates: tuple[ua.NodeId, ...]
    configuration: Configuration

    @classmethod
    def of(cls, details: ua.ReadProcessedDetails) -> Processing | int:
        """The status that refuses them where they cannot be meant."""
        start, end = moment_ns(details.StartTime), moment_ns(details.EndTime)
        width_ms = details.ProcessingInterval
        if start is None or end is None or start == end or not width_ms >= 0 or 0 < width_ms < 1:
            return int(ua.StatusCodes.BadInvalidArgument)
        configuration = _configuration(details.AggregateConfiguration)
        if not configuration.consistent:
            return _INVALID_INPUTS
        whole = abs(end - start)
        # As long as all, or longer, makes one whole interval (OPC 10000-13 Table 12).
        width = round(width_ms * NS_PER_MS) if width_ms * NS_PER_MS < whole else 0
        return cls(start, end, width, tuple(details.AggregateType), configuration)

    def ask(self, variable: Variable, place: int) -> ProcessedAsk | int:
        """What is asked of the node at `place`, or the status that refuses it."""
        node = self.aggregates[place]
        aggregate = _NUMBERS.get(node.Identifier) if node.NamespaceIndex == 0 else None
        if aggregate is None:
            return int(ua.StatusCodes.BadAggregateNotSupported)
        definition = variable.quantity.value
        numeric = not definition.enumeration and definition.data_type not in (DataType.BOOLEAN, DataType.DATETIME)
        if aggregate in NUMBERS_ONLY and not numeric:
            return int(ua.StatusCodes.BadAggregateNotSupported)
        return ProcessedAsk(variable, aggregate, self.configuration, self.start_ns, self.end_ns, self.width_ns)


def _configuration(asked: Any) -> Configuration:
    if asked is None or asked.UseServerCapabilitiesDefaults:
        return Configuration()
    return Configuration(
        bool(asked.TreatUncertainAsBad),
        int(asked.PercentDataBad),
        int(asked.PercentDataGood),
        bool(asked.UseSlopedExtrapolation),
    )
