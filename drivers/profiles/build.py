"""From the contents of a profile file to a `Profile`: schema, units, classes, variants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from fractions import Fraction
from typing import Any, TypeVar

from address_space.model.quantity import MEASURED, by_path
from address_space.model.state import Medium
from drivers.errors import ProfileError
from drivers.profiles.commands import COMMANDS, OTHER, Command, Effect, Step, effect_of, parse_effect
from drivers.profiles.document import Document, Path
from drivers.profiles.profile import (
    PollClass,
    Profile,
    ProfilePoint,
    Source,
    Variant,
    default_class,
)
from drivers.profiles.schema import MEDIA, CommandEntry, PointEntry, ProfileFile, SerialEntry
from drivers.profiles.units import size_in_base, units_of
from drivers.profiles.validation import validated
from drivers.transport.options import SerialSettings

DEFAULT_WITHIN_S = 5.0
TELL_UNITS = frozenset({"dlt645"})
"""Protocols that know the units of their identifiers; where a point names none, its limits are in the quantity's."""
_Model = TypeVar("_Model", ProfileFile, PointEntry)


def build_profile(document: Document) -> Profile:
    """The profile of a document whose `extends` is already merged in; raises `ProfileError` with every mistake."""
    return _Builder(document).build()


class _Builder:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._mistakes: list[ProfileError] = []

    def build(self) -> Profile:
        self._check_keys()
        file = self._validated(ProfileFile, self._document.data, ())
        if file is None:
            raise ProfileError.of(self._mistakes)
        settings = self._settings(file)
        classes = {each: file.classes.get(each, each.period_s) for each in PollClass}
        raw_points: dict[str, Any] = self._document.data.get("points", {})
        raw_variants: dict[str, Any] = self._document.data.get("variants", {})
        order = _union([raw_points, *(entry.points for entry in file.variants.values())])
        base = self._points(order, file.points, classes, settings)
        variants = tuple(
            Variant(
                name,
                tuple(entry.when),
                self._variant_points(order, raw_points, raw_variants[name].get("points", {}), classes, settings, name),
                {**settings, **entry.settings},
            )
            for name, entry in file.variants.items()
        )
        if file.medium not in MEDIA:
            self._say(f"unknown medium {file.medium!r}", "medium", hint=_suggest(file.medium, MEDIA))
        commands = tuple(self._command(name, entry, file.points) for name, entry in file.commands.items())
        if self._mistakes:
            raise ProfileError.of(self._mistakes)
        points = tuple(
            point or _without_address(_first_with_address(variants, index)) for index, point in enumerate(base)
        )
        return Profile(
            name=file.profile,
            vendor=file.vendor,
            model=file.model,
            protocol=file.protocol,
            medium=Medium[file.medium.upper()],
            source=tuple(Source(entry.document, entry.revision, entry.page) for entry in file.source),
            points=points,
            settings=settings,
            commands=commands,
            variants=variants,
            caveats=tuple(file.caveats),
            extends=file.extends,
            line=file.line,
            serial=_serial(file.serial),
            file=self._document.marks[()].rsplit(":", 2)[0],
            marks=self._document.marks,
        )

    def _check_keys(self) -> None:
        data = self._document.data
        known = (*ProfileFile.model_fields, str(data.get("protocol", "")))
        for key in data:
            if key not in known:
                self._say(f"unknown key {key!r}", key, hint=_suggest(key, known))

    def _settings(self, file: ProfileFile) -> Mapping[str, Any]:
        settings = (file.__pydantic_extra__ or {}).get(file.protocol)
        if settings is None:
            return {}
        if not isinstance(settings, dict):
            self._say(f"{file.protocol} must be a mapping of settings", file.protocol)
            return {}
        return settings

    def _points(
        self,
        order: Iterable[str],
        entries: Mapping[str, PointEntry],
        classes: Mapping[PollClass, float],
        settings: Mapping[str, Any],
    ) -> list[ProfilePoint | None]:
        for name, entry in entries.items():
            if not entry.address:
                self._say(f"{name} does not say where it is found", "points", name, hint="see docs/profiles.md")
        return [
            self._point(name, entries[name], classes, settings, ("points", name)) if name in entries else None
            for name in order
        ]

    def _variant_points(
        self,
        order: Iterable[str],
        base: Mapping[str, Any],
        changes: Mapping[str, Any],
        classes: Mapping[PollClass, float],
        settings: Mapping[str, Any],
        variant: str,
    ) -> tuple[ProfilePoint, ...]:
        points: list[ProfilePoint] = []
        for name in order:
            removed = name in changes and changes[name] is None
            merged = {**base.get(name, {}), **(changes.get(name) or {})}
            path = ("variants", variant, "points", name) if name in changes else ("points", name)
            entry = self._validated(PointEntry, merged, path)
            if entry is None:
                continue
            point = self._point(name, entry, classes, settings, path)
            if point is not None:
                absent = removed or (name not in base and name not in changes)
                points.append(_without_address(point) if absent else point)
        return tuple(points)

    def _point(
        self,
        name: str,
        entry: PointEntry,
        classes: Mapping[PollClass, float],
        settings: Mapping[str, Any],
        path: Path,
    ) -> ProfilePoint | None:
        quantity = by_path(name)
        if quantity is None or quantity not in MEASURED:
            self._say(f"unknown quantity {name!r}", *path, hint=_suggest(name, [known.path for known in MEASURED]))
            return None
        size = size_in_base(entry.unit, quantity)
        if size is None and entry.address and not entry.unit and self._document.data.get("protocol") in TELL_UNITS:
            size = Fraction(quantity.per_unit)
        if size is None:
            if not entry.address and not entry.unit:
                return ProfilePoint(quantity, "", PollClass.CONFIG, PollClass.CONFIG.period_s, {})
            units = ", ".join(units_of(quantity)) or "no unit"
            self._say(f"{name} cannot be stated in {entry.unit!r}", *path, "unit", hint=f"use one of {units}")
            return None
        poll_class = entry.poll_class or default_class(quantity)
        shown = float(size / quantity.per_unit)
        return ProfilePoint(
            quantity=quantity,
            unit=entry.unit,
            poll_class=poll_class,
            poll_s=entry.poll_s or classes[poll_class],
            address=entry.address,
            rollover=entry.counter.max * shown if entry.counter else 0.0,
            range=(entry.range[0] * shown, entry.range[1] * shown) if entry.range else None,
            hold_s=entry.hold_s,
            record=entry.record,
            deadband=entry.deadband * shown,
            heartbeat_s=entry.heartbeat_s,
            source=_source_text(settings, entry.address),
        )

    def _command(self, name: str, entry: CommandEntry, points: Mapping[str, PointEntry]) -> Command:
        if name not in COMMANDS and not name.startswith(OTHER):
            self._say(
                f"unknown command {name!r}",
                "commands",
                name,
                hint=f"{_suggest(name, COMMANDS)}; a command that no other meter has is named {OTHER}…",
            )
        meaning = COMMANDS.get(name)
        steps = tuple(
            Step(
                step.write,
                step.read_back,
                self._effect(step.effect, points, ("commands", name, "steps", index, "effect")),
                step.wait_s or 0.0,
                step.within_s or DEFAULT_WITHIN_S,
                always=step.always,
                answer_proves=step.answer_proves,
            )
            for index, step in enumerate(entry.steps)
        )
        danger = frozenset(entry.danger) | (meaning.danger if meaning else frozenset())
        return Command(name, steps, danger, entry.confirm, entry.min_interval_s)

    def _effect(self, text: str | None, points: Mapping[str, PointEntry], path: Path) -> Effect | None:
        parsed = parse_effect(text) if text else None
        if text is None or parsed is None:
            return None
        name, comparison, limit = parsed
        quantity = by_path(name)
        if quantity is None or name not in points:
            self._say(f"the profile has no point {name!r}", *path, hint=_suggest(name, points))
            return None
        size = size_in_base(points[name].unit, quantity)
        return effect_of(quantity, comparison, float(limit * (size or quantity.per_unit)), text)

    def _validated(self, model: type[_Model], data: Any, path: Path) -> _Model | None:
        entry, mistakes = validated(model, data)
        for mistake in mistakes:
            self._say(mistake.what, *path, *mistake.path, hint=mistake.hint)
        return entry

    def _say(self, what: str, *path: str | int, hint: str = "") -> None:
        self._add(ProfileError(what, where=self._where(path), hint=hint))

    def _add(self, mistake: ProfileError) -> None:
        if str(mistake) not in map(str, self._mistakes):
            self._mistakes.append(mistake)

    def _where(self, path: Path) -> str:
        marks = self._document.marks
        return next(marks[path[:size]] for size in range(len(path), -1, -1) if path[:size] in marks)


