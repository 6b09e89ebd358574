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
    gap_ms: Annotated[float, Field(ge=0, le=10_000)] = Field(
        0.0, description="silence between an answer and the next request; 50 to 100 on most serial buses"
    )
    connect_timeout_ms: Annotated[float, Field(gt=0, le=60_000)] = Field(
        3000.0, description="how long connecting may take"
    )
