"""Which aggregates there are, and how they may be set (OPC 10000-13 4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class ResultType(Enum):
    """Type of an aggregate's values."""

    SOURCE = "source"
    """That of the variable."""
    DOUBLE = "double"
    COUNT = "count"
    STATUS = "status"


class Aggregate(Enum):
    """The aggregates that are offered; the value is the number of the AggregateFunction in namespace 0."""

    INTERPOLATIVE = 2341
    AVERAGE = 2342
    TIME_AVERAGE = 2343
    TOTAL = 2344
    MINIMUM = 2346
    MAXIMUM = 2347
    MINIMUM_ACTUAL_TIME = 2348
    MAXIMUM_ACTUAL_TIME = 2349
    RANGE = 2350
    COUNT = 2352
    START = 2357
    END = 2358
    DELTA = 2359
    DURATION_GOOD = 2360
    PERCENT_GOOD = 2362
    PERCENT_BAD = 2363
    WORST_QUALITY = 2364
    TIME_AVERAGE_2 = 11285
    START_BOUND = 11505
    END_BOUND = 11506
    DELTA_BOUNDS = 11507

    @property
    def result(self) -> ResultType:
        """Type of what it gives."""
        return _RESULTS.get(self, ResultType.SOURCE)


_RESULTS = {
    Aggregate.AVERAGE: ResultType.DOUBLE,
    Aggregate.TIME_AVERAGE: ResultType.DOUBLE,
    Aggregate.TIME_AVERAGE_2: ResultType.DOUBLE,
    Aggregate.TOTAL: ResultType.DOUBLE,
    Aggregate.DURATION_GOOD: ResultType.DOUBLE,
    Aggregate.PERCENT_GOOD: ResultType.DOUBLE,
    Aggregate.PERCENT_BAD: ResultType.DOUBLE,
    Aggregate.COUNT: ResultType.COUNT,
    Aggregate.WORST_QUALITY: ResultType.STATUS,
}


@dataclass(frozen=True, slots=True)
class Configuration:
    """AggregateConfiguration (4.2.1.2); percent_good must be at least 100 - percent_bad.

    sloped_extrapolation  beyond the last value go on along the last line, else hold the last value
    """

    treat_uncertain_as_bad: bool = False
    percent_bad: int = 100
    percent_good: int = 100
    sloped_extrapolation: bool = False

    @property
    def consistent(self) -> bool:
        """Whether it can be used."""
        percents = (self.percent_bad, self.percent_good)
        return all(0 <= percent <= 100 for percent in percents) and sum(percents) >= 100
