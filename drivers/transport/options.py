"""How a channel reaches its devices: the part of its `options` in `plant.yaml` that all protocols share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

Milliseconds = Annotated[float, Field(gt=0, le=60_000)]
Port = Annotated[int, Field(ge=1, le=65_535)]
Direction = Literal["none", "rts_high", "rts_low"]
Form = Literal["text", "hex"]


def zone_of(name: str) -> ZoneInfo | None:
    """The time zone of that name, None for an empty one; raises ValueError where there is none."""
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):
        raise ValueError(f"unknown time zone {name!r}: use an IANA name (Asia/Tashkent)") from None


def _known_zone(name: str) -> str:
    zone_of(name)
    return name


ZoneName = Annotated[str, AfterValidator(_known_zone)]
"""An IANA name, or nothing."""

_SPEAKS_TO_A_PEER = frozenset({"tcp", "udp"})
_SERIAL = frozenset({"serial"})
_DIALS_IN = frozenset({"dial_in"})
BELONGS_TO: Mapping[str, frozenset[str]] = {
    "host": _SPEAKS_TO_A_PEER,
    "port": _SPEAKS_TO_A_PEER,
    "local_port": frozenset({"udp"}),
    "device": _SERIAL,
    "rs485": _SERIAL,
    "rs485_before_ms": _SERIAL,
    "rs485_after_ms": _SERIAL,
    "listen_host": _DIALS_IN,
    "listen_port": _DIALS_IN,
    "modem": _DIALS_IN,
    "registration": _DIALS_IN,
    "registration_format": _DIALS_IN,
    "registration_reply": _DIALS_IN,
    "registration_timeout_s": _DIALS_IN,
    "heartbeat": _DIALS_IN,
    "heartbeat_format": _DIALS_IN,
    "heartbeat_reply": _DIALS_IN,
    "heartbeat_timeout_s": _DIALS_IN,
}
"""Transports that a key has a meaning for, where those are not all."""

_Value = TypeVar("_Value")


class Parity(Enum):
    """Parity bit of a serial character."""

    NONE = "none"
    EVEN = "even"
    ODD = "odd"


@dataclass(frozen=True, slots=True)
class SerialSettings:
    """Speed and format of a serial line."""

    baud: int = 9600
    parity: Parity = Parity.NONE
    data_bits: int = 8
    stop_bits: float = 1

    @property
    def character_s(self) -> float:
        """Time of one character: start bit, data, parity, stop."""
        return (1 + self.data_bits + (self.parity is not Parity.NONE) + self.stop_bits) / self.baud

    def __str__(self) -> str:
        return f"{self.baud} {self.data_bits}{self.parity.value[0].upper()}{self.stop_bits:g}"


class LineOptions(BaseModel):
    """Where the line is and how patient the hub is on it. `transport` says which of the other keys count."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    transport: Literal["tcp", "udp", "serial", "dial_in"] = Field(
        "tcp",
        description="tcp: connect to a meter or gateway; udp: datagrams; serial: a port of this machine; "
        "dial_in: a modem or gateway that connects to the hub",
    )
    host: str = Field("", description="tcp, udp: name or address of the meter or gateway")
    port: Port | None = Field(None, description="tcp, udp: its port")
    device: str = Field(
        "", description="serial: the port (/dev/ttyUSB0, COM3) or a URL of pySerial (rfc2217://10.0.0.9:2217)"
    )
    local_port: Port | None = Field(None, description="udp: the hub's own port; without it the system chooses one")
    baud: Annotated[int, Field(ge=50, le=4_000_000)] = Field(
        9600, description="speed of the serial line; behind a gateway or modem only reckoned with"
    )
    parity: Parity = Field(Parity.NONE, description="parity of the serial line: none, even, odd")
    data_bits: Literal[7, 8] = Field(8, description="data bits of the serial line")
    stop_bits: Literal[1, 2] = Field(1, description="stop bits of the serial line")
    rs485: Direction = Field(
        "none",
        description="serial: level of RTS while the hub sends (rts_high, rts_low), where the port has an RS-485 driver "
        "that RTS switches; none where the adapter does that itself, as most do",
    )
    rs485_before_ms: Annotated[float, Field(ge=0, le=1000)] = Field(
        0.0, description="serial: pause between switching to send and the first byte"
    )
    rs485_after_ms: Annotated[float, Field(ge=0, le=1000)] = Field(
        0.0, description="serial: pause between the last byte and switching back"
    )
    echo: bool = Field(
        default=False,
        description="whether the line sends everything back that the hub sends, as some two-wire adapters do",
    )
    listen_host: str = Field("0.0.0.0", description="dial_in: address that the hub listens at; 0.0.0.0 is every one")
    listen_port: Port | None = Field(None, description="dial_in: port that modems connect to; channels may share it")
    modem: str = Field("", description="dial_in: id that this channel's modem registers with")
    registration: str = Field(
        r"(?P<id>[0-9A-Za-z_-]{4,32})",
        description="dial_in: regular expression of the first packet, with a group `id` around the id",
    )
    registration_format: Form = Field(
        "text",
        description="dial_in: text where `registration` describes characters, hex where it describes the packet in "
        "capital hexadecimal digits; `registration_reply` is written likewise",
    )
    registration_reply: str = Field("", description="dial_in: what the modem wants to hear after it; empty is nothing")
    registration_timeout_s: Annotated[float, Field(ge=1, le=600)] = Field(
        30.0, description="dial_in: after how long a connection without registration is dropped"
    )
    heartbeat: str = Field(
        "",
        description="dial_in: regular expression of the packets with which the modem says that it is there; taken out "
        "of what arrives. Shorter ones than 4 bytes count only where they arrive alone",
    )
    heartbeat_format: Form | None = Field(
        None, description="dial_in: text or hex for `heartbeat` and its reply; without it as the registration's"
    )
    heartbeat_reply: str = Field("", description="dial_in: what the modem wants to hear after a heartbeat")
    heartbeat_timeout_s: Annotated[float, Field(ge=0, le=86_400)] = Field(
        0.0, description="dial_in: after how long without a byte the connection is dropped; 0 is never"
    )
    timeout_ms: Milliseconds = Field(
        1000.0, description="within what time an answer must begin; longer than the slowest device's slowest answer"
    )
    gap_ms: Annotated[float, Field(ge=0, le=10_000)] | None = Field(
        None,
        description="silence between an answer and the next request, for all devices of the channel; without it each "
        "device gets what its profile asks for (50 to 100 on many serial meters)",
    )
    connect_timeout_ms: Milliseconds = Field(3000.0, description="how long connecting may take")

    @field_validator("*")
    @classmethod
    def _belongs(cls, value: _Value, info: ValidationInfo) -> _Value:
        """A key of another transport is a mistake, not something to pass over."""
        transport, meant = info.data.get("transport"), BELONGS_TO.get(info.field_name or "")
        if transport is not None and meant is not None and transport not in meant:
            raise ValueError(
                f"{info.field_name} belongs to transport {' or '.join(sorted(meant))}, "
                f"this channel's transport is {transport}"
            )
        return value

    @field_validator("registration")
    @classmethod
    def _names_the_id(cls, value: str) -> str:
        if "id" not in _pattern(value).groupindex:
            raise ValueError("the regular expression needs a group `id`, as in (?P<id>[0-9]{11})")
        return value

    @field_validator("heartbeat")
    @classmethod
    def _matches_something(cls, value: str) -> str:
        if value and _pattern(value).fullmatch(""):
            raise ValueError("the regular expression matches nothing at all, and so would be found everywhere")
        return value

    @model_validator(mode="after")
    def _says_where(self) -> LineOptions:
        needed: Mapping[str, tuple[str, ...]] = {
            "tcp": ("host", "port"),
            "udp": ("host", "port"),
            "serial": ("device",),
            "dial_in": ("listen_port", "modem"),
        }
        for key in needed[self.transport]:
            if not getattr(self, key):
                raise ValueError(f"transport {self.transport} needs {key}")
        if self.transport == "dial_in":
            for key, form in (("registration", self.registration_format), ("heartbeat", self.heartbeat_form)):
                reply = getattr(self, f"{key}_reply")
                if form == "hex" and not _is_hex(reply):
                    raise ValueError(f"{key}_reply is no hexadecimal: {reply!r}; write it as 06 or 68 01 16")
                if form == "text" and not reply.isascii():
                    raise ValueError(f"{key}_reply is no ASCII text: {reply!r}; use {key}_format: hex")
        return self

    @property
    def gap_s(self) -> float | None:
        """Silence in seconds that holds for every device, None where each profile decides."""
        return None if self.gap_ms is None else self.gap_ms / 1000

    @property
    def heartbeat_form(self) -> Form:
        """Notation of heartbeats."""
        return self.heartbeat_format or self.registration_format

    @property
    def timeout_s(self) -> float:
        """Patience in seconds."""
        return self.timeout_ms / 1000

    @property
    def serial(self) -> SerialSettings:
        """Speed and format."""
        return SerialSettings(self.baud, self.parity, self.data_bits, self.stop_bits)


def _pattern(text: str) -> re.Pattern[str]:
    if not text.isascii():
        raise ValueError("the regular expression must be ASCII; write bytes as \\x68, or use the format hex")
    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from error


def _is_hex(text: str) -> bool:
    try:
        bytes.fromhex(text)
    except ValueError:
        return False
    return True
