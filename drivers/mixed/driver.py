"""The driver of a bus with several protocols: hands each device to the driver of its protocol."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from address_space.model.clock import NS, Clock
from address_space.model.ids import UnitHandle
from drivers.api import Confirmation, Device, Driver, Reading, ReadPlan, Request, WriteOutcome, WriteRequest
from drivers.archive import Archive, Book, Recalled
from drivers.errors import ProfileError
from drivers.event_archive import EventArchive, EventBook, RecalledEvents
from drivers.mixed.parts import MixedProfile
from drivers.transport import Link


@dataclass(frozen=True, slots=True)
class Part:
    """One protocol's driver on its view of the line, and the silence that its requests need before them."""

    driver: Driver
    gap_s: float


class MixedDriver:
    """One channel; `drivers.api.Driver`."""

    def __init__(self, channel: str, link: Link, parts: Mapping[str, Part], clock: Clock) -> None:
        self._channel = channel
        self._link = link
        self._parts = parts
        self._clock = clock
        self._inner: dict[UnitHandle, tuple[Device, Device]] = {}
        self._ended_ns: int | None = None

    async def open(self) -> None:
        """Connect; raises ChannelDown."""
        await self._link.open()
        for part in self._parts.values():
            await part.driver.open()

    async def close(self) -> None:
        """Release the line."""
        for part in self._parts.values():
            await part.driver.close()
        self._link.close()

    @property
    def connected(self) -> bool:
        """Whether requests of every protocol can be sent: a driver that gave the line up has it opened anew."""
        return self._link.connected and all(part.driver.connected for part in self._parts.values())

    def plan(self, device: Device, offsets: Sequence[int]) -> ReadPlan:
        """As the protocol's driver plans it."""
        return self._part(device).driver.plan(self._seen(device), offsets)

    async def request(self, device: Device, request: Request) -> Any:
        """One exchange. Raises DriverError."""
        part = await self._turn(device)
        try:
            return await part.driver.request(self._seen(device), request)
        finally:
            self._ended_ns = self._clock.monotonic_ns()

    def decode(self, device: Device, plan: ReadPlan, answers: Mapping[Request, Any]) -> Reading:
        """As the protocol's driver decodes it."""
        return self._part(device).driver.decode(self._seen(device), plan, answers)

    async def write(self, device: Device, request: WriteRequest) -> WriteOutcome:
        """Write once."""
        part = await self._turn(device)
        try:
            return await part.driver.write(self._seen(device), request)
        finally:
            self._ended_ns = self._clock.monotonic_ns()

    async def confirm(self, device: Device, key: Any) -> Confirmation:
        """As the protocol's driver reads it back; raises DriverError."""
        part = await self._turn(device)
        try:
            return await part.driver.confirm(self._seen(device), key)
        finally:
            self._ended_ns = self._clock.monotonic_ns()

    async def probe(self, device: Device) -> str:
        """As the protocol's driver does it; raises DriverError."""
        part = await self._turn(device)
        try:
            return await part.driver.probe(self._seen(device))
        finally:
            self._ended_ns = self._clock.monotonic_ns()

    def books(self, device: Device) -> Sequence[Book]:
        """As the protocol's driver knows them; none where its devices have no memory."""
        driver = self._part(device).driver
        return driver.books(self._seen(device)) if isinstance(driver, Archive) else ()

    def recall(self, device: Device, book: Book, start_ms: int, end_ms: int, now_ms: int) -> Request | None:
        """As the protocol's driver asks."""
        driver = self._part(device).driver
        return (
            driver.recall(self._seen(device), book, start_ms, end_ms, now_ms) if isinstance(driver, Archive) else None
        )

    def recalled(self, device: Device, request: Request, answer: Any) -> Recalled:
        """As the protocol's driver reads it."""
        driver = self._part(device).driver
        return driver.recalled(self._seen(device), request, answer) if isinstance(driver, Archive) else Recalled((), 0)

    def may_record_events(self, device: Device) -> bool:
        """As the protocol's driver knows it."""
        driver = self._part(device).driver
        return isinstance(driver, EventArchive) and driver.may_record_events(self._seen(device))

    def event_books(self, device: Device) -> Sequence[EventBook]:
        """As the protocol's driver knows them; none where its devices record no events."""
        driver = self._part(device).driver
        return driver.event_books(self._seen(device)) if isinstance(driver, EventArchive) else ()

    def recall_events(self, device: Device, book: EventBook, known: Collection[bytes]) -> Request:
        """As the protocol's driver asks."""
        return self._with_events(device).recall_events(self._seen(device), book, known)

    def recalled_events(self, device: Device, request: Request, answer: Any) -> RecalledEvents:
        """As the protocol's driver reads it."""
        return self._with_events(device).recalled_events(self._seen(device), request, answer)

    async def _turn(self, device: Device) -> Part:
        """The part for `device`, once the line was silent for as long as it needs, whoever spoke before."""
        part = self._part(device)
        if self._ended_ns is not None:
            rest_ns = self._ended_ns + round(part.gap_s * NS) - self._clock.monotonic_ns()
            if rest_ns > 0:
                await self._clock.sleep(rest_ns / NS)
        return part

    def _part(self, device: Device) -> Part:
        profile: MixedProfile = device.profile
        part = self._parts.get(profile.part)
        if part is None:
            raise ProfileError(f"no driver {profile.part!r} is on this bus", where=f"{self._channel}, {device.name}")
        return part

    def _with_events(self, device: Device) -> EventArchive:
        driver = self._part(device).driver
        if not isinstance(driver, EventArchive):
            raise ProfileError("such a device records no events", where=f"{self._channel}, {device.name}")
        return driver

    def _seen(self, device: Device) -> Device:
        """The device as the protocol's driver knows it."""
        known = self._inner.get(device.unit)
        if known is None or known[0] is not device:
            known = self._inner[device.unit] = (device, replace(device, profile=device.profile.compiled))
        return known[1]
