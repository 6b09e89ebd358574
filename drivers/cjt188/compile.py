"""From a `Profile` to a `CompiledProfile`: CJ/T 188's own words checked, names of numbers found, bits made masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from address_space.model.quantity import Quantity
from address_space.model.state import ValveState
from drivers.api import Action, WriteRequest
from drivers.cjt188.identifiers import DiOrder, name_of
from drivers.cjt188.layouts import Field, Layout, field_names
from drivers.cjt188.profile import CompiledPoint, CompiledProfile, Flag, Step, ValveBits
from drivers.cjt188.units import CODES
from drivers.cjt188.writes import AddressWrite, BaseWrite, ClockLook, ClockWrite, EffectLook, ValveLook, ValveWrite
from drivers.profiles import Command, Profile, ProfilePoint, size_in_base
from drivers.profiles.cjt188_schema import (
    LayoutEntry,
    PointAddress,
    ReadBackEntry,
    Section,
    ValveEntry,
    WriteEntry,
)
from drivers.profiles.compiling import Checking, KeyPath


def compile_profile(profile: Profile) -> CompiledProfile:
    """`profile` for CJ/T 188; raises `ProfileError` with every mistake and its place."""
    return _Compiler(profile).compiled()


class _Compiler(Checking):
    def __init__(self, profile: Profile) -> None:
        super().__init__(profile)
        self._section = self._checked(Section, profile.settings, (profile.protocol,)) or Section()
        self._valve = _valve_bits(self._section.valve)

    def compiled(self) -> CompiledProfile:
        section = self._section
        layouts = {(entry.di, entry.size): _layout(entry) for entry in section.layouts}
        points = tuple(self._point(point, layouts) for point in self._profile.points)
        commands = {command.name: self._command(command) for command in self._profile.commands}
        if self._profile.variants:
            self._say("variants cannot be told apart in CJ/T 188", ("variants",), "write a profile of its own")
        self.raise_mistakes()
        return CompiledProfile(
            name=self._profile.name,
            type=section.type,
            di_order=DiOrder(section.di_order),
            strict_ser=section.strict_ser,
            has_valve=section.has_valve,
            flow_decimals=section.flow_decimals,
            preamble=section.preamble,
            gap_s=section.gap_ms / 1000,
            valve=self._valve,
            points=points,
            layouts=layouts,
            commands=commands,
        )

    def _point(self, point: ProfilePoint, layouts: Mapping[tuple[int, int], Layout]) -> CompiledPoint | None:
        if not point.address:
            return None
        path: KeyPath = ("points", point.name)
        address = self._checked(PointAddress, point.address, path)
        size = size_in_base(point.unit, point.quantity)
        if address is None or size is None:
            return None
        if not name_of(address.di) and not any(di == address.di for di, _ in layouts):
            self._say(f"nothing is known of identifier {address.di:04X}", (*path, "di"), "describe it under layouts")
        if address.valve is not None:
            if not self._section.has_valve:
                self._say("a meter without a valve has no position of it", path, "state has_valve: true")
            if point.quantity is not Quantity.VALVE_STATE:
                self._say("only Valve.State is the position of a valve", path)
            return CompiledPoint.of(point.quantity, address.di, size)
        if address.status is not None:
            bit = address.status
            flag = Flag(bit.byte - 1, 1 << bit.bit, bool(bit.active))
            return CompiledPoint.of(point.quantity, address.di, size, flag=flag)
        own = {field.name for (di, _), layout in layouts.items() if di == address.di for field in layout.fields}
        known = field_names(address.di) | own
        if address.field not in known:
            hint = f"known are {', '.join(sorted(known))}" if known else "describe it under layouts"
            self._say(f"{address.field!r} is no number of {address.di:04X}", (*path, "field"), hint)
        return CompiledPoint.of(point.quantity, address.di, size, field=address.field)

    def _command(self, command: Command) -> tuple[Step, ...]:
        steps: list[Step] = []
        for index, step in enumerate(command.steps):
            path: KeyPath = ("commands", command.name, "steps", index)
            label = f"{command.name}, step {index + 1}"
            if step.wait_s:
                steps.append(Step(Action(label, wait_s=step.wait_s, always=step.always)))
            elif step.write is not None:
                write = self._checked(WriteEntry, step.write, (*path, "write"))
                if write is not None:
                    key, argument = self._write(write, path)
                    request = WriteRequest(key, None)
                    action = Action(label, write=request, always=step.always, answer_proves=step.answer_proves)
                    steps.append(Step(action, argument))
            elif step.read_back is not None:
                look = self._checked(ReadBackEntry, step.read_back, (*path, "read_back"))
                if look is not None:
                    after_s = tuple(look.after_s)
                    found = self._look(look, path)
                    steps.append(Step(Action(label, confirm=found, after_s=after_s, always=step.always)))
            elif step.effect is not None:
                offset = self._profile.offset(step.effect.quantity)
                if offset is None:
                    self._say(f"there is no point {step.effect.quantity.path}", (*path, "effect"))
                else:
                    seen = EffectLook(offset, step.effect)
                    steps.append(Step(Action(label, confirm=seen, after_s=step.looks_s, always=step.always)))
        return tuple(steps)

    def _write(self, entry: WriteEntry, path: KeyPath) -> tuple[Any, str]:
        if entry.clock is not None:
            return ClockWrite(), "time"
        if entry.address is not None:
            return AddressWrite(), "value"
        if entry.base_reading is not None:
            return BaseWrite(self._base_unit()), "value"
        if not self._section.has_valve:
            self._say("a meter without a valve has none to move", path, "state has_valve: true")
        codes = self._valve.codes
        code = codes[entry.valve] if isinstance(entry.valve, str) else entry.valve or 0
        targets = {codes["open"]: ValveState.OPEN, codes["close"]: ValveState.CLOSED}
        return ValveWrite(code, targets.get(code)), ""

    def _look(self, entry: ReadBackEntry, path: KeyPath) -> Any:
        if entry.clock is not None:
            return ClockLook(entry.clock)
        if not self._section.has_valve:
            self._say("a meter without a valve has no position of it", path, "state has_valve: true")
        return ValveLook(ValveState.OPEN if entry.valve == "open" else ValveState.CLOSED, entry.after_s[-1])

    def _base_unit(self) -> int:
        """Unit byte of the register that is read as cumulative or as heat."""
        return CODES["kWh"] if self._section.type >> 4 == 2 else CODES["m3"]


def _valve_bits(entry: ValveEntry) -> ValveBits:
    states = {
        **dict.fromkeys(entry.failure, ValveState.FAILURE),
        **dict.fromkeys(entry.moving, ValveState.IN_TRANSIT),
        **dict.fromkeys(entry.closed, ValveState.CLOSED),
        **dict.fromkeys(entry.open, ValveState.OPEN),
    }
    codes = {"open": entry.open_code, "close": entry.close_code, "exercise": entry.exercise_code}
    return ValveBits(entry.byte - 1, entry.mask, states, codes)


def _layout(entry: LayoutEntry) -> Layout:
    fields = tuple(Field(name, one.at, one.length, one.decimals, one.unit_at) for name, one in entry.fields.items())
    return Layout(entry.size, fields, entry.clock_at, entry.status_at)
