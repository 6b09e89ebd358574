"""The device side of a plant: simulated meters where the configuration says that real ones stand."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from typing import Any

from address_space.model import Clock, HubError
from config.plant import MeterConfig
from drivers.profiles import ProfileLibrary
from drivers.simulators import (
    Always,
    Between,
    Dropped,
    Endpoint,
    EveryNth,
    ExceptionAnswer,
    Fault,
    Fleet,
    Framing,
    Frozen,
    Garbage,
    Late,
    Rollover,
    Schedule,
    Silent,
    SimulatedMeter,
    Slow,
    WrongCheck,
    WrongLength,
    WrongUnit,
)
from server.app import Blueprint

FAULTS: Mapping[str, type[Any]] = {
    "silent": Silent,
    "slow": Slow,
    "wrong_length": WrongLength,
    "wrong_check": WrongCheck,
    "wrong_unit": WrongUnit,
    "exception": ExceptionAnswer,
    "dropped": Dropped,
    "garbage": Garbage,
    "late": Late,
    "frozen": Frozen,
    "rollover": Rollover,
}
"""Faults by their names in `simulation.faults` of `plant.yaml`."""
_SCHEDULE_KEYS = {"from_s", "to_s", "every"}


class SimulationMistake(HubError):
    """The section `simulation` of `plant.yaml` asks for something that the simulators cannot do."""


def fleet_of(blueprint: Blueprint, library: ProfileLibrary, clock: Clock, channels: Collection[str] = ()) -> Fleet:
    """Simulated meters for these channels (all where none is named), listening where the channels connect to."""
    options = {bus.config.id: bus.options for bus in blueprint.assembly.buses}
    unknown = sorted(set(channels) - options.keys())
    if unknown:
        raise SimulationMistake(
            f"the plant has no channel {unknown[0]!r}", hint=f"its channels are {', '.join(sorted(options))}"
        )
    simulation = blueprint.config.simulation
    seed = int(simulation.get("seed", 1))
    faults = faults_of(simulation, {meter.id for meter in blueprint.config.meters})
    endpoints = {
        name: Endpoint(option.host, option.port, Framing(option.framer), name) for name, option in options.items()
    }
    meters = (
        _simulated(meter, library, endpoints[meter.channel], seed, faults.get(meter.id, ()))
        for meter in blueprint.config.meters
        if not channels or meter.channel in channels
    )
    return Fleet(meters, clock, grid_seed=seed)


def faults_of(simulation: Mapping[str, Any], meters: Collection[str]) -> dict[str, tuple[Fault, ...]]:
    """Faults by meter from `simulation.faults`; raises SimulationMistake at the entry that cannot be used."""
    found: dict[str, tuple[Fault, ...]] = {}
    for number, entry in enumerate(simulation.get("faults", ())):
        where = f"plant.yaml: simulation.faults[{number}]"
        if not isinstance(entry, Mapping) or "meter" not in entry or "fault" not in entry:
            raise SimulationMistake(
                "an entry names a meter and a fault", where=where, hint="{meter: m1, fault: silent}"
            )
        if entry["meter"] not in meters:
            raise SimulationMistake(f"there is no meter {entry['meter']!r}", where=where, hint="name a metering unit")
        found[entry["meter"]] = (*found.get(entry["meter"], ()), _fault(entry, where))
    return found


def _fault(entry: Mapping[str, Any], where: str) -> Fault:
    kind = FAULTS.get(entry["fault"])
    if kind is None:
        raise SimulationMistake(
            f"there is no fault {entry['fault']!r}", where=where, hint=f"the faults are {', '.join(sorted(FAULTS))}"
        )
    known = {field.name: field for field in fields(kind) if field.name != "when"}
    given = {key: value for key, value in entry.items() if key not in ("meter", "fault", *_SCHEDULE_KEYS)}
    missing = [name for name, field in known.items() if field.default is MISSING and name not in given]
    wrong = sorted(given.keys() - known.keys())
    if wrong or missing:
        what = f"{entry['fault']} has no setting {wrong[0]!r}" if wrong else f"{entry['fault']} needs {missing[0]!r}"
        raise SimulationMistake(what, where=where, hint=f"its settings are {', '.join(known) or 'none'}")
    fault: Fault = kind(**given, when=_schedule(entry))
    return fault


def _schedule(entry: Mapping[str, Any]) -> Schedule:
    if "every" in entry:
        return EveryNth(int(entry["every"]))
    if "from_s" in entry or "to_s" in entry:
        return Between(float(entry.get("from_s", 0.0)), float(entry.get("to_s", "inf")))
    return Always()


def _simulated(
    meter: MeterConfig, library: ProfileLibrary, endpoint: Endpoint, seed: int, faults: tuple[Fault, ...]
) -> SimulatedMeter:
    return SimulatedMeter(
        meter.id,
        library.get(meter.profile),
        endpoint,
        meter.address,
        meter.ratio,
        rated_current_a=meter.rated_current_a or None,
        seed=seed,
        faults=faults,
    )
