"""Amounts of spans of time, shared out over buckets in whole base units: the shares of a span sum up to its amount."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from historian.calendar import Instants


class Shares(NamedTuple):
    """Parts of spans that lie in buckets, shape (n,) each.

    span, bucket  places of the span and the bucket
    amount        what of the span's amount belongs to the bucket
    length_ms     how long the part is
    split         whether the span reaches beyond the bucket
    """

    span: NDArray[np.int64]
    bucket: NDArray[np.int64]
    amount: NDArray[np.float64]
    length_ms: NDArray[np.int64]
    split: NDArray[np.bool_]


def shared(start_ms: Instants, end_ms: Instants, amount: NDArray[np.float64], edges_ms: Instants) -> Shares:
    """Parts of each span [start, end) in the buckets between `edges_ms`, ascending by span.

    What is shared out is a span's amount at the edges, by time and rounded to whole base units: a part depends on
    nothing but its span and its bucket, whatever else is computed with it.
    """
    buckets = len(edges_ms) - 1
    low = np.maximum(np.searchsorted(edges_ms, start_ms, "right") - 1, 0)
    high = np.minimum(np.searchsorted(edges_ms, end_ms, "left"), buckets)
    parts = np.maximum(high - low, 0)
    span = np.repeat(np.arange(len(parts)), parts)
    offset = np.arange(len(span)) - np.repeat(np.cumsum(parts) - parts, parts)
    bucket = low[span] + offset
    begin, end, whole = start_ms[span], end_ms[span], amount[span]
    lower = np.maximum(edges_ms[bucket], begin)
    upper = np.minimum(edges_ms[bucket + 1], end)
    length = upper - lower
    duration = (end - begin).astype(np.float64)
    split = length < end - begin
    at_lower = np.where(lower == begin, 0.0, np.rint(whole * (lower - begin) / duration))
    at_upper = np.where(upper == end, whole, np.rint(whole * (upper - begin) / duration))
    return Shares(span, bucket, at_upper - at_lower, length, split)
