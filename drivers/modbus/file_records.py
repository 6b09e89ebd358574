"""Records of files (Application Protocol 1.1b3, 6.14, function code 20): what is asked, and how answers are judged."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Final

READ_FILE: Final = 20
REFERENCE: Final = 6
"""The only reference type there is."""
MOST_BYTES: Final = 0xF5
"""Most bytes of requests or answers that one frame counts."""
GROUP_REQUEST: Final = 7
GROUP_HEAD: Final = 2
"""Bytes of a group in an answer before its data: its length, the reference type."""


@dataclass(frozen=True, slots=True, order=True)
class Group:
    """A run of registers: file, number of the first record in the device's own counting, how many registers."""

    file: int
    number: int
    words: int

    @property
    def answer_size(self) -> int:
        """Bytes that an answer takes for it."""
        return GROUP_HEAD + 2 * self.words


@dataclass(frozen=True, slots=True)
class FileRead:
    """One request of function code 20."""

    groups: tuple[Group, ...]

    @property
    def words(self) -> int:
        """Registers of all groups."""
        return sum(group.words for group in self.groups)

    @property
    def answer_size(self) -> int:
        """What an answer must say that it counts."""
        return sum(group.answer_size for group in self.groups)

    def __str__(self) -> str:
        runs = (
            f"file {file} record {'+'.join(str(group.number) for group in groups)}"
            for file, groups in groupby(self.groups, key=lambda group: group.file)
        )
        return f"FC{READ_FILE} {', '.join(runs)} x {self.groups[0].words}"


def wrong_groups(words: tuple[int, ...], data: bytes) -> str:
    """What is wrong with the groups in an answer, given how many registers each must hold; empty where nothing is."""
    at = 0
    for place, count in enumerate(words, 1):
        if len(data) < at + GROUP_HEAD:
            return f"only {place - 1} of {len(words)} records came"
        length, reference = data[at], data[at + 1]
        if reference != REFERENCE:
            return f"record {place} has the reference type {reference} instead of {REFERENCE}"
        if length != 1 + 2 * count:
            return f"record {place} has {length - 1} bytes where {2 * count} were asked for"
        at += 1 + length
    return "" if at == len(data) else f"{len(data) - at} bytes follow the last record"


def split_groups(words: tuple[int, ...], data: bytes) -> bytes:
    """The registers of all groups one after the other, of an answer with which nothing is wrong."""
    found = bytearray()
    at = 0
    for count in words:
        found += data[at + GROUP_HEAD : at + GROUP_HEAD + 2 * count]
        at += GROUP_HEAD + 2 * count
    return bytes(found)
