"""Errors of the address space.

HubError
└── NodesError
    ├── TypeModelError    the declared type model contradicts itself or its frozen ids
    └── ExportError       a node set cannot be written
"""

from __future__ import annotations

from address_space.model.errors import HubError


class NodesError(HubError):
    """The address space cannot be built as asked."""


class TypeModelError(NodesError):
    """The declared type model contradicts itself, or a declared node has no frozen id."""


class ExportError(NodesError):
    """A node set cannot be written."""
