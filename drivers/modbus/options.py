"""Options of a Modbus channel in `plant.yaml`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Options(BaseModel):
    """One TCP connection: a meter with Ethernet, or a gateway with a serial bus behind it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(min_length=1, description="name or address of the meter or gateway")
    port: Annotated[int, Field(ge=1, le=65_535)] = Field(502, description="TCP port")
    framer: Literal["tcp", "rtu"] = Field(
        "tcp", description="tcp: Modbus TCP; rtu: serial frames through a transparent gateway (RTU over TCP)"
    )
    timeout_ms: Annotated[float, Field(gt=0, le=60_000)] = Field(
        1000.0, description="how long an answer may take; longer than the slowest device's slowest answer"
    )
    gap_ms: Annotated[float, Field(ge=0, le=10_000)] | None = Field(
        None,
        description="silence between an answer and the next request, for all devices of the channel; without it each "
        "device gets what its profile asks for (50 to 100 on many serial meters)",
    )
    connect_timeout_ms: Annotated[float, Field(gt=0, le=60_000)] = Field(
        3000.0, description="how long connecting may take"
    )

    @property
    def gap_s(self) -> float | None:
        """Silence in seconds that holds for every device, None where each profile decides."""
        return None if self.gap_ms is None else self.gap_ms / 1000
