"""The CJ/T 188 driver: plans shared by profile, answers checked, valves that are believed only when they are seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from math import isnan
from typing import Any

from address_space.model.clock import NS, Clock, from_datetime
from address_space.model.ids import UnitHandle
from address_space.model.quality import Reason
from address_space.model.state import ValveState
from drivers.api import Confirmation, Device, Reading, ReadPlan, Request, WriteOutcome, WriteRequest
from drivers.attached import Attached, kept
from drivers.cjt188.answers import Answer, Key, assemble, build_plan, status_of
from drivers.cjt188.frame import ANY
from drivers.cjt188.identifiers import CLOCK, READING
from drivers.cjt188.layouts import Layout
from drivers.cjt188.options import Options
from drivers.cjt188.profile import CompiledProfile
from drivers.cjt188.requests import ADDRESS_OF_ANY, Ask, Reply, read
from drivers.cjt188.wire import Meter, Wire
from drivers.cjt188.writes import ClockLook, EffectLook, ValveLook, ValveWrite, ask_for, clock_of, local_time
from drivers.errors import BadFrame, ChannelDown, DeviceRefused, DriverError, ProfileError
from drivers.transport import Link

MOTOR_S = 60.0
"""How long a valve may take; until then one that is not at its end is on its way."""


class Cjt188Driver(Attached):
    """One channel; `drivers.api.Driver`."""

    def __init__(self, channel: str, options: Options, link: Link, clock: Clock) -> None:
        super().__init__(link)
        self._wire = Wire(channel, options, link, clock)
        self._channel = channel
        self._options = options
        self._clock = clock
        self._moving: dict[UnitHandle, tuple[ValveState | None, int]] = {}

    def plan(self, device: Device, offsets: Sequence[int]) -> ReadPlan:
        """Requests for these variables, the same object for all devices of a profile."""
        profile: CompiledProfile = device.profile
        lead = self._wire.lead(profile.preamble)
        chosen = tuple(offsets)
        plan: ReadPlan = kept(profile.plans, (lead, chosen), lambda: build_plan(profile, chosen, lead))
        return plan

    async def request(self, device: Device, request: Request) -> Answer:
        """One identifier. Raises DriverError."""
        key: Key = request.key
        reply = await self._read(device, key.di)
        return Answer(reply.payload, self._still_moving(device, key.di, reply.payload))

    def decode(self, device: Device, plan: ReadPlan, answers: Mapping[Request, Any]) -> Reading:
        """Values of what was answered; the others carry the reason why there is none."""
        return assemble(device, plan, answers)

    async def write(self, device: Device, request: WriteRequest) -> WriteOutcome:
        """Write once. A refusal is `acknowledged=False`, silence None; raises only where nothing was sent."""
        question = ask_for(request.key, request.value, self._zone(device), self._clock.now_ns())
        if isinstance(request.key, ValveWrite):
            self._moving[device.unit] = (request.key.target, self._clock.monotonic_ns())
        try:
            await self._exchange(device, question)
        except DeviceRefused as error:
            self._moving.pop(device.unit, None)
            return WriteOutcome(acknowledged=False, detail=str(error))
        except ChannelDown:
            raise
        except DriverError as error:
            return WriteOutcome(acknowledged=None, detail=str(error))
        return WriteOutcome(acknowledged=True)

    async def confirm(self, device: Device, key: Any) -> Confirmation:
        """Whether valve, clock or a measured value are as they should be. The state in a valve command's own answer is
        no proof: it is often the one before the motor ran."""
        if isinstance(key, ClockLook):
            return await self._confirm_clock(device, key)
        if isinstance(key, EffectLook):
            return await self._confirm_effect(device, key)
        if not isinstance(key, ValveLook):
            raise ProfileError(f"cannot be read back: {key}", where=device.name)
        profile: CompiledProfile = device.profile
        reply = await self._read(device, READING)
        status = status_of(profile, READING, reply.payload)
        if status is None:
            raise BadFrame(
                f"the answer of {len(reply.payload)} bytes holds no status word",
                where=f"{self._channel}, {device.name}",
                hint="describe the maker's form under layouts",
            )
        state = profile.valve.state(status)
        running = state in (ValveState.IN_TRANSIT, ValveState.UNKNOWN) or self._may_run(device, key.motor_s)
        moving = running and state not in (key.target, ValveState.FAILURE)
        if not moving:
            self._moving.pop(device.unit, None)
        told = f"valve {_words(state)} (status {status.hex()}), told to {_verb(key.target)}"
        return Confirmation(state is key.target, told, moving)

    async def probe(self, device: Device) -> str:
        """The address it calls itself, or what it answers to a reading where it does not tell."""
        meter = self._meter(device)
        try:
            reply = await self._wire.exchange(meter, ADDRESS_OF_ANY)
            if not reply.error:
                return f"meter {reply.address}"
        except ChannelDown:
            raise
        except DriverError:
            if meter.address == ANY:
                raise
        reply = await self._read(device, READING)
        layout = self._layout(device, READING, reply.payload)
        return f"meter {reply.address}, reading of {len(reply.payload)} bytes{'' if layout else ' of no known form'}"

    async def _confirm_effect(self, device: Device, key: EffectLook) -> Confirmation:
        plan = self.plan(device, (key.offset,))
        reading = self.decode(device, plan, {each: await self.request(device, each) for each in plan.requests})
        quantity, value = key.effect.quantity, float(reading.values[0])
        if isnan(value):
            raise BadFrame(
                f"the meter tells no {quantity.path}",
                where=f"{self._channel}, {device.name}",
                hint=f"the command is verified by {key.effect}",
            )
        unit = quantity.unit.base if quantity.unit else ""
        return Confirmation(key.effect.holds(value), f"{quantity.path} = {value:g} {unit}".strip())

    async def _confirm_clock(self, device: Device, key: ClockLook) -> Confirmation:
        reply = await self._read(device, CLOCK if _reads_clock(device.profile) else READING)
        layout = self._layout(device, READING, reply.payload) or self._layout(device, CLOCK, reply.payload)
        time = None
        if layout is not None and layout.clock_at is not None:
            time = clock_of(reply.payload[layout.clock_at : layout.clock_at + 7])
        if time is None:
            return Confirmation(reached=False, state="the meter shows no time")
        now_ns = self._clock.now_ns()
        drift_s = (from_datetime(time) - from_datetime(local_time("now", self._zone(device), now_ns))) / NS
        return Confirmation(abs(drift_s) <= key.tolerance_s, f"clock {time} is {drift_s:+.0f} s off", drift_s=drift_s)

    async def _read(self, device: Device, di: int) -> Reply:
        return await self._exchange(device, read(di))

    async def _exchange(self, device: Device, question: Ask) -> Reply:
        reply = await self._wire.exchange(self._meter(device), question)
        if reply.error:
            raise self._refusal(device, question, reply)
        return reply

    def _refusal(self, device: Device, question: Ask, reply: Reply) -> DeviceRefused:
        status = int.from_bytes(reply.payload[:2], "little")
        reading = question.di == READING
        return DeviceRefused(
            f"the meter answered an error, its status is {reply.payload.hex() or 'not told'}",
            code=status,
            reason=Reason.DEVICE_ERROR if reading else Reason.NOT_SUPPORTED,
            where=f"{self._channel}, {device.name}, {question.di:04X}",
            hint="check the meter" if reading else "the meter may not know this identifier, or need a key for it",
        )

    def _meter(self, device: Device) -> Meter:
        profile: CompiledProfile = device.profile
        return Meter(
            device.unit,
            full_address(device.address),
            profile.type,
            profile.di_order,
            profile.strict_ser,
            profile.preamble,
            profile.gap_s,
        )

    def _still_moving(self, device: Device, di: int, payload: bytes) -> bool:
        told = self._moving.get(device.unit)
        if told is None:
            return False
        target, _ = told
        status = status_of(device.profile, di, payload)
        arrived = status is not None and device.profile.valve.state(status) in (target, ValveState.FAILURE)
        if arrived or not self._may_run(device, MOTOR_S):
            del self._moving[device.unit]
            return False
        return True

    def _may_run(self, device: Device, motor_s: float) -> bool:
        """Whether the motor may still be running: most meters show the end that the valve came from until then."""
        _, started_ns = self._moving.get(device.unit, (None, None))
        return started_ns is not None and self._clock.monotonic_ns() - started_ns < motor_s * NS

    def _zone(self, device: Device) -> tzinfo:
        return self._options.zone or device.zone

    def _layout(self, device: Device, di: int, payload: bytes) -> Layout | None:
        profile: CompiledProfile = device.profile
        return profile.layout(di, len(payload))


def full_address(address: str) -> str:
    """14 digits of an address as configured, whose leading zeros may be missing."""
    return address.strip().upper().zfill(14)


def _reads_clock(profile: CompiledProfile) -> bool:
    return any(point is not None and point.di == CLOCK for point in profile.points)


def _words(state: ValveState) -> str:
    return state.name.lower().replace("_", " ")


def _verb(target: ValveState) -> str:
    return "open" if target is ValveState.OPEN else "close"
