"""References of virtual nodes from shapes to bytes (Part 6 5.2.6, Part 4 7.29), without an object per reference.

What follows a reference's target is the same for all owners of a shape and is written once per member, language and
result mask. What is written equals what asyncua's encoder writes for `VirtualAddressSpace.browse_page`.
"""

from __future__ import annotations

from struct import Struct
from typing import Any

from asyncua import ua
from asyncua.ua.ua_binary import nodeid_to_binary, struct_to_binary

from address_space.nodes.nodeids import split
from address_space.nodes.places import Place, Places
from address_space.nodes.references import Group, direction_fits, groups
from address_space.nodes.shapes import Member
from address_space.nodes.standard import NS_PLANT, NULL_ID
from address_space.nodes.virtual import VirtualAddressSpace
from address_space.nodes.wire import string

_TARGET = Struct("<BHi")
_U16 = Struct("<H")
_I32 = Struct("<i")
_STRING_ID = 3
_REFERENCE, _FORWARD, _CLASS, _NAME, _SHOWN, _TYPE = 1, 2, 4, 8, 16, 32
_NO_NAME = _U16.pack(0) + _I32.pack(-1)
_NO_TEXT = b"\x00"
_NULL = nodeid_to_binary(NULL_ID)
_MOST_TAILS = 50_000


class ReferenceWriter:
    """Pages of references as encoded ReferenceDescriptions."""

    def __init__(self, space: VirtualAddressSpace) -> None:
        self._space = space
        self._places: Places = space.places
        self._tails: dict[tuple[Member, str, int], bytes] = {}
        self._ids: dict[ua.NodeId, bytes] = {}

    def page(self, wanted: Any, start: int, limit: int, locale: str) -> tuple[list[bytes], int | None]:
        """As `VirtualAddressSpace.browse_page` for the BrowseDescription `wanted`, each reference written."""
        space = self._space
        if self._places is not space.places or len(self._tails) > _MOST_TAILS:
            self._places = space.places
            self._tails.clear()
        node = wanted.NodeId
        place = None
        if node.NamespaceIndex == NS_PLANT and isinstance(node.Identifier, str):
            place = self._places.resolve(node.Identifier)
        if place is None:
            found, following = space.browse_page(wanted, start, limit, locale)
            return [struct_to_binary(one) for one in found], following
        types = space.subtypes.wanted(wanted.ReferenceTypeId, subtypes=wanted.IncludeSubtypes)
        return self._virtual(place, wanted, types, start, limit, locale)

    def _virtual(
        self,
        place: Place,
        wanted: Any,
        types: frozenset[ua.NodeId] | None,
        start: int,
        limit: int,
        locale: str,
    ) -> tuple[list[bytes], int | None]:
        written: list[bytes] = []
        mask, classes, position = int(wanted.ResultMask), int(wanted.NodeClassMask), 0
        for group in groups(self._places, place):
            if not direction_fits(wanted.BrowseDirection, group.forward) or (
                types is not None and group.reference not in types
            ):
                continue
            size = len(group.targets)
            if position + size > start:
                head = self._head(group, mask)
                for index in range(max(start - position, 0), size):
                    if limit and len(written) == limit:
                        return written, position + index
                    target = group.targets[index]
                    if isinstance(target, str):
                        tail = self._tail(place, target, locale, mask, classes)
                        if tail is not None:
                            raw = target.encode()
                            written.append(head + _TARGET.pack(_STRING_ID, NS_PLANT, len(raw)) + raw + tail)
                        continue
                    made = self._space.describe_target(group, index, locale, mask, classes)
                    if made is not None:
                        written.append(struct_to_binary(made))
            position += size
        return written, None

    def _head(self, group: Group, mask: int) -> bytes:
        reference = self._id(group.reference) if mask & _REFERENCE else _NULL
        return reference + (b"\x01" if group.forward and mask & _FORWARD else b"\x00")

    def _tail(self, place: Place, target: str, locale: str, mask: int, classes: int) -> bytes | None:
        """What follows the target's id; None where its node class is not wanted."""
        owner, path = split(target)
        if path and owner == place.owner.id:
            member = place.shape.members.get(path)
            if member is not None:
                if classes and not member.node_class & classes:
                    return None
                key = (member, locale, mask)
                known = self._tails.get(key)
                if known is None:
                    known = self._tails[key] = self._written(Place(target, place.owner, member, place.shape, -1), *key)
                return known
        found = self._places.resolve(target)
        if found is None or (classes and not found.member.node_class & classes):
            return None
        return self._written(found, found.member, locale, mask)

    def _written(self, place: Place, member: Member, locale: str, mask: int) -> bytes:
        name, shown = _NO_NAME, _NO_TEXT
        if mask & _NAME:
            given = self._places.browse_name(place)
            name = _U16.pack(given.NamespaceIndex) + string(given.Name)
        if mask & _SHOWN:
            shown = _localized(self._places.display_text(place, locale))
        return b"".join(
            (
                name,
                shown,
                _I32.pack(member.node_class if mask & _CLASS else 0),
                self._id(member.type_definition) if mask & _TYPE else _NULL,
            )
        )

    def _id(self, node: ua.NodeId) -> bytes:
        known = self._ids.get(node)
        if known is None:
            known = self._ids[node] = nodeid_to_binary(node)
        return known


def _localized(text: ua.LocalizedText) -> bytes:
    mask, body = 0, b""
    if text.Locale is not None:
        mask, body = 1, string(text.Locale)
    if text.Text is not None:
        mask, body = mask | 2, body + string(text.Text)
    return bytes((mask,)) + body
