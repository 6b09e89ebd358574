"""Options of a DL/T 645 channel in `plant.yaml`, and the secrets they point at."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from drivers.errors import ProfileError
from drivers.transport.options import LineOptions, Milliseconds, Parity, ZoneName, zone_of

SERIAL_TIMEOUT_MS = 1500.0
NETWORK_TIMEOUT_MS = 4000.0
"""Gateways and modems add their own delay."""
FACTORY_PASSWORD = "000000"  # noqa: S105 - what nearly every meter leaves the factory with, and no secret
FACTORY_OPERATOR = "00000000"
_REFERENCE = re.compile(r"(env|file):(.+)")
_KEY = re.compile(r"[0-9]{1,2}|[0-9]{12}")


def _reference(text: str) -> str:
    if not _REFERENCE.fullmatch(text):
        raise ValueError("a secret is not written here: say env:NAME or file:PATH of where it is")
    return text


SecretReference = Annotated[str, AfterValidator(_reference)]


class Options(LineOptions):
    """One bus of meters: at a port of this machine, behind a gateway, or one that dials in."""

    parity: Parity = Field(Parity.EVEN, description="parity of the serial line: even unless the meter says otherwise")
    timeout_ms: Milliseconds = Field(
        SERIAL_TIMEOUT_MS,
        description="within what time an answer must begin; 1500 on a serial port, 4000 over a network by default",
    )
    preamble: Annotated[int, Field(ge=0, le=16)] | None = Field(
        None, description="bytes FE before each request; without it what each profile asks for (4)"
    )
    strict: bool = Field(
        default=True,
        description="whether an answer counts only if it carries the meter's own address; false: also with AA for it",
    )
    operator: SecretReference | None = Field(
        None, description="operator code, 8 digits, as env:NAME or file:PATH; 00000000 by default"
    )
    passwords: dict[str, SecretReference] = Field(
        default_factory=dict,
        description="passwords, 6 digits, as env:NAME or file:PATH, by level (2) or by the address of one meter "
        "(12 digits); 000000 by default",
    )
    time_zone: ZoneName = Field(
        "", description="IANA time zone in which the meters' clocks run, where it is not the plant's"
    )

    @model_validator(mode="before")
    @classmethod
    def _patience_of_the_line(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("timeout_ms") is None:
            patience = SERIAL_TIMEOUT_MS if data.get("transport") == "serial" else NETWORK_TIMEOUT_MS
            return {**data, "timeout_ms": patience}
        return data

    @model_validator(mode="before")
    @classmethod
    def _keys_as_text(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and isinstance(data.get("passwords"), Mapping):
            return {**data, "passwords": {_key(key): value for key, value in data["passwords"].items()}}
        return data

    @model_validator(mode="after")
    def _keys_are_levels_or_addresses(self) -> Options:
        for key in self.passwords:
            if not _KEY.fullmatch(key):
                raise ValueError(f"passwords: {key!r} is neither a level (0 to 99) nor an address of 12 digits")
        return self

    @property
    def zone(self) -> ZoneInfo | None:
        """Time zone of the meters' clocks, None where it is not told."""
        return zone_of(self.time_zone)


def _key(key: object) -> str:
    """A level without leading zeros, or an address."""
    text = str(key)
    return text if len(text) > 2 else text.lstrip("0") or "0"


def password_of(options: Options, address: str, level: int) -> str:
    """The password of a meter, six digits: its own, that of the level, or the factory's. Raises ProfileError."""
    reference = options.passwords.get(address) or options.passwords.get(f"{level:X}") or None
    if reference is None:
        return FACTORY_PASSWORD
    return _digits(reference, 6, f"password of level {level:02X}")


def operator_of(options: Options) -> str:
    """The operator code, eight digits. Raises ProfileError."""
    return FACTORY_OPERATOR if options.operator is None else _digits(options.operator, 8, "operator code")


def _digits(reference: str, count: int, what: str) -> str:
    """What the reference leads to; it stands in no error."""
    kind, _, place = reference.partition(":")
    if kind == "env":
        found = os.environ.get(place)
    else:
        try:
            found = Path(place).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            found = None
    if found is None:
        raise ProfileError(f"the {what} cannot be read", where=reference, hint="set the variable or provide the file")
    return checked_digits(found.strip(), count, what, reference)


def checked_digits(text: str, count: int, what: str, where: str) -> str:
    """`text` where it is so many digits; raises ProfileError, which does not show it."""
    if len(text) != count or not (text.isascii() and text.isdecimal()):
        raise ProfileError(f"the {what} must be {count} digits", where=where, hint="leading zeros count")
    return text
