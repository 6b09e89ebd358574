"""From a `Profile` to a `CompiledProfile`: DL/T 645's own words checked, what they leave out as the standard has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from address_space.model.quantity import Kind, Quantity
from drivers.dlt645.blocks import block_of
from drivers.dlt645.formats import Format
from drivers.dlt645.formats import Kind as FormatKind
from drivers.dlt645.item import Item
from drivers.dlt645.layout import CompiledPoint, CompiledProfile, RatioKind, Relay, Spot
from drivers.dlt645.orders import CompiledStep, Steps, compile_step
from drivers.dlt645.standard import format_of, standard_item
from drivers.errors import ProfileError
from drivers.profiles import Profile, ProfilePoint, Step, size_in_base
from drivers.profiles.compiling import Checking, KeyPath
from drivers.profiles.dlt645_schema import PointAddress, ReadBackEntry, Section, ValueEntry, WriteEntry


def compile_profile(profile: Profile) -> CompiledProfile:
    """`profile` for DL/T 645; raises `ProfileError` with every mistake and its place."""
    compiler = _Compiler(profile)
    compiled = compiler.compiled()
    compiler.raise_mistakes()
    return compiled


class _Compiler(Checking):
    def __init__(self, profile: Profile) -> None:
        super().__init__(profile, "value")
        self._section = Section()

    def compiled(self) -> CompiledProfile:
        profile = self._profile
        section = self._checked(Section, profile.settings, (profile.protocol,))
        if section is not None:
            self._section = section
        section = self._section
        if profile.variants:
            self._say(
                "variants are not known here", ("variants",), "write a profile of its own that `extends` this one"
            )
        points = tuple(self._point(point, ("points", point.name)) for point in profile.points)
        relay = section.relay
        commands = {command.name: self._steps(command.name, command.steps) for command in profile.commands}
        return CompiledProfile(
            profile=profile,
            version=section.version,
            points=points,
            preamble=section.preamble,
            gap_s=section.gap_ms / 1000,
            level=section.level,
            relay=Relay(tuple(relay.payload.split()), relay.valid_minutes * 60, relay.clock == "meter"),
            adjusts_clock=section.clock_set == "adjust",
            reads_clock=section.read_clock,
            commands=commands,
        )

    def _steps(self, name: str, steps: Sequence[Step]) -> Steps:
        compiled: list[CompiledStep] = []
        for index, step in enumerate(steps):
            path: KeyPath = ("commands", name, "steps", index)
            entry: WriteEntry | ReadBackEntry | None = None
            if step.write is not None:
                entry = self._checked(WriteEntry, step.write, (*path, "write"))
            elif step.read_back is not None:
                entry = self._checked(ReadBackEntry, step.read_back, (*path, "read_back"))
            try:
                compiled.append(compile_step(step, entry, self._section.version))
            except ProfileError as error:
                self._say(error.what, path, error.hint)
        return tuple(compiled)

    def _point(self, point: ProfilePoint, path: KeyPath) -> CompiledPoint | None:
        if not point.address:
            return None
        address = self._checked(PointAddress, _nested(point.address), path, known=ValueEntry.model_fields)
        if address is None:
            return None
        if point.quantity.kind is Kind.TEXT:
            self._say(f"{point.name} is a text, and only numbers are read", path)
            return None
        entries = [address.value] if address.value else address.any or []
        spots = [self._spot(entry, path) for entry in entries]
        whole = [spot for spot in spots if spot is not None]
        if len(whole) != len(entries):
            return None
        size = self._size(point, whole[0], path)
        if size is None:
            return None
        if address.scale == 0:
            self._say("a scale of 0 loses the value", (*path, "scale"))
            return None
        scale = Fraction(repr(float(address.scale))) * size / 10 ** whole[0].format.decimals
        return CompiledPoint(point.quantity, tuple(whole), scale, RatioKind(address.ratio), address.map)

    def _size(self, point: ProfilePoint, spot: Spot, path: KeyPath) -> Fraction | None:
        """Base units in one unit of the value: the profile's, else the standard's."""
        if point.unit or point.quantity.unit is None:
            return size_in_base(point.unit, point.quantity)
        item = standard_item(spot.di, self._section.version)
        size = _standard_size(item, point.quantity) if item is not None and not spot.bits else None
        if size is None:
            said = f"{item.name} in {item.unit or 'no unit'}" if item is not None else "nothing"
            text = self._di_text(spot.di)
            self._say(f"{point.name} has no unit, and for {text} the standard knows {said}", path, "state the unit")
        return size

    def _spot(self, entry: ValueEntry, path: KeyPath) -> Spot | None:
        version = self._section.version
        if version == "1997" and entry.di > 0xFFFF:
            self._say(f"{entry.di:08X} is no identifier of 1997, which have two bytes", (*path, "di"))
            return None
        item = standard_item(entry.di, version)
        chosen = self._format(entry, item, path)
        if chosen is None:
            return None
        if entry.chosen_bits and max(entry.chosen_bits) >= 8 * chosen.size:
            self._say(f"bit {max(entry.chosen_bits)} lies beyond {chosen.size} bytes", path)
            return None
        if entry.part is not None:
            return Spot(entry.di, chosen, entry.part * (entry.skip + chosen.size) + entry.skip, 0, entry.chosen_bits)
        own = item is not None and entry.format is None
        size = item.size if item is not None and own else (chosen.size if not entry.skip else 0)
        stride = size or (item.size if item is not None else 0)
        block = block_of(entry.di, version) if self._section.blocks and stride else None
        wide = next((other for other in item.others if other.size > chosen.size), None) if item and own else None
        return Spot(entry.di, chosen, entry.skip, size, entry.chosen_bits, block, stride, wide)

    def _format(self, entry: ValueEntry, item: Item | None, path: KeyPath) -> Format | None:
        if entry.format is None:
            if item is None:
                text = self._di_text(entry.di)
                self._say(f"the standard has no value {text}", (*path, "di"), "state its format, as in XXXXXX.XX")
                return None
            chosen = item.format
            signed = chosen.signed if entry.signed is None else entry.signed
            chosen = replace(chosen, signed=signed)
        else:
            signed = entry.signed if entry.signed is not None else item is not None and item.format.signed
            chosen = format_of(entry.format, signed=signed)
        if bool(entry.chosen_bits) and chosen.kind is not FormatKind.BITS:
            self._say("bits are taken from binary data, and this is a number", path, "state format: bits16")
            return None
        if chosen.kind not in (FormatKind.BITS, FormatKind.NUMBER):
            self._say(f"{self._di_text(entry.di)} is no number", (*path, "di"))
            return None
        return chosen

    def _di_text(self, di: int) -> str:
        return f"{di:08X}" if self._section.version == "2007" else f"{di:04X}"


def _standard_size(item: Item, quantity: Quantity) -> Fraction | None:
    return size_in_base(item.unit or "1", quantity)


def _nested(address: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of a point, those of its only value put under `value`; `any` has its own."""
    own = {key: value for key, value in address.items() if key in ValueEntry.model_fields}
    rest = {key: value for key, value in address.items() if key not in ValueEntry.model_fields}
    return {**rest, "value": own} if own or "any" not in rest else rest
