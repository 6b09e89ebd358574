"""What a profile may say in Modbus's own words: the `modbus` section, and the address part of a point."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, model_validator

from drivers.codec import MomentFormat, NumberType, Order, fields_format

Address = Annotated[int, Field(ge=0, le=465_536)]
"""As a manual counts: up to 0xFFFF on the wire, up to 465536 in the notation 400001."""
Base = Annotated[int, Field(ge=0, le=400_001)]
ReadFunction = Literal[1, 2, 3, 4]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Entry(BaseModel):
    """A mapping that holds its own keys and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RegisterEntry(Entry):
    """One register or run of registers."""

    at: Address | Annotated[list[Address], Field(min_length=2, max_length=16)] = Field(
        description="address of the first register; a list gives each word its own, most significant first"
    )
    type: NumberType = Field(description="what the registers hold")
    fc: ReadFunction | None = Field(None, description="function code that reads it; the section's where not given")
    order: Order | None = Field(None, description="byte order; the section's where not given")
    base: Base | None = Field(None, description="what its address counts from; the section's where not given")
    words: Annotated[int, Field(ge=1, le=60)] | None = Field(
        None, description="registers of a mod10000 number or a string"
    )
    bits: tuple[Annotated[int, Field(ge=0, le=63)], Annotated[int, Field(ge=0, le=63)]] | None = Field(
        None, description="lowest and highest bit to take from an unsigned integer, 0 the least significant"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> RegisterEntry:
        if self.type.words and self.words not in (None, self.type.words):
            raise ValueError(f"{self.type.value} takes {self.type.words} words")
        size = self.type.words or self.words
        if size is None:
            raise ValueError(f"{self.type.value} needs words")
        if isinstance(self.at, list) and len(self.at) != size:
            raise ValueError(f"at lists {len(self.at)} addresses, {self.type.value} takes {size} words")
        if self.bits is not None:
            if self.type.is_signed or not self.type.bits:
                raise ValueError("bits are taken from unsigned integers")
            if not self.bits[0] <= self.bits[1] < self.type.bits:
                raise ValueError(f"bits must be [lowest, highest] within {self.type.bits} bits")
        return self

    @property
    def size(self) -> int:
        """Registers it takes."""
        return self.type.words or self.words or 0


class FactorEntry(RegisterEntry):
    """A register that says how another is scaled."""

    means: Literal["multiply", "exponent", "decimals"] = Field(
        description="multiply: by the register; exponent: by 10 to it; decimals: divide by 10 to it"
    )


class SignEntry(RegisterEntry):
    """A register that says whether another, unsigned one is negative."""

    negative: int = Field(description="value of the register that means negative")


class TermEntry(RegisterEntry):
    """One number of a point or of the sum it is."""

    scale: Finite = Field(1.0, description="raw × scale is the value in the point's unit")
    factor: FactorEntry | None = Field(None, description="register by which the value is scaled as well")
    sign: Literal["magnitude"] | SignEntry | None = Field(
        None, description="magnitude: the top bit is the sign; else a register that holds the sign"
    )
    sentinels: list[int] | None = Field(
        None, description="raw values that mean 'no such data'; the section's otherwise"
    )
    faults: list[int] = Field(default_factory=list, description="raw values that mean 'the probe is faulty'")
    subtract: bool = Field(default=False, description="whether a sum takes it away instead of adding it")

    @model_validator(mode="after")
    def _magnitude_is_unsigned(self) -> TermEntry:
        whole = not self.type.is_signed and self.type.bits > 0
        if self.sign == "magnitude" and not whole:
            raise ValueError("a separate sign in the top bit belongs to an unsigned integer")
        if isinstance(self.sign, SignEntry) and not (whole or self.type.is_float):
            raise ValueError("a separate sign belongs to an unsigned integer or a float")
        return self


class PointAddress(Entry):
    """Address part of a point: either one number (`at`, `type`, …) or a `sum` of several."""

    term: TermEntry | None = None
    sum: Annotated[list[TermEntry], Field(min_length=2, max_length=12)] | None = Field(
        None, description="numbers to add up, each with the keys of a point's register"
    )
    over: TermEntry | None = Field(
        None, description="number to divide by, with the keys of a point's register: a power factor from P and S"
    )
    prefer: TermEntry | None = Field(
        None, description="register of better resolution that is used where the device has it"
    )
    offset: Finite = Field(0.0, description="added after scaling, in the point's unit")
    ratio: Literal["none", "ct", "pt", "ptct"] = Field("none", description="instrument transformers to multiply with")
    transform: Literal["none", "four_quadrant_pf"] = Field(
        "none", description="four_quadrant_pf: values beyond ±1 fold back to 2 − x and −2 − x (Schneider)"
    )
    map: dict[int, int] | None = Field(None, description="raw value → value; any other is out of range")
    atomic: str = Field("", description="points of one group are read in one request")
    shared: bool = Field(default=False, description="whether it may read registers that another point reads as well")
    optional: bool = Field(default=False, description="whether a device may lack it and refuse to read it")

    @model_validator(mode="after")
    def _one_or_many(self) -> PointAddress:
        if (self.term is None) == (self.sum is None):
            raise ValueError("a point has either at and type, or sum")
        if self.prefer is not None and self.term is None:
            raise ValueError("prefer goes with at and type")
        if self.map is not None and (self.over or self.prefer):
            raise ValueError("map takes one integer")
        if self.map is not None and (self.term is None or self.term.type.is_float):
            raise ValueError("map takes one integer")
        return self


class Block(Entry):
    """A run of registers that is always read whole."""

    at: Address = Field(description="first register")
    words: Annotated[int, Field(ge=1, le=125)] = Field(description="number of registers")
    fc: ReadFunction | None = Field(None, description="function code; the section's where not given")


class RatioEntry(RegisterEntry):
    """A register that holds a transformer ratio."""

    scale: Finite = Field(1.0, description="raw × scale is the ratio")
    refresh_s: Annotated[float, Field(gt=0)] = Field(3600.0, description="how long a ratio once read is believed")


RatioSource = Literal["configured"] | Annotated[float, Field(gt=0, allow_inf_nan=False)] | RatioEntry


class Ratios(Entry):
    """Where the ratios of the instrument transformers come from."""

    ct: RatioSource = Field("configured", description="current: configured in the plant, a number, or a register")
    pt: RatioSource = Field("configured", description="voltage: configured in the plant, a number, or a register")


class MomentEntry(Entry):
    """Where and how a date with its time is written."""

    at: Address = Field(description="first register")
    order: Order | None = Field(None, description="byte order of unix and cp56; the section's where not given")
    format: Literal["unix", "cp56"] | Annotated[list[str], Field(min_length=2, max_length=8)] = Field(
        description="unix: seconds since 1970 in two registers; cp56: IEC 60870-5-4 in four; else what each register "
        "holds: one of year, month, day, weekday, hour, minute, second, ms, zero, or two of them in a byte each "
        "(year2 is a year of two digits)"
    )
    bcd: bool = Field(default=False, description="whether each digit has its own four bits")
    zone: str = Field("local", description="local: the plant's time zone; utc, or a zone by name (Asia/Tashkent)")

    @model_validator(mode="after")
    def _is_a_moment(self) -> Self:
        if isinstance(self.format, list):
            fields_format(self.format, bcd=self.bcd)
        elif self.bcd:
            raise ValueError("bcd belongs to a list of fields")
        if self.zone not in ("local", "utc") and self.zone not in available_timezones():
            raise ValueError(f"{self.zone!r} is no time zone: write local, utc or a name like Asia/Tashkent")
        return self

    @property
    def moment(self) -> MomentFormat:
        """Its format."""
        return MomentFormat(self.format) if isinstance(self.format, str) else fields_format(self.format, bcd=self.bcd)


class ClockEntry(MomentEntry):
    """Where and how a device keeps its date and time."""

    fc: ReadFunction | None = Field(None, description="function code that reads it; the section's where not given")
    base: Base | None = Field(None, description="what its address counts from; the section's where not given")
    tolerance_s: Annotated[float, Field(gt=0)] = Field(10.0, description="how far off a clock just set may be")
    stamp: bool = Field(
        default=False, description="whether it is read with the values and dates them while it is right within 5 s"
    )


class Section(Entry):
    """The `modbus` section of a profile."""

    fc: ReadFunction = Field(3, description="function code that reads registers (1 and 2 read bits)")
    base: Base = Field(0, description="what the file calls the first register: 0, 1, 30001, 40001, 300001, 400001")
    order: Order = Field(Order.ABCD, description="byte order of values of several words")
    max_words: Annotated[int, Field(ge=1, le=125)] = Field(
        60, description="most registers the device gives in one answer"
    )
    gaps: Literal["readable", "forbidden"] = Field(
        "readable", description="whether registers between two points may be read along"
    )
    max_gap: Annotated[int, Field(ge=0, le=124)] = Field(8, description="most registers worth reading along")
    one_value_per_read: bool = Field(default=False, description="whether every request asks for one value only")
    blocks: list[Block] = Field(default_factory=list, description="runs that are read whole, whatever max_words says")
    sentinels: dict[NumberType, list[int]] = Field(
        default_factory=dict, description="raw values by type that mean 'no such data'"
    )
    ratios: Ratios = Field(default_factory=Ratios, description="instrument transformer ratios")
    gap_ms: Annotated[float, Field(ge=0)] = Field(
        0.0, description="silence before each request, if longer than the channel's"
    )
    clock: ClockEntry | None = Field(None, description="where and how the device keeps its date and time")
    logs: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")], dict[str, Any]] = Field(
        default_factory=dict, description="what the device records by itself, by name"
    )
    event_logs: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")], dict[str, Any]] = Field(
        default_factory=dict, description="the events that the device records by itself, by name of the log"
    )
    inverted: bool = Field(
        default=False, description="mounted the wrong way round: import and export are swapped, powers change sign"
    )


class Rule(Entry):
    """One condition by which a variant is recognised: a register and what it must hold."""

    at: Address | list[Address] = Field(description="as in a point")
    type: NumberType = Field(description="as in a point")
    fc: ReadFunction | None = Field(None, description="as in a point")
    order: Order | None = Field(None, description="as in a point")
    base: Base | None = Field(None, description="as in a point")
    words: Annotated[int, Field(ge=1, le=60)] | None = Field(None, description="as in a point")
    bits: tuple[int, int] | None = Field(None, description="as in a point")
    equals: int | str | None = Field(None, description="value it must hold")
    starts_with: str | None = Field(None, description="how its text must begin")
    between: tuple[int, int] | None = Field(None, description="lowest and highest value it may hold")

    @model_validator(mode="after")
    def _exactly_one(self) -> Rule:
        if sum(test is not None for test in (self.equals, self.starts_with, self.between)) != 1:
            raise ValueError("a rule is exactly one of equals, starts_with, between")
        RegisterEntry.model_validate(self.register_keys)
        return self

    @property
    def register_keys(self) -> dict[str, Any]:
        """The part that is a register."""
        return self.model_dump(exclude={"equals", "starts_with", "between"})
