"""Attributes that change only with the plant, written once per member of a shape and sent again as they stand.

SCADA clients ask for thousands of names, units and ranges when they connect; all owners of a shape share most of them.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from asyncua import ua
from asyncua.ua.ua_binary import variant_to_binary

from address_space.model.clock import EPOCH_1601_TICKS
from address_space.nodes import attributes
from address_space.nodes.places import Place
from address_space.nodes.shapes import Constant, Live, Member, Reported
from address_space.nodes.standard import NS_PLANT
from address_space.nodes.wire import Timestamps

if TYPE_CHECKING:
    from address_space.nodes.virtual import VirtualAddressSpace

_A = ua.AttributeIds
_VALUE, _DISPLAY_NAME, _BROWSE_NAME = int(_A.Value), int(_A.DisplayName), int(_A.BrowseName)
_SHARED = frozenset(
    int(attribute)
    for attribute in (
        _A.NodeClass,
        _A.Description,
        _A.WriteMask,
        _A.EventNotifier,
        _A.DataType,
        _A.ValueRank,
        _A.ArrayDimensions,
        _A.AccessLevel,
        _A.MinimumSamplingInterval,
        _A.Historizing,
    )
)
"""Attributes that all owners of a member share; those that a user may see otherwise are not among them."""
_OF_OWNER = frozenset((_VALUE, _DISPLAY_NAME, _BROWSE_NAME))
_LOCALIZED = frozenset((_VALUE, _DISPLAY_NAME, int(_A.Description)))
_LIMIT = 100_000

_HAS_VALUE, _HAS_STATUS, _HAS_SOURCE, _HAS_SERVER = 1, 2, 4, 8
_GOOD, _TICKS = bytes(4), Struct("<q")


class StaticAttributes:
    """DataValues of static attributes of the plant's nodes as bytes; at most `limit` of them are kept."""

    def __init__(self, aspace: VirtualAddressSpace, limit: int = _LIMIT) -> None:
        self._aspace = aspace
        self._limit = limit
        self._places = aspace.places
        self._kept: dict[tuple[Member, int, str], bytes] = {}

    @property
    def kept(self) -> int:
        """How many encodings are kept."""
        return len(self._kept)

    def encoded(self, node: ua.ReadValueId, timestamps: Timestamps, locale: str, now_ns: int) -> bytes | None:
        """The DataValue as Read answers it; None where it is no static attribute and must be read the long way."""
        identifier, encoding = node.NodeId.Identifier, node.DataEncoding
        if node.NodeId.NamespaceIndex != NS_PLANT or not isinstance(identifier, str) or node.IndexRange:
            return None
        attribute = int(node.AttributeId)
        if (attribute not in _SHARED and attribute not in _OF_OWNER) or (encoding is not None and encoding.Name):
            return None
        place = self._aspace.places.resolve(identifier)
        if place is None:
            return None
        body = self._body(place, attribute, locale)
        if body is None:
            return None
        mask, tail = _HAS_VALUE | _HAS_STATUS, _GOOD
        if timestamps.source and attribute == _VALUE:
            mask |= _HAS_SOURCE
            tail += _ticks(self._aspace.facts.loaded_ns)
        if timestamps.server:
            mask |= _HAS_SERVER
            tail += _ticks(now_ns)
        return bytes((mask,)) + body + tail

    def _body(self, place: Place, attribute: int, locale: str) -> bytes | None:
        """The Variant of an attribute as bytes."""
        member = place.member
        key = (member, attribute, locale if attribute in _LOCALIZED else "")
        kept = self._kept.get(key)
        if kept is not None and self._places is self._aspace.places:
            return kept
        if not attributes.has(place, _A(attribute)) or (
            attribute == _VALUE and isinstance(member.source, Live | Reported)
        ):
            return None
        read = attributes.read(self._aspace.facts, place, _A(attribute), locale)
        written: bytes = variant_to_binary(read.Value)
        if _is_shared(member, attribute):
            self._keep(key, written)
        return written

    def _keep(self, key: tuple[Member, int, str], written: bytes) -> None:
        if self._places is not self._aspace.places or len(self._kept) >= self._limit:
            self._kept.clear()
            self._places = self._aspace.places
        self._kept[key] = written


def _is_shared(member: Member, attribute: int) -> bool:
    if attribute == _VALUE:
        return isinstance(member.source, Constant)
    if attribute == _DISPLAY_NAME:
        return member.names is not None
    return attribute != _BROWSE_NAME or bool(member.path)


def _ticks(moment_ns: int) -> bytes:
    """A DateTime, to the microsecond as everywhere outside the live table."""
    return _TICKS.pack(moment_ns // 1000 * 10 + EPOCH_1601_TICKS)
