"""A fleet of simulated meters: described plainly, started together, and each of them open to mischief at run time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from address_space.model.clock import NS, Clock
from address_space.model.errors import DuplicateId, UnknownId
from address_space.model.quantity import Quantity
from drivers.modbus.compile import compile_profile
from drivers.modbus.layout import CompiledProfile
from drivers.profiles import Profile
from drivers.simulators.consumer import ConsumerClass
from drivers.simulators.faults import Fault
from drivers.simulators.framing import Framing
from drivers.simulators.image import Layout, make_layout
from drivers.simulators.load import PHASES
from drivers.simulators.meter import Installation, Meter
from drivers.simulators.modbus import ModbusServer
from drivers.simulators.unit import ModbusUnit


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One listening port. `name` tells apart endpoints whose port 0 lets the system choose."""

    host: str = "127.0.0.1"
    port: int = 0
    framing: Framing = Framing.TCP
    name: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedMeter:
    """One meter of a fleet.

    address          unit id on the endpoint's bus, as the plant writes it ("17")
    ratio            (CT, PT): registers that the profile marks hold values of the secondary side
    consumer_class   None takes one that fits id, phases and ratio
    rated_current_a  highest primary current; None takes 60 A, or 5 A × CT
    variant          which variant of the profile it plays
    """

    id: str
    profile: Profile
    endpoint: Endpoint
    address: str = "1"
    ratio: tuple[float, float] = (1.0, 1.0)
    consumer_class: ConsumerClass | None = None
    rated_current_a: float | None = None
    seed: int = 1
    faults: tuple[Fault, ...] = ()
    variant: str = ""


class Books:
    """What every meter has really counted, whatever its faults make it say."""

    def __init__(self, meters: Mapping[str, Meter], clock: Clock) -> None:
        self._meters = meters
        self._clock = clock

    def value(self, meter: str, quantity: Quantity, at_ns: int | None = None) -> float:
        """A value in base units on the primary side at a moment, now where none is given; counters are whole.

        Meters count by the second: the value is that of the second's beginning. Raises UnknownId where there is no
        such meter or it has no such quantity.
        """
        found = self._meters.get(meter)
        moment = self._clock.now_ns() if at_ns is None else at_ns
        value = found.values(moment // NS)[quantity.code] if found else None
        if value is None:
            raise UnknownId(f"no simulated meter {meter!r} with {quantity.path}")
        return value

    def energy_wh(self, meter: str, at_ns: int | None = None) -> int:
        """Active energy import on the primary side."""
        return int(self.value(meter, Quantity.ACTIVE_ENERGY_IMPORT, at_ns))


class FleetMeter:
    """One meter of a running fleet."""

    def __init__(self, described: SimulatedMeter, unit: ModbusUnit, clock: Clock) -> None:
        self.described = described
        self.meter = unit.meter
        self._unit = unit
        self._clock = clock
        if described.faults:
            self.faults = described.faults

    @property
    def consumer_class(self) -> ConsumerClass:
        """Who stands behind it."""
        return self.meter.consumer.kind

    @property
    def requests(self) -> int:
        """Requests it has received."""
        return self._unit.fault_state.requests

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Faults in force; setting them starts their schedules now."""
        return self._unit.fault_state.faults

    @faults.setter
    def faults(self, faults: Iterable[Fault]) -> None:
        self._unit.fault_state.set(tuple(faults), self._clock.now_ns())

    @property
    def fault(self) -> Fault | None:
        """The first fault in force; setting one replaces them all, None heals the meter."""
        return self.faults[0] if self.faults else None

    @fault.setter
    def fault(self, fault: Fault | None) -> None:
        self.faults = () if fault is None else (fault,)


class Fleet:
    """Simulated meters behind their endpoints; `async with` opens and closes the ports."""

    def __init__(self, meters: Iterable[SimulatedMeter], clock: Clock, *, grid_seed: int = 1) -> None:
        """Raises DuplicateId for an id or a unit address given twice, ValueError for an address that is no unit id."""
        self._meters: dict[str, FleetMeter] = {}
        buses: dict[Endpoint, dict[int, ModbusUnit]] = {}
        layouts = _Layouts()
        for described in meters:
            bus = buses.setdefault(described.endpoint, {})
            address = _unit_id(described)
            if described.id in self._meters:
                raise DuplicateId(f"simulated meter {described.id!r} is described twice")
            if address in bus:
                raise DuplicateId(f"two simulated meters have the address {address} at {described.endpoint}")
            layout = layouts.of(described)
            unit = ModbusUnit(Meter(_installation(described), grid_seed), layout)
            bus[address] = unit
            self._meters[described.id] = FleetMeter(described, unit, clock)
        self.servers: dict[Endpoint, ModbusServer] = {
            endpoint: ModbusServer(endpoint.host, endpoint.port, units, clock, endpoint.framing)
            for endpoint, units in buses.items()
        }
        self.books = Books({name: meter.meter for name, meter in self._meters.items()}, clock)

    async def __aenter__(self) -> Self:
        try:
            for server in self.servers.values():
                await server.start()
        except BaseException:
            await self.stop_all()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop_all()

    def meter(self, name: str) -> FleetMeter:
        """The meter with this id; raises UnknownId."""
        found = self._meters.get(name)
        if found is None:
            raise UnknownId(f"no simulated meter is called {name!r}")
        return found

    @property
    def meters(self) -> Mapping[str, FleetMeter]:
        """All meters by id."""
        return self._meters

    def port(self, endpoint: Endpoint) -> int:
        """The port an endpoint listens at, once it was started."""
        return self.servers[endpoint].port

    async def start(self, endpoint: Endpoint) -> None:
        """Plug an endpoint in again, at the port it had."""
        await self.servers[endpoint].start()

    async def stop(self, endpoint: Endpoint) -> None:
        """Pull the plug of an endpoint: its port closes and its connections break."""
        await self.servers[endpoint].stop()

    async def stop_all(self) -> None:
        """Pull every plug."""
        for server in self.servers.values():
            await server.stop()


class _Layouts:
    """Layouts and compiled profiles, made once for all meters alike."""

    def __init__(self) -> None:
        self._compiled: dict[int, CompiledProfile] = {}
        self._layouts: dict[tuple[int, tuple[float, float], str], Layout] = {}

    def of(self, described: SimulatedMeter) -> Layout:
        """The layout of a meter."""
        key = (id(described.profile), described.ratio, described.variant)
        if key not in self._layouts:
            if id(described.profile) not in self._compiled:
                self._compiled[id(described.profile)] = compile_profile(described.profile)
            compiled = self._compiled[id(described.profile)]
            self._layouts[key] = make_layout(compiled, described.ratio, described.variant)
        return self._layouts[key]


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


def _unit_id(described: SimulatedMeter) -> int:
    try:
        address = int(described.address, 0)
    except ValueError:
        address = -1
    if not 0 <= address <= 255:
        raise ValueError(f"{described.id}: {described.address!r} is no Modbus unit id (0 to 255)")
    return address
