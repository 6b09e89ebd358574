"""Errors of the OPC UA server.

HubError
└── OpcUaError
    ├── SeamMoved           the installed asyncua is not the one that the overrides were written for
    └── CertificateProblem  the server's own certificate cannot be made or read
"""

from __future__ import annotations

from address_space.model.errors import HubError


class OpcUaError(HubError):
    """The OPC UA server cannot do what it was asked."""


class SeamMoved(OpcUaError):
    """The installed asyncua is not the one that the overrides were written for."""


class CertificateProblem(OpcUaError):
    """The server's own certificate cannot be made or read."""
