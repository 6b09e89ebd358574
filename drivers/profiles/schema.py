"""What a profile file may say, apart from the protocol's own words.

`ProfileFile` is the whole file; keys that a point or a protocol section carries beyond these belong to the protocol
and are checked when its driver compiles the profile.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from address_space.model.state import Medium
from drivers.profiles.commands import Danger, parse_effect
from drivers.profiles.profile import PollClass
from drivers.transport.options import Parity

NAME_PATTERN = r"[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9-]*"
WORD_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_-]*"
MEDIA = tuple(medium.name.lower() for medium in Medium)

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceEntry(_Closed):
    """One document the facts were taken from."""

    document: str = Field(min_length=1, description="title of the manual, or name of the public source")
    revision: str = Field("", description="revision, date or commit of the document")
    page: str = Field("", description="page, table or file in it")


class Counter(_Closed):
    """How a register counts."""

    max: Positive = Field(description="first value, in `unit`, that the register cannot show; it starts from 0")


class PointEntry(BaseModel):
    """One point; further keys are the protocol's."""

    model_config = ConfigDict(extra="allow", frozen=True)

    unit: str = Field("", description="unit of the value after scaling; what the quantity's unit can be converted from")
    poll_class: PollClass | None = Field(
        None, alias="class", description="how often it is read: fast, normal, slow, config"
    )
    poll_s: Positive | None = Field(None, description="poll period in seconds where none of the classes fits")
    hold_s: NotNegative | None = Field(None, description="how long the last value stays usable without communication")
    range: tuple[Finite, Finite] | None = Field(None, description="lowest and highest plausible value, in `unit`")
    counter: Counter | None = Field(None, description="capacity of a counting register")
    record: bool = Field(default=True, description="whether the history keeps it")
    deadband: NotNegative = Field(0.0, description="changes smaller than this, in `unit`, are not recorded")
    heartbeat_s: NotNegative = Field(0.0, description="recorded at least this often although unchanged; 0 is never")

    @property
    def address(self) -> dict[str, Any]:
        """The protocol's own keys."""
        return dict(self.__pydantic_extra__ or {})

    @model_validator(mode="after")
    def _range_ascends(self) -> PointEntry:
        if self.range is not None and self.range[0] >= self.range[1]:
            raise ValueError("range must be [lowest, highest]")
        return self


POINT_KEYS = tuple(field.alias or name for name, field in PointEntry.model_fields.items())
"""What a point may say in any protocol."""


class StepEntry(_Closed):
    """One step of a command: exactly one of write, read_back, effect and wait_s; the other keys say how."""

    write: dict[str, Any] | None = Field(None, description="what to write, in the protocol's words")
    read_back: dict[str, Any] | None = Field(None, description="what must then be read, in the protocol's words")
    effect: str | None = Field(
        None, description="what must then be measured, in the point's unit: `CurrentL1 < 0.05` (<, <=, >, >=, ==, !=)"
    )
    wait_s: Positive | None = Field(None, description="seconds to wait; the line is free meanwhile")
    within_s: Positive | None = Field(
        None, description="how long a read_back or an effect may take to show, 5 by default"
    )
    always: bool = Field(default=False, description="done also after a failed step: what locks the device again")
    answer_proves: bool = Field(
        default=False, description="the device's acknowledgement of a write is proof enough: nothing need be read back"
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> StepEntry:
        if sum(key is not None for key in (self.write, self.read_back, self.effect, self.wait_s)) != 1:
            raise ValueError("a step is exactly one of write, read_back, effect, wait_s")
        if self.within_s is not None and self.read_back is None and self.effect is None:
            raise ValueError("within_s belongs to read_back or effect")
        if self.answer_proves and self.write is None:
            raise ValueError("answer_proves belongs to a write")
        if self.effect is not None and parse_effect(self.effect) is None:
            raise ValueError("an effect is a quantity, a comparison and a number: CurrentL1 < 0.05")
        return self


class CommandEntry(_Closed):
    """What may be done to a device."""

    steps: list[StepEntry] = Field(min_length=1, description="in order; a failing step ends the command")
    danger: list[Danger] = Field(
        default_factory=list, description="supply, money, clears, wear; what its name implies is added"
    )
    confirm: bool = Field(default=False, description="whether a person must confirm it each time")
    min_interval_s: NotNegative = Field(
        0.0, description="least seconds between two of them on one device, for memory that wears"
    )


class SerialEntry(_Closed):
    """Factory setting of a serial line."""

    baud: Annotated[int, Field(ge=50, le=4_000_000)] = Field(description="speed")
    parity: Parity = Field(Parity.NONE, description="none, even, odd")
    stop_bits: Literal[1, 2] = Field(1, description="stop bits")
    data_bits: Literal[7, 8] = Field(8, description="data bits")


class VariantEntry(_Closed):
    """A make that differs from its profile only in some points or settings."""

    when: list[dict[str, Any]] = Field(
        min_length=1, description="how it is recognised, in the protocol's words; all hold"
    )
    points: dict[str, dict[str, Any] | None] = Field(
        default_factory=dict, description="points added or changed key by key; null where it has no such data"
    )
    settings: dict[str, Any] = Field(default_factory=dict, description="changes to the protocol's section")


class ProfileFile(BaseModel):
    """A whole profile; the section named as its `protocol` holds the protocol's settings."""

    model_config = ConfigDict(extra="allow", frozen=True)

    profile: str = Field(pattern=f"^{NAME_PATTERN}$", description="vendor/model, the same as the file's path")
    extends: str = Field("", description="profile whose keys this one takes over and changes; null removes a key")
    vendor: str = Field(min_length=1, description="maker, as written on the device")
    model: str = Field(min_length=1, description="model or models, as written on the device")
    protocol: Literal["modbus", "dlt645", "cjt188", "mqtt"] = Field(description="what it speaks")
    medium: str = Field("electricity", description="what it measures: " + ", ".join(MEDIA))
    line: str = Field("", description="factory setting of its serial line, for a person")
    serial: SerialEntry | None = Field(
        None, description="the same for machines: used by `joulehub probe` and on a bus that several protocols share"
    )
    source: list[SourceEntry] = Field(min_length=1, description="where the facts were taken from")
    caveats: list[str] = Field(default_factory=list, description="doubts to settle with a device or its manual")
    classes: dict[PollClass, Positive] = Field(
        default_factory=dict, description="poll periods in seconds that differ from the hub's"
    )
    points: dict[str, PointEntry] = Field(min_length=1, description="what it measures, by quantity")
    commands: dict[Annotated[str, Field(pattern=f"^{WORD_PATTERN}$")], CommandEntry] = Field(
        default_factory=dict, description="what may be done to it, by name"
    )
    variants: dict[Annotated[str, Field(pattern=f"^{WORD_PATTERN}$")], VariantEntry] = Field(
        default_factory=dict, description="makes that differ in some points, by name"
    )
