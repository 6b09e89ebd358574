"""What a profile may say in DL/T 645's own words: the `dlt645` section, and the address part of a point."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Version = Annotated[Literal["2007", "1997"], BeforeValidator(str)]
Identifier = Annotated[int, Field(ge=0, le=0xFFFF_FFFF)]
Bit = Annotated[int, Field(ge=0, le=31)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
RelayAction = Literal["trip", "permit_close", "close", "alarm", "alarm_off", "keep_power", "release_keep_power"]
RelayLook = Literal["open", "closed", "ready_to_close", "keep_power", "no_keep_power"]
FORMAT_PATTERN = r"^(X{2,16}|X{1,15}\.X{1,15}|bits(8|16|24|32))$"
_PAYLOAD_WORD = "(?:[0-9A-Fa-f]{2}|level|password|operator|action|until)"
PAYLOAD_PATTERN = f"^{_PAYLOAD_WORD}(?: {_PAYLOAD_WORD})*$"


class Entry(BaseModel):
    """A mapping that holds its own keys and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ValueEntry(Entry):
    """One value of a meter: the data identifier, and what of its data to take."""

    di: Identifier = Field(description="data identifier as the standard prints it, most significant byte first")
    part: Annotated[int, Field(ge=0, le=255)] | None = Field(
        None, description="`di` is a block of equal parts, and the value is the one with this number, from 0"
    )
    skip: Annotated[int, Field(ge=0, le=190)] = Field(0, description="bytes of the data, or of the part, before it")
    format: Annotated[str, Field(pattern=FORMAT_PATTERN)] | None = Field(
        None, description="digits and point as the standard prints them, or bits8 to bits32; the standard's for `di`"
    )
    signed: bool | None = Field(None, description="whether the top bit is the sign; the standard's for `di`")
    bit: Bit | None = Field(None, description="the one bit to take, 0 the lowest of the first byte")
    bits: Annotated[list[Bit], Field(min_length=1, max_length=16)] | None = Field(
        None, description="bits to take, lowest first, which together are a number"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> ValueEntry:
        if self.bit is not None and self.bits is not None:
            raise ValueError("a value takes either one bit or several bits")
        if self.format is not None and not self.format.startswith("bits"):
            if (len(self.format) - ("." in self.format)) % 2:
                raise ValueError("format has an even number of digits, two a byte")
            if self.chosen_bits:
                raise ValueError("bits are taken from binary data: use format bits8 to bits32, or none")
        return self

    @property
    def chosen_bits(self) -> tuple[int, ...]:
        """The bits to take, none where the whole is meant."""
        return (self.bit,) if self.bit is not None else tuple(self.bits or ())


class PointAddress(Entry):
    """Address part of a point: either one value (`di`, …) or `any` of several bits."""

    value: ValueEntry | None = None
    any: Annotated[list[ValueEntry], Field(min_length=2, max_length=16)] | None = Field(
        None, description="bits, each with `di` and `bit`, of which one that is set is enough"
    )
    scale: Finite = Field(1.0, description="value × scale is in the point's unit")
    ratio: Literal["none", "ct", "pt", "ctpt"] = Field(
        "none", description="instrument transformers to multiply with; none where the meter does it"
    )
    map: dict[int, int] | None = Field(None, description="raw value → value; any other is out of range")

    @model_validator(mode="after")
    def _one_or_many(self) -> PointAddress:
        if (self.value is None) == (self.any is None):
            raise ValueError("a point has either di, or any")
        if self.any is not None and (self.scale != 1 or self.ratio != "none" or self.map is not None):
            raise ValueError("any is true or false: scale, ratio and map do not belong to it")
        if any(entry.bit is None for entry in self.any or ()):
            raise ValueError("any lists single bits")
        return self


class RelayEntry(Entry):
    """How supply is switched with control code 1C."""

    payload: Annotated[str, Field(pattern=PAYLOAD_PATTERN)] = Field(
        "level password operator action 00 until",
        description="data of the request before 33H is added: bytes in hexadecimal, and the words level, password, "
        "operator, action, until",
    )
    valid_minutes: Annotated[float, Field(ge=1, le=1440)] = Field(
        15.0, description="for how long after the clock's time the command is valid"
    )
    clock: Literal["meter", "hub"] = Field(
        "meter", description="whose clock that is: the meter's, read before, or the hub's in the channel's time zone"
    )


class Section(Entry):
    """The `dlt645` section of a profile."""

    version: Version = Field("2007", description="edition of the standard: 2007 or 1997")
    preamble: Annotated[int, Field(ge=0, le=16)] = Field(
        4, description="bytes FE before each request, where the channel does not say"
    )
    blocks: bool = Field(default=True, description="whether several values may be read with one block identifier")
    gap_ms: Annotated[float, Field(ge=0, le=10_000)] = Field(
        50.0, description="silence before each request, where the channel does not say"
    )
    level: Annotated[int, Field(ge=0, le=0x99)] = Field(
        2,
        description="password level that writes and switches (0x98 and 0x99 are ciphertext: no password helps)",
    )
    relay: RelayEntry = Field(default_factory=lambda: RelayEntry(), description="how supply is switched")
    clock_set: Literal["write", "adjust"] = Field(
        "write", description="write: date and time with a password; adjust: control code 08, within five minutes"
    )
    read_clock: bool = Field(
        default=False, description="whether the meter's clock is read along with its values, and dates them"
    )


class WriteEntry(Entry):
    """A write step of a command: exactly one of its keys, `di` with `format` and one of `value` and `argument`."""

    relay: RelayAction | None = Field(None, description="supply, with control code 1C")
    clock: Literal["set", "broadcast"] | None = Field(None, description="the meter's clock, or those of the whole line")
    freeze: Annotated[str, Field(pattern=r"^(now|(?:[0-9]{2}|\*){4})$")] | None = Field(
        None, description="now, or month, day, hour and minute of a freeze, two digits each and * for every"
    )
    clear: Literal["demand", "events"] | None = Field(None, description="maximum demand, or all event records")
    transport: Identifier | None = Field(
        None, description="data identifier of control code 03, whose ciphertext the argument brings"
    )
    di: Identifier | None = Field(None, description="data identifier to write, with control code 14 (1997: 04)")
    format: Annotated[str, Field(pattern=FORMAT_PATTERN)] | None = Field(None, description="how it is written")
    signed: bool = Field(default=False, description="whether the top bit is the sign")
    value: Finite | None = Field(None, description="what is written")
    argument: str = Field("", description="name of the command's argument that is written")

    @model_validator(mode="after")
    def _exactly_one(self) -> WriteEntry:
        ways = (self.relay, self.clock, self.freeze, self.clear, self.transport, self.di)
        if sum(way is not None for way in ways) != 1:
            raise ValueError("a write is exactly one of relay, clock, freeze, clear, transport, di")
        if self.di is not None and (self.value is None) == (not self.argument):
            raise ValueError("a write of a data identifier has either value or argument")
        if self.transport is not None and not self.argument:
            raise ValueError("transport names the argument that brings the ciphertext")
        return self


class ReadBackEntry(Entry):
    """A read-back step of a command: exactly one of `relay`, `clock` and `di`."""

    relay: RelayLook | None = Field(None, description="what status word 3 must say of the supply")
    clock: Literal["any"] | Annotated[float, Field(gt=0, le=3600)] | None = Field(
        None, description="by how many seconds the meter's clock may differ; any only looks by how much it does"
    )
    di: Identifier | None = Field(None, description="data identifier to read; its data are the command's result")
    argument: str = Field("", description="name of the command's argument that names the data identifier instead")
    format: Annotated[str, Field(pattern=FORMAT_PATTERN)] | None = Field(None, description="as in a point")
    signed: bool = Field(default=False, description="as in a point")
    equals: Finite | None = Field(None, description="value that shows that the command took effect")

    @model_validator(mode="after")
    def _exactly_one(self) -> ReadBackEntry:
        ways = (self.relay, self.clock, self.di, self.argument or None)
        if sum(way is not None for way in ways) != 1:
            raise ValueError("a read_back is exactly one of relay, clock, di, argument")
        return self
