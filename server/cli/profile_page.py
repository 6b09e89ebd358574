"""How a profile is shown: as a row of a list, as a page for a person, as data for machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

from drivers.event_archive import NORMAL_SEVERITY
from drivers.profiles import Command, Profile, ProfileLibrary, ProfilePoint
from drivers.profiles.modbus_event_logs import EventLogEntry

WIDTH = 120


def as_data(profile: Profile, library: ProfileLibrary) -> dict[str, Any]:
    """All that a profile says, for machines."""
    return {
        **as_row(profile, library),
        "file": profile.file,
        "extends": profile.extends,
        "line": profile.line,
        "source": [
            {"document": each.document, "revision": each.revision, "page": each.page} for each in profile.source
        ],
        "caveats": list(profile.caveats),
        "points": [_point_data(point) for point in profile.points],
        "commands": [_command_data(command) for command in profile.commands],
        "logs": [_log_data(name, log) for name, log in logs_of(profile).items()],
        "event_logs": [_event_log_data(name, log) for name, log in event_logs_of(profile).items()],
        "variants": [
            {
                "name": variant.name,
                "when": [dict(rule) for rule in variant.when],
                "points": [
                    _point_data(own)
                    for own, base in zip(variant.points, profile.points, strict=True)
                    if own.address != base.address
                ],
            }
            for variant in profile.variants
        ],
    }


def as_row(profile: Profile, library: ProfileLibrary) -> dict[str, Any]:
    """What a list says of a profile, for machines."""
    return {
        "name": profile.name,
        "vendor": profile.vendor,
        "model": profile.model,
        "protocol": profile.protocol,
        "medium": profile.medium.name.lower(),
        "points": len(profile.points),
        "commands": [command.name for command in profile.commands],
        "caveats": len(profile.caveats),
        "origin": library.origin(profile.name).value,
    }


def _point_data(point: ProfilePoint) -> dict[str, Any]:
    return {
        "quantity": point.name,
        "unit": point.unit,
        "class": point.poll_class.value,
        "poll_s": point.poll_s,
        "where": point.source,
        "address": dict(point.address),
    }


def _command_data(command: Command) -> dict[str, Any]:
    return {
        "name": command.name,
        "danger": sorted(danger.value for danger in command.danger),
        "confirm": command.confirm,
        "steps": len(command.steps),
        "verified": _verified(command),
    }


def logs_of(profile: Profile) -> Mapping[str, Mapping[str, Any]]:
    """What such devices record by themselves, by name, as far as the profile has to tell it."""
    return _named(profile, "logs")


def event_logs_of(profile: Profile) -> Mapping[str, Mapping[str, Any]]:
    """The events that such devices record by themselves, by name of the log."""
    return _named(profile, "event_logs")


def _named(profile: Profile, key: str) -> Mapping[str, Mapping[str, Any]]:
    logs = profile.settings.get(key)
    return {name: log for name, log in logs.items() if isinstance(log, Mapping)} if isinstance(logs, Mapping) else {}


def log_words(log: Mapping[str, Any]) -> str:
    """How much a log holds, for a person: "2976 records, one every 15min"."""
    return f"{log.get('count')} records, one every {log.get('period')}"


def _log_data(name: str, log: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "where": _log_place(log),
        "records": log.get("count"),
        "period": log.get("period"),
        "dated": "time" in log,
        "quantities": list(log.get("values") or ()),
    }


def _event_log_data(name: str, log: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "where": _log_place(log),
        "records": log.get("count"),
        "every": _every(log),
        "events": [
            {"code": code, "text": _text(told), "severity": told.get("severity", NORMAL_SEVERITY)}
            for code, told in _codes(log)
        ],
    }


def _codes(log: Mapping[str, Any]) -> list[tuple[int, Mapping[str, Any]]]:
    codes = log.get("codes") or {}
    return [(int(code), told) for code, told in codes.items() if isinstance(told, Mapping)]


def _text(told: Mapping[str, Any]) -> str:
    text = told.get("text")
    return str(text.get("en") if isinstance(text, Mapping) else text)


def _every(log: Mapping[str, Any]) -> str:
    return str(log.get("every", EventLogEntry.model_fields["every"].default))


def _event_log_row(name: str, log: Mapping[str, Any]) -> tuple[str, ...]:
    told = "; ".join(f"0x{code:02X} {_text(each)}" for code, each in _codes(log)) or "by their numbers"
    return (name, _log_place(log), str(log.get("count")), _every(log), told)


def _log_place(log: Mapping[str, Any]) -> str:
    return f"file {log['file']}" if "file" in log else f"registers from {_value(log.get('at'), 'at')}"


def _log_row(name: str, log: Mapping[str, Any]) -> tuple[str, ...]:
    dated = "its own" if "time" in log else "by its place"
    return (
        name,
        _log_place(log),
        str(log.get("count")),
        str(log.get("period")),
        dated,
        ", ".join(log.get("values") or ()),
    )


def _verified(command: Command) -> bool:
    return any(step.read_back or step.effect or step.answer_proves for step in command.steps)


def listed(profiles: Sequence[Profile], library: ProfileLibrary) -> Iterator[str]:
    """One line a profile, below a heading."""
    rows = [("PROFILE", "PROTOCOL", "MEDIUM", "POINTS", "COMMANDS", "CAVEATS", "OF", "DEVICE")]
    for profile in profiles:
        row = as_row(profile, library)
        counts = (str(row["points"]), str(len(row["commands"]) or "-"), str(row["caveats"] or "-"))
        device = f"{profile.vendor} {profile.model}"
        rows.append((profile.name, profile.protocol, row["medium"], *counts, row["origin"], device))
    return _columns(rows)


def shown(profile: Profile, library: ProfileLibrary) -> Iterator[str]:
    """All that a profile says, as lines for a person."""
    yield f"{profile.name}: {profile.vendor} {profile.model}"
    line = f", line {profile.line}" if profile.line else ""
    extends = f", extends {profile.extends}" if profile.extends else ""
    medium = profile.medium.name.lower()
    yield f"{profile.protocol}, {medium}{line}{extends}; of the {library.origin(profile.name).value}: {profile.file}"
    yield ""
    yield from _columns([("POINT", "UNIT", "WHERE", "CLASS", "EVERY", "HOW"), *map(_point_row, profile.points)])
    if profile.commands:
        yield ""
        yield from _columns(
            [("COMMAND", "DANGER", "CONFIRM", "VERIFIED", "STEPS"), *map(_command_row, profile.commands)]
        )
    if logs_of(profile):
        yield ""
        rows = [_log_row(name, log) for name, log in logs_of(profile).items()]
        yield from _columns([("LOG", "WHERE", "RECORDS", "EVERY", "TIME", "VALUES"), *rows])
    if event_logs_of(profile):
        yield ""
        rows = [_event_log_row(name, log) for name, log in event_logs_of(profile).items()]
        yield from _columns([("EVENT LOG", "WHERE", "RECORDS", "LOOKED AT", "EVENTS"), *rows])
    for variant in profile.variants:
        yield ""
        rules = "; ".join(_words(rule) for rule in variant.when)
        changed = [p for p, base in zip(variant.points, profile.points, strict=True) if p.address != base.address]
        yield f"variant {variant.name}, where {rules}"
        yield from (f"  {line}" for line in _columns(map(_point_row, changed)))
    yield ""
    for source in profile.source:
        parts = (source.document, source.revision and f"revision {source.revision}", source.page)
        yield f"source: {', '.join(part for part in parts if part)}"
    for caveat in profile.caveats:
        yield from wrap(caveat, WIDTH, initial_indent="caveat: ", subsequent_indent="        ")


def _point_row(point: ProfilePoint) -> tuple[str, ...]:
    if not point.address:
        return (point.name, "", "no such data", "", "", "")
    said = ("at", "di", "type", "fc", "topic", "path")
    rest = {key: value for key, value in point.address.items() if key not in said}
    return (point.name, point.unit, point.source, point.poll_class.value, f"{point.poll_s:g} s", _words(rest))


def _command_row(command: Command) -> tuple[str, ...]:
    danger = ", ".join(sorted(danger.value for danger in command.danger)) or "-"
    verified = "yes" if _verified(command) else "see caveats"
    return (command.name, danger, "yes" if command.confirm else "no", verified, str(len(command.steps)))


def _words(keys: Mapping[str, Any]) -> str:
    return ", ".join(key if value is True else f"{key} {_value(value, key)}" for key, value in keys.items())


def _value(value: Any, key: str) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_value(each, str(name))}" for name, each in value.items()) + "}"
    as_hex = isinstance(value, int) and (key in ("at", "di") or value > 0xFFFF)
    return f"0x{value:04X}" if as_hex else str(value)


def _columns(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Rows as lines of aligned columns."""
    listed = list(rows)
    widths = [max(map(len, column)) for column in zip(*listed, strict=True)]
    for row in listed:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
