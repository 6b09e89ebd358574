"""What a step of a command may say in Modbus's own words."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from drivers.codec import NumberType, Order
from drivers.profiles.modbus_schema import Address, Base, Entry, Finite, RegisterEntry

ON = 0xFF00
"""What function code 5 sends for 1; manuals write it so."""
Word = Annotated[int, Field(ge=0, le=0xFFFF)]


class ArgumentEntry(Entry):
    """How an argument of the command is written: as a number or text in registers, within limits."""

    name: str = Field("value", min_length=1, description="name of the argument")
    type: NumberType = Field(description="what the registers take")
    order: Order | None = Field(None, description="byte order; the section's where not given")
    words: Annotated[int, Field(ge=1, le=60)] | None = Field(None, description="registers of a text or mod10000 number")
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(
        1.0, description="raw × scale is the argument, as in a point"
    )
    min: Finite | None = Field(None, description="lowest value that may be written")
    max: Finite | None = Field(None, description="highest value that may be written")
    map: dict[int, Word] | None = Field(None, description="argument → raw value; any other is refused")

    @model_validator(mode="after")
    def _fits_together(self) -> ArgumentEntry:
        if not (self.type.words or self.words):
            raise ValueError(f"{self.type.value} needs words")
        if self.type is NumberType.STRING and (self.min, self.max, self.map) != (None, None, None):
            raise ValueError("min, max and map belong to a number")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is above max")
        return self

    @property
    def size(self) -> int:
        """Registers it takes."""
        return self.type.words or self.words or 0


class WriteEntry(Entry):
    """A write step: exactly one of values, argument and clock."""

    at: Address | None = Field(None, description="first register or coil, counted as the section's `base` says")
    fc: Literal[5, 6, 15, 16] = Field(
        16, description="function code that writes: 5 one coil, 6 one register, 15 several coils, 16 several registers"
    )
    base: Base | None = Field(None, description="what its address counts from; the section's where not given")
    values: Annotated[list[Word], Field(min_length=1, max_length=123)] | None = Field(
        None, description="words to write; of a coil 0 and 1"
    )
    argument: ArgumentEntry | None = Field(None, description="how the command's argument is written")
    clock: Literal["time"] | None = Field(
        None, description="time: the argument `time` is written as the section's `clock` says"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> WriteEntry:
        if sum(key is not None for key in (self.values, self.argument, self.clock)) != 1:
            raise ValueError("a write has either values or argument or clock")
        if (self.at is None) is not (self.clock is not None):
            raise ValueError("at says where values or an argument are written; a clock has its own")
        if self.fc in (5, 6) and self.values is not None and len(self.values) != 1:
            raise ValueError(f"function code {self.fc} writes one value")
        if self.fc in (5, 15) and any(value not in (0, 1, ON) for value in self.values or ()):
            raise ValueError("a coil is 0 or 1 (0xFF00 on the wire of function code 5)")
        if self.argument is not None and self.fc != 16 and self.argument.size != 1:
            raise ValueError(f"function code {self.fc} writes one value, the argument takes {self.argument.size}")
        return self


class ReadBackEntry(RegisterEntry):
    """A read-back step: a register and exactly one of equals, between and argument."""

    mask: Annotated[int, Field(ge=1, le=(1 << 64) - 1)] | None = Field(
        None, description="bits of the register that count"
    )
    equals: int | str | None = Field(None, description="what the register must hold")
    between: tuple[Finite, Finite] | None = Field(None, description="lowest and highest value it may hold")
    argument: str | None = Field(None, description="name of the argument that the register must hold")
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(
        1.0, description="raw × scale is compared with the argument"
    )
    moving: list[int] = Field(default_factory=list, description="values that say that it is still under way")

    @model_validator(mode="after")
    def _exactly_one(self) -> ReadBackEntry:
        if sum(test is not None for test in (self.equals, self.between, self.argument)) != 1:
            raise ValueError("a read_back is exactly one of equals, between, argument, clock")
        if self.mask is not None and not self.type.bits:
            raise ValueError("a mask belongs to an integer")
        return self


class ClockCheckEntry(Entry):
    """A read-back of the device's clock."""

    clock: Literal["any", "time"] = Field(
        description="any: it is read, and how far it is off is told; time: it must show the argument `time`"
    )
