"""From the commands of a profile to steps with wire addresses; every mistake is told with its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from drivers.codec import NumberType, exact
from drivers.modbus.layout import Register
from drivers.modbus.steps import (
    Argument,
    ClockRegisters,
    CompiledCommand,
    CompiledStep,
    EffectCheck,
    RegisterCheck,
    Target,
    zone_of,
)
from drivers.profiles import Command, Profile, Step
from drivers.profiles.modbus_schema import ClockEntry, RegisterEntry, Section
from drivers.profiles.modbus_steps import ArgumentEntry, ClockCheckEntry, ReadBackEntry, WriteEntry

_Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Checker:
    """What compiling a profile offers to compiling its commands.

    checked   (model, data, path) → the entry, or None with its mistakes noted
    register  a register on the wire, or None with the mistake noted
    say       note a mistake: what, path, hint
    """

    checked: Callable[..., Any]
    register: Callable[[RegisterEntry, Section, _Path], Register | None]
    say: Callable[[str, _Path, str], None]


def compile_commands(profile: Profile, section: Section, checker: Checker) -> Mapping[str, CompiledCommand]:
    """The commands of `profile` by name; those with mistakes are missing."""
    compiler = _Compiler(profile, section, checker)
    found: dict[str, CompiledCommand] = {}
    for command in profile.commands:
        steps = [compiler.step(command, index, step) for index, step in enumerate(command.steps)]
        whole = tuple(step for step in steps if step is not None)
        if len(whole) == len(steps):
            found[command.name] = CompiledCommand(command, whole)
    return found


def compile_clock(entry: ClockEntry, section: Section) -> ClockRegisters | None:
    """Where the clock lies; None where that is no place."""
    address = entry.at - (section.base if entry.base is None else entry.base)
    if not 0 <= address <= 0x10000 - entry.moment.size:
        return None
    return ClockRegisters(
        entry.fc or section.fc,
        address,
        entry.moment,
        entry.order or section.order,
        zone_of(entry.zone),
        entry.tolerance_s,
    )


def as_typed(raw: int, kind: NumberType) -> int:
    """A raw value given as a bit pattern, as the type reads it (0xFFFF of an int16 is −1)."""
    return raw - (1 << kind.bits) if kind.is_signed and raw >= 1 << (kind.bits - 1) else raw


class _Compiler:
    def __init__(self, profile: Profile, section: Section, checker: Checker) -> None:
        self._profile = profile
        self._section = section
        self._checker = checker

    def step(self, command: Command, index: int, step: Step) -> CompiledStep | None:
        path: _Path = ("commands", command.name, "steps", index)
        if step.write is not None:
            return self._write(step, (*path, "write"))
        if step.read_back is not None:
            return self._read_back(step, (*path, "read_back"))
        if step.effect is not None:
            offset = self._profile.offset(step.effect.quantity)
            return (
                None
                if offset is None
                else CompiledStep(step, f"effect {step.effect}", check=EffectCheck(offset, step.effect))
            )
        return CompiledStep(step, f"wait {step.wait_s:g} s")

    def _write(self, step: Step, path: _Path) -> CompiledStep | None:
        entry: WriteEntry | None = self._checker.checked(WriteEntry, step.write, path)
        if entry is None:
            return None
        if entry.clock is not None:
            clock = self._clock(path)
            if clock is None:
                return None
            return CompiledStep(step, "set the clock", Target(entry.fc, clock.address), clock=clock)
        address = (entry.at or 0) - (self._section.base if entry.base is None else entry.base)
        argument = self._argument(entry.argument) if entry.argument else None
        words = tuple(entry.values or ())
        size = argument.register.words if argument else len(words)
        if not 0 <= address <= 0x10000 - size:
            self._checker.say("that is no Modbus address", (*path, "at"), "count it as the section's base says")
            return None
        label = f"write {f'{argument.name} to ' if argument else ''}FC{entry.fc} 0x{address:04X}"
        return CompiledStep(step, label, Target(entry.fc, address), words, argument)

    def _argument(self, entry: ArgumentEntry) -> Argument:
        order = entry.order or self._section.order
        register = Register(3, tuple(range(entry.size)), entry.type, order)
        return Argument(entry.name, register, exact(entry.scale), entry.min, entry.max, entry.map)

    def _read_back(self, step: Step, path: _Path) -> CompiledStep | None:
        given = step.read_back or {}
        if "clock" in given:
            asked: ClockCheckEntry | None = self._checker.checked(ClockCheckEntry, given, path)
            clock = self._clock(path)
            if asked is None or clock is None:
                return None
            return CompiledStep(step, "read the clock", clock=clock, any_time=asked.clock == "any")
        entry: ReadBackEntry | None = self._checker.checked(ReadBackEntry, given, path)
        if entry is None:
            return None
        register = self._checker.register(entry, self._section, path)
        if register is None:
            return None
        label = f"read back {register}"
        if entry.argument is not None:
            same_as = Argument(entry.argument, register, exact(entry.scale), None, None, None)
            return CompiledStep(step, label, same_as=same_as)
        check = RegisterCheck(register, entry.mask, entry.equals, entry.between, frozenset(entry.moving))
        return CompiledStep(step, label, check=check)

    def _clock(self, path: _Path) -> ClockRegisters | None:
        if self._section.clock is None:
            self._checker.say(
                "the profile does not say where the device keeps its time", (*path, "clock"), "add clock to its section"
            )
            return None
        return compile_clock(self._section.clock, self._section)
