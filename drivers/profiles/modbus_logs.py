"""What a profile may say of the logs that a Modbus meter keeps by itself: where their records lie, and what those of
values hold. `modbus_event_logs` has what those of events hold."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from drivers.profiles.modbus_schema import Address, Base, Entry, MomentEntry, RegisterEntry, Rule

PERIOD = r"[1-9][0-9]{0,4}(s|min|h|d|mo)"
MOST_FILE_WORDS = 121
"""Registers that an answer of function code 20 holds (Application Protocol 1.1b3, 6.14: 245 bytes)."""
MOST_READ_WORDS = 125
FILE_RECORDS = 0x10000
Word = Annotated[int, Field(ge=0, le=0xFFFF)]


class LogTimeEntry(MomentEntry):
    """The time stamp of a record, written as a device's clock is; `at` counts from the record's first register."""

    marks: Literal["end", "begin"] = Field(
        "end", description="end: the values are those of this time; begin: those of one period later"
    )


class LogPointerEntry(RegisterEntry):
    """The register that tells where the newest record is."""

    means: Literal["newest", "next", "total"] = Field(
        description="newest: number of the newest record; next: of the one that is written next; total: how many "
        "records were ever written"
    )
    first: Annotated[int, Field(ge=0, le=1)] = Field(0, description="the number it gives the first record: 0 or 1")

    @model_validator(mode="after")
    def _is_a_count(self) -> LogPointerEntry:
        if not self.type.bits or self.type.is_signed:
            raise ValueError("a pointer is an unsigned integer")
        return self


class LogChecksumEntry(Entry):
    """A checksum at the end of a record, over all its registers before."""

    at: Annotated[int, Field(ge=1, le=0xFFFF)] = Field(description="register of the record that holds it")
    kind: Literal["crc16", "sum16"] = Field(
        description="crc16: CRC-16 of Modbus, either byte first; sum16: sum of the registers"
    )


class RecordsEntry(Entry):
    """Equal records, in a file that function code 20 reads or in registers, and where the newest of them is."""

    file: Word | None = Field(None, description="number of the file that function code 20 reads")
    at: Address | None = Field(None, description="or: first register of the first record")
    fc: Literal[3, 4] | None = Field(None, description="function code that reads registers; the section's otherwise")
    base: Base | None = Field(None, description="what `at` counts from; the section's otherwise")
    numbers: Literal["records", "registers"] = Field(
        "records", description="what record numbers of a file count: whole records, or registers within the file"
    )
    first: Word = Field(0, description="number of the first record, or register, of a file")
    per_file: Annotated[int, Field(ge=1, le=FILE_RECORDS)] | None = Field(
        None, description="records in one file, where the log goes on in the files that follow"
    )
    at_once: Annotated[int, Field(ge=1, le=35)] = Field(
        1, description="records of a file that may be asked for in one request, where numbers count records"
    )
    words: Annotated[int, Field(ge=1, le=MOST_READ_WORDS)] = Field(description="registers of a record")
    stride: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="registers from one record to the next, `words` where not given"
    )
    count: Annotated[int, Field(ge=1, le=FILE_RECORDS)] = Field(description="records that there are room for")
    ring: bool = Field(default=True, description="whether a full log goes on at its first record")
    max_words: Annotated[int, Field(ge=1, le=MOST_READ_WORDS)] | None = Field(
        None, description="most registers in one answer; the section's otherwise"
    )
    newest: Literal["first", "search"] | dict[str, Any] = Field(
        description="first: the first record is the newest and all others move on; search: it is found by the time "
        "stamps; or the register that tells it"
    )
    checksum: LogChecksumEntry | None = Field(None, description="checksum of a record")
    valid: list[Rule] = Field(
        default_factory=list, description="what registers of a record must hold for it to count, as in a variant"
    )

    @field_validator("newest", mode="before")
    @classmethod
    def _tells_where(cls, given: Any) -> Any:
        if given not in ("first", "search") and not isinstance(given, dict):
            raise ValueError("it is first, search, or the register that tells it, with means")
        return given

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.file is None) is (self.at is None):
            raise ValueError("a log lies either in a file or at a register: give file or at")
        if self.file is None:
            for key in ("numbers", "first", "per_file", "at_once"):
                if key in self.model_fields_set:
                    raise ValueError(f"{key} belongs to a log in a file")
        elif self.fc is not None or self.base is not None:
            raise ValueError("fc and base belong to a log in registers")
        elif self.numbers == "registers" and self.at_once != 1:
            raise ValueError("at_once belongs to numbers: records; registers of a file are asked for in one run")
        elif self.numbers == "records" and self.stride is not None:
            raise ValueError("stride belongs to a log whose records lie in registers that are counted")
        if self.file is not None and self.words > MOST_FILE_WORDS:
            raise ValueError(f"function code 20 answers with {MOST_FILE_WORDS} registers at most")
        if self.stride is not None and self.stride < self.words:
            raise ValueError(f"records of {self.words} words cannot follow one another every {self.stride} registers")
        if self.newest == "first" and "ring" in self.model_fields_set:
            raise ValueError("ring does not matter where the first record is the newest")
        return self

    @property
    def spaced(self) -> int:
        """Registers from one record to the next."""
        return self.stride or self.words


class LogEntry(RecordsEntry):
    """One log of values: a record for each period."""

    period: Annotated[str, Field(pattern=f"^{PERIOD}$")] = Field(
        description="time between two records: a number and s, min, h, d or mo"
    )
    time: LogTimeEntry | None = Field(
        None, description="where a record holds its time; without it, one is made at the end of every period"
    )
    values: dict[str, dict[str, Any]] = Field(
        min_length=1,
        description="what a record holds: points of the profile with their register, counted from the record's first",
    )

    @model_validator(mode="after")
    def _is_dated_where_it_is_searched(self) -> Self:
        if self.newest == "search" and self.time is None:
            raise ValueError("the newest record is searched by time stamps: say where a record holds its time")
        return self
