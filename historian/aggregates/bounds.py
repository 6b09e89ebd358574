"""Values at the edges of intervals where there is none: bounding values (OPC 10000-13 3.1.8, 3.1.9)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from address_space.model.value import Instants, Statuses, Values
from historian.aggregates.raw import BAD_NO_DATA, Mask, Raw

UNCERTAIN = 0x40A40000
"""UncertainDataSubNormal."""


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """One value for each time: NaN and BadNoData where there is none.

    usable  there is one; good: and its status is Good
    made    it was interpolated or extrapolated, not found
    """

    values: Values
    status: Statuses
    usable: Mask
    good: Mask
    made: Mask


def simple(raw: Raw, at_ns: Instants, *, stepped: bool) -> Bounds:
    """From the nearest values on both sides, bad ones too; behind the last value there is none."""
    before = np.searchsorted(raw.time_ns, at_ns, "right") - 1
    place = np.maximum(before, 0)
    after = np.minimum(place + 1, len(raw) - 1)
    found = (before >= 0) & raw.usable[place]
    exact = found & (raw.time_ns[place] == at_ns)
    made = found & ~exact & (before + 1 < len(raw))
    values = np.where(exact | made, raw.values[place], np.nan)
    certain = raw.good[place]
    if not stepped:
        sloped = made & raw.usable[after]
        values = np.where(sloped, _line(raw, place, after, at_ns), values)
        certain = certain & raw.good[after]
    return _bounds(raw, place, values, exact, made, certain)


def interpolated(raw: Raw, at_ns: Instants, *, stepped: bool, sloped_extrapolation: bool) -> Bounds:
    """From the nearest usable values on both sides; behind the last one it is extrapolated."""
    usable = np.flatnonzero(raw.usable)
    if not len(usable):
        return simple(raw, at_ns, stepped=stepped)
    order = np.searchsorted(raw.time_ns[usable], at_ns, "right") - 1
    place = usable[np.maximum(order, 0)]
    exact = (order >= 0) & (raw.time_ns[place] == at_ns)
    made = (order >= 0) & ~exact
    values = np.where(exact | made, raw.values[place], np.nan)
    if stepped:
        nothing_skipped = np.searchsorted(raw.time_ns, at_ns, "right") - 1 == place
        certain = raw.good[place] & nothing_skipped & (place + 1 < len(raw))
        return _bounds(raw, place, values, exact, made, certain)
    last = order + 1 >= len(usable)
    after = usable[np.minimum(np.maximum(order, 0) + 1, len(usable) - 1)]
    values = np.where(made & ~last, _line(raw, place, after, at_ns), values)
    if sloped_extrapolation and len(usable) > 1:
        onward = _line(raw, np.full(len(at_ns), usable[-2]), np.full(len(at_ns), usable[-1]), at_ns)
        values = np.where(made & last, onward, values)
    certain = ~last & (after == place + 1) & raw.good[place] & raw.good[after]
    return _bounds(raw, place, values, exact, made, certain)


def _bounds(raw: Raw, place: Instants, values: Values, exact: Mask, made: Mask, certain: Mask) -> Bounds:
    status = np.full(len(values), BAD_NO_DATA, np.uint32)
    status[exact] = raw.status[place[exact]]
    status[made] = np.where(certain[made], 0, UNCERTAIN)
    usable = exact | made
    return Bounds(values, status, usable, (exact & raw.good[place]) | (made & certain), made)


def _line(raw: Raw, before: Instants, after: Instants, at_ns: Instants) -> Values:
    begin, value = raw.time_ns[before], raw.values[before]
    span = np.maximum(raw.time_ns[after] - begin, 1)
    line: Values = value + (raw.values[after] - value) * ((at_ns - begin) / span)
    return line
