"""Packets by which modems say who they are and that they are there: how they look, and how to take them out of a
stream of other bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from drivers.transport.options import Form, LineOptions

SHORT = 4
"""A heartbeat of fewer bytes may well be part of an answer: it counts only where nothing else came with it."""
_SPECIAL = frozenset(r"\.^$*+?{}[]|()")


@dataclass(frozen=True, slots=True)
class Found:
    """A packet in a stream, and the id in it."""

    start: int
    end: int
    id: str = ""


class Packet:
    """What a kind of packet looks like, written as text or as hexadecimal digits, and what to reply to it."""

    __slots__ = ("_literal", "_look", "_width", "reply")

    def __init__(self, pattern: str, form: Form, reply: str) -> None:
        hexadecimal = form == "hex"
        self._look = re.compile(pattern.encode("ascii"))
        self._width = 2 if hexadecimal else 1
        self._literal = _literal(pattern, form)
        self.reply = bytes.fromhex(reply) if hexadecimal else reply.encode("ascii")

    def find(self, data: bytes) -> Found | None:
        """The first such packet of at least one byte in `data`."""
        return next(self._each(data), None)

    def strip(self, data: bytes) -> tuple[bytes, int]:
        """`data` without such packets, and how many there were."""
        kept: list[bytes] = []
        at, count, short = 0, 0, False
        for found in self._each(data):
            kept.append(data[at : found.start])
            short |= found.end - found.start < SHORT
            at = found.end
            count += 1
        if not count:
            return data, 0
        kept.append(data[at:])
        rest = b"".join(kept)
        return (data, 0) if short and rest else (rest, count)

    def begun(self, data: bytes) -> int:
        """How many of the last bytes of `data` may be the beginning of such a packet; only where all are alike."""
        most = min(len(self._literal) - 1, len(data))
        return next((size for size in range(most, 1, -1) if data.endswith(self._literal[:size])), 0)

    def _each(self, data: bytes) -> Iterator[Found]:
        width = self._width
        text = data.hex().upper().encode() if width == 2 else data
        at = 0
        while at < len(text) and (match := self._look.search(text, at)) is not None:
            start, end = match.span()
            if end > start and not start % width and not end % width:
                id = (match.groupdict().get("id") or b"").decode("ascii", "backslashreplace")  # noqa: A001
                yield Found(start // width, end // width, id)
                at = end
            else:
                at = start + 1


@dataclass(frozen=True, slots=True)
class Rules:
    """How modems on one port behave, as the channels on it say; all of them must say the same."""

    registration: str
    registration_format: Form
    registration_reply: str
    registration_timeout_s: float
    heartbeat: str
    heartbeat_format: Form
    heartbeat_reply: str
    heartbeat_timeout_s: float

    @classmethod
    def of(cls, options: LineOptions) -> Self:
        """The rules in a channel's options."""
        return cls(
            options.registration,
            options.registration_format,
            options.registration_reply,
            options.registration_timeout_s,
            options.heartbeat,
            options.heartbeat_form,
            options.heartbeat_reply,
            options.heartbeat_timeout_s,
        )

    def registrations(self) -> Packet:
        """What registrations look like."""
        return Packet(self.registration, self.registration_format, self.registration_reply)

    def heartbeats(self) -> Packet | None:
        """What heartbeats look like, None where there are none."""
        return Packet(self.heartbeat, self.heartbeat_format, self.heartbeat_reply) if self.heartbeat else None

    def same_id(self, written: str) -> str:
        """An id of the configuration as it is found in a packet."""
        return written.replace(" ", "").upper() if self.registration_format == "hex" else written


def _literal(pattern: str, form: Form) -> bytes:
    """The one packet that the pattern describes; empty where it describes many."""
    if not _SPECIAL.isdisjoint(pattern):
        return b""
    if form == "text":
        return pattern.encode("ascii")
    try:
        return bytes.fromhex(pattern)
    except ValueError:
        return b""
