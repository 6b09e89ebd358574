"""A described meter as a device: which one plays its profile, and how it is attached to a bus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from address_space.model.state import Medium
from drivers.cjt188.compile import compile_profile as compile_cjt188
from drivers.cjt188.frame import ANY as ANY_CJT188
from drivers.dlt645.compile import compile_profile as compile_dlt645
from drivers.dlt645.frame import ANY as ANY_DLT645
from drivers.modbus.compile import compile_profile as compile_modbus
from drivers.modbus.layout import CompiledProfile
from drivers.profiles import Profile
from drivers.simulators.bus import SimulatedBus
from drivers.simulators.cjt188 import CJT188, Cjt188Station, Kind
from drivers.simulators.cjt188 import Manners as Cjt188Manners
from drivers.simulators.consumer import ConsumerClass
from drivers.simulators.dlt645 import Dlt645Station
from drivers.simulators.dlt645 import Manners as Dlt645Manners
from drivers.simulators.dlt645_supply import Purse
from drivers.simulators.endpoints import BusEndpoint, Endpoint
from drivers.simulators.faults import Fault, FaultState
from drivers.simulators.flow import Pipe
from drivers.simulators.framing import Frame, Framing, join, take
from drivers.simulators.image import Layout, make_layout
from drivers.simulators.load import PHASES
from drivers.simulators.meter import Installation, Meter, Values
from drivers.simulators.noise import key_of
from drivers.simulators.pdu import READ_INPUT, answer, exception
from drivers.simulators.unit import ModbusUnit
from drivers.simulators.wire import DLT645, MODBUS

BROADCAST = 0
FIRST_CREDIT = (20_00, 300_00)
"""What is in a prepaid meter at the beginning, at least and less than, in hundredths."""


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedMeter:
    """One meter of a fleet.

    address          as the plant writes it: a unit id ("17"), or the number of the meter
    ratio            (CT, PT): registers that the profile marks hold values of the secondary side
    consumer_class   None takes one that fits id, phases and ratio
    rated_current_a  highest primary current; None takes 60 A, or 5 A × CT
    variant          which variant of the profile it plays
    """

    id: str
    profile: Profile
    endpoint: Endpoint | BusEndpoint
    address: str = "1"
    ratio: tuple[float, float] = (1.0, 1.0)
    consumer_class: ConsumerClass | None = None
    rated_current_a: float | None = None
    seed: int = 1
    faults: tuple[Fault, ...] = ()
    variant: str = ""


class Counting(Protocol):
    """A device with what it has really measured."""

    @property
    def fault_state(self) -> FaultState:
        """Its faults."""

    @property
    def clock_off_s(self) -> float:
        """How far its clock is ahead."""

    @clock_off_s.setter
    def clock_off_s(self, seconds: float) -> None: ...

    def values(self, second: int) -> Values:
        """Values in base units by quantity code at a second since 1970."""


Device = ModbusUnit | Dlt645Station | Cjt188Station


class ModbusStation:
    """`drivers.simulators.bus.Station` of a Modbus unit; a broadcast it obeys and does not answer."""

    def __init__(self, unit: ModbusUnit, address: int, framing: Framing = Framing.RTU) -> None:
        self.unit = unit
        self.address = address
        self.framing = framing
        self.fault_state = unit.fault_state

    def answer(self, request: bytes, now_ns: int) -> bytes | None:
        """As `Station.answer`."""
        frames, _ = take(self.framing, request)
        if not frames or frames[0].unit not in (self.address, BROADCAST):
            return None
        frame = frames[0]
        if frame.unit == BROADCAST:
            if frame.pdu[0] > READ_INPUT:
                answer(self.unit.bank(now_ns), frame.pdu)
            return None
        return self._said(frame, answer(self.unit.bank(now_ns), frame.pdu))

    def refuse(self, request: bytes, code: int) -> bytes:
        """As `Refuser.refuse`."""
        frame = take(self.framing, request)[0][0]
        return self._said(frame, exception(frame.pdu[0], code))

    def _said(self, frame: Frame, pdu: bytes) -> bytes:
        return join(self.framing, Frame(frame.transaction, self.address, pdu))


class Maker:
    """Makes devices; layouts and compiled profiles are made once for all that are alike."""

    def __init__(self, grid_seed: int) -> None:
        self._grid_seed = grid_seed
        self._compiled: dict[int, CompiledProfile] = {}
        self._layouts: dict[tuple[int, tuple[float, float], str], Layout] = {}

    def device(self, described: SimulatedMeter) -> Device:
        """The device that plays the meter; raises ValueError where its profile or address cannot be played."""
        match described.profile.protocol:
            case "modbus":
                return ModbusUnit(Meter(_installation(described), self._grid_seed), self._layout(described))
            case "dlt645":
                return self._dlt645(described)
            case "cjt188":
                return _cjt188(described)
        raise ValueError(f"{described.id}: there is no simulated meter that speaks {described.profile.protocol}")

    def _layout(self, described: SimulatedMeter) -> Layout:
        key = (id(described.profile), described.ratio, described.variant)
        if key not in self._layouts:
            if id(described.profile) not in self._compiled:
                self._compiled[id(described.profile)] = compile_modbus(described.profile)
            compiled = self._compiled[id(described.profile)]
            self._layouts[key] = make_layout(compiled, described.ratio, described.variant)
        return self._layouts[key]

    def _dlt645(self, described: SimulatedMeter) -> Dlt645Station:
        manners = Dlt645Manners(compile_dlt645(described.profile).version)
        prepaid = any(point.name.startswith("Prepayment.") for point in described.profile.points)
        least, most = FIRST_CREDIT
        money = least + key_of(described.seed, described.id, "purse") % (most - least)
        purse = Purse(money) if prepaid else None
        address = _digits(described, ANY_DLT645, 12)
        return Dlt645Station(_installation(described), address, manners, purse=purse, grid_seed=self._grid_seed)


def attach(bus: SimulatedBus, device: Device, described: SimulatedMeter, framing: Framing) -> None:
    """Put a device on a bus."""
    if isinstance(device, ModbusUnit):
        station = ModbusStation(device, unit_id(described), framing)
        bus.attach(MODBUS[framing], station)
    elif isinstance(device, Dlt645Station):
        bus.attach(DLT645, device, device.wire_address)
    else:
        bus.attach(CJT188, device, device.wire_address)


def unit_id(described: SimulatedMeter) -> int:
    """The unit id of a Modbus meter; raises ValueError."""
    try:
        address = int(described.address, 0)
    except ValueError:
        address = -1
    if not 0 <= address <= 255:
        raise ValueError(f"{described.id}: {described.address!r} is no Modbus unit id (0 to 255)")
    return address


def place_on_bus(described: SimulatedMeter) -> tuple[str, str]:
    """What only one meter of a bus can have: the protocol, and the address as the protocol counts it."""
    match described.profile.protocol:
        case "modbus":
            return "modbus", str(unit_id(described))
        case "dlt645":
            return "dlt645", _digits(described, ANY_DLT645, 12)
    return described.profile.protocol, _digits(described, ANY_CJT188, 14)


def _cjt188(described: SimulatedMeter) -> Cjt188Station:
    compiled = compile_cjt188(described.profile)
    address = _digits(described, ANY_CJT188, 14)
    kind = Kind.of(described.profile.medium)
    if described.profile.medium is Medium.COOLING or compiled.type >> 4 == Kind.HEAT.value >> 4:
        kind = Kind.HEAT
    pipe = Pipe(described.id, described.seed, peak_l_h=_PEAKS_L_H[kind])
    manners = Cjt188Manners(answer_type=compiled.type)
    has_valve = compiled.has_valve
    return Cjt188Station(address, kind, pipe=pipe, manners=manners, has_valve=has_valve)


_PEAKS_L_H = {Kind.COLD_WATER: 120.0, Kind.HOT_WATER: 60.0, Kind.HEAT: 400.0, Kind.GAS: 300.0}


def _digits(described: SimulatedMeter, wildcard: str, size: int) -> str:
    """The address in full; a meter that is asked as the only one on its line has a number too."""
    text = described.address.strip()
    if text.upper() == wildcard:
        return f"{key_of(described.id) % 10**9 + 1:0{size}d}"
    if not (text.isascii() and text.isdecimal() and len(text) <= size):
        raise ValueError(f"{described.id}: {described.address!r} is no meter's number (up to {size} digits)")
    return text.zfill(size)


def _installation(described: SimulatedMeter) -> Installation:
    names = [point.name for point in described.profile.points]
    one_phase = any(name.startswith("Voltage") for name in names) and not any(name.endswith("L2") for name in names)
    return Installation(
        id=described.id,
        seed=described.seed,
        phases=1 if one_phase else PHASES,
        ratio=described.ratio,
        consumer_class=described.consumer_class,
        rated_current_a=described.rated_current_a,
    )
