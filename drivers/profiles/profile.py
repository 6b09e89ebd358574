"""A profile: what one make of device measures, where it comes from, and what may be done to it.

The protocol-neutral part is decoded; `settings` and each point's `address` stay as the file has them, for the
protocol's own compiler.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from address_space.model.point import DEFAULT_HOLD_S, PointSpec, Template
from address_space.model.quantity import Kind, Quantity
from address_space.model.state import Medium
from drivers.errors import ProfileError
from drivers.profiles.commands import Command
from drivers.transport.options import SerialSettings


class PollClass(Enum):
    """How often a point is read, in the words of a profile."""

    FAST = "fast"
    NORMAL = "normal"
    SLOW = "slow"
    CONFIG = "config"

    @property
    def period_s(self) -> float:
        """Poll period in seconds where neither profile nor plant says otherwise."""
        return _PERIODS_S[self]


_PERIODS_S = {PollClass.FAST: 10.0, PollClass.NORMAL: 30.0, PollClass.SLOW: 60.0, PollClass.CONFIG: 3600.0}


@dataclass(frozen=True, slots=True)
class Source:
    """Where the facts of a profile were taken from."""

    document: str
    revision: str = ""
    page: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class ProfilePoint:
    """One variable of a profile.

    unit     of the engineering value after the protocol's scaling ("kWh")
    rollover, range, deadband  converted from `unit` to the quantity's shown unit, as `PointSpec` wants them
    address  where and how the protocol finds it, as in the file; empty where the device has no such data
    """

    quantity: Quantity
    unit: str
    poll_class: PollClass
    poll_s: float
    address: Mapping[str, Any]
    rollover: float = 0.0
    range: tuple[float, float] | None = None
    hold_s: float | None = None
    record: bool = True
    deadband: float = 0.0
    heartbeat_s: float = 0.0
    source: str = ""

    @property
    def name(self) -> str:
        """The quantity's path, which is also the key in the file."""
        return self.quantity.path


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """A make that differs from its profile. `points` match the profile's one by one; `when` is the protocol's own."""

    name: str
    when: tuple[Mapping[str, Any], ...]
    points: tuple[ProfilePoint, ...]
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """All that is known of one make of device. A template offset is the index of a point in `points`."""

    name: str
    vendor: str
    model: str
    protocol: str
    medium: Medium
    source: tuple[Source, ...]
    points: tuple[ProfilePoint, ...]
    settings: Mapping[str, Any]
    commands: tuple[Command, ...] = ()
    variants: tuple[Variant, ...] = ()
    caveats: tuple[str, ...] = ()
    extends: str = ""
    line: str = ""
    """Factory setting of the serial line, for a person ("9600 8N1")."""
    serial: SerialSettings | None = None
    """The same for machines; None where the file does not say."""
    file: str = ""
    marks: Mapping[tuple[str | int, ...], str] | None = None
    """`file:line:column` of each key of the file."""

    def locate(self, *path: str | int) -> str:
        """`file:line:column` of a key, or of the nearest one above it that stands in a file."""
        marks = self.marks or {}
        for length in range(len(path), -1, -1):
            if path[:length] in marks:
                return marks[path[:length]]
        return self.file or self.name

    def mistake(self, what: str, *path: str | int, hint: str = "") -> ProfileError:
        """An error at the place of a key."""
        return ProfileError(what, where=self.locate(*path), hint=hint)

    def command(self, name: str) -> Command | None:
        """The command of this name, or None."""
        return next((command for command in self.commands if command.name == name), None)

    def offset(self, quantity: Quantity) -> int | None:
        """Index of the point with this quantity, or None."""
        for index, point in enumerate(self.points):
            if point.quantity is quantity:
                return index
        return None

    def point_specs(self, poll_s: Mapping[PollClass, float] | None = None) -> tuple[PointSpec, ...]:
        """The points as the model takes them; `poll_s` overrides the period of whole classes."""
        chosen = poll_s or {}
        return tuple(_spec(point, chosen.get(point.poll_class, point.poll_s)) for point in self.points)

    def template(
        self, default_hold_s: float = DEFAULT_HOLD_S, *, poll_s: Mapping[PollClass, float] | None = None
    ) -> Template:
        """A template named as the profile."""
        return Template(self.name, self.point_specs(poll_s), default_hold_s=default_hold_s)


def default_class(quantity: Quantity) -> PollClass:
    """Class of a point that names none: counters, relays, valves and alarms slow, gauges normal, the rest config."""
    if quantity.path.startswith(("Switch.", "Valve.", "Status.")) and not quantity.path.endswith("Count"):
        return PollClass.SLOW
    return {Kind.COUNTER: PollClass.SLOW, Kind.GAUGE: PollClass.NORMAL}.get(quantity.kind, PollClass.CONFIG)


def _spec(point: ProfilePoint, poll_s: float) -> PointSpec:
    return PointSpec(
        quantity=point.quantity,
        source=point.source,
        poll_s=poll_s,
        hold_s=point.hold_s,
        eu_range=point.range,
        rollover=point.rollover,
        record=point.record,
        deadband=point.deadband,
        heartbeat_s=point.heartbeat_s,
    )
