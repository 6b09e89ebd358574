"""The device side of a plant: simulated meters where the configuration says that real ones stand."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, fields
from math import inf
from typing import Any

from address_space.model import Clock
from config.plant import MeterConfig
from config.spelling import Spelling
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
from server.errors import SimulationMistake

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
_SCHEDULE_KEYS = frozenset({"from_s", "to_s", "every"})
_EXAMPLE = "write it as {meter: m1, fault: silent}"


def fleet_of(blueprint: Blueprint, library: ProfileLibrary, clock: Clock, channels: Collection[str] = ()) -> Fleet:
    """Simulated meters for these channels (all where none is named), listening where the channels connect to.

    Raises SimulationMistake, or DuplicateId where two meters of one port have the same address.
    """
    options = {bus.config.id: bus.options for bus in blueprint.assembly.buses}
    unknown = sorted(set(channels) - options.keys())
    if unknown:
        hint = Spelling().hint(unknown[0], sorted(options))
        raise SimulationMistake(f"the plant has no channel {unknown[0]!r}", hint=hint)
    simulation = blueprint.config.simulation
    seed = _whole(simulation.get("seed", 1), "plant.yaml: simulation.seed")
    faults = faults_of(simulation, {meter.id for meter in blueprint.config.meters})
    endpoints = _endpoints(options)
    meters = (
        _simulated(meter, library, endpoints[meter.channel], seed, faults.get(meter.id, ()))
        for meter in blueprint.config.meters
        if not channels or meter.channel in channels
    )
    return Fleet(meters, clock, grid_seed=seed)


def faults_of(simulation: Mapping[str, Any], meters: Collection[str]) -> dict[str, tuple[Fault, ...]]:
    """Faults by meter from `simulation.faults`; raises SimulationMistake at the entry that cannot be used."""
    entries = simulation.get("faults") or ()
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise SimulationMistake("faults are a list", where="plant.yaml: simulation.faults", hint=_EXAMPLE)
    found: dict[str, tuple[Fault, ...]] = {}
    for number, entry in enumerate(entries):
        where = f"plant.yaml: simulation.faults[{number}]"
        if not isinstance(entry, Mapping) or "meter" not in entry or "fault" not in entry:
            raise SimulationMistake("an entry names a meter and a fault", where=where, hint=_EXAMPLE)
        if entry["meter"] not in meters:
            hint = Spelling().hint(str(entry["meter"]), sorted(meters))
            raise SimulationMistake(f"there is no meter {entry['meter']!r}", where=where, hint=hint)
        found[entry["meter"]] = (*found.get(entry["meter"], ()), _fault(entry, where))
    return found


def _endpoints(options: Mapping[str, Any]) -> dict[str, Endpoint]:
    """Endpoint of each channel; channels to the same port share one."""
    ports: dict[tuple[str, int], Endpoint] = {}
    found: dict[str, Endpoint] = {}
    for name, option in options.items():
        made = Endpoint(option.host, option.port, Framing(option.framing), name)
        endpoint = found[name] = ports.setdefault((option.host, option.port), made)
        if endpoint.framing is not made.framing:
            raise SimulationMistake(
                f"the channels {endpoint.name!r} and {name!r} share {option.host}:{option.port} with different framers",
                hint="give both the same framer",
            )
    return found


def _fault(entry: Mapping[str, Any], where: str) -> Fault:
    kind = FAULTS.get(str(entry["fault"]))
    if kind is None:
        hint = Spelling().hint(str(entry["fault"]), sorted(FAULTS))
        raise SimulationMistake(f"there is no fault {entry['fault']!r}", where=where, hint=hint)
    known = {field.name: field for field in fields(kind) if field.name != "when"}
    given = {key: value for key, value in entry.items() if key not in ("meter", "fault", *_SCHEDULE_KEYS)}
    missing = [name for name, field in known.items() if field.default is MISSING and name not in given]
    wrong = sorted(given.keys() - known.keys())
    if wrong or missing:
        what = f"{entry['fault']} has no setting {wrong[0]!r}" if wrong else f"{entry['fault']} needs {missing[0]!r}"
        settings = ", ".join((*known, *sorted(_SCHEDULE_KEYS)))
        raise SimulationMistake(what, where=where, hint=f"its settings are {settings}")
    readers = {name: _number if "float" in str(field.type) else _whole for name, field in known.items()}
    values = {name: readers[name](value, f"{where}.{name}") for name, value in given.items()}
    fault: Fault = kind(**values, when=_schedule(entry, where))
    return fault


def _schedule(entry: Mapping[str, Any], where: str) -> Schedule:
    if "every" in entry:
        every = _whole(entry["every"], f"{where}.every")
        if every < 1:
            raise SimulationMistake("every counts requests", where=f"{where}.every", hint="use 1 or more")
        return EveryNth(every)
    if "from_s" in entry or "to_s" in entry:
        bounds = (entry.get("from_s", 0.0), entry.get("to_s", inf))
        return Between(_number(bounds[0], f"{where}.from_s"), _number(bounds[1], f"{where}.to_s"))
    return Always()


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SimulationMistake(f"{value!r} is no number", where=where, hint="write it as 60 or 0.5")
    return float(value)


def _whole(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise SimulationMistake(f"{value!r} is no whole number", where=where, hint="write it as 42")
    return value


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
