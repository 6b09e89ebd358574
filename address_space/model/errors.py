"""Errors of the plant model, and the root of every error in the hub.

HubError
└── ModelError
    ├── InvalidId         an identifier breaks the naming rule
    ├── DuplicateId       two things carry the same identifier
    ├── UnknownId         a reference points at nothing
    └── HierarchyCycle    a node is its own ancestor
"""

from __future__ import annotations


class HubError(Exception):
    """An error told to a person: what is wrong, where, and what to do next."""

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}; {self.hint}" if self.hint else text


class ModelError(HubError):
    """The plant model was asked for something it cannot be."""


class InvalidId(ModelError):
    """An identifier breaks the naming rule of `address_space.model.ids`."""


class DuplicateId(ModelError):
    """Two things in one plant carry the same identifier (case does not distinguish)."""


class UnknownId(ModelError):
    """An identifier names nothing in this plant."""


class HierarchyCycle(ModelError):
    """A hierarchy node is its own ancestor."""
