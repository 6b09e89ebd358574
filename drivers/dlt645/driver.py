"""The DL/T 645 driver: shared plans, blocks where a meter has them, and what is learned of each meter on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, Final

from address_space.model.clock import NS, Clock
from address_space.model.ids import UnitHandle
from address_space.model.quality import Reason
from drivers.api import Confirmation, Device, Reading, ReadPlan, Request, WriteOutcome, WriteRequest
from drivers.archive import Book, Recalled
from drivers.attached import Attached, kept
from drivers.dlt645 import archive
from drivers.dlt645 import clock as meter_clock
from drivers.dlt645.answers import Answer, Key, Plan, assemble, build_plan
from drivers.dlt645.execution import Execution
from drivers.dlt645.identity import identify
from drivers.dlt645.layout import CompiledProfile
from drivers.dlt645.options import Options
from drivers.dlt645.recalls import Memory, Recall, Recalls
from drivers.dlt645.refusals import NO_SUCH_DATA
from drivers.dlt645.talk import Talk
from drivers.dlt645.wire import Wire
from drivers.errors import BadFrame, ChannelDown, DeviceRefused, DriverError, NoAnswer
from drivers.transport import Link

REMEMBER_S: Final = 86_400.0
"""How long a meter is believed to lack what it refused."""
HEARD_S: Final = 5.0
"""A meter that said something so recently is not asked for what it is known to lack; one that may be dead is."""
PATIENCE: Final = 2
"""Timeouts that one request may take to read a block piece by piece; the channel allows one more."""


@dataclass(slots=True)
class _Known:
    """What was learned of one meter.

    lacking  when each identifier that it refused is asked for again
    owes     whether an answer is missing that may still come: a refusal then may be one of something else, because it
             names no identifier, and is asked for once more
    next     of each block that is read piece by piece, with which member the next reading begins
    """

    heard_ns: int = 0
    owes: bool = False
    lacking: dict[int, int] = field(default_factory=dict)
    next: dict[int, int] = field(default_factory=dict)


class Dlt645Driver(Attached):
    """One channel; `drivers.api.Driver`."""

    def __init__(self, channel: str, options: Options, link: Link, clock: Clock) -> None:
        super().__init__(link)
        self._wire = Wire(channel, options, link, clock)
        self._options = options
        self._clock = clock
        self._known: dict[UnitHandle, tuple[CompiledProfile, _Known]] = {}
        self._recalls = Recalls(clock)

    def plan(self, device: Device, offsets: Sequence[int]) -> Plan:
        """Requests for these variables, the same object for all meters of a profile."""
        profile: CompiledProfile = device.profile
        key = tuple(offsets)
        plan: Plan = kept(profile.plans, key, lambda: build_plan(profile, key))
        return plan

    async def request(self, device: Device, request: Request) -> Answer | Memory:
        """One identifier or block, in as many exchanges as the meter needs. Raises DriverError."""
        talk = self._talk(device)
        if isinstance(request.key, Recall):
            return await self._recalls.go_on(talk, device.unit, request.key)
        key: Key = request.key
        if key.clock:
            return await self._read_clock(talk)
        known = self._knowledge(device)
        if self._lacks(known, key.di) and (key.members or self._heard_lately(known)):
            return await self._read_members(talk, known, key) if key.members else _lacking(key.di)
        try:
            data = await self._read(talk, known, key.di)
        except DeviceRefused as error:
            if error.code != NO_SUCH_DATA or not key.members:
                raise
            return await self._read_members(talk, known, key)
        return Answer(data)

    def decode(self, device: Device, plan: ReadPlan, answers: Mapping[Request, Any]) -> Reading:
        """Values of what was answered; the others carry the reason why there is none."""
        return assemble(device, plan, answers)

    async def write(self, device: Device, request: WriteRequest) -> WriteOutcome:
        """Write once. A refusal is `acknowledged=False`, silence None; raises ProfileError where nothing was sent."""
        return await self._execution(device).write(request.key, request.value)

    async def confirm(self, device: Device, key: Any) -> Confirmation:
        """Read back what a command has done; raises DriverError."""
        return await self._execution(device).confirm(key)

    async def probe(self, device: Device) -> str:
        """Address, type, firmware as far as the meter tells, and its first variable. Raises DriverError."""
        talk = self._talk(device, lenient=True)
        told = await identify(talk)
        profile: CompiledProfile = device.profile
        offset = next(index for index, point in enumerate(profile.points) if point is not None)
        plan = self.plan(device, (offset,))
        answers: dict[Request, Any] = {}
        for request in plan.requests:
            try:
                answers[request] = Answer(await talk.read(request.key.di)) if not request.key.clock else Answer()
            except DeviceRefused as error:
                answers[request] = error.reason
        reading = self.decode(device, plan, answers)
        quantity = profile.profile.points[offset].quantity
        unit = quantity.unit.base if quantity.unit else ""
        status = int(reading.status[0])
        shown = f"{float(reading.values[0]):g} {unit}".strip() if not status else f"no value (0x{status:08X})"
        return f"{profile.name}: {told}; {quantity.path} = {shown}"

    def books(self, device: Device) -> Sequence[Book]:
        """As `drivers.archive.Archive`: load records and freezes."""
        profile: CompiledProfile = device.profile
        return archive.books(profile)

    def recall(self, device: Device, book: Book, start_ms: int, end_ms: int, now_ms: int) -> Request | None:
        """As `drivers.archive.Archive`."""
        zone, monotonic_ns = self._zone(device), self._clock.monotonic_ns()
        return archive.recall(device.profile, zone, book, start_ms, end_ms, now_ms, monotonic_ns)

    def recalled(self, device: Device, request: Request, answer: Any) -> Recalled:
        """As `drivers.archive.Archive`."""
        return archive.recalled(device, self._zone(device), request.key, answer)

    def _zone(self, device: Device) -> tzinfo:
        return self._options.zone or device.zone

    def _talk(self, device: Device, *, lenient: bool = False) -> Talk:
        lenient = lenient or not self._options.strict
        address = device.address.upper().zfill(12)
        return Talk(self._wire, device.profile, address, device.name, self._zone(device), lenient=lenient)

    def _execution(self, device: Device) -> Execution:
        async def measure(offset: int) -> float:
            plan = self.plan(device, (offset,))
            answers: dict[Request, Any] = {each: await self.request(device, each) for each in plan.requests}
            return float(self.decode(device, plan, answers).values[0])

        return Execution(self._talk(device), self._options, self._clock, measure)

    # what is learned

    def _knowledge(self, device: Device) -> _Known:
        found = self._known.get(device.unit)
        if found is None or found[0] is not device.profile:
            found = self._known[device.unit] = (device.profile, _Known())
        return found[1]

    def _lacks(self, known: _Known, di: int) -> bool:
        until_ns = known.lacking.get(di)
        if until_ns is None:
            return False
        if self._clock.monotonic_ns() < until_ns:
            return True
        del known.lacking[di]
        return False

    def _heard_lately(self, known: _Known) -> bool:
        return bool(known.heard_ns) and self._clock.monotonic_ns() - known.heard_ns < HEARD_S * NS

    async def _read(self, talk: Talk, known: _Known, di: int) -> bytes:
        try:
            data = await talk.read(di)
        except DeviceRefused as error:
            known.heard_ns = self._clock.monotonic_ns()
            if known.owes:
                known.owes = False
                return await self._read(talk, known, di)
            if error.code == NO_SUCH_DATA:
                known.lacking[di] = known.heard_ns + round(REMEMBER_S * NS)
            raise
        except (NoAnswer, BadFrame, asyncio.CancelledError):
            known.owes = True
            raise
        known.owes = False
        known.heard_ns = self._clock.monotonic_ns()
        return data

    async def _read_members(self, talk: Talk, known: _Known, key: Key) -> Answer:
        """Each value of a block that the meter does not know; those for which the time does not last come next."""
        parts: dict[int, bytes | Reason] = {}
        started_ns = self._clock.monotonic_ns()
        first = known.next.pop(key.di, 0)
        count = len(key.members)
        for step in range(count):
            place = (first + step) % count
            if self._clock.monotonic_ns() - started_ns > PATIENCE * self._options.timeout_s * NS:
                known.next[key.di] = place
                break
            di = key.members[place]
            if self._lacks(known, di) and self._heard_lately(known):
                parts[di] = Reason.NOT_SUPPORTED
                continue
            try:
                parts[di] = await self._read(talk, known, di)
            except DeviceRefused as error:
                parts[di] = error.reason
            except ChannelDown:
                raise
            except DriverError as error:
                if not parts:
                    raise
                parts[di] = error.reason
        return Answer(None, parts)

    async def _read_clock(self, talk: Talk) -> Answer:
        try:
            return Answer(clock_ns=meter_clock.instant_ns(await talk.clock(), talk.zone))
        except (DeviceRefused, BadFrame):
            return Answer()


def _lacking(di: int) -> Answer:
    return Answer(None, {di: Reason.NOT_SUPPORTED})
