"""From what a reload changed to what clients are told (Part 3 9.32, Part 5 6.4.32): pure, and bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntFlag

from address_space.model.diff import PlantDiff
from address_space.model.plant import Plant
from address_space.nodes.nodeids import ROOT

MOST_CHANGES = 1_000
"""Changes that one event names; where there are more, it names the parents of what changed."""


class Verb(IntFlag):
    """ModelChangeStructureVerbMask (Part 5 12.16)."""

    NODE_ADDED = 1
    NODE_DELETED = 2
    REFERENCE_ADDED = 4
    REFERENCE_DELETED = 8
    DATA_TYPE_CHANGED = 16


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to the node of the plant with this id."""

    uid: str
    verb: Verb


def changes_of(diff: PlantDiff, old: Plant, new: Plant) -> list[Change]:
    """Nodes that came and went, and every parent that got or lost a child."""
    found: dict[str, Verb] = {}

    def note(uid: str, verb: Verb) -> None:
        found[uid] = found.get(uid, Verb(0)) | verb

    for uid in diff.added:
        note(uid, Verb.NODE_ADDED)
        note(new.node(uid).parent or ROOT, Verb.REFERENCE_ADDED)
    for uid in diff.removed:
        note(uid, Verb.NODE_DELETED)
        note(old.node(uid).parent or ROOT, Verb.REFERENCE_DELETED)
    for uid in diff.moved:
        note(uid, Verb.REFERENCE_ADDED | Verb.REFERENCE_DELETED)
        note(old.node(uid).parent or ROOT, Verb.REFERENCE_DELETED)
        note(new.node(uid).parent or ROOT, Verb.REFERENCE_ADDED)
    return [Change(uid, verb) for uid, verb in found.items()]


def bounded(changes: Iterable[Change], parent_of: Callable[[str], str], most: int = MOST_CHANGES) -> Sequence[Change]:
    """At most `most` changes: where there are more, the parents stand for what changed below them, up to the root.

    `parent_of` gives the root's id for what is nowhere any more.
    """
    kept = list(changes)
    while len(kept) > most:
        parents: dict[str, Verb] = {}
        for change in kept:
            above = parent_of(change.uid) if change.uid != ROOT else ROOT
            parents[above] = parents.get(above, Verb(0)) | _seen_above(change.verb)
        merged = [Change(uid, verb) for uid, verb in parents.items()]
        if len(merged) == len(kept):
            merged = [Change(ROOT, _all(merged))]
        kept = merged
    return kept


def _seen_above(verb: Verb) -> Verb:
    """What a change is to the node above."""
    added = verb & (Verb.NODE_ADDED | Verb.REFERENCE_ADDED)
    deleted = verb & (Verb.NODE_DELETED | Verb.REFERENCE_DELETED)
    return (Verb.REFERENCE_ADDED if added else Verb(0)) | (Verb.REFERENCE_DELETED if deleted else Verb(0))


def _all(changes: Iterable[Change]) -> Verb:
    found = Verb(0)
    for change in changes:
        found |= change.verb
    return found
