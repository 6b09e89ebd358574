"""What a profile may say of the log in which a Modbus meter records events: when, which, and what it meant by them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from drivers.codec import NumberType, Order
from drivers.event_archive import NORMAL_SEVERITY
from drivers.profiles.modbus_logs import RecordsEntry
from drivers.profiles.modbus_schema import Address, Entry, Finite, MomentEntry
from drivers.profiles.units import SIZES

EVERY = r"[1-9][0-9]{0,4}(s|min|h|d)"
MOST_CODE = 0xFFFF_FFFF


class EventTexts(Entry):
    """One text in the hub's languages; those that are not given are told in English."""

    en: str = Field(min_length=1, description="English")
    ru: str = Field("", description="Russian")
    uz: str = Field("", description="Uzbek")
    zh: str = Field("", description="Chinese")


class EventCodeEntry(Entry):
    """What a number in the records of events means."""

    text: Annotated[str, Field(min_length=1)] | EventTexts = Field(
        description="what happened: a text, or one for each language (en, ru, uz, zh)"
    )
    severity: Annotated[int, Field(ge=1, le=1000)] = Field(NORMAL_SEVERITY, description="1 (least) to 1000")
    state: Literal["begins", "ends"] | None = Field(
        None, description="whether the record tells that it begins or that it is over"
    )

    @field_validator("text", mode="before")
    @classmethod
    def _is_a_text(cls, given: Any) -> Any:
        if isinstance(given, dict):
            return EventTexts.model_validate(given)
        if given is None or isinstance(given, int | float | list):
            raise ValueError("it is a text, or one for each language: {en: …, ru: …}")
        return given


class EventRegisterEntry(Entry):
    """Registers of a record that hold one number."""

    at: Address = Field(description="register, counted from the record's first")
    type: NumberType = Field(description="what it holds")
    order: Order | None = Field(None, description="byte order; the section's where not given")


class EventNumberEntry(EventRegisterEntry):
    """The number that tells which event it was."""

    mask: Annotated[int, Field(ge=1, le=MOST_CODE)] | None = Field(
        None, description="bits of the register that are the number; they stay where they are"
    )

    @model_validator(mode="after")
    def _is_a_number(self) -> Self:
        if self.type.is_signed or not 0 < self.type.bits <= 32:
            raise ValueError("a number of events is an unsigned integer of at most 32 bits")
        if self.mask is not None and self.mask >> self.type.bits:
            raise ValueError(f"mask has bits that {self.type.value} has not")
        return self


class EventDetailEntry(EventRegisterEntry):
    """What the meter recorded with an event: the voltage of a sag, the number of the phase."""

    scale: Finite = Field(1.0, description="raw × scale is the value in `unit`")
    unit: str = Field("", description="unit of the value, as of a point; a number without one where not given")
    sentinels: list[int] | None = Field(
        None, description="raw values that mean that there is none; the section's otherwise"
    )

    @model_validator(mode="after")
    def _is_a_value(self) -> Self:
        if not self.type.words or self.type is NumberType.BOOL:
            raise ValueError("a value that is recorded with an event is a number")
        if not self.scale:
            raise ValueError("a scale of 0 loses the value")
        if self.unit and self.unit not in SIZES:
            raise ValueError(f"{self.unit!r} is no unit: use one of {', '.join(SIZES)}")
        return self


class EventLogEntry(RecordsEntry):
    """One log of events: a record for each that happened."""

    time: MomentEntry = Field(description="where a record holds its time")
    code: EventNumberEntry = Field(description="where a record tells which event it was")
    value: EventDetailEntry | None = Field(None, description="where a record holds a value that belongs to the event")
    codes: dict[Annotated[int, Field(ge=0, le=MOST_CODE)], EventCodeEntry] = Field(
        default_factory=dict, description="what the numbers of events mean; others are told by their number"
    )
    every: Annotated[str, Field(pattern=f"^{EVERY}$")] = Field(
        "15min", description="how often the hub looks for new ones: a number and s, min, h or d"
    )
