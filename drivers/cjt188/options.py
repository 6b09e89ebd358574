"""Options of a CJ/T 188 channel in `plant.yaml`."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field

from drivers.transport.options import LineOptions, Milliseconds, Parity, ZoneName, zone_of


class Options(LineOptions):
    """One bus: RS-485, or M-Bus behind a level converter, directly or behind a gateway."""

    baud: Annotated[int, Field(ge=50, le=4_000_000)] = Field(2400, description="speed of the serial line")
    parity: Parity = Field(Parity.EVEN, description="parity of the serial line: none, even, odd")
    timeout_ms: Milliseconds = Field(
        2000.0, description="within what time an answer must begin; battery meters need up to two seconds"
    )
    gap_ms: Annotated[float, Field(ge=0, le=10_000)] | None = Field(
        200.0, description="silence between an answer and the next request, for all devices of the channel"
    )
    preamble: Annotated[int, Field(ge=0, le=40)] = Field(3, description="bytes FE before each request")
    wake_up_ms: Annotated[float, Field(ge=0, le=5000)] = Field(
        0.0, description="how long the wake-up byte is sent before each request, for meters that sleep"
    )
    wake_up_byte: Annotated[int, Field(ge=0, le=255)] = Field(
        0xFE, description="byte that wakes a sleeping meter (0xFE, 0x00, 0x55)"
    )
    time_zone: ZoneName = Field(
        "", description="IANA time zone in which the meters' clocks run; without it the plant's"
    )

    @property
    def wake_up(self) -> bytes:
        """Bytes before the preamble, as many as the line sends in the time."""
        return bytes((self.wake_up_byte,)) * round(self.wake_up_ms / 1000 / self.serial.character_s)

    @property
    def zone(self) -> ZoneInfo | None:
        """Time zone of the meters' clocks, None where it is not told."""
        return zone_of(self.time_zone)
