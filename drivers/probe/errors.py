"""Errors of commissioning.

HubError
└── ProbeMistake    what was asked for cannot be done, or makes no sense
"""

from __future__ import annotations

from address_space.model.errors import HubError


class ProbeMistake(HubError):
    """What was asked for cannot be done, or makes no sense."""
