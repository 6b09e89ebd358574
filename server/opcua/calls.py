"""Who calls a method, over which channel, in which language: what callbacks may ask (Part 4 5.12)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from asyncua import ua
from asyncua.crypto.permission_rules import User

from address_space.model.quantity import LOCALES
from server.opcua.access import Right

_NONE = ua.NodeId()


class Protection(IntEnum):
    """How a channel is secured; more is greater."""

    NONE = 0
    SIGNED = 1
    ENCRYPTED = 2


@dataclass(frozen=True, slots=True)
class CallContext:
    """One call. `owner` is the id of the unit or node that the method belongs to, empty outside the plant."""

    user: User
    protection: Protection = Protection.NONE
    locale: str = LOCALES[0]
    owner: str = ""
    object_id: ua.NodeId = _NONE
    method_id: ua.NodeId = _NONE
    session_id: ua.NodeId = _NONE

    @property
    def encrypted(self) -> bool:
        """Whether nobody can listen."""
        return self.protection is Protection.ENCRYPTED


Callback = Callable[..., Awaitable[tuple[Any, ...]]]
"""`async callback(owner_id, context, *inputs)` gives the outputs as declared; raises HubError to refuse."""

current_call: ContextVar[CallContext | None] = ContextVar("current_call", default=None)
"""The call being served in this task, None where there is none: for what lies deeper than the callback."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What stands behind a method. `executable` tells for which owners it can run at all."""

    callback: Callback
    right: Right = Right.CONTROL
    protection: Protection = Protection.ENCRYPTED
    executable: Callable[[str], bool] | None = None


def protection_of(mode: ua.MessageSecurityMode) -> Protection:
    """What a security mode gives."""
    if mode == ua.MessageSecurityMode.SignAndEncrypt:
        return Protection.ENCRYPTED
    return Protection.SIGNED if mode == ua.MessageSecurityMode.Sign else Protection.NONE
