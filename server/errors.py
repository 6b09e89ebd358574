"""Errors of the running hub and of the command line.

HubError
└── ServerError
    ├── CannotListen        the OPC UA server cannot have its address or port
    ├── DataUnwritable      the data folder cannot be used
    │   └── DataInUse       another process writes to it
    ├── PartFailed          a part of the running hub failed for good
    ├── CannotWrite         a file that a command was asked for cannot be written
    ├── SimulationMistake   the section `simulation` asks for what the simulators cannot do
    ├── MetersFailed        the simulated meters cannot listen, or did not start
    └── CommandNotDone      a device did not do what it was told, or nobody knows whether it did
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from address_space.model import HubError
from address_space.model.quality import Reason


class ServerError(HubError):
    """The hub or one of its commands cannot go on."""


class CannotListen(ServerError):
    """The OPC UA server cannot have its address or port."""


class DataUnwritable(ServerError):
    """The data folder cannot be used."""


class DataInUse(DataUnwritable):
    """Another process writes to the data folder."""


class PartFailed(ServerError):
    """A part of the running hub failed for good; the log has the details."""


class CannotWrite(ServerError):
    """A file that a command was asked for cannot be written."""


class SimulationMistake(ServerError):
    """The section `simulation` of `plant.yaml` asks for something that the simulators cannot do."""


class MetersFailed(ServerError):
    """The simulated meters cannot listen, or did not start."""


class CommandNotDone(ServerError):
    """A device did not do what it was told, or nobody knows whether it did; `reason` is what a client is told."""

    def __init__(self, what: str, *, reason: Reason = Reason.DEVICE_ERROR, where: str = "", hint: str = "") -> None:
        super().__init__(what, where=where, hint=hint)
        self.reason = reason


def causes(error: BaseException) -> Iterator[BaseException]:
    """The errors inside a group of groups, in order; an error that is no group is its own cause."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from causes(inner)
    else:
        yield error


def reason_of(error: OSError) -> str:
    """What the operating system said, in its own few words."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return (error.strerror or str(error)).lower()
