"""Attributes of virtual nodes (OPC 10000-3 5), answered one by one and never stored."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from asyncua import ua

from address_space.model.clock import NS, Clock, to_datetime
from address_space.model.live import LiveTable
from address_space.model.plant import Plant
from address_space.model.quality import SEVERITY_BAD
from address_space.model.quantity import Names
from address_space.nodes.catalogue import DEFAULT_LOCALE
from address_space.nodes.nodeids import plant_id
from address_space.nodes.places import Place, Places
from address_space.nodes.shapes import ArgumentText, Constant, Reported, Supplied
from address_space.nodes.standard import READ_EVENT_HISTORY

_A = ua.AttributeIds
_T = ua.VariantType

COMMON = (_A.NodeId, _A.NodeClass, _A.BrowseName, _A.DisplayName, _A.Description, _A.WriteMask, _A.UserWriteMask)
BY_CLASS: Mapping[ua.NodeClass, frozenset[ua.AttributeIds]] = {
    ua.NodeClass.Object: frozenset((*COMMON, _A.EventNotifier)),
    ua.NodeClass.Method: frozenset((*COMMON, _A.Executable, _A.UserExecutable)),
    ua.NodeClass.Variable: frozenset(
        (
            *COMMON,
            _A.Value,
            _A.DataType,
            _A.ValueRank,
            _A.AccessLevel,
            _A.UserAccessLevel,
            _A.MinimumSamplingInterval,
            _A.Historizing,
        )
    ),
}
"""Attributes that nodes of a class have; arrays also have ArrayDimensions."""

INVALID = ua.DataValue(StatusCode=ua.StatusCode(ua.StatusCodes.BadAttributeIdInvalid))
UNKNOWN = ua.DataValue(StatusCode=ua.StatusCode(ua.StatusCodes.BadNodeIdUnknown))
_HISTORY_READ = 4


@dataclass(frozen=True, slots=True)
class SystemInfo:
    """What the hub tells of itself on the node `system`."""

    config_version: str = ""
    config_loaded_at: datetime | None = None
    last_reload_result: str = ""
    active_role: str = "active"


@dataclass(frozen=True, slots=True)
class Report:
    """How a line or a device is doing, by the names of the variables; made at `time_ns`. None is: not known."""

    values: Mapping[str, Any]
    time_ns: int


def _silent(_: str) -> Report | None:
    return None


def unknown_start() -> datetime:
    """The earliest time of all: nothing can have been stored before."""
    return datetime(1601, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Facts:
    """What values of virtual nodes are made from; `node_versions` by id, 1 where a node is not in it."""

    plant: Plant
    live: LiveTable
    clock: Clock
    places: Places
    loaded_ns: int
    system: SystemInfo = field(default_factory=SystemInfo)
    node_versions: dict[str, int] = field(default_factory=dict)
    methods: dict[str, Callable[..., Any]] = field(default_factory=dict)
    """Callbacks of methods by path below their owner, for example `ReadNow`."""
    executable: dict[str, Callable[[str], bool]] = field(default_factory=dict)
    """For methods that not every owner can run: which ones can, by their ids."""
    report: Callable[[str], Report | None] = _silent
    """Latest report on a line or unit, by its id in the address space."""
    keeps_events: bool = False
    """Whether the events of notifiers can be read again."""
    archive_start: Callable[[], datetime] = unknown_start
    """A time before which nothing is stored."""


def read(facts: Facts, place: Place, attribute: ua.AttributeIds, locale: str) -> ua.DataValue:
    """One attribute of a virtual node; BadAttributeIdInvalid where nodes of its class have none such."""
    member = place.member
    if attribute == _A.Value and member.node_class is ua.NodeClass.Variable:
        return value(facts, place, locale)
    made = _READERS.get(attribute)
    if made is None or not has(place, attribute):
        return INVALID
    return ua.DataValue(made(facts, place, locale))


def has(place: Place, attribute: ua.AttributeIds) -> bool:
    """Whether a virtual node has this attribute."""
    if attribute == _A.ArrayDimensions:
        return place.member.rank > 0
    return attribute in BY_CLASS[place.member.node_class]


def value(facts: Facts, place: Place, locale: str) -> ua.DataValue:
    """Value of a variable with status and both times; a bad status has a null value."""
    member = place.member
    if member.offset >= 0:
        return live_value(facts.live, facts.plant.first_handle(_unit(place)) + member.offset, member.variant)
    if isinstance(member.source, Reported):
        return _reported(facts, place, member.source.name, locale)
    given = None
    if isinstance(member.source, Constant):
        given = member.source.value
    elif isinstance(member.source, Supplied):
        given = member.source.supply(place.owner, facts)
    return ua.DataValue(
        in_locale(given, member.variant, locale),
        ua.StatusCode(ua.StatusCodes.Good),
        to_datetime(facts.loaded_ns),
        to_datetime(facts.clock.now_ns()),
    )


def _event_notifier(facts: Facts, place: Place) -> int:
    bits = place.member.event_notifier
    return bits | READ_EVENT_HISTORY if bits and facts.keeps_events else bits


def _reported(facts: Facts, place: Place, name: str, locale: str) -> ua.DataValue:
    report = facts.report(place.owner.id)
    given = None if report is None else report.values.get(name)
    code = ua.StatusCodes.BadWaitingForInitialData if given is None else ua.StatusCodes.Good
    time = to_datetime(facts.loaded_ns if report is None else report.time_ns)
    now = to_datetime(facts.clock.now_ns())
    return ua.DataValue(in_locale(given, place.member.variant, locale), ua.StatusCode(code), time, now)


def live_value(live: LiveTable, handle: int, variant: ua.VariantType) -> ua.DataValue:
    """What the live table holds at `handle`, as a value of type `variant`; its texts are English."""
    status = int(live.status[handle])
    shown: Any = None
    if not status & SEVERITY_BAD:
        shown = _live(live, handle, variant)
    return ua.DataValue(
        ua.Variant(shown, variant if shown is not None else _T.Null),
        ua.StatusCode(status),
        to_datetime(int(live.source_ns[handle])),
        to_datetime(int(live.server_ns[handle])),
    )


def in_locale(given: Any, variant: ua.VariantType, locale: str) -> ua.Variant:
    """A constant or supplied value as a Variant, its texts in `locale`."""
    if given is None:
        return ua.Variant(None, _T.Null)
    if isinstance(given, Names) or (variant is _T.LocalizedText and not isinstance(given, tuple)):
        return ua.Variant(_text(given, locale), variant)
    if isinstance(given, tuple):
        return ua.Variant([_element(item, locale) for item in given], variant, is_array=True)
    if isinstance(given, list):
        return ua.Variant(given, variant, is_array=True)
    return ua.Variant(given, variant)


def _live(live: LiveTable, handle: int, variant: ua.VariantType) -> Any:
    if variant in (_T.String, _T.LocalizedText):
        text = live.texts.get(handle)
        if text is None or variant is _T.String:
            return text
        return ua.LocalizedText(text, DEFAULT_LOCALE)
    number = float(live.value[handle])
    if math.isnan(number):
        return None
    if variant is _T.Double:
        return number
    if variant is _T.Boolean:
        return bool(number)
    if variant is _T.DateTime:
        return datetime.fromtimestamp(round(number * NS) // 1000 / 1e6, UTC)
    return int(number)


def _text(given: Any, locale: str) -> ua.LocalizedText:
    if isinstance(given, Names):
        return ua.LocalizedText(given.in_locale(locale), locale)
    return ua.LocalizedText(str(given))


def _element(item: Any, locale: str) -> Any:
    if isinstance(item, ArgumentText):
        return item.localized(locale)
    return _text(item, locale) if isinstance(item, Names) else item


def _unit(place: Place) -> Any:
    return place.unit


def _display_name(facts: Facts, place: Place, locale: str) -> ua.Variant:
    return ua.Variant(facts.places.display_text(place, locale), _T.LocalizedText)


def _description(_: Facts, place: Place, locale: str) -> ua.Variant:
    found = place.member.descriptions
    text = ua.LocalizedText() if found is None else ua.LocalizedText(found.in_locale(locale), locale)
    return ua.Variant(text, _T.LocalizedText)


def _executable(facts: Facts, place: Place, _: str) -> ua.Variant:
    can = facts.executable.get(place.member.path)
    return ua.Variant(place.member.path in facts.methods and (can is None or can(place.owner.id)), _T.Boolean)


def _zero(_: Facts, __: Place, ___: str) -> ua.Variant:
    return ua.Variant(0, _T.UInt32)


def _access(_: Facts, place: Place, __: str) -> ua.Variant:
    return ua.Variant(place.member.access_level, _T.Byte)


_READERS: Mapping[int, Callable[[Facts, Place, str], ua.Variant]] = {
    _A.NodeId: lambda _, place, __: ua.Variant(plant_id(place.id), _T.NodeId),
    _A.NodeClass: lambda _, place, __: ua.Variant(int(place.member.node_class), _T.Int32),
    _A.BrowseName: lambda facts, place, _: ua.Variant(facts.places.browse_name(place), _T.QualifiedName),
    _A.DisplayName: _display_name,
    _A.Description: _description,
    _A.WriteMask: _zero,
    _A.UserWriteMask: _zero,
    _A.EventNotifier: lambda facts, place, _: ua.Variant(_event_notifier(facts, place), _T.Byte),
    _A.Executable: _executable,
    _A.UserExecutable: _executable,
    _A.DataType: lambda _, place, __: ua.Variant(place.member.data_type, _T.NodeId),
    _A.ValueRank: lambda _, place, __: ua.Variant(int(place.member.rank), _T.Int32),
    _A.ArrayDimensions: lambda _, __, ___: ua.Variant([0], _T.UInt32, is_array=True),
    _A.AccessLevel: _access,
    _A.UserAccessLevel: _access,
    _A.MinimumSamplingInterval: lambda _, place, __: ua.Variant(place.member.sampling_ms, _T.Double),
    _A.Historizing: lambda _, place, __: ua.Variant(bool(place.member.access_level & _HISTORY_READ), _T.Boolean),
}
