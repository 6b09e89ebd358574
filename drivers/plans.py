"""Request plans, made once for each combination of poll classes of a make of device, however many devices it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.api import Device, Driver, ReadPlan
from drivers.schedule import PollClass, PolledDevice


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, and its offsets as an array to add to a device's first handle."""

    plan: ReadPlan
    offsets: NDArray[np.int64]


class Make:
    """What devices of one profile and one set of classes share. `every` is the bit mask of all classes."""

    __slots__ = ("classes", "every", "plans")

    def __init__(self, classes: tuple[PollClass, ...]) -> None:
        self.classes = classes
        self.every = (1 << len(classes)) - 1
        self.plans: dict[int, Planned] = {}

    def offsets(self, classes: int) -> tuple[int, ...]:
        """Offsets of the classes in the bit mask, ascending."""
        chosen = [entry.offsets for column, entry in enumerate(self.classes) if classes >> column & 1]
        return tuple(sorted({offset for offsets in chosen for offset in offsets}))

    def plan(self, driver: Driver, device: Device, classes: int) -> Planned:
        """How to read these classes of `device`, one of this make. Raises DriverError."""
        planned = self.plans.get(classes)
        if planned is None:
            plan = driver.plan(device, self.offsets(classes))
            planned = self.plans[classes] = Planned(plan, np.array(plan.offsets, np.int64))
        return planned


def makes_of(devices: Sequence[PolledDevice]) -> list[Make]:
    """The make of each device."""
    known: dict[tuple[int, tuple[PollClass, ...]], Make] = {}
    makes: list[Make] = []
    for polled in devices:
        key = (id(polled.device.profile), polled.classes)
        make = known.get(key)
        if make is None:
            make = known[key] = Make(polled.classes)
        makes.append(make)
    return makes
