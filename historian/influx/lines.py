"""Readings as line protocol: one wide line a device reading, whole field sets, times in milliseconds.

The recorder writes through `LineWriter`, which is a `HistoryWriter`: what it returns from lies in the spool.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from address_space.model.ids import NodeUid
from address_space.model.quantity import by_path
from historian.api import Readings, SeriesIds
from historian.parcels import Parcel
from historian.schema import QUALITY_FIELD, Measurement, quality_flags
from historian.spool import Spool

PARCEL_LINES = 5000


@dataclass(frozen=True, slots=True)
class Tags:
    """What a unit's lines carry beside its id: its medium, and the site it stands at (empty: none)."""

    kind: str
    site: str = ""


class LineWriter:
    """`HistoryWriter` into the spool, for any number of sinks."""

    def __init__(self, spool: Spool, sinks: Sequence[str], tags_of: Callable[[NodeUid], Tags]) -> None:
        self._spool = spool
        self._sinks = tuple(sinks)
        self._tags_of = tags_of
        self._numbers: dict[NodeUid, int] = {}
        self._tags: list[str] = []

    async def series(self, units: Sequence[NodeUid]) -> SeriesIds:
        """Numbers of units, for as long as this writer lives."""
        return np.array([self._number(unit) for unit in units], np.int64)

    async def write(self, readings: Sequence[Readings]) -> None:
        """Put all in the spool for every sink, or raise HistoryError."""
        parcels = await asyncio.to_thread(self._parcels, readings)
        await self._spool.append(parcels)

    def _number(self, unit: NodeUid) -> int:
        number = self._numbers.get(unit)
        if number is None:
            number = self._numbers[unit] = len(self._tags)
            tags = self._tags_of(unit)
            self._tags.append(tag_set({"point": unit, "kind": tags.kind, "site": tags.site}))
        return number

    def _parcels(self, readings: Sequence[Readings]) -> list[Parcel]:
        lines: dict[Measurement, list[str]] = {}
        times: dict[Measurement, list[NDArray[np.int64]]] = {}
        for group in readings:
            if not len(group.series):
                continue
            lines.setdefault(group.measurement, []).extend(lines_of(group, self._tags))
            times.setdefault(group.measurement, []).append(group.time_ms)
        found: list[Parcel] = []
        for measurement, written in lines.items():
            moments = np.concatenate(times[measurement])
            first_ms, last_ms = int(moments.min()), int(moments.max())
            for at in range(0, len(written), PARCEL_LINES):
                part = written[at : at + PARCEL_LINES]
                body = "\n".join(part).encode()
                found += [Parcel(sink, measurement, body, len(part), first_ms, last_ms) for sink in self._sinks]
        return found


def lines_of(readings: Readings, tags: Sequence[str]) -> list[str]:
    """A line a row, values in shown units; rows without any value have none."""
    if not len(readings.series):
        return []
    values = readings.values / _divisors(readings.fields)
    whole = np.isfinite(values)
    flags = _flags(readings.status)
    heads = [f"{readings.measurement.value}{tags[number]} " for number in readings.series.tolist()]
    names = [escaped_key(field) for field in readings.fields]
    form = ",".join(f"{name}=%r" for name in names) + f",{QUALITY_FIELD}=%di %d"
    complete: list[Any] = np.all(whole, axis=1).tolist()
    rows = zip(heads, values.tolist(), flags.tolist(), readings.time_ms.tolist(), complete, strict=True)
    found: list[str] = []
    for position, (head, row, quality, time_ms, is_complete) in enumerate(rows):
        if is_complete:
            found.append(head + form % (*row, quality, time_ms))
            continue
        present = whole[position].tolist()
        fields = ",".join(
            f"{name}={value!r}" for name, value, is_there in zip(names, row, present, strict=True) if is_there
        )
        comma = "," if fields else ""
        found.append(f"{head}{fields}{comma}{QUALITY_FIELD}={quality}i {time_ms}")
    return found


def tag_set(tags: Mapping[str, str]) -> str:
    """Tags as they stand behind the measurement, in the order of their names; empty ones are left out."""
    return "".join(f",{escaped_key(name)}={escaped_key(value)}" for name, value in sorted(tags.items()) if value)


def escaped_key(text: str) -> str:
    """A tag key, tag value or field key."""
    plain = text.replace("\\", "\\\\") if text.endswith("\\") else text
    return plain.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ").replace("\n", "\\ ")


def _divisors(fields: Sequence[str]) -> NDArray[np.float64]:
    quantities = [by_path(field) for field in fields]
    return np.array([quantity.per_unit if quantity is not None else 1 for quantity in quantities], np.float64)


def _flags(status: NDArray[np.uint32]) -> NDArray[np.int64]:
    """The union of the quality bits of each row."""
    codes, where = np.unique(status, return_inverse=True)
    bits = np.array([int(quality_flags(code)) for code in codes.tolist()], np.int64)[where.reshape(status.shape)]
    found: NDArray[np.int64] = np.bitwise_or.reduce(bits, axis=1)
    return found
