"""The device side of a plant: simulated meters where the configuration says that real ones stand."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from address_space.model import Clock
from config.plant import MeterConfig
from config.spelling import Spelling
from drivers.profiles import Profile, ProfileLibrary
from drivers.simulators import BusEndpoint, Endpoint, Fault, Fleet, RelaySticks, Rollover, SimulatedMeter, ValveSticks
from drivers.simulators.faults import BusFault
from drivers.transport import LineOptions
from server.app import Blueprint
from server.errors import SimulationMistake
from server.far_ends import far_ends
from server.simulated_faults import FAULTS, faults_of, whole


def fleet_of(blueprint: Blueprint, library: ProfileLibrary, clock: Clock, channels: Collection[str] = ()) -> Fleet:
    """Simulated meters for these channels (all where none is named), at the other end of what the channels name.

    Raises SimulationMistake, or DuplicateId where two meters of one bus have the same address.
    """
    buses = {bus.config.id: bus for bus in blueprint.assembly.buses}
    unknown = sorted(set(channels) - buses.keys())
    if unknown:
        hint = Spelling().hint(unknown[0], sorted(buses))
        raise SimulationMistake(f"the plant has no channel {unknown[0]!r}", hint=hint)
    simulation = blueprint.config.simulation
    seed = whole(simulation.get("seed", 1), "plant.yaml: simulation.seed")
    faults = faults_of(simulation, {meter.id for meter in blueprint.config.meters})
    meters = [meter for meter in blueprint.config.meters if not channels or meter.channel in channels]
    protocols: dict[str, set[str]] = {}
    for meter in meters:
        protocols.setdefault(meter.channel, set()).add(library.get(meter.profile).protocol)
    ends = far_ends([buses[name] for name in buses if name in protocols], protocols, simulation)
    played = (_simulated(meter, library, ends[meter.channel], seed, faults.get(meter.id, ())) for meter in meters)
    return Fleet(played, clock, grid_seed=seed)


def with_ports_in(blueprint: Blueprint, before: Path, after: Path) -> Blueprint:
    """The same, where serial ports that lie in the data folder `before` lie in `after`."""

    def moved(options: object) -> object:
        if not isinstance(options, LineOptions) or options.transport != "serial":
            return options
        device = Path(options.device)
        if not device.is_relative_to(before):
            return options
        return options.model_copy(update={"device": str(after / device.relative_to(before))})

    buses = tuple(replace(bus, options=moved(bus.options)) for bus in blueprint.assembly.buses)
    return replace(blueprint, assembly=replace(blueprint.assembly, buses=buses))


def serial_ports(blueprint: Blueprint) -> tuple[Path, ...]:
    """Paths of the serial ports that simulated meters make."""
    options = (bus.options for bus in blueprint.assembly.buses)
    return tuple(Path(each.device) for each in options if isinstance(each, LineOptions) and each.transport == "serial")


def _simulated(
    meter: MeterConfig,
    library: ProfileLibrary,
    endpoint: Endpoint | BusEndpoint,
    seed: int,
    faults: tuple[Fault, ...],
) -> SimulatedMeter:
    profile = library.get(meter.profile)
    for fault in faults:
        _check(meter, profile, endpoint, fault)
    return SimulatedMeter(
        meter.id,
        profile,
        endpoint,
        meter.address,
        meter.ratio,
        rated_current_a=meter.rated_current_a or None,
        seed=seed,
        faults=faults,
    )


def _check(meter: MeterConfig, profile: Profile, endpoint: Endpoint | BusEndpoint, fault: Fault) -> None:
    """A fault that such a meter cannot show would only seem to be played."""
    points = {point.name for point in profile.points}
    lacks = ""
    if isinstance(fault, BusFault) and isinstance(endpoint, Endpoint):
        lacks = "it is a fault of serial lines, and this meter listens at a Modbus TCP port"
    elif isinstance(fault, Rollover) and profile.protocol != "modbus":
        lacks = "it is played by Modbus meters only"
    elif isinstance(fault, RelaySticks) and "Switch.State" not in points:
        lacks = f"the profile {meter.profile} has no relay"
    elif isinstance(fault, ValveSticks) and "Valve.State" not in points:
        lacks = f"the profile {meter.profile} has no valve"
    if lacks:
        name = next(name for name, kind in FAULTS.items() if kind is type(fault))
        raise SimulationMistake(
            f"{meter.id} cannot have the fault {name}: {lacks}",
            where="plant.yaml: simulation.faults",
            hint="give it another fault, or the fault to another meter",
        )


__all__ = ["FAULTS", "faults_of", "fleet_of", "serial_ports", "with_ports_in"]
