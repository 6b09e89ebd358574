"""Aggregates of OPC 10000-13 over stored values: pure, in arrays, all intervals of a read at once."""

from historian.aggregates.calculate import Processed, calculate, value_at
from historian.aggregates.consumption import Counting
from historian.aggregates.intervals import Intervals, intervals
from historian.aggregates.kinds import Aggregate, Configuration, ResultType
from historian.aggregates.raw import Raw

__all__ = [
    "Aggregate",
    "Configuration",
    "Counting",
    "Intervals",
    "Processed",
    "Raw",
    "ResultType",
    "calculate",
    "intervals",
    "value_at",
]
