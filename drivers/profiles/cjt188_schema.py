"""What a profile may say in CJ/T 188's own words: the `cjt188` section, and the address part of a point."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Byte = Annotated[int, Field(ge=0, le=0xFF)]
Identifier = Annotated[int, Field(ge=0, le=0xFFFF)]
Decimals = Annotated[int, Field(ge=0, le=6)]
ValveAction = Literal["open", "close", "exercise"]


class Entry(BaseModel):
    """A mapping that holds its own keys and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StatusEntry(Entry):
    """One bit of the status word."""

    byte: Literal[1, 2] = Field(description="byte of the status word, as sent")
    bit: Annotated[int, Field(ge=0, le=7)] = Field(description="bit of that byte, 0 the lowest")
    active: Literal[0, 1] = Field(1, description="value of the bit that means that it is so")


class PointAddress(Entry):
    """Address part of a point: exactly one of `field`, `status` and `valve`."""

    di: Identifier = Field(0x901F, description="data identifier as the standard prints it")
    field: str = Field("", description="name of a number in the answer: cumulative, heat_current, supply_temp, …")
    status: StatusEntry | None = Field(None, description="one bit of the status word")
    valve: Literal[True] | None = Field(None, description="true: position of the valve, out of the status word")

    @model_validator(mode="after")
    def _exactly_one(self) -> PointAddress:
        if sum((bool(self.field), self.status is not None, self.valve is not None)) != 1:
            raise ValueError("a point is exactly one of field, status, valve")
        return self


class ValveEntry(Entry):
    """Where the status word shows the valve, and what moves it."""

    byte: Literal[1, 2] = Field(1, description="byte of the status word, as sent")
    mask: Byte = Field(0x03, description="bits of that byte that belong to the valve")
    open: list[Byte] = Field([0x00], description="byte AND mask of an open valve")
    closed: list[Byte] = Field([0x01], description="byte AND mask of a closed valve")
    moving: list[Byte] = Field(default_factory=list, description="byte AND mask while the motor runs")
    failure: list[Byte] = Field([0x03], description="byte AND mask of a valve that is stuck; any other is unknown")
    open_code: Byte = Field(0x55, description="byte that opens it")
    close_code: Byte = Field(0x99, description="byte that closes it")
    exercise_code: Byte = Field(0x77, description="byte that lets it move to and fro against scale")


class FieldEntry(Entry):
    """One number of a form of the maker's own."""

    at: Annotated[int, Field(ge=0, le=96)] = Field(description="place of its first byte behind the serial number")
    length: Annotated[int, Field(ge=1, le=8)] = Field(description="bytes, two decimal digits each, low first")
    decimals: Decimals = Field(0, description="decimals")
    unit_at: Annotated[int, Field(ge=0, le=96)] | None = Field(
        None, description="place of its unit byte; without one it is in the point's `unit`"
    )


class LayoutEntry(Entry):
    """A form of an answer that is the maker's own; it goes before the known one of the same length."""

    di: Identifier = Field(0x901F, description="data identifier")
    size: Annotated[int, Field(ge=1, le=97)] = Field(description="bytes behind the serial number (L less 3)")
    fields: dict[str, FieldEntry] = Field(min_length=1, description="its numbers, by name")
    clock_at: Annotated[int, Field(ge=0, le=90)] | None = Field(None, description="place of the clock, 7 bytes")
    status_at: Annotated[int, Field(ge=0, le=95)] | None = Field(None, description="place of the status word, 2 bytes")

    @model_validator(mode="after")
    def _fits(self) -> LayoutEntry:
        ends = [entry.at + entry.length for entry in self.fields.values()]
        ends += [entry.unit_at + 1 for entry in self.fields.values() if entry.unit_at is not None]
        ends += [place + size for place, size in ((self.clock_at, 7), (self.status_at, 2)) if place is not None]
        if max(ends) > self.size:
            raise ValueError(f"its parts need {max(ends)} bytes, size is {self.size}")
        return self


class Section(Entry):
    """The `cjt188` section of a profile."""

    type: Byte = Field(0x10, description="kind of meter in requests: 0x10 cold water … 0x30 gas; 0xAA any")
    di_order: Literal["le", "be"] = Field("le", description="byte of an identifier that is sent first: low or high")
    strict_ser: bool = Field(default=False, description="answers with another serial number than asked are thrown away")
    has_valve: bool = Field(default=False, description="whether there is a valve; without one the bits say 'open'")
    flow_decimals: Decimals = Field(4, description="decimals of the flow in 901F")
    preamble: Annotated[int, Field(ge=0, le=40)] | None = Field(
        None, description="bytes FE before a request, where it differs from the channel's"
    )
    gap_ms: Annotated[float, Field(ge=0, le=10_000)] = Field(
        0.0, description="silence before each request, if longer than the channel's"
    )
    valve: ValveEntry = Field(default_factory=lambda: ValveEntry(), description="status bits and codes of the valve")
    layouts: list[LayoutEntry] = Field(default_factory=list, description="forms of answers of the maker's own")


class WriteEntry(Entry):
    """A write step of a command: exactly one of its keys."""

    valve: ValveAction | Byte | None = Field(None, description="open, close, exercise, or a byte of the maker's own")
    clock: Literal["set"] | None = Field(None, description="the meter's clock, to the argument `time`")
    address: Literal["set"] | None = Field(None, description="the meter's address, to the argument `value`")
    base_reading: Literal["set"] | None = Field(
        None, description="the mechanical register's reading, to the argument `value`, in the unit of its point"
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> WriteEntry:
        if sum(way is not None for way in (self.valve, self.clock, self.address, self.base_reading)) != 1:
            raise ValueError("a write is exactly one of valve, clock, address, base_reading")
        return self


class ReadBackEntry(Entry):
    """A read-back step of a command: exactly one of `valve` and `clock`."""

    valve: Literal["open", "closed"] | None = Field(None, description="what the status word must say of the valve")
    clock: Annotated[float, Field(gt=0, le=3600)] | None = Field(
        None, description="by how many seconds the meter's clock may differ"
    )
    after_s: Annotated[list[Annotated[float, Field(ge=0, le=600)]], Field(min_length=1)] = Field(
        [5.0, 15.0, 30.0, 60.0], description="seconds after the write at which to look; the last look decides"
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> ReadBackEntry:
        if (self.valve is None) == (self.clock is None):
            raise ValueError("a read_back is exactly one of valve, clock")
        if sorted(self.after_s) != self.after_s:
            raise ValueError("after_s ascends")
        return self
