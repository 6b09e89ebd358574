"""What a meter keeps by itself, as books to be read: the logs of its profile, a request of one frame at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from address_space.model.clock import Clock
from address_space.model.ids import UnitHandle
from address_space.model.quality import GOOD, Reason
from drivers.api import Device, Request
from drivers.archive import Archived, Book, Recalled
from drivers.errors import DeviceRefused
from drivers.modbus.answers import READ_OVERHEAD, READ_REQUEST, ratio_of
from drivers.modbus.file_records import GROUP_REQUEST, FileRead
from drivers.modbus.layout import Make
from drivers.modbus.log_period import MS_NS
from drivers.modbus.log_reader import Known, Page
from drivers.modbus.log_search import Search, Steps, near_end
from drivers.modbus.logs import Ask, Log
from drivers.modbus.overdue import answer_size


@dataclass(frozen=True, slots=True)
class Recall:
    """What one request goes on looking for: the first records of [start_ms, end_ms) in a log of a make."""

    unit: UnitHandle
    make: Make
    log: Log
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a request brought: records (None while they are still looked for), and the ratios that the device holds
    itself."""

    page: Page | None
    ct: Fraction | None = None
    pt: Fraction | None = None


def books(make: Make) -> Sequence[Book]:
    """The books of a meter of this make: those of dated records first, of those with short periods first."""
    if not make.logs:
        return ()
    logs = sorted(make.logs, key=lambda log: (log.stamp is None, log.period.mean_ms))
    return [Book(log.name, log, log.quantities, log.reach_ms, last_resort=log.stamp is None) for log in logs]


def recall(make: Make, device: Device, book: Book, start_ms: int, end_ms: int, now_ms: int) -> Request | None:
    """The next request for the first records of a time; None where the log has none in it. Raises DeviceRefused where
    records without a time cannot be dated now."""
    log: Log = book.key
    if log.stamp is None:
        zone = make.own_clock.zone or device.zone if make.own_clock is not None else device.zone
        if log.period.ceil(start_ms, zone) >= end_ms:
            return None
        if make.own_clock is None and near_end(log, now_ms, zone):
            raise DeviceRefused(
                f"the records of the log {log.name} cannot be dated: a period ends about now",
                code=0,
                reason=Reason.DEVICE_ERROR,
                retryable=True,
                where=device.name,
                hint="name the device's clock in its profile",
            )
    key = Recall(device.unit, make, log, start_ms, end_ms)
    ask = log.shelf.ask(0, log.slots(0, log.count))
    sent, received = sizes(ask)
    return Request(key, f"log {log.name}", sent, received)


def recalled(device: Device, key: Recall, answer: Remembered) -> Recalled:
    """The values in an answer, in base units."""
    page = answer.page
    if page is None:
        return Recalled((), key.start_ms, again=True)
    values: list[Archived] = []
    for time_ms, record in page.records:
        if key.start_ms <= time_ms < key.end_ms:
            ratio = device.at(time_ms * MS_NS).ratio
            ct = ratio_of(answer.ct, key.make.ct, ratio[0])
            pt = ratio_of(answer.pt, key.make.pt, ratio[1])
            values += (Archived(time_ms, quantity, value, GOOD) for quantity, value in key.log.values(record, ct, pt))
    return Recalled(values, min(page.told_ms, key.end_ms))


def search(device: Device, key: Recall, known: Known, clock: Clock) -> Steps:
    """The search that a request goes on with."""
    return Search(
        key.log,
        known,
        (key.start_ms, key.end_ms),
        device.zone,
        lambda: clock.now_ns() // MS_NS,
        key.make.own_clock if key.log.stamp is None else None,
        device.name,
    ).steps()


def sizes(ask: Ask) -> tuple[int, int]:
    """Bytes of a request and its answer in RTU."""
    if isinstance(ask, FileRead):
        return READ_OVERHEAD + GROUP_REQUEST * len(ask.groups), READ_OVERHEAD + ask.answer_size
    return READ_REQUEST, READ_OVERHEAD + answer_size(ask)
