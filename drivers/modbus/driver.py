"""The Modbus driver: shared plans, answers per device, and what is learned of each device on the way.

Plans are the same for all devices of a profile. Where devices differ — a variant recognised by its registers,
registers a device lacks, ratios it holds itself — `request` finds that out and the answer carries it, so that
`decode` stays pure.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from address_space.model.clock import NS, Clock
from address_space.model.ids import UnitHandle
from address_space.model.quality import Reason
from drivers.api import Confirmation, Device, Reading, ReadPlan, Request, WriteOutcome, WriteRequest
from drivers.archive import Book, Recalled
from drivers.attached import Attached, kept
from drivers.codec import to_words
from drivers.errors import ChannelDown, DeviceRefused, DriverError, ProfileError
from drivers.event_archive import EventBook, RecalledEvents
from drivers.modbus import archive, event_archive
from drivers.modbus.absence import Split
from drivers.modbus.answers import Answer, Key, Plan, assemble, build_plan
from drivers.modbus.decode import decode_registers
from drivers.modbus.encode import encode_raw
from drivers.modbus.event_walk import EventPage
from drivers.modbus.file_records import FileRead
from drivers.modbus.layout import CompiledProfile, Condition, Make, RatioRegister, RatioSource, Register
from drivers.modbus.options import Options
from drivers.modbus.plan import Read
from drivers.modbus.refusals import ILLEGAL_DATA_ADDRESS
from drivers.modbus.shelves import Shelves
from drivers.modbus.steps import ClockCheck, ClockTime, EffectCheck, RegisterCheck, Target
from drivers.modbus.wire import Wire
from drivers.transport import Link

REMEMBER_S = 86_400.0
"""How long a device's variant and the registers it lacks are believed without asking again."""
ACKNOWLEDGED = 5
"""Exception 5: accepted and still being worked on."""
MAX_RATIO = 1e9


@dataclass(slots=True)
class _Known:
    """What was learned of one device."""

    make: int = 0
    make_until_ns: int = 0
    splits: dict[Read, Split] = field(default_factory=dict)
    ratios: dict[str, tuple[Fraction, int]] = field(default_factory=dict)


