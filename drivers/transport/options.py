"""How a channel reaches its devices: the part of its `options` in `plant.yaml` that all protocols share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Milliseconds = Annotated[float, Field(gt=0, le=60_000)]
Port = Annotated[int, Field(ge=1, le=65_535)]


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
    baud: Annotated[int, Field(ge=50, le=4_000_000)] = Field(9600, description="speed of the serial line")
    parity: Parity = Field(Parity.NONE, description="parity of the serial line: none, even, odd")
    data_bits: Literal[7, 8] = Field(8, description="data bits of the serial line")
    stop_bits: Literal[1, 2] = Field(1, description="stop bits of the serial line")
    timeout_ms: Milliseconds = Field(
        1000.0, description="within what time an answer must begin; longer than the slowest device's slowest answer"
    )
    gap_ms: Annotated[float, Field(ge=0, le=10_000)] | None = Field(
        None,
        description="silence between an answer and the next request, for all devices of the channel; without it each "
        "device gets what its profile asks for (50 to 100 on many serial meters)",
    )
    connect_timeout_ms: Milliseconds = Field(3000.0, description="how long connecting may take")

    @model_validator(mode="after")
    def _says_where(self) -> LineOptions:
        if self.transport in ("tcp", "udp"):
            if not self.host:
                raise ValueError(f"transport {self.transport} needs host")
            if self.port is None:
                raise ValueError(f"transport {self.transport} needs port")
        if self.transport == "serial" and not self.device:
            raise ValueError("transport serial needs device")
        return self

    @property
    def gap_s(self) -> float | None:
        """Silence in seconds that holds for every device, None where each profile decides."""
        return None if self.gap_ms is None else self.gap_ms / 1000

    @property
    def timeout_s(self) -> float:
        """Patience in seconds."""
        return self.timeout_ms / 1000

    @property
    def serial(self) -> SerialSettings:
        """Speed and format."""
        return SerialSettings(self.baud, self.parity, self.data_bits, self.stop_bits)
