"""The supply relay: control code 1C, and what status word 3 says came of it (DL/T 645-2007 7.14 and annex C)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from address_space.model.state import SwitchState
from drivers.api import Confirmation
from drivers.dlt645.formats import CLOCK
from drivers.dlt645.layout import Relay

CONTROL: Final = 0x1C
STATUS_WORD_3: Final = 0x04000503
ACTIONS: Final[Mapping[str, int]] = {
    "trip": 0x1A,
    "permit_close": 0x1B,
    "close": 0x1C,
    "alarm": 0x2A,
    "alarm_off": 0x2B,
    "keep_power": 0x3A,
    "release_keep_power": 0x3B,
}
"""Operations by the names of profiles."""
_RELAY_OPEN: Final = 1 << 4
_TOLD_OPEN: Final = 1 << 6
_KEEP_POWER: Final = 1 << 12


@dataclass(frozen=True, slots=True)
class Switch:
    """One operation of the relay."""

    action: str

    @property
    def code(self) -> int:
        """N1 of the request."""
        return ACTIONS[self.action]


@dataclass(frozen=True, slots=True)
class Supply:
    """What status word 3 must say: open, closed, ready_to_close, keep_power or no_keep_power."""

    look: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """By what a meter lets itself be written. Numbers are as people write them, the most significant digit first."""

    level: int
    password: str
    operator: str

    def __repr__(self) -> str:
        return f"Credentials(level={self.level:02X}, …)"

    @property
    def password_bytes(self) -> bytes:
        """P0 P1 P2."""
        return bytes.fromhex(self.password)[::-1]

    @property
    def operator_bytes(self) -> bytes:
        """C0 C1 C2 C3."""
        return bytes.fromhex(self.operator)[::-1]

    def head(self, version: str) -> bytes:
        """PA P0 P1 P2, and C0 C1 C2 C3 since 2007."""
        head = bytes([self.level]) + self.password_bytes
        return head + self.operator_bytes if version == "2007" else head


def payload(relay: Relay, code: int, credentials: Credentials, until: datetime | None) -> bytes:
    """Data of the request. `until`: by the meter's clock, may be missing where the payload does not hold it."""
    words = {
        "level": bytes([credentials.level]),
        "password": credentials.password_bytes,
        "operator": credentials.operator_bytes,
        "action": bytes([code]),
        "until": CLOCK.encode(until) if until is not None else b"",
    }
    return b"".join(words[word] if word in words else bytes.fromhex(word) for word in relay.payload)


def switch_state(word: int) -> SwitchState:
    """What the relay is, by status word 3: open although told to close waits for the key at the meter."""
    if not word & _RELAY_OPEN:
        return SwitchState.CLOSED
    return SwitchState.OPEN if word & _TOLD_OPEN else SwitchState.READY_TO_CLOSE


def commanded(word: int) -> SwitchState:
    """What the meter was last told, by status word 3."""
    return SwitchState.OPEN if word & _TOLD_OPEN else SwitchState.CLOSED


def looked(look: str, word: int) -> Confirmation:
    """Whether status word 3 says what it should."""
    state, told = switch_state(word), commanded(word)
    match look:
        case "open":
            reached, moving = state is not SwitchState.CLOSED, told is SwitchState.OPEN
        case "closed":
            reached, moving = state is SwitchState.CLOSED, told is SwitchState.CLOSED
        case "ready_to_close":
            reached, moving = state in (SwitchState.CLOSED, SwitchState.READY_TO_CLOSE), False
        case _:
            reached, moving = bool(word & _KEEP_POWER) is (look == "keep_power"), False
    return Confirmation(reached, described(word), moving and not reached)


def described(word: int) -> str:
    """Status word 3 for a person, as far as it is about supply."""
    state = "relay open" if word & _RELAY_OPEN else "relay closed"
    told = "told to open" if word & _TOLD_OPEN else "told to close"
    waits = ", waits for the key at the meter" if switch_state(word) is SwitchState.READY_TO_CLOSE else ""
    keeps = ", keeps power" if word & _KEEP_POWER else ""
    return f"{state}, {told}{waits}{keeps}"
