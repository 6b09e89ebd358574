"""From poll classes and schedules to what the history expects of each unit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from address_space.model import NS, Plant, Template
from address_space.model.ids import NodeUid
from drivers.schedule import PollClass
from drivers.slots import Schedule
from historian.gaps import Expected, Plan, Track, periodic, scheduled
from historian.schema import Measurement, field_of, measurement_of
from server.assembly import Assembly

MEASUREMENTS = (Measurement.ENERGY, Measurement.INST)
_MS = NS // 1000


def expected(assembly: Assembly) -> Plan:
    """What is expected of each unit that is polled."""
    kinds: list[tuple[Expected, ...]] = []
    known: dict[tuple[int, int], int] = {}
    of_unit = np.full(len(assembly.plant.units), -1, np.int32)
    for bus in assembly.buses:
        for polled in bus.devices:
            template = assembly.plant.units[polled.device.unit].template
            key = (id(template), id(polled.classes))
            kind = known.setdefault(key, len(kinds))
            if kind == len(kinds):
                kinds.append(tuple(_of_classes(template, polled.classes)))
            of_unit[polled.device.unit] = kind
    return _OfUnits(assembly.plant, of_unit, kinds)


class _OfUnits(Mapping[NodeUid, tuple[Expected, ...]]):
    """What is expected of each unit, as the number of a kind: units without end share a few."""

    def __init__(self, plant: Plant, of_unit: NDArray[np.int32], kinds: Sequence[tuple[Expected, ...]]) -> None:
        self._plant = plant
        self._of_unit = of_unit
        self._kinds = kinds

    def __getitem__(self, uid: NodeUid) -> tuple[Expected, ...]:
        kind = int(self._of_unit[self._plant.unit_of[uid]])
        if kind < 0:
            raise KeyError(uid)
        return self._kinds[kind]

    def __iter__(self) -> Iterator[NodeUid]:
        units = self._plant.units
        return (units[unit].id for unit in np.flatnonzero(self._of_unit >= 0).tolist())

    def __len__(self) -> int:
        return int((self._of_unit >= 0).sum())


def _of_classes(template: Template, classes: Iterable[PollClass]) -> Iterable[Expected]:
    """Variables that are recorded at every reading; those with a deadband are recorded when they move."""
    for each in classes:
        points = [template.points[offset] for offset in each.offsets]
        steady = [point for point in points if point.record and not point.deadband > 0]
        for measurement in MEASUREMENTS:
            fields = tuple(field_of(p.quantity) for p in steady if measurement_of(p.quantity) is measurement)
            if fields:
                yield Expected(_track(measurement, each), fields)


def _track(measurement: Measurement, poll_class: PollClass) -> Track:
    schedule = poll_class.schedule
    if schedule is None:
        return periodic(measurement, max(round(poll_class.period_s * 1000), 1))
    late_ms = (schedule.offset_ns + schedule.within_ns) // _MS
    return scheduled(measurement, f"{schedule.name} ({schedule.slots.label})", _Calendar(schedule), late_ms)


class _Calendar:
    """`historian.gaps.SlotSource` out of a schedule."""

    def __init__(self, schedule: Schedule) -> None:
        self._slots = schedule.slots

    def slots_ms(self, start_ms: int, end_ms: int) -> NDArray[np.int64]:
        """Slots with start_ms <= slot < end_ms, ascending."""
        found: list[int] = []
        slot_s = self._slots.after(-(-start_ms // 1000) - 1)
        while slot_s * 1000 < end_ms:
            found.append(slot_s * 1000)
            slot_s = self._slots.after(slot_s)
        return np.array(found, np.int64)
