"""A fleet of simulated meters: described plainly, started together, and each of them open to mischief at run time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

from address_space.model.clock import NS, Clock
from address_space.model.errors import DuplicateId, UnknownId
from address_space.model.quantity import Quantity
from drivers.simulators.bus import SimulatedBus
from drivers.simulators.cjt188 import Cjt188Station
from drivers.simulators.consumer import ConsumerClass
from drivers.simulators.datagrams import UdpPort
from drivers.simulators.endpoints import BusEndpoint, Datagrams, Endpoint, Gateway, Plug, Terminal
from drivers.simulators.faults import Fault
from drivers.simulators.meter import Meter
from drivers.simulators.modbus import ModbusServer
from drivers.simulators.ports import DialOut, PseudoTerminal, TcpPort
from drivers.simulators.stations import (
    Counting,
    Device,
    Maker,
    SimulatedMeter,
    attach,
    place_on_bus,
    unit_id,
)
from drivers.simulators.unit import ModbusUnit

AnyEndpoint = Endpoint | BusEndpoint
NS_PER_MS = 1_000_000


class Books:
    """What every meter has really counted, whatever its faults make it say."""

    def __init__(self, meters: Mapping[str, Counting], clock: Clock) -> None:
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
    """One meter of a running fleet. `device` is what plays it, with all that can be done to it by hand."""

    def __init__(self, described: SimulatedMeter, device: Device, clock: Clock) -> None:
        self.described = described
        self.device = device
        self._clock = clock
        if described.faults:
            self.faults = described.faults

    @property
    def meter(self) -> Meter:
        """The electricity meter behind it; raises UnknownId for one of water, gas or heat."""
        if isinstance(self.device, Cjt188Station):
            raise UnknownId(f"{self.described.id!r} is no electricity meter")
        return self.device.meter if isinstance(self.device, ModbusUnit) else self.device.supply.meter

    @property
    def consumer_class(self) -> ConsumerClass:
        """Who stands behind an electricity meter; raises UnknownId."""
        return self.meter.consumer.kind

    @property
    def requests(self) -> int:
        """Requests it has received."""
        return self.device.fault_state.requests

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Faults in force; setting them starts their schedules now."""
        return self.device.fault_state.faults

    @faults.setter
    def faults(self, faults: Iterable[Fault]) -> None:
        self.device.fault_state.set(tuple(faults), self._clock.now_ns())

    @property
    def fault(self) -> Fault | None:
        """The first fault in force; setting one replaces them all, None heals the meter."""
        return self.faults[0] if self.faults else None

    @fault.setter
    def fault(self, fault: Fault | None) -> None:
        self.faults = () if fault is None else (fault,)

    @property
    def clock_off_s(self) -> float:
        """How far its clock is ahead of the simulation's."""
        return self.device.clock_off_s

    @clock_off_s.setter
    def clock_off_s(self, seconds: float) -> None:
        self.device.clock_off_s = seconds

    def record_event(self, log: str, code: int, value: float | None = None, at_ns: int | None = None) -> None:
        """Have it record an event in one of its logs, now by its own clock where no time is given; raises UnknownId
        where it has no such log."""
        journals = self.device.journals if isinstance(self.device, ModbusUnit) else {}
        if log not in journals:
            raise UnknownId(f"{self.described.id!r} has no log of events {log!r}")
        own_ns = self._clock.now_ns() + round(self.clock_off_s * NS) if at_ns is None else at_ns
        journals[log].add(code, own_ns // NS_PER_MS, value)

    def written(self, address: int) -> int | None:
        """What was written to a holding register; None where nothing was, or it has none."""
        return self.device.written(address) if isinstance(self.device, ModbusUnit) else None


class Fleet:
    """Simulated meters behind their endpoints; `async with` opens and closes the ports."""

    def __init__(self, meters: Iterable[SimulatedMeter], clock: Clock, *, grid_seed: int = 1) -> None:
        """Raises DuplicateId for an id or an address on a bus given twice, ValueError for an address or a profile that
        cannot be played."""
        self._meters: dict[str, FleetMeter] = {}
        self._clock = clock
        ends: dict[AnyEndpoint, dict[tuple[str, str], FleetMeter]] = {}
        maker = Maker(grid_seed)
        for described in meters:
            end = ends.setdefault(described.endpoint, {})
            place = place_on_bus(described)
            if described.id in self._meters:
                raise DuplicateId(f"simulated meter {described.id!r} is described twice")
            if place in end:
                raise DuplicateId(f"two simulated meters have the address {place[1]} at {described.endpoint}")
            made = FleetMeter(described, maker.device(described), clock)
            end[place] = self._meters[described.id] = made
        self.servers: dict[AnyEndpoint, Plug] = {
            endpoint: _server(endpoint, end.values(), clock)
            if isinstance(endpoint, Endpoint)
            else _bus(endpoint, end.values(), clock)
            for endpoint, end in ends.items()
        }
        self.books = Books({name: meter.device for name, meter in self._meters.items()}, clock)

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

    def port(self, endpoint: AnyEndpoint) -> int:
        """The port an endpoint listens at (a modem: calls), once it was started; 0 of a terminal."""
        return self.servers[endpoint].port

    async def start(self, endpoint: AnyEndpoint) -> None:
        """Plug an endpoint in again, at the port or path it had."""
        await self.servers[endpoint].start()

    async def stop(self, endpoint: AnyEndpoint) -> None:
        """Pull the plug of an endpoint: its port closes or its path goes, its connections break, its modem hangs up."""
        await self.servers[endpoint].stop()

    async def stop_all(self) -> None:
        """Pull every plug."""
        for server in self.servers.values():
            await server.stop()


def _server(endpoint: Endpoint, meters: Iterable[FleetMeter], clock: Clock) -> ModbusServer:
    units: dict[int, ModbusUnit] = {}
    for meter in meters:
        if meter.described.profile.protocol != "modbus":
            raise ValueError(f"{meter.described.id}: only Modbus meters can be behind {endpoint}")
        if isinstance(meter.device, ModbusUnit):
            units[unit_id(meter.described)] = meter.device
    return ModbusServer(endpoint.host, endpoint.port, units, clock, endpoint.framing)


def _bus(endpoint: BusEndpoint, meters: Iterable[FleetMeter], clock: Clock) -> Plug:
    bus = SimulatedBus(
        clock, endpoint.settings, turnaround_s=endpoint.turnaround_s, echo=endpoint.echo, name=endpoint.name or "bus"
    )
    for meter in meters:
        attach(bus, meter.device, meter.described, endpoint.framing)
    match endpoint.at:
        case Gateway(host, port):
            return TcpPort(bus, host, port)
        case Datagrams(host, port):
            return UdpPort(bus, host, port)
        case Terminal(path):
            return PseudoTerminal(bus, path)
    return DialOut(
        bus,
        endpoint.at.host,
        endpoint.at.port,
        clock,
        registration=endpoint.at.registration,
        heartbeat=endpoint.at.heartbeat,
        heartbeat_s=endpoint.at.heartbeat_s,
        redial_s=endpoint.at.redial_s,
    )
