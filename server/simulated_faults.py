"""Faults of simulated meters as the plant names them in `simulation.faults`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import MISSING, fields
from math import inf
from typing import Any

from config.spelling import Spelling
from drivers.simulators import faults
from server.errors import SimulationMistake

FAULTS: Mapping[str, type[Any]] = {
    "silent": faults.Silent,
    "slow": faults.Slow,
    "wrong_length": faults.WrongLength,
    "wrong_check": faults.WrongCheck,
    "wrong_unit": faults.WrongUnit,
    "exception": faults.ExceptionAnswer,
    "error_reply": faults.ExceptionAnswer,
    "dropped": faults.Dropped,
    "garbage": faults.Garbage,
    "late": faults.Late,
    "frozen": faults.Frozen,
    "rollover": faults.Rollover,
    "noise_before": faults.NoiseBefore,
    "long_preamble": faults.LongPreamble,
    "echo": faults.Echo,
    "half_frame": faults.HalfFrame,
    "stray_answer": faults.StrayAnswer,
    "babbling": faults.Babbling,
    "relay_sticks": faults.RelaySticks,
    "valve_sticks": faults.ValveSticks,
}
"""Faults by their names in `simulation.faults` of `plant.yaml`."""
_SCHEDULE_KEYS = frozenset({"from_s", "to_s", "every"})
_EXAMPLE = "write it as {meter: m1, fault: silent}"


def faults_of(simulation: Mapping[str, Any], meters: Collection[str]) -> dict[str, tuple[faults.Fault, ...]]:
    """Faults by meter from `simulation.faults`; raises SimulationMistake at the entry that cannot be used."""
    entries = simulation.get("faults") or ()
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise SimulationMistake("faults are a list", where="plant.yaml: simulation.faults", hint=_EXAMPLE)
    found: dict[str, tuple[faults.Fault, ...]] = {}
    for number, entry in enumerate(entries):
        where = f"plant.yaml: simulation.faults[{number}]"
        if not isinstance(entry, Mapping) or "meter" not in entry or "fault" not in entry:
            raise SimulationMistake("an entry names a meter and a fault", where=where, hint=_EXAMPLE)
        if entry["meter"] not in meters:
            hint = Spelling().hint(str(entry["meter"]), sorted(meters))
            raise SimulationMistake(f"there is no meter {entry['meter']!r}", where=where, hint=hint)
        found[entry["meter"]] = (*found.get(entry["meter"], ()), _fault(entry, where))
    return found


def _fault(entry: Mapping[str, Any], where: str) -> faults.Fault:
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
    readers = {name: _READERS.get(str(field.type), whole) for name, field in known.items()}
    values = {name: readers[name](value, f"{where}.{name}") for name, value in given.items()}
    fault: faults.Fault = kind(**values, when=_schedule(entry, where))
    return fault


def _schedule(entry: Mapping[str, Any], where: str) -> faults.Schedule:
    if "every" in entry:
        every = whole(entry["every"], f"{where}.every")
        if every < 1:
            raise SimulationMistake("every counts requests", where=f"{where}.every", hint="use 1 or more")
        return faults.EveryNth(every)
    if "from_s" in entry or "to_s" in entry:
        bounds = (entry.get("from_s", 0.0), entry.get("to_s", inf))
        return faults.Between(number(bounds[0], f"{where}.from_s"), number(bounds[1], f"{where}.to_s"))
    return faults.Always()


def number(value: Any, where: str) -> float:
    """A number of the configuration; raises SimulationMistake."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SimulationMistake(f"{value!r} is no number", where=where, hint="write it as 60 or 0.5")
    return float(value)


def _yes(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise SimulationMistake(f"{value!r} is neither yes nor no", where=where, hint="write it as true or false")
    return value


def whole(value: Any, where: str) -> int:
    """A whole number of the configuration; raises SimulationMistake."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise SimulationMistake(f"{value!r} is no whole number", where=where, hint="write it as 42")
    return value


_READERS: Mapping[str, Callable[[Any, str], float | int | bool]] = {"float": number, "bool": _yes}
"""By the type of a fault's setting; others are whole numbers."""
