"""A hub with the field protocols on real lines: pseudo-terminals, a gateway, a modem that dials in, datagrams."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pulse import Pulse
from stand import Stand

from address_space.model import NS, SystemClock
from address_space.model.quantity import Quantity, by_path
from drivers.commands import CommandResult, execute
from drivers.profiles import load_library
from drivers.simulators import DialOut, PseudoTerminal, SimulatedBus, TcpPort
from drivers.simulators.cjt188 import Cjt188Station
from drivers.simulators.datagrams import UdpPort
from drivers.simulators.dlt645 import Dlt645Station
from server.assembly import Bus
from server.simulation import fleet_of
from tests.ports import free_port

TIMEOUT_S = 0.4
TURNAROUND_S = 0.002
"""Meters are quick here, so that several of them on one bus are read within a second."""
MODEM = "99890123456"
PROFILES = {
    # Real valves and relays take seconds; these are looked at sooner, and by all else like the ones they extend.
    "relay": """
profile: bench/relay
extends: generic/dlt645-2007-prepaid-relay
vendor: Bench
model: Relay
source: [{document: made for tests}]
commands:
  open_supply: {steps: [{write: {relay: trip}}, {read_back: {relay: open}}]}
  close_supply: {steps: [{write: {relay: close}}, {read_back: {relay: closed}}]}
""",
    "water": """
profile: bench/water
extends: generic/cjt188-cold-water-valve
vendor: Bench
model: Water
source: [{document: made for tests}]
commands:
  open_valve: {danger: [supply], steps: [{write: {valve: open}}, {read_back: {valve: open, after_s: [0.3, 1.2]}}]}
  close_valve: {danger: [supply], steps: [{write: {valve: close}}, {read_back: {valve: closed, after_s: [0.3, 1.2]}}]}
""",
}
MOTOR_S = 0.5
METERS = """id,name,parent,profile,channel,address,ct,pt
d1,Three phases,north,generic/dlt645-2007-three-phase,pty,200100000001,20,
d2,Prepaid,north,bench/relay,pty,200100000002,,
d3,Old,north,generic/dlt645-1997,pty,970300000003,,
d4,Neighbour,north,generic/dlt645-2007-single-phase,pty,200100000004,,
w1,Cold water,north,bench/water,loop,10000000000001,,
w2,Cold water too,north,bench/water,loop,10000000000002,,
h1,Heat,north,generic/cjt188-heat,loop,20000000000001,,
g1,Gas,north,generic/cjt188-gas,loop,30000000000001,,
r1,Pump,north,eastron/sdm630,wells,1,,
r2,Light,north,generic/dlt645-2007-single-phase,wells,200100000005,,
s1,Serial Modbus,north,eastron/sdm120,serial,7,,
a1,ASCII,north,eastron/sdm120,ascii,8,,
u1,Datagrams,north,generic/dlt645-2007-single-phase,udp,200100000006,,
u2,Modbus datagrams,north,eastron/sdm120,udp-modbus,9,,
"""
OF_CHANNEL = MappingProxyType(
    {
        channel: tuple(row.split(",")[0] for row in METERS.splitlines()[1:] if row.split(",")[4] == channel)
        for channel in ("pty", "loop", "wells", "serial", "ascii", "udp", "udp-modbus")
    }
)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a meter may show of a quantity: the least and most of it, in the unit of the quantity."""

    least: float
    most: float

    def holds(self, value: float) -> bool:
        return self.least <= value <= self.most


