"""From a `Profile` to a `CompiledProfile`: Modbus's own words checked, addresses put on the wire, scales made exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from address_space.model.quantity import Kind
from drivers.codec import NumberType, exact
from drivers.modbus.compile_event_logs import compile_event_logs
from drivers.modbus.compile_logs import compile_logs
from drivers.modbus.compile_steps import Checker, as_typed, compile_clock, compile_commands
from drivers.modbus.inversion import invert
from drivers.modbus.layout import (
    CompiledPoint,
    CompiledProfile,
    Condition,
    FactorKind,
    Limits,
    Make,
    RatioKind,
    RatioRegister,
    RatioSource,
    Register,
    Sign,
    Term,
)
from drivers.modbus.slips import slips_of
from drivers.modbus.steps import ClockRegisters, CompiledCommand
from drivers.profiles import Profile, ProfilePoint, Variant, size_in_base
from drivers.profiles.compiling import Checking, KeyPath
from drivers.profiles.modbus_schema import (
    PointAddress,
    RatioEntry,
    RegisterEntry,
    Rule,
    Section,
    SignEntry,
    TermEntry,
)
from drivers.profiles.schema import POINT_KEYS
from drivers.profiles.validation import validated

_KNOWN = (*TermEntry.model_fields, *POINT_KEYS)
"""Keys that may be meant in a point."""


def compile_profile(profile: Profile) -> CompiledProfile:
    """`profile` for Modbus; raises `ProfileError` with every mistake and its place."""
    compiler = _Compiler(profile)
    makes = [compiler.make("", profile.points, profile.settings, ("points",), None)]
    makes += [
        compiler.make(variant.name, variant.points, variant.settings, ("variants", variant.name, "points"), variant)
        for variant in profile.variants
    ]
    commands = compiler.commands()
    compiler.raise_mistakes()
    differs = len(makes) > 1 or any(isinstance(ratio, RatioRegister) for make in makes for ratio in (make.ct, make.pt))
    quantities = tuple(point.quantity for point in profile.points)
    return CompiledProfile(profile, tuple(makes), quantities, commands, differs=differs)


class _Compiler(Checking):
    def __init__(self, profile: Profile) -> None:
        super().__init__(profile, "term")

    def make(
        self,
        name: str,
        points: Sequence[ProfilePoint],
        settings: Mapping[str, Any],
        path: KeyPath,
        variant: Variant | None,
    ) -> Make:
        section = self._checked(Section, settings, (self._profile.protocol,)) or Section()
        compiled = tuple(self._point(point, section, (*path, point.name)) for point in points)
        if section.inverted:
            compiled, alone = invert(compiled)
            for lone in alone:
                what = f"{lone} has nothing to be swapped with, and the meter is said to be inverted"
                self._say(what, (*path, lone), "add its counterpart, or leave the point out with null")
        limits = Limits(
            section.max_words,
            section.max_gap if section.gaps == "readable" else 0,
            section.one_value_per_read,
            tuple((block.fc or section.fc, block.at - section.base, block.words) for block in section.blocks),
        )
        for fc, first, words in limits.blocks:
            if first < 0 or first + words > 0x10000 or fc < 3:
                self._say("a block lies within the 65536 registers", (self._profile.protocol, "blocks"))
        self._check_atomic(compiled, limits, path)
        for slip in slips_of(compiled, counts_from_zero="base" not in settings):
            self._say(slip.what, (*path, slip.name, "at"), slip.hint)
        ratios = self._ratio(section.ratios.ct, section, "ct"), self._ratio(section.ratios.pt, section, "pt")
        checker = Checker(self._checked, self._register, self._say)
        clock = self._clock(section)
        return Make(
            name,
            compiled,
            limits,
            *ratios,
            self._conditions(variant, section),
            section.gap_ms / 1000,
            clock if section.clock is not None and section.clock.stamp else None,
            clock,
            compile_logs(self._profile, points, section, ratios, checker, self._point),
            compile_event_logs(self._profile, section, checker),
        )

    def commands(self) -> Mapping[str, CompiledCommand]:
        """The commands of the profile."""
        section = validated(Section, self._profile.settings)[0] or Section()
        return compile_commands(self._profile, section, Checker(self._checked, self._register, self._say))

    def _clock(self, section: Section) -> ClockRegisters | None:
        """The clock of the device."""
        if section.clock is None:
            return None
        clock = compile_clock(section.clock, section)
        if clock is None:
            self._say("the clock lies within the 65536 registers", (self._profile.protocol, "clock", "at"))
        return clock

    def _point(self, point: ProfilePoint, section: Section, path: KeyPath) -> CompiledPoint | None:
        if not point.address:
            return None
        address = self._checked(PointAddress, _nested(point.address), path, known=_KNOWN)
        size = size_in_base(point.unit, point.quantity)
        if address is None or size is None:
            return None
        better = address.prefer or address.term
        entries = [better] if better else address.sum or []
        terms = [self._term(entry, size, section, path) for entry in entries]
        whole = [term for term in terms if term is not None]
        divisor = self._term(address.over, Fraction(1), section, path) if address.over else None
        if len(whole) != len(entries) or (address.over and divisor is None):
            return None
        is_text = point.quantity.kind is Kind.TEXT
        if any((term.register.type is NumberType.STRING) is not is_text for term in whole):
            self._say("a string is for a quantity that is a text, and the other way round", (*path, "type"))
            return None
        compiled = CompiledPoint(
            quantity=point.quantity,
            terms=tuple(whole),
            ratio=RatioKind(address.ratio),
            offset=exact(address.offset) * size,
            map=address.map,
            four_quadrant=address.transform == "four_quadrant_pf",
            atomic=address.atomic,
            optional=address.optional,
            shared=address.shared,
            divisor=divisor,
        )
        if address.prefer is None or address.term is None:
            return compiled
        lesser = self._term(address.term, size, section, path)
        if lesser is None:
            return None
        return replace(compiled, optional=True, fallback=replace(compiled, terms=(lesser,)))

    def _term(self, entry: TermEntry, size: Fraction, section: Section, path: KeyPath) -> Term | None:
        register = self._register(entry, section, path)
        factor = self._register(entry.factor, section, path) if entry.factor else None
        sign = self._sign(entry.sign, section, path) if isinstance(entry.sign, SignEntry) else None
        lost = entry.factor is not None and factor is None
        if register is None or lost or (isinstance(entry.sign, SignEntry) and sign is None):
            return None
        given = section.sentinels.get(entry.type, []) if entry.sentinels is None else entry.sentinels
        if entry.scale == 0:
            self._say("a scale of 0 loses the value", (*path, "scale"))
            return None
        return Term(
            register=register,
            scale=exact(entry.scale) * size,
            sentinels=frozenset(as_typed(raw, entry.type) for raw in given),
            faults=frozenset(as_typed(raw, entry.type) for raw in entry.faults),
            factor=factor,
            factor_kind=FactorKind(entry.factor.means) if entry.factor else FactorKind.MULTIPLY,
            sign=sign,
            magnitude=entry.sign == "magnitude",
            negate=entry.subtract,
        )

    def _sign(self, entry: SignEntry, section: Section, path: KeyPath) -> Sign | None:
        register = self._register(entry, section, path)
        return Sign(register, entry.negative) if register else None

    def _register(self, entry: RegisterEntry, section: Section, path: KeyPath) -> Register | None:
        numbers = entry.at if isinstance(entry.at, list) else range(entry.at, entry.at + entry.size)
        base = section.base if entry.base is None else entry.base
        places = tuple(number - base for number in numbers)
        fc = entry.fc or section.fc
        if not all(0 <= place <= 0xFFFF for place in places):
            self._say(
                f"0x{max(places) & 0xFFFFFFFF:04X} is no Modbus address"
                if min(places) >= 0
                else "the address lies below the base",
                (*path, "at"),
                f"addresses run from {base} to {base + 0xFFFF}; say in base what the manual calls the first register",
            )
            return None
        if (fc in (1, 2)) is not (entry.type is NumberType.BOOL) and fc in (1, 2):
            self._say(f"function code {fc} reads bits, not {entry.type.value}", (*path, "type"), "use type: bool")
            return None
        bits = (entry.bits[0], entry.bits[1] - entry.bits[0] + 1) if entry.bits else None
        return Register(fc, places, entry.type, entry.order or section.order, bits)

    def _ratio(self, source: Any, section: Section, name: str) -> RatioSource:
        if source == "configured":
            return None
        if isinstance(source, RatioEntry):
            register = self._register(source, section, (self._profile.protocol, "ratios", name))
            return RatioRegister(register, exact(source.scale), source.refresh_s) if register else None
        return exact(source)

    def _conditions(self, variant: Variant | None, section: Section) -> tuple[Condition, ...]:
        if variant is None:
            return ()
        conditions: list[Condition] = []
        for index, raw in enumerate(variant.when):
            path: KeyPath = ("variants", variant.name, "when", index)
            rule = self._checked(Rule, raw, path)
            if rule is None:
                continue
            register = self._register(RegisterEntry.model_validate(rule.register_keys), section, path)
            if register is not None:
                conditions.append(Condition(register, rule.equals, rule.starts_with, rule.between))
        return tuple(conditions)

    def _check_atomic(self, points: Sequence[CompiledPoint | None], limits: Limits, path: KeyPath) -> None:
        groups: dict[str, list[CompiledPoint]] = {}
        for point in points:
            if point is not None and point.atomic:
                groups.setdefault(point.atomic, []).append(point)
        for name, group in groups.items():
            registers = [register for point in group for register in point.registers]
            first = min(register.address for register in registers)
            words = max(sum(register.runs[-1]) for register in registers) - first
            if len({register.fc for register in registers}) > 1 or words > limits.max_words:
                self._say(
                    f"group {name!r} cannot be read in one request of {limits.max_words} words",
                    (*path, group[0].name, "atomic"),
                    "use fewer points or one function code",
                )


def _nested(address: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of a point, those of its only number put under `term`; a `sum` has its own."""
    own = {key: value for key, value in address.items() if key in TermEntry.model_fields}
    rest = {key: value for key, value in address.items() if key not in TermEntry.model_fields}
    return {**rest, "term": own} if own or "sum" not in rest else rest
