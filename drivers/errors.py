"""Errors of reading and switching devices: what failed, whether trying again can help, and what points then show.

HubError
├── ScheduleError       a schedule that never comes or cannot be understood
└── DriverError         retryable, reason
    ├── ChannelDown     the line or port cannot be used; open it again
    ├── NoAnswer        the device stayed silent for its whole deadline
    ├── BadFrame        something arrived that is no answer to what was asked
    ├── DeviceRefused   the device answered with an error code of its protocol
    └── ProfileError    a profile contradicts itself or its protocol
"""

from __future__ import annotations

from collections.abc import Iterable

from address_space.model.errors import HubError
from address_space.model.quality import Reason


class ScheduleError(HubError):
    """A schedule that never comes or cannot be understood."""


class DriverError(HubError):
    """A failure of a driver: `retryable` is for the poller, `reason` for the points concerned."""

    retryable: bool = False
    reason: Reason = Reason.DEVICE_ERROR


class ChannelDown(DriverError):
    """The line or port cannot be used."""

    retryable = True
    reason = Reason.NOT_CONNECTED


class NoAnswer(DriverError):
    """The device stayed silent for its whole deadline."""

    retryable = True
    reason = Reason.TIMEOUT


class BadFrame(DriverError):
    """Something arrived that is no answer to what was asked: wrong length, checksum, unit or function."""

    retryable = True
    reason = Reason.BAD_FRAME


class DeviceRefused(DriverError):
    """The device answered with `code`, an error of its own protocol; the protocol says what that means."""

    def __init__(
        self,
        what: str,
        *,
        code: int,
        reason: Reason = Reason.DEVICE_ERROR,
        retryable: bool = False,
        where: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.code = code
        self.reason = reason
        self.retryable = retryable


class ProfileError(DriverError):
    """A profile contradicts itself or its protocol. `mistakes` holds each one found, this one alone by default."""

    reason = Reason.MISCONFIGURED

    def __init__(
        self, what: str, *, where: str = "", hint: str = "", mistakes: Iterable[ProfileError] | None = None
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.mistakes: tuple[ProfileError, ...] = tuple(mistakes) if mistakes is not None else (self,)

    def __str__(self) -> str:
        if self.mistakes == (self,):
            return super().__str__()
        return "\n".join(str(mistake) for mistake in self.mistakes)

    @classmethod
    def of(cls, mistakes: Iterable[ProfileError]) -> ProfileError:
        """One error for all `mistakes` (at least one); the only one itself where it is alone."""
        found = tuple(one for mistake in mistakes for one in mistake.mistakes)
        if len(found) == 1:
            return found[0]
        return cls(f"{len(found)} mistakes", mistakes=found)