class ModbusDriver(Attached):
    """One channel; `drivers.api.Driver`."""

    def __init__(self, channel: str, options: Options, link: Link, clock: Clock) -> None:
        self._wire = Wire(channel, options, link, clock)
        super().__init__(self._wire)
        self._options = options
        self._clock = clock
        self._known: dict[UnitHandle, tuple[CompiledProfile, _Known]] = {}
        self._shelves = Shelves()

    def plan(self, device: Device, offsets: Sequence[int]) -> Plan:
        """Requests for these variables, the same object for all devices of a profile."""
        profile: CompiledProfile = device.profile
        ascii_frames = self._options.framing == "ascii"
        key = (*offsets, -1) if ascii_frames else tuple(offsets)
        plan: Plan = kept(profile.plans, key, lambda: build_plan(profile, tuple(offsets), ascii_frames=ascii_frames))
        return plan

    async def request(self, device: Device, request: Request) -> Answer | archive.Remembered | EventPage | None:
        """One block, in as many exchanges as the device needs; of a log the next frame of a search, None of one of
        events that goes on. Raises DriverError."""
        if isinstance(request.key, archive.Recall):
            return await self._remember(device, request.key)
        if isinstance(request.key, event_archive.EventRecall):
            return await self._recollect(device, request.key)
        profile: CompiledProfile = device.profile
        known = self._knowledge(device, profile)
        started_ns = self._clock.monotonic_ns()
        key: Key = request.key
        number = await self._identify(device, profile, known) if profile.differs else 0
        make = profile.makes[number]
        ct = await self._ratio(device, make, known, "ct", make.ct) if profile.differs else None
        pt = await self._ratio(device, make, known, "pt", make.pt) if profile.differs else None
        read = key.reads[number]
        if read is None:
            return Answer(number, b"", ct=ct, pt=pt)
        split = known.splits.get(read)
        gone: Split | None = None
        if split is not None and not split.pending:
            if self._clock.monotonic_ns() >= split.expires_ns:
                split = None
            elif not split.readable:
                gone, split = split, None  # refused whole, as while it starts up: as cheap to ask again as to read
        if split is None:
            try:
                words = await self._wire.read(_unit(device), read, gap_s=make.gap_s)
            except DeviceRefused as error:
                if error.code != ILLEGAL_DATA_ADDRESS or not key.spans[number]:
                    raise
                expires_ns = self._clock.monotonic_ns() + round(REMEMBER_S * NS)
                split = gone or Split.refused(read, key.spans[number], expires_ns)
                known.splits[read] = split
                self._known[device.unit] = (profile, known)
            else:
                known.splits.pop(read, None)
                return Answer(number, words, ct=ct, pt=pt)
        return await self._read_split(device, make, read, split, Answer(number, b"", ct=ct, pt=pt), started_ns)

    def decode(self, device: Device, plan: ReadPlan, answers: Mapping[Request, Any]) -> Reading:
        """Values of what was answered; the others carry the reason why there is none."""
        return assemble(device, plan, answers)

    async def write(self, device: Device, request: WriteRequest) -> WriteOutcome:
        """Write once. A refusal is `acknowledged=False`, silence None; raises only where nothing was sent."""
        target: Target = request.key
        value = request.value
        if isinstance(value, ClockTime):
            words = value.clock.encode(self._clock.now_ns() + value.ahead_ns, value.zone)
        else:
            words = _words_to_write(target, value)
        gap_s = device.profile.makes[0].gap_s
        try:
            answered = await self._wire.write(_unit(device), target.fc, target.address, words, gap_s=gap_s)
        except DeviceRefused as error:
            unsure = error.reason is Reason.TIMEOUT or error.code == ACKNOWLEDGED
            return WriteOutcome(acknowledged=None if unsure else False, detail=str(error))
        except ChannelDown:
            raise
        except DriverError as error:
            return WriteOutcome(acknowledged=None, detail=str(error))
        return WriteOutcome(acknowledged=True) if answered else WriteOutcome(None, "a broadcast: nobody answers it")

    async def confirm(self, device: Device, key: Any) -> Confirmation:
        """Whether a register, a measured value or the clock is as `key` says."""
        if isinstance(key, RegisterCheck):
            return await self._confirm_register(device, key)
        if isinstance(key, EffectCheck):
            return await self._confirm_effect(device, key)
        if isinstance(key, ClockCheck):
            return await self._confirm_clock(device, key)
        raise ProfileError("nothing that Modbus can read back", where=device.name)

    async def probe(self, device: Device) -> str:
        """The variant it turned out to be, and its first point."""
        profile: CompiledProfile = device.profile
        offset = next(index for index, point in enumerate(profile.points) if point is not None)
        plan = self.plan(device, (offset,))
        answers = {request: await self.request(device, request) for request in plan.requests}
        reading = self.decode(device, plan, answers)
        name = profile.makes[self._knowledge(device, profile).make].name
        quantity = profile.quantities[offset]
        unit = quantity.unit.base if quantity.unit else ""
        status = int(reading.status[0])
        shown = f"{float(reading.values[0]):g} {unit}" if not status else f"no value (0x{status:08X})"
        return f"{profile.name}{f' variant {name}' if name else ''}: {quantity.path} = {shown}".strip()

    def books(self, device: Device) -> Sequence[Book]:
        """As `drivers.archive.Archive`: the logs of its make."""
        return archive.books(self._make(device))

    def recall(self, device: Device, book: Book, start_ms: int, end_ms: int, now_ms: int) -> Request | None:
        """As `drivers.archive.Archive`."""
        return archive.recall(self._make(device), device, book, start_ms, end_ms, now_ms)

    def recalled(self, device: Device, request: Request, answer: Any) -> Recalled:
        """As `drivers.archive.Archive`."""
        return archive.recalled(device, request.key, answer)

    def may_record_events(self, device: Device) -> bool:
        """As `drivers.event_archive.EventArchive`."""
        return any(make.event_logs for make in device.profile.makes)

    def event_books(self, device: Device) -> Sequence[EventBook]:
        """As `drivers.event_archive.EventArchive`: the logs of events of its make."""
        return event_archive.event_books(self._make(device))

    def recall_events(self, device: Device, book: EventBook, known: Collection[bytes]) -> Request:
        """As `drivers.event_archive.EventArchive`."""
        return event_archive.recall_events(self._make(device), device, book, known)

    def recalled_events(self, device: Device, request: Request, answer: Any) -> RecalledEvents:  # noqa: ARG002 - as the contract has it
        """As `drivers.event_archive.EventArchive`."""
        return event_archive.recalled_events(answer)

    def _make(self, device: Device) -> Make:
        """The make that the device is known to be."""
        profile: CompiledProfile = device.profile
        return profile.makes[self._knowledge(device, profile).make]

    async def _remember(self, device: Device, key: archive.Recall) -> archive.Remembered:
        """The next frame of a search in a log."""
        make, known = key.make, self._knowledge(device, device.profile)
        ct = await self._ratio(device, make, known, "ct", make.ct)
        pt = await self._ratio(device, make, known, "pt", make.pt)
        of_log = self._shelves.known(key.unit, key.log)
        page = await self._shelves.look(
            key, lambda: archive.search(device, key, of_log, self._clock), self._reader(device, make)
        )
        return archive.Remembered(page, ct, pt)

    async def _recollect(self, device: Device, key: event_archive.EventRecall) -> EventPage | None:
        """The next frame of a walk through a log of events."""
        of_log = self._shelves.known(key.unit, key.table)
        return await self._shelves.look(
            key,
            lambda: event_archive.walk(device, key, of_log, self._clock),
            self._reader(device, key.make),
            patient=not key.table.moves,
        )

    def _reader(self, device: Device, make: Make) -> Callable[[Read | FileRead], Awaitable[bytes]]:
        """How what a log asks for is read."""
        unit = _unit(device)

        async def read(ask: Read | FileRead) -> bytes:
            if isinstance(ask, Read):
                return await self._wire.read(unit, ask, gap_s=make.gap_s)
            return await self._wire.read_file(unit, ask, _step(make), gap_s=make.gap_s)

        return read

    async def _confirm_register(self, device: Device, check: RegisterCheck) -> Confirmation:
        held = check.counted(await self._read_register(device, check.register, device.profile.makes[0]))
        shown = "something else" if check.hidden else f"{held:g}" if isinstance(held, float) else str(held)
        reached = check.holds(held)
        if check.hidden and reached:
            shown = "what was written"
        return Confirmation(reached, f"{shown} in {check.register}", moving=held in check.moving and not reached)

    async def _confirm_effect(self, device: Device, check: EffectCheck) -> Confirmation:
        plan = self.plan(device, (check.offset,))
        answers = {request: await self.request(device, request) for request in plan.requests}
        reading = self.decode(device, plan, answers)
        quantity = check.effect.quantity
        if int(reading.status[0]):
            raise DriverError(
                f"{quantity.path} has no value (0x{int(reading.status[0]):08X})",
                where=device.name,
                hint=f"the command is verified by {check.effect}",
            )
        value = float(reading.values[0])
        unit = quantity.unit.base if quantity.unit else ""
        return Confirmation(check.effect.holds(value), f"{quantity.path} = {value:g} {unit}".strip())

    async def _confirm_clock(self, device: Device, check: ClockCheck) -> Confirmation:
        clock, make = check.time.clock, device.profile.makes[0]
        read = Read(clock.fc, clock.address, clock.format.size)
        words = await self._wire.read(_unit(device), read, gap_s=make.gap_s)
        now_ns = self._clock.now_ns()
        shown_ns = clock.decode(words, check.time.zone)
        if shown_ns is None:
            return Confirmation(check.any_time, "a clock that shows no time")
        off_s = (shown_ns - now_ns - check.time.ahead_ns) / NS
        reached = check.any_time or abs(off_s) <= clock.tolerance_s
        return Confirmation(reached, f"a clock {_offset(off_s)}", drift_s=(shown_ns - now_ns) / NS)

    def _knowledge(self, device: Device, profile: CompiledProfile) -> _Known:
        """What is known of a device; kept only where there is something to learn."""
        found = self._known.get(device.unit)
        if found is not None and found[0] is profile:
            return found[1]
        known = _Known()
        if profile.differs:
            self._known[device.unit] = (profile, known)
        return known

    async def _identify(self, device: Device, profile: CompiledProfile, known: _Known) -> int:
        if len(profile.makes) == 1 or self._clock.monotonic_ns() < known.make_until_ns:
            return known.make
        known.make = 0
        for number, make in enumerate(profile.makes[1:], start=1):
            if await self._fulfils(device, make.conditions, make):
                known.make = number
                break
        known.make_until_ns = self._clock.monotonic_ns() + round(REMEMBER_S * NS)
        return known.make

    async def _fulfils(self, device: Device, conditions: Sequence[Condition], make: Make) -> bool:
        for condition in conditions:
            try:
                value = await self._read_register(device, condition.register, make)
            except DeviceRefused as error:
                if error.code != ILLEGAL_DATA_ADDRESS:
                    raise
                return False
            if not condition.holds(value):
                return False
        return True

    async def _ratio(
        self, device: Device, make: Make, known: _Known, name: str, source: RatioSource
    ) -> Fraction | None:
        if not isinstance(source, RatioRegister):
            return None
        ratio, until_ns = known.ratios.get(name, (Fraction(1), 0))
        if self._clock.monotonic_ns() < until_ns:
            return ratio
        raw = await self._read_register(device, source.register, make)
        if raw is None or isinstance(raw, str) or not 0 < raw < MAX_RATIO:
            raise DeviceRefused(
                f"the device holds an impossible {name.upper()} ratio ({raw})",
                code=0,
                where=f"{device.name}, {source.register}",
                hint="set the ratio in the device, or state it in the profile",
            )
        ratio = Fraction(raw) * source.scale
        known.ratios[name] = (ratio, self._clock.monotonic_ns() + round(source.refresh_s * NS))
        return ratio

    async def _read_register(self, device: Device, register: Register, make: Make) -> int | float | str | None:
        words: dict[int, int] = {}
        for first, count in register.runs:
            found = await self._wire.read(_unit(device), Read(register.fc, first, count), gap_s=make.gap_s)
            words.update(zip(range(first, first + count), to_words(found), strict=True))
        return decode_registers(register, words)

    async def _read_split(
        self, device: Device, make: Make, read: Read, split: Split, answer: Answer, started_ns: int
    ) -> Answer:
        """The parts of a block that the device has; learning goes on as long as the channel's patience lasts."""
        data = bytearray(2 * read.words)
        unit = _unit(device)
        for part in split.reads(make.limits.max_words):
            _place(data, read, part, await self._wire.read(unit, part, gap_s=make.gap_s))
        patience_ns = round(self._options.timeout_ms / 1000 * NS)
        while (group := split.next_group()) is not None and self._clock.monotonic_ns() - started_ns < patience_ns:
            try:
                _place(data, read, group, await self._wire.read(unit, group, gap_s=make.gap_s))
            except DeviceRefused as error:
                if error.code != ILLEGAL_DATA_ADDRESS:
                    raise
                split.refuse()
            else:
                split.accept()
        unread = tuple(span for pending in split.pending for span in pending)
        return Answer(answer.make, bytes(data), tuple(split.absent), unread, answer.ct, answer.pt)


def _place(data: bytearray, read: Read, part: Read, words: bytes) -> None:
    at = 2 * (part.address - read.address)
    data[at : at + 2 * part.words] = words


def _step(make: Make) -> Read:
    """Registers that a device of this make has."""
    register = next(point for point in make.points if point is not None).terms[0].register
    return Read(register.fc, *register.runs[0])


def _unit(device: Device) -> int:
    return int(device.address)


def _offset(seconds: float) -> str:
    return f"{abs(seconds):.1f} s {'fast' if seconds > 0 else 'slow'}"


def _words_to_write(target: Target, value: Any) -> tuple[int, ...]:
    """Never shows the value: it may be a password."""
    if not isinstance(value, int | float | str):
        return tuple(value)
    register = target.register
    if register is None:
        raise ProfileError(
            "a number can only be written where the profile says as what", where=f"0x{target.address:04X}"
        )
    try:
        return tuple(cell.word for cell in encode_raw(register, value))
    except (OverflowError, ValueError, TypeError):
        raise ProfileError(f"the value does not fit {register.type.value}", where=str(register)) from None
