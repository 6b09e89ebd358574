"""A plant as its engineer wrote it: hierarchy, channels and metering units, each with the place where it stands."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

from pydantic import BaseModel, ValidationError

from address_space.model.hierarchy import HierarchyNode
from address_space.model.ids import NodeUid
from config.errors import ConfigErrors, Location, Problem
from config.polling import PollGroupConfig, Rates, ScheduleConfig
from config.validation import problems_of

Path = tuple[str | int, ...]
"""Way to a value inside nested mappings and lists: `("options", "port")`."""
_NO_SIMULATION: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class ChannelConfig:
    """A bus or socket. `options` are as written: the driver's own model checks them.

    marks    line and column of each key below the channel, by path
    polling  schedules and periods of its meters, by poll class
    """

    id: str
    driver: str
    options: Mapping[str, Any]
    location: Location
    marks: Mapping[Path, tuple[int, int]] = field(default_factory=dict, repr=False)
    polling: Rates = field(default_factory=dict)

    def locate(self, path: Path) -> Location:
        """Place of the key at `path` (`("options", "port")`), or of the nearest one above it that was written."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.marks:
                line, column = self.marks[path[:length]]
                break
        else:
            line, column = self.location.line, self.location.column
        return Location(self.location.file, line, column, ".".join(["channels", self.id, *map(str, path)]))

    def decode(self, model: type[BaseModel]) -> BaseModel:
        """The options as the driver's own model; raises ConfigErrors with each mistake at its key."""
        try:
            return model.model_validate(dict(self.options))
        except ValidationError as error:
            raise ConfigErrors(self.problems(error, model.model_fields)) from error

    def problems(self, error: ValidationError, known: Collection[str] = ()) -> list[Problem]:
        """What a driver's options model said, each at its key; `known` are the names it knows, to suggest from."""
        return problems_of(error, lambda path: self.locate(("options", *path)), known)


@dataclass(frozen=True, slots=True)
class EarlierRatio:
    """Ratios that held before those of today. `until` is wall time of the plant."""

    until: datetime
    ct: float = 1.0
    pt: float = 1.0

    @property
    def ratio(self) -> tuple[float, float]:
        """(CT, PT)."""
        return self.ct, self.pt

    def until_s(self, zone: tzinfo) -> int:
        """The end of them, in seconds since 1970."""
        return int(self.until.replace(tzinfo=zone).timestamp())


@dataclass(frozen=True, slots=True)
class MeterConfig:
    """One metering unit as written. 0 and empty texts mean that nothing was given; `ct` and `pt` are then 1.

    `column` is 0 where the unit stands in a sheet; `line` is then its row.
    """

    id: NodeUid
    name: str
    parent: NodeUid
    profile: str
    channel: str
    address: str
    serial_number: str
    asset_id: str
    ct: float
    pt: float
    rated_current_a: float
    rated_power_kw: float
    enabled: bool
    year_of_construction: int
    verification_due: str
    cim_mrid: str
    file: str
    line: int
    column: int = 0
    poll_group: str = ""
    earlier: EarlierRatio | None = None

    @property
    def ratio(self) -> tuple[float, float]:
        """(CT, PT)."""
        return self.ct, self.pt

    @property
    def attributes(self) -> dict[str, str | float]:
        """What was given beside the fields of the model's `MeteringUnit`."""
        given: dict[str, str | float] = {
            "rated_current_a": self.rated_current_a,
            "rated_power_kw": self.rated_power_kw,
            "verification_due": self.verification_due,
            "cim_mrid": self.cim_mrid,
        }
        return {name: value for name, value in given.items() if value}

    @property
    def location(self) -> Location:
        """Where the unit stands."""
        return self.locate("id")

    def locate(self, column_name: str) -> Location:
        """Place of one of its cells or keys."""
        return meter_location(self.file, self.line, self.column, column_name)

    def problem(self, column_name: str, what: str, hint: str = "") -> Problem:
        """A mistake in one of its cells or keys."""
        return Problem.at(self.locate(column_name), what, hint)


def meter_location(file: str, line: int, column: int, name: str) -> Location:
    """Place of the cell or key `name` of a metering unit; `column` 0 is a sheet."""
    if column:
        return Location(file, line, column, f"metering_units.{name}")
    return Location(file, line, 0, name, column_name=name)


@dataclass(frozen=True, slots=True)
class PlantConfig:
    """Everything a plant folder says; consistent in itself, so that the model can be built of it without an error.

    `polling` holds for all meters, `poll_groups` for those that fit them, the later ones winning.
    `simulation` is kept as written, for the simulators; `files` are all files read, to be watched for changes.
    """

    name: str
    time_zone: str
    locale: str
    nodes: Sequence[HierarchyNode]
    channels: Sequence[ChannelConfig]
    meters: Sequence[MeterConfig]
    simulation: Mapping[str, Any] = field(default_factory=lambda: _NO_SIMULATION)
    files: tuple[str, ...] = ()
    schedules: Sequence[ScheduleConfig] = ()
    polling: Rates = field(default_factory=dict)
    poll_groups: Sequence[PollGroupConfig] = ()
