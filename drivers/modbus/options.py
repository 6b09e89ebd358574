"""Options of a Modbus channel in `plant.yaml`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from drivers.transport.options import LineOptions, Port


class Options(LineOptions):
    """One line: a meter with Ethernet, a gateway with a serial bus behind it, or a bus at a port of this machine."""

    port: Port | None = Field(502, description="tcp, udp: its port")
    framer: Literal["tcp", "rtu", "ascii"] | None = Field(
        None,
        description="tcp: Modbus TCP, where the transport is tcp or udp and nothing else is said; rtu: serial frames, "
        "also through a transparent gateway (RTU over TCP); ascii: serial frames in hexadecimal",
    )

    @property
    def framing(self) -> Literal["tcp", "rtu", "ascii"]:
        """The framer in force."""
        return self.framer or ("tcp" if self.transport in ("tcp", "udp") else "rtu")
