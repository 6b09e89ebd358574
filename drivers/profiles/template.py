"""Text of a new profile: the commented template, or what is needed to change another profile."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from drivers.errors import ProfileError
from drivers.profiles.profile import Profile, ProfilePoint
from drivers.profiles.schema import NAME_PATTERN

TEMPLATE = Path(__file__).parent / "template.yaml"
_ADDRESSES = ("at", "di")


def new_profile(name: str, parent: Profile | None = None) -> str:
    """A file for the profile `name`: the template, or one that extends `parent`. Raises ProfileError on a bad name."""
    if not re.fullmatch(NAME_PATTERN, name):
        hint = "small letters, digits and hyphens: acme/pm-100"
        raise ProfileError(f"{name!r} is no name of a profile: it is vendor/model", hint=hint)
    return _of_template(name) if parent is None else "".join(f"{line}\n" for line in _of_parent(name, parent))


def point_text(point: ProfilePoint) -> str:
    """What a file would say of a point."""
    parts = [f"{key}: {_value(value, key)}" for key, value in point.address.items()]
    parts.append(f"unit: {_value(point.unit)}")
    parts.append(f"class: {point.poll_class.value}")
    return "{" + ", ".join(parts) + "}"


def _of_template(name: str) -> str:
    vendor, model = name.split("/")
    text = TEMPLATE.read_text(encoding="utf-8")
    for old, new in (
        ("profile: vendor/model  ", f"profile: {name}  "),
        ("vendor: Vendor  ", f"vendor: {_title(vendor)}  "),
        ("model: Model X  ", f"model: {_title(model)}  "),
    ):
        text = text.replace(old, new, 1)
    return text


def _of_parent(name: str, parent: Profile) -> Iterator[str]:
    yield f"# As {parent.name}, and what is changed here. Every key is explained in docs/profiles.md."
    yield f"profile: {name}"
    yield f"extends: {parent.name}"
    yield f"model: {_value(parent.model)}  # as written on the device"
    yield "# source:                         # replaces the sources, where the facts were taken from another document"
    yield "#   - {document: User manual, page: ''}"
    yield "# caveats: []                     # replaces the caveats: remove what you have confirmed with the device"
    yield f"# {parent.protocol}:                         # settings that differ"
    for key, value in parent.settings.items():
        yield f"#   {key}: {_value(value)}"
    yield "# points:                         # change keys, add points, or remove one with null"
    for point in parent.points:
        yield f"#   {point.name}: {point_text(point)}"


def _title(word: str) -> str:
    return word.replace("-", " ").title() if not any(letter.isdigit() for letter in word) else word.upper()


def _value(value: Any, key: str = "") -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and key in _ADDRESSES:
        return f"0x{value:04X}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_value(each, str(name))}" for name, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(each, key) for each in value) + "]"
    if isinstance(value, str) and not re.fullmatch(r"[A-Za-z°][\w /°.()-]*", value):
        return "'" + value.replace("'", "''") + "'"
    return str(value)