def _without_address(point: ProfilePoint) -> ProfilePoint:
    return ProfilePoint(
        point.quantity,
        point.unit,
        point.poll_class,
        point.poll_s,
        {},
        point.rollover,
        point.range,
        point.hold_s,
        point.record,
        point.deadband,
        point.heartbeat_s,
    )


def _first_with_address(variants: Iterable[Variant], index: int) -> ProfilePoint:
    return next(variant.points[index] for variant in variants if variant.points[index].address)


def _serial(entry: SerialEntry | None) -> SerialSettings | None:
    return None if entry is None else SerialSettings(entry.baud, entry.parity, entry.data_bits, entry.stop_bits)


def _union(maps: Iterable[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for each in maps for name in each))


def _source_text(settings: Mapping[str, Any], address: Mapping[str, Any]) -> str:
    """Where a point is read, for an engineer: "FC4 0x0048 float32"."""
    words: list[str] = []
    function = address.get("fc", settings.get("fc"))
    if function is not None:
        words.append(f"FC{function}")
    for key, value in address.items():
        if key in ("at", "di"):
            first = value[0] if isinstance(value, list) and value else value
            words.append(f"0x{first:04X}" if isinstance(first, int) else str(first))
        elif key == "any":
            words.append(" or ".join(f"0x{one['di']:04X} bit {one.get('bit')}" for one in value))
        elif key in ("type", "topic", "path"):
            words.append(str(value))
    return " ".join(words)


def _suggest(word: str, known: Iterable[str]) -> str:
    names = list(known)
    close = get_close_matches(word, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names[:12])}"
