"""Who may do what. The one place that services ask, on every request, before they look at anything.

Without a source of users only anonymous clients exist, and only where the settings let them in; they may look and
change nothing. There is no default user and no default password.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Protocol

import numpy as np
from asyncua.crypto.permission_rules import User, UserRole
from numpy.typing import NDArray

from address_space.model.value import Handles


class Right(Enum):
    """What a request needs."""

    LOOK = auto()
    """Browse, read, subscribe."""
    HISTORY = auto()
    CONTROL = auto()
    """Write and call methods."""


_ANONYMOUS = frozenset({Right.LOOK, Right.HISTORY})


@dataclass
class HubUser(User):  # type: ignore[misc]  # asyncua's own class has no types
    """A client's user. `identity` tells users apart: a session can only be taken over by the same."""

    identity: tuple[str, ...] = ("anonymous",)
    rights: frozenset[Right] = _ANONYMOUS


class Users(Protocol):
    """Where users come from."""

    def authenticate(self, username: str, password: str) -> HubUser | None:
        """The user with this name and password, or None."""


class SessionPolicy:
    """Admission of users and their rights; also the `user_manager` that asyncua asks at ActivateSession."""

    def __init__(self, *, allow_anonymous: bool, users: Users | None = None) -> None:
        self.allow_anonymous = allow_anonymous
        self.users = users

    def get_user(
        self,
        iserver: Any,  # noqa: ARG002  # asyncua's signature
        username: str | None = None,
        password: str | None = None,
        certificate: Any = None,  # noqa: ARG002
    ) -> HubUser | None:
        """The user of an identity token, None to refuse it."""
        if username is None:
            return HubUser(role=UserRole.Anonymous, name="anonymous") if self.allow_anonymous else None
        return self.users.authenticate(username, password or "") if self.users is not None else None

    def may(self, user: User, right: Right) -> bool:
        """Whether the user has a right at all."""
        return isinstance(user, HubUser) and right in user.rights

    def visible(self, user: User, handles: Handles) -> NDArray[np.bool_] | None:  # noqa: ARG002
        """Which points exist for this user, shape as `handles`; None is all of them."""
        return None

    def sees(self, user: User, handles: Sequence[int]) -> bool:
        """Whether all of a few points exist for this user."""
        mask = self.visible(user, np.array(handles, np.int64))
        return mask is None or bool(mask.all())
