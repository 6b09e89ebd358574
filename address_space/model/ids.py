"""Identifiers: what is stable and stored, and what is local to the process."""

from __future__ import annotations

import re
from typing import NewType

from address_space.model.errors import InvalidId

NodeUid = NewType("NodeUid", str)
"""Immutable id of a hierarchy node or unit, given by the plant engineer; unique in the plant ignoring case."""

PointId = NewType("PointId", str)
"""Stable id of one variable of a unit: `<uid>.<Quantity path>`, for example `m0042.ActiveEnergyImport`."""

PointHandle = NewType("PointHandle", int)
"""Dense index into the live table; local to the process, never stored."""

UnitHandle = NewType("UnitHandle", int)
"""Dense index of a metering unit; local to the process, never stored."""

MAX_UID_LENGTH = 120
UID_PATTERN = r"[A-Za-z0-9_-]{1,120}"
_UID = re.compile(UID_PATTERN)

RESERVED_UIDS = frozenset({"root", "system", "by-medium", "by-line"})
"""Ids the hub itself uses in the plant's namespace."""


def is_uid(text: str) -> bool:
    """Whether `text` obeys the rule for ids: 1 to 120 of letters, digits, `_` and `-` (ASCII)."""
    return _UID.fullmatch(text) is not None


def uid(text: str) -> NodeUid:
    """`text` as an id; raises `InvalidId` where it breaks the rule or is reserved for the hub itself."""
    if not is_uid(text):
        raise InvalidId(
            f"{text!r} is not a valid id",
            hint=f"use 1 to {MAX_UID_LENGTH} letters, digits, '_' or '-', without spaces or dots",
        )
    if text.lower() in RESERVED_UIDS:
        raise InvalidId(f"the id {text!r} is reserved for the hub itself", hint="choose another id")
    return NodeUid(text)


def point_id(unit: NodeUid, path: str) -> PointId:
    """Id of the variable `path` (as in `Quantity.path`) of `unit`."""
    return PointId(f"{unit}.{path}")


def split_point_id(point: str) -> tuple[NodeUid, str]:
    """Unit id and variable path of a point id; the path is empty where there is no dot."""
    unit, _, path = point.partition(".")
    return NodeUid(unit), path