class FieldStand(Stand):
    """Meters of every protocol, the hub, and a client."""

    def __init__(self, folder: Path, hold_s: float = 3.0) -> None:
        self.folder = folder
        self.clock = SystemClock()
        self.hold_s = hold_s
        self.port = free_port()
        self.url = f"opc.tcp://127.0.0.1:{self.port}"
        self.hub = None
        self.pulse = Pulse()
        self._stop = asyncio.Event()
        self._running = None
        self._lay_out()
        self.library = load_library(folder / "profiles")
        blueprint = self._blueprint()
        self.buses: dict[str, Bus] = {bus.config.id: bus for bus in blueprint.assembly.buses}
        self.fleet = fleet_of(blueprint, self.library, self.clock)
        self.ends = {self.fleet.meter(meters[0]).described.endpoint: name for name, meters in OF_CHANNEL.items()}
        for plug in self.fleet.servers.values():
            if isinstance(plug, TcpPort | UdpPort | PseudoTerminal | DialOut):
                assert isinstance(plug.bus, SimulatedBus)
                plug.bus.turnaround_s = TURNAROUND_S
        for meter in OF_CHANNEL["loop"]:
            valve = self.water(meter).valve
            if valve is not None:
                valve.motor_s = MOTOR_S

    async def __aenter__(self) -> FieldStand:
        await self.fleet.__aenter__()
        return self

    def end(self, channel: str) -> Any:
        """The endpoint of a channel."""
        return next(end for end, name in self.ends.items() if name == channel)

    def plug(self, channel: str) -> Any:
        """What is plugged in at the other end of a channel."""
        return self.fleet.servers[self.end(channel)]

    def electricity(self, meter: str) -> Dlt645Station:
        device = self.fleet.meter(meter).device
        assert isinstance(device, Dlt645Station)
        return device

    def water(self, meter: str) -> Cjt188Station:
        device = self.fleet.meter(meter).device
        assert isinstance(device, Cjt188Station)
        return device

    def truth(self, meter: str, path: str, source_ns: int, step: float, early_s: float = 2.0) -> Shown | None:
        """What the books say for an answer received then; None where they do not know the quantity. `step` is the
        last digit of what the meter shows."""
        quantity = by_path(path)
        assert quantity is not None
        device = self.fleet.meter(meter).device
        seconds = range(int(source_ns // NS - early_s - self.slip_s), source_ns // NS + 1)
        values = [device.values(second)[quantity.code] for second in seconds]
        known = [value / quantity.per_unit for value in values if value is not None]
        return Shown(min(known) - step, max(known) + step) if known else None

    def quantities(self, meter: str) -> tuple[Quantity, ...]:
        """What the hub measures of a meter."""
        assert self.hub is not None
        template = self.hub.plant.units[self.hub.plant.unit_of[meter]].template
        return tuple(template.quantities[: template.measured])

    async def command(self, meter: str, name: str) -> CommandResult:
        """Carry out a command of the meter's profile over the hub's own line."""
        assert self.hub is not None
        unit = self.hub.plant.unit_of[meter]
        channel = self.hub.plant.units[unit].channel
        poller = next(each for each in self.hub.pollers if each.channel.id == channel)
        device = poller.target(unit)
        actions = self.buses[channel].plugin.command(device.profile, name, {})
        return await execute(poller.channel, device, actions, self.clock)

    def _lay_out(self) -> None:
        profiles = self.folder / "profiles" / "bench"
        profiles.mkdir(parents=True, exist_ok=True)
        for name, text in PROFILES.items():
            (profiles / f"{name}.yaml").write_text(text)
        timing = f"timeout_ms: {TIMEOUT_S * 1000:.0f}, gap_ms: 2"
        fast = f"baud: 115200, {timing}"
        ports = self.folder / "ports"
        (self.folder / "plant.yaml").write_text(f"""
name: Stand
time_zone: Asia/Tashkent
hierarchy: [{{id: north, kind: region, name: North}}]
channels:
  pty: {{driver: dlt645, polling: {{all: 0.5s}}, options: {{transport: serial, device: {ports / "pty"}, {fast}}}}}
  loop: {{driver: cjt188, polling: {{all: 0.3s}}, options: {{host: 127.0.0.1, port: {free_port()}, {fast}}}}}
  wells:
    driver: mixed
    options:
      transport: dial_in
      listen_host: 127.0.0.1
      listen_port: {free_port()}
      modem: "{MODEM}"
      registration: 'REG:(?P<id>[0-9]{{11}})\\r\\n'
      heartbeat: '@PING@'
      baud: 115200
      timeout_ms: {TIMEOUT_S * 1000:.0f}
      gap_ms: 2
  serial: {{driver: modbus, options: {{transport: serial, device: {ports / "rtu"}, {fast}}}}}
  ascii: {{driver: modbus, options: {{host: 127.0.0.1, port: {free_port()}, framer: ascii, {timing}}}}}
  udp: {{driver: dlt645, options: {{transport: udp, host: 127.0.0.1, port: {free_port()}, {fast}}}}}
  udp-modbus: {{driver: modbus, options: {{transport: udp, host: 127.0.0.1, port: {free_port()}, {timing}}}}}
meters: meters.csv
simulation:
  modems: {{wells: {{heartbeat_s: 0.5, redial_s: 0.3}}}}
""")
        (self.folder / "meters.csv").write_text(METERS)
