"""What stands at the other end of each channel of a plant, so that simulated meters can stand there."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from drivers.simulators import BusEndpoint, Datagrams, Endpoint, Framing, Gateway, Modem, Terminal
from drivers.transport import LineOptions, SerialSettings
from drivers.transport.packets import Rules
from server.assembly import Bus
from server.errors import SimulationMistake
from server.simulated_faults import number

TURNAROUND_S: Final = 0.03
"""Silence between a request and its answer on simulated serial lines."""
HEARTBEAT_S: Final = 30.0
_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
"""Whom to call where the hub listens at every address."""
_GROUP: Final = "(?P<id>"
_ESCAPED: Final = re.compile(r"\\(x[0-9A-Fa-f]{2}|.)")
_SPECIAL: Final = re.compile(r"[.^$*+?{}\[\]|()]")
_CONTROLS: Final = {"r": "\r", "n": "\n", "t": "\t"}
_MODEM_KEYS: Final = ("registration", "heartbeat", "heartbeat_s", "redial_s")

End = Endpoint | BusEndpoint


def far_ends(
    buses: Sequence[Bus], protocols: Mapping[str, Collection[str]], simulation: Mapping[str, Any]
) -> dict[str, End]:
    """By channel; channels that lead to one port share it. `protocols` are those of each channel's meters.

    Raises SimulationMistake where nothing can be simulated there.
    """
    modems = _modems(simulation, {bus.config.id for bus in buses})
    made: dict[tuple[str, ...], End] = {}
    found: dict[str, End] = {}
    for bus in buses:
        name, options = bus.config.id, bus.options
        if not isinstance(options, LineOptions):
            raise SimulationMistake(
                f"the driver {bus.plugin.name!r} of the channel {name!r} has no simulated meters",
                hint="choose the other channels with --channel",
            )
        end = _end(bus, options, protocols[name], modems.get(name, {}))
        place = (options.transport, options.host, str(options.port), options.device, options.modem)
        shared = found[name] = made.setdefault(place, end)
        if (type(shared), shared.framing) != (type(end), end.framing):
            raise SimulationMistake(
                f"the channels {shared.name!r} and {name!r} share {options.host}:{options.port} with different framers "
                "or protocols",
                hint="give both the same framer, or make them one channel with the driver mixed",
            )
    return found


def _end(bus: Bus, options: LineOptions, protocols: Collection[str], modem: Mapping[str, Any]) -> End:
    name = bus.config.id
    framing = _framing(options) if "modbus" in protocols else Framing.RTU
    if options.transport == "tcp" and bus.plugin.name == "modbus":
        return Endpoint(options.host, options.port or 0, framing, name)
    settings = _settings(options, protocols)
    if framing is Framing.TCP:
        settings = None
    at: Gateway | Datagrams | Terminal | Modem
    match options.transport:
        case "tcp":
            at = Gateway(options.host, options.port or 0)
        case "udp":
            at = Datagrams(options.host, options.port or 0)
        case "serial":
            if "://" in options.device:
                raise SimulationMistake(
                    f"no port can be simulated at {options.device}",
                    where=f"plant.yaml: channels.{name}",
                    hint="write device as a path (var/ports/bus1), or use the transport tcp",
                )
            at = Terminal(Path(options.device))
        case "dial_in":
            at = _modem(name, options, modem)
    return BusEndpoint(at, name, settings, TURNAROUND_S if settings else 0.0, options.echo, framing)


def _framing(options: LineOptions) -> Framing:
    part = getattr(options, "part", None)
    modbus = options if part is None else part("modbus")
    return Framing(getattr(modbus, "framing", Framing.RTU.value))


def _settings(options: LineOptions, protocols: Collection[str]) -> SerialSettings | None:
    """Speed and format of the bus; None, for no time at all, where its protocols have different ones."""
    part = getattr(options, "part", None)
    if part is None:
        return options.serial
    settings = {part(protocol).serial for protocol in protocols}
    return settings.pop() if len(settings) == 1 else None


def _modems(simulation: Mapping[str, Any], channels: Collection[str]) -> dict[str, Mapping[str, Any]]:
    """What `simulation.modems` says by channel; raises SimulationMistake."""
    given = simulation.get("modems") or {}
    where = "plant.yaml: simulation.modems"
    if not isinstance(given, Mapping):
        raise SimulationMistake("modems are written by channel", where=where, hint='write {channel: {heartbeat: "@"}}')
    for channel, section in given.items():
        place = f"{where}.{channel}"
        if not isinstance(section, Mapping) or set(section) - set(_MODEM_KEYS):
            raise SimulationMistake("this is no modem", where=place, hint=f"its settings are {', '.join(_MODEM_KEYS)}")
    return {channel: section for channel, section in given.items() if channel in channels}


def _modem(channel: str, options: LineOptions, given: Mapping[str, Any]) -> Modem:
    rules = Rules.of(options)
    where = f"plant.yaml: simulation.modems.{channel}"
    told = given.get("registration")
    pattern = rules.registration if told is None else re.escape(str(told))
    registration = _packet(pattern, options.registration_format, options.modem)
    heard = rules.registrations().find(registration or b"")
    if registration is None or heard is None or rules.same_id(heard.id) != rules.same_id(options.modem):
        raise SimulationMistake(
            f"what the modem {options.modem!r} would register with does not follow from {rules.registration!r}",
            where=where,
            hint="write the packet there as `registration`",
        )
    return Modem(
        _LOOPBACK.get(options.listen_host, options.listen_host),
        options.listen_port or 0,
        registration,
        _heartbeat(rules, given, where),
        number(given.get("heartbeat_s", min(HEARTBEAT_S, rules.heartbeat_timeout_s / 3 or HEARTBEAT_S)), where),
        number(given.get("redial_s", 2.0), where),
    )


def _heartbeat(rules: Rules, given: Mapping[str, Any], where: str) -> bytes:
    look = rules.heartbeats()
    if look is None:
        return b""
    told = given.get("heartbeat")
    pattern = rules.heartbeat if told is None else re.escape(str(told))
    packet = _packet(pattern, rules.heartbeat_format, "")
    if packet is None or look.find(packet) is None:
        raise SimulationMistake(
            f"what the modem would send as a heartbeat does not follow from {rules.heartbeat!r}",
            where=where,
            hint="write the packet there as `heartbeat`",
        )
    return packet


def _packet(pattern: str, form: str, id: str) -> bytes | None:  # noqa: A002 - as packets call it
    """The packet that a regular expression describes, with this id; None where it describes many."""
    text = _with_id(pattern, re.escape(id))
    plain = _ESCAPED.sub("", text)
    if _SPECIAL.search(plain.removeprefix("^").removesuffix("$")):
        return None
    written = _ESCAPED.sub(_meant, text.removeprefix("^").removesuffix("$"))
    if form == "text":
        return written.encode("latin-1", "replace")
    try:
        return bytes.fromhex(written)
    except ValueError:
        return None


def _with_id(pattern: str, id: str) -> str:  # noqa: A002 - as packets call it
    """The pattern with an id instead of the group around it; as it is where there is no whole group."""
    begin = pattern.find(_GROUP)
    depth, at = 1, begin + len(_GROUP)
    in_class = False
    while begin >= 0 and at < len(pattern):
        sign = pattern[at]
        in_class = (in_class or sign == "[") and sign != "]"
        depth += 0 if in_class else (sign == "(") - (sign == ")")
        if depth == 0:
            return pattern[:begin] + id + pattern[at + 1 :]
        at += 2 if sign == "\\" else 1
    return pattern


def _meant(found: re.Match[str]) -> str:
    escaped = found.group(1)
    if len(escaped) == 3:
        return chr(int(escaped[1:], 16))
    return _CONTROLS.get(escaped, escaped)
