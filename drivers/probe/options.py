"""Where a line is that nobody has described yet: one word on the command line, and a few options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import ValidationError

from drivers.cjt188.options import Options as Cjt188Options
from drivers.dlt645.options import Options as Dlt645Options
from drivers.modbus.options import Options as ModbusOptions
from drivers.probe.errors import ProbeMistake
from drivers.transport import LineOptions

MODBUS_PORT: Final = 502
DIAL_IN_S: Final = 60.0
"""How long a modem is waited for."""
_PEER: Final = re.compile(r"(?:(?P<kind>tcp|udp)://)?(?P<host>\[[0-9a-fA-F:]+\]|[^/:\[\]]+)(?::(?P<port>[0-9]+))?")
_MODEM: Final = re.compile(r"dial-in://(?P<host>[^/:]*):(?P<port>[0-9]+)/(?P<modem>.+)")
_PORT_NAME: Final = re.compile(r"/.*|\./.*|COM[0-9]+|(rfc2217|socket|loop|spy|hwgrep)://.*", re.IGNORECASE)
_HINT: Final = "give host:port, udp://host:port, /dev/ttyUSB0, rfc2217://host:port or dial-in://0.0.0.0:port/MODEM"


def line_options(target: str, given: Mapping[str, Any]) -> LineOptions:
    """Options of the line at `target`; `given` holds further ones by their names, None where not given.

    Raises ProbeMistake.
    """
    found: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    modem = _MODEM.fullmatch(target)
    peer = _PEER.fullmatch(target)
    if modem is not None:
        found |= {
            "transport": "dial_in",
            "listen_host": modem["host"] or "0.0.0.0",
            "listen_port": int(modem["port"]),
            "modem": modem["modem"],
            "connect_timeout_ms": DIAL_IN_S * 1000,
        }
    elif _PORT_NAME.fullmatch(target):
        found |= {"transport": "serial", "device": target}
    elif peer is not None:
        found |= {
            "transport": peer["kind"] or "tcp",
            "host": peer["host"].strip("[]"),
            "port": int(peer["port"] or MODBUS_PORT),
        }
    else:
        raise ProbeMistake(f"{target!r} is no line", hint=_HINT)
    try:
        return LineOptions.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        what = str(first["msg"]).removeprefix("Value error, ")
        key = ".".join(map(str, first["loc"]))
        raise ProbeMistake(f"{key}: {what}" if key else what, where=target, hint=_HINT) from error


def modbus_options(framer: Literal["tcp", "rtu", "ascii"], timeout_s: float) -> ModbusOptions:
    """Options for a driver that is handed its line."""
    return ModbusOptions(transport="serial", device="probe", framer=framer, timeout_ms=timeout_s * 1000)


def dlt645_options(timeout_s: float) -> Dlt645Options:
    """Options for a driver that is handed its line."""
    return Dlt645Options(transport="serial", device="probe", timeout_ms=timeout_s * 1000, strict=False)


def cjt188_options(timeout_s: float) -> Cjt188Options:
    """Options for a driver that is handed its line."""
    return Cjt188Options(transport="serial", device="probe", timeout_ms=timeout_s * 1000)
