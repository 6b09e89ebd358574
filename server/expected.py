"""From poll classes and schedules to what the history expects of each unit."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from address_space.model import NS, Template
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
    makes: dict[tuple[int, int], tuple[Expected, ...]] = {}
    found: dict[NodeUid, tuple[Expected, ...]] = {}
    for bus in assembly.buses:
        for polled in bus.devices:
            unit = assembly.plant.units[polled.device.unit]
            key = (id(unit.template), id(polled.classes))
            if key not in makes:
                makes[key] = tuple(_of_classes(unit.template, polled.classes))
            found[unit.id] = makes[key]
    return found


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
