"""Errors of the OPC UA server.

HubError
└── OpcUaError
    ├── SeamMoved           the installed asyncua is not the one that the overrides were written for
    ├── CertificateProblem  the server's own certificate cannot be made or read
    ├── PatternError        a pattern of the filter operator Like cannot be understood
    ├── TooMuchHistory      one interval of a history read has more values than are read at once
    ├── NoContinuationPoint one request would need more continuation points than a session may have
    └── CallRefused         a method cannot be called like this; status tells the client why
"""

from __future__ import annotations

from collections.abc import Sequence

from address_space.model.errors import HubError


class OpcUaError(HubError):
    """The OPC UA server cannot do what it was asked."""


class SeamMoved(OpcUaError):
    """The installed asyncua is not the one that the overrides were written for."""


class CertificateProblem(OpcUaError):
    """The server's own certificate cannot be made or read."""


class PatternError(OpcUaError):
    """A pattern of the filter operator Like cannot be understood."""


class TooMuchHistory(OpcUaError):
    """One interval of a history read has more values than are read at once."""


class NoContinuationPoint(OpcUaError):
    """One request would need more continuation points than a session may have."""


class CallRefused(OpcUaError):
    """A method cannot be called like this. `status` is the client's answer; `arguments` has one code for each input."""

    def __init__(
        self, status: int, what: str, *, arguments: Sequence[int] = (), where: str = "", hint: str = ""
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.status = status
        self.arguments = tuple(arguments)
