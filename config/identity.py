"""Ids given so far in one load: valid, and each given once."""

from __future__ import annotations

from address_space.model.ids import MAX_UID_LENGTH, RESERVED_UIDS, NodeUid, is_uid
from config.errors import Location, Report

Place = tuple[str, int, int]
"""File, line, column; column 0 is a sheet."""


class Identities:
    """Takes ids one by one and reports those that are not valid or already taken, naming both places."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._taken: dict[str, Place] = {}
        self.refused: set[str] = set()
        """What stood where an id should; a reference to one of these is no further mistake."""

    def take(self, text: str, file: str, line: int, column: int) -> bool:
        """Whether `text` is valid and was free; the caller reports what is wrong otherwise, by `explain`."""
        folded = text.lower()
        if folded == text:
            folded = text
        taken = self._taken
        if folded in taken:
            return False
        taken[folded] = (file, line, column)
        return is_uid(text) and folded not in RESERVED_UIDS

    def explain(self, text: str, at: Location) -> None:
        """Report why `take` refused `text` at this place."""
        self.refused.add(text)
        if not is_uid(text):
            self._report.add(
                at,
                f"{text!r} is not a valid id",
                f"use 1 to {MAX_UID_LENGTH} Latin letters, digits, '_' or '-', without spaces or dots",
            )
        elif text.lower() in RESERVED_UIDS:
            self._report.add(at, f"the id {text!r} is reserved for the hub itself", "choose another id")
        else:
            file, line, column = self._taken[text.lower()]
            first = f"{file}:{line}:{column}" if column else f"{file}, row {line}"
            self._report.add(
                at,
                f"the id {text!r} is already used at {first}",
                "ids are unique in the whole plant and case does not distinguish: choose another",
            )


def as_uid(text: str) -> NodeUid:
    """`text`, already checked, as an id."""
    return NodeUid(text)
