"""Figures of hours, days and months for `joulehub history read`: the hub's own, else computed as the hub would."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from address_space.model.errors import HubError
from address_space.model.ids import NodeUid
from address_space.model.quantity import Kind, Quantity
from config.settings import HubSettings
from historian.api import HistoryReader
from historian.buckets import Buckets
from historian.calendar import Instants, Width, edges
from historian.counters import Limits, RatioChange
from historian.rollups import Afresh, KeptRollups, Ratings
from historian.schema import field_of
from server.app import Blueprint, draw

Known = tuple[Limits, Sequence[RatioChange]]


class Registers:
    """What is known of the registers of the configured plant, which is read when somebody asks first."""

    def __init__(self, plan: Callable[[], Blueprint]) -> None:
        self._plan = plan
        self._blueprint: Blueprint | None = None
        self._failed = False

    def of(self, unit: NodeUid, quantity: Quantity) -> Known:
        """Limits of a register and changes of its ratio; nothing, and said so once, where there is no plant."""
        if quantity.kind is not Kind.COUNTER:
            return Limits(), ()
        if self._blueprint is None and not self._failed:
            try:
                self._blueprint = self._plan()
            except HubError as error:
                self._failed = True
                sys.stderr.write(
                    "the plant cannot be read, so nothing is known of where registers roll over and how fast they "
                    f"count: {error}\n"
                )
        if self._blueprint is None:
            return Limits(), ()
        ratings = Ratings(self._blueprint.assembly.plant)
        bounds = ratings.bounds([unit], (field_of(quantity),))
        changes = self._blueprint.assembly.changes.of(unit).get(field_of(quantity), ())
        return ratings.limits(bounds, 0, 0), changes


class BucketSource:
    """Buckets of one store's variables in a time zone. `kept` are the hub's own of that store."""

    def __init__(
        self,
        reader: HistoryReader,
        kept: KeptRollups | None,
        registers: Registers,
        zone: ZoneInfo,
        *,
        quarters: bool = False,
    ) -> None:
        self._quarters = quarters
        self._reader = reader
        self._kept = kept if kept is not None and kept.zone.key == zone.key else None
        self._registers = registers
        self._zone = zone

    async def buckets(
        self, unit: NodeUid, quantity: Quantity, span: tuple[int, int, int], width: Width
    ) -> Buckets | None:
        """Over what there is of a time ([from, to) and now); None where nothing is."""
        bounds = await self._reader.bounds(unit, quantity)
        first_ms = self._kept.begins(unit, quantity) if self._kept is not None else None
        if bounds is not None:
            first_ms = bounds[0] if first_ms is None else min(first_ms, bounds[0])
        if first_ms is None:
            return None
        start_ms, end_ms, now_ms = span
        last_ms = bounds[1] + 1 if bounds is not None else 0
        if self._kept is not None:
            last_ms = max(last_ms, self._kept.settled_ms)
        borders = edges(max(start_ms, first_ms), min(end_ms, now_ms, last_ms), width, self._zone)
        if len(borders) < 2:
            return None
        found = await self._whole(unit, quantity, borders, width)
        return found if found is None or start_ms >= first_ms else _without_empty_beginning(found)

    async def _whole(self, unit: NodeUid, quantity: Quantity, borders: Instants, width: Width) -> Buckets | None:
        told = np.zeros(len(borders) - 1, np.bool_)
        parts: list[Buckets] = []
        if self._kept is not None:
            found = self._kept.buckets(unit, quantity, borders, width)
            told = self._kept.tells(unit, quantity, borders, width)
            parts = [found]
        if told.all():
            return parts[0]
        limits, changes = self._registers.of(unit, quantity)
        afresh = Afresh(self._reader, unit, quantity, self._zone, limits, changes, quarters=self._quarters)
        begins = np.append(0, np.flatnonzero(told[1:] != told[:-1]) + 1).tolist()
        pieces: list[Buckets] = []
        for low, high in zip(begins, [*begins[1:], len(told)], strict=True):
            if told[low]:
                pieces.append(_part(parts[0], slice(low, high)))
                continue
            piece = await afresh.buckets(borders[low : high + 1], width)
            if piece is None:
                return None
            pieces.append(piece)
        return _joined(pieces)


@contextmanager
def kept_rollups(settings: HubSettings, source: str) -> Iterator[KeptRollups | None]:
    """The hub's own, None where they are of another store, damaged or not there."""
    folder, history = settings.data_dir / "history", settings.history
    theirs = "embedded" if history.embedded else "influx"
    answering = history.read_from if history.read_from != "auto" else theirs
    if (source if source != "auto" else answering) != theirs or not KeptRollups.there(folder):
        yield None
        return
    try:
        kept = KeptRollups(folder)
    except HubError as error:
        sys.stderr.write(f"the hub's rollups cannot be read, all is computed from the readings: {error}\n")
        yield None
        return
    with kept:
        yield kept


def registers_of(settings: HubSettings) -> Registers:
    """Those of the plant that the settings name."""
    return Registers(lambda: draw(settings))


def _without_empty_beginning(found: Buckets) -> Buckets:
    some: NDArray[np.bool_] = (found.count > 0) | ~np.isnan(found.delta)
    return _part(found, slice(int(some.argmax()) if some.any() else len(some), None))


def _part(found: Buckets, which: slice) -> Buckets:
    return Buckets(*(getattr(found, field.name)[which] for field in fields(Buckets)))


def _joined(parts: Sequence[Buckets]) -> Buckets:
    return Buckets(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Buckets)))
