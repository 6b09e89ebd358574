"""From device readings to rows: which point goes to which field, and many batches to few matrices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from address_space.model.clock import NS
from address_space.model.plant import Block, Plant
from address_space.model.value import Batch
from historian.api import Readings, Row, SeriesIds
from historian.schema import Measurement, field_of, measurement_of

_NS_PER_MS = 1_000_000


class Columns:
    """A plant as the recorder sees it: numbers of its units, and per template what is recorded as what."""

    def __init__(self, plant: Plant, series: SeriesIds) -> None:
        self.plant = plant
        self.series = series
        self._kinds: dict[int, NDArray[np.int8]] = {}
        self._firsts = np.array([block.first_handle for block in plant.blocks], np.int64)

    def block(self, batch: Batch) -> int:
        """Index of the block that a batch belongs to."""
        return int(np.searchsorted(self._firsts, batch.handles[0], side="right")) - 1

    def recorded(self, block: int) -> NDArray[np.int8]:
        """Per variable of a block's template: 1 counter, 2 gauge or state, 0 not recorded."""
        kinds = self._kinds.get(block)
        if kinds is None:
            kinds = self._kinds[block] = _kinds(self.plant.blocks[block])
        return kinds

    def offsets(self, block: int, batch: Batch) -> NDArray[np.int64]:
        """Template offsets of a batch's handles."""
        of_block = self.plant.blocks[block]
        first = of_block.first_handle + (batch.unit - of_block.first_unit) * of_block.template.width
        return batch.handles - first

    def readings(self, batches: Iterable[Batch]) -> list[Readings]:
        """Rows of all batches; those of one template with the same variables become one matrix a measurement."""
        groups: dict[tuple[int, bytes], list[Batch]] = {}
        for batch in batches:
            if not len(batch.handles):
                continue
            block = self.block(batch)
            groups.setdefault((block, self.offsets(block, batch).tobytes()), []).append(batch)
        found: list[Readings] = []
        for (block, pattern), group in groups.items():
            found += self._rows(block, np.frombuffer(pattern, np.int64), group)
        return found

    def _rows(self, block: int, offsets: NDArray[np.int64], group: Sequence[Batch]) -> list[Readings]:
        shape = (len(group), len(offsets))
        values = np.concatenate([batch.values for batch in group]).reshape(shape)
        status = np.concatenate([batch.status for batch in group]).reshape(shape)
        series = self.series[[batch.unit for batch in group]]
        time_ms = np.array([batch.slot_ns for batch in group], np.int64) // _NS_PER_MS
        quantities = self.plant.blocks[block].template.quantities
        kinds = self.recorded(block)[offsets]
        found: list[Readings] = []
        for kind, measurement in ((1, Measurement.ENERGY), (2, Measurement.INST)):
            taken = np.flatnonzero(kinds == kind)
            if len(taken):
                fields = tuple(field_of(quantities[offset]) for offset in offsets[taken].tolist())
                found.append(Readings(measurement, fields, series, time_ms, values[:, taken], status[:, taken]))
        return found


class Thresholds:
    """Deadband and heartbeat: what was last recorded of each point of the templates that ask for it."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._deadband: dict[int, NDArray[np.float64]] = {}
        self._heartbeat_ns: dict[int, NDArray[np.int64]] = {}
        self._value: dict[int, NDArray[np.float64]] = {}
        self._status: dict[int, NDArray[np.int64]] = {}
        self._slot_ns: dict[int, NDArray[np.int64]] = {}
        for index, block in enumerate(plant.blocks):
            template = block.template
            if any(point.deadband > 0 for point in template.points):
                deadband = [point.deadband for point in template.points]
                heartbeat = [round(point.heartbeat_s * NS) for point in template.points]
                system = template.width - template.measured
                self._deadband[index] = np.array(deadband + [0.0] * system) * template.divisors
                self._heartbeat_ns[index] = np.array(heartbeat + [0] * system, np.int64)
                self._value[index] = np.full(block.handles, np.nan)
                self._status[index] = np.full(block.handles, -1, np.int64)
                self._slot_ns[index] = np.zeros(block.handles, np.int64)

    def filter(self, block: int, offsets: NDArray[np.int64], batch: Batch) -> NDArray[np.int64] | None:
        """Places in the batch that are worth recording; None is all of them."""
        if block not in self._deadband:
            return None
        places = batch.handles - self._plant.blocks[block].first_handle
        deadband = self._deadband[block][offsets]
        heartbeat = self._heartbeat_ns[block][offsets]
        last = self._value[block][places]
        moved = np.abs(batch.values - last) > deadband
        moved |= np.isnan(batch.values) != np.isnan(last)
        moved |= self._status[block][places] != batch.status
        moved |= (heartbeat > 0) & (np.abs(batch.slot_ns - self._slot_ns[block][places]) >= heartbeat)
        moved |= deadband == 0
        return np.flatnonzero(moved)

    def note(self, block: int, batch: Batch) -> None:
        """These were recorded."""
        if block not in self._deadband:
            return
        places = batch.handles - self._plant.blocks[block].first_handle
        self._value[block][places] = batch.values
        self._status[block][places] = batch.status
        self._slot_ns[block][places] = batch.slot_ns


def picked(batch: Batch, places: NDArray[np.int64]) -> Batch:
    """Part of a batch."""
    return Batch(
        batch.unit,
        batch.handles[places],
        batch.values[places],
        batch.status[places],
        batch.source_ns,
        batch.received_ns,
        batch.slot_ns,
    )


def readings_of_rows(rows: Sequence[Row], series: SeriesIds) -> list[Readings]:
    """Plain rows, whose units have these numbers; quantities of kind text are left out."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, row in enumerate(rows):
        groups.setdefault(tuple(quantity.code for quantity in row.quantities), []).append(index)
    found: list[Readings] = []
    for group in groups.values():
        quantities = rows[group[0]].quantities
        values = np.stack([rows[index].values for index in group])
        status = np.stack([rows[index].status for index in group])
        time_ms = np.array([rows[index].slot_ms for index in group], np.int64)
        for measurement in (Measurement.ENERGY, Measurement.INST):
            taken = [place for place, quantity in enumerate(quantities) if measurement_of(quantity) is measurement]
            if taken:
                fields = tuple(field_of(quantities[place]) for place in taken)
                part = Readings(measurement, fields, series[group], time_ms, values[:, taken], status[:, taken])
                found.append(part)
    return found


def _kinds(block: Block) -> NDArray[np.int8]:
    numbers = {Measurement.ENERGY: 1, Measurement.INST: 2}
    kinds = np.zeros(block.template.width, np.int8)
    for offset, point in enumerate(block.template.points):
        measurement = measurement_of(point.quantity)
        if point.record and measurement is not None:
            kinds[offset] = numbers[measurement]
    return kinds
