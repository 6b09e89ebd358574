"""From the answers of a device to the batch that is delivered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from address_space.model.clock import NS
from address_space.model.quality import Reason
from address_space.model.value import Batch
from drivers.api import Device, Driver, Request
from drivers.plans import Make, Planned

DEVICE_CLOCK_NS = 5 * NS
"""A device's own time is believed while it is this close to the hub's."""


def batch_of(
    driver: Driver, device: Device, planned: Planned, answers: Mapping[Request, Any], slot_ns: int, now_ns: int
) -> Batch:
    """What the device said, for the slot. Raises DriverError."""
    reading = driver.decode(device, planned.plan, answers)
    source_ns = now_ns
    if reading.device_time_ns is not None and abs(reading.device_time_ns - now_ns) <= DEVICE_CLOCK_NS:
        source_ns = reading.device_time_ns
    handles = device.first_handle + planned.offsets
    if not reading.texts:
        return Batch(device.unit, handles, reading.values, reading.status, source_ns, now_ns, slot_ns)
    texts = {int(handles[position]): text for position, text in reading.texts.items()}
    return Batch(device.unit, handles, reading.values, reading.status, source_ns, now_ns, slot_ns, texts)


def bad_batch(device: Device, make: Make, reason: Reason, slot_ns: int, now_ns: int) -> Batch:
    """Everything of the device without a value, for this reason."""
    handles = device.first_handle + np.array(make.offsets(make.every), np.int64)
    status = np.full(handles.size, reason.status, np.uint32)
    return Batch(device.unit, handles, np.full(handles.size, np.nan), status, now_ns, now_ns, slot_ns)
