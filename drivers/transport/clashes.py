"""Channels that cannot stand side by side: two on one serial port, two with one modem, two sets of rules on a port."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from drivers.transport.options import LineOptions
from drivers.transport.packets import Rules

_PRIVATE = "loop://"
"""A port of pySerial that every opening has for itself."""


@dataclass(frozen=True, slots=True)
class Clash:
    """What is wrong with the option `key` of `channel`, seen beside the channel `other`."""

    channel: str
    other: str
    key: str
    what: str
    hint: str


def clash(channel: str, options: LineOptions, others: Mapping[str, LineOptions]) -> Clash | None:
    """The first reason why a channel cannot stand beside `others`."""
    for other, theirs in others.items():
        if other == channel or theirs.transport != options.transport:
            continue
        if options.transport == "serial":
            if options.device == theirs.device and not options.device.startswith(_PRIVATE):
                return Clash(
                    channel,
                    other,
                    "device",
                    f"the channels {other!r} and {channel!r} use one port, {options.device}",
                    "put the meters on one channel; driver mixed reads several protocols on one bus",
                )
        elif options.transport == "dial_in" and options.listen_port == theirs.listen_port:
            found = _clash_of_modems(channel, options, other, theirs)
            if found is not None:
                return found
    return None


def clashes(lines: Mapping[str, LineOptions]) -> list[Clash]:
    """Every channel that cannot stand beside those before it."""
    found: list[Clash] = []
    seen: dict[str, LineOptions] = {}
    for channel, options in lines.items():
        trouble = clash(channel, options, seen)
        if trouble is not None:
            found.append(trouble)
        else:
            seen[channel] = options
    return found


def _clash_of_modems(channel: str, options: LineOptions, other: str, theirs: LineOptions) -> Clash | None:
    both = f"the channels {other!r} and {channel!r} share the port {options.listen_port}"
    if options.listen_host != theirs.listen_host:
        what = f"{both} but listen at {theirs.listen_host} and {options.listen_host}"
        return Clash(channel, other, "listen_host", what, "give both the same listen_host")
    ours, others = Rules.of(options), Rules.of(theirs)
    for key in Rules.__slots__:
        if getattr(ours, key) != getattr(others, key):
            what = f"{both} but differ in {key}: {getattr(others, key)!r} and {getattr(ours, key)!r}"
            return Clash(channel, other, key, what, f"give both the same {key}, or ports of their own")
    if ours.same_id(options.modem) == others.same_id(theirs.modem):
        what = f"{both} and the modem {options.modem!r}"
        return Clash(channel, other, "modem", what, "give each channel the id of its own modem")
    return None
