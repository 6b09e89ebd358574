"""Events of units: what a meter tells about its condition, relay or valve has changed.

A unit may tell a few changes a minute at once; further ones are counted and told at the end of that minute, each
quantity with the value it has come to, so that a bit that flaps does not drown what else there is to see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from asyncua import ua

from address_space.model.clock import NS, Clock
from address_space.model.plant import Plant
from address_space.model.quantity import DataType, Names, Quantity
from address_space.model.state_watch import WATCHED, StateChange
from address_space.nodes import Catalogue, TypeModel
from address_space.nodes.nodeids import plant_id
from address_space.nodes.standard import VARIANTS
from address_space.nodes.types import Enumeration
from server.opcua.event import Event
from server.opcua.messages import Message

AT_ONCE = 10
"""Changes that a unit tells at once within one window."""
WINDOW_NS = 60 * NS
CLEARED_SEVERITY = 100
"""Severity of a condition that is over."""
_TAMPER, _RELAY, _SUPPLY, _NOTICE, _BATTERY = 700, 600, 500, 400, 300
SEVERITIES: Mapping[Quantity, int] = {
    **dict.fromkeys(WATCHED, _SUPPLY),
    Quantity.TAMPER: _TAMPER,
    Quantity.MAGNETIC_FIELD: _TAMPER,
    Quantity.COVER_OPEN_COUNT: _TAMPER,
    Quantity.TERMINAL_COVER_OPEN_COUNT: _TAMPER,
    Quantity.REVERSE_FLOW: _NOTICE,
    Quantity.LEAKAGE: _RELAY,
    Quantity.SWITCH_STATE: _RELAY,
    Quantity.VALVE_STATE: _RELAY,
    Quantity.LOW_CREDIT: _NOTICE,
    Quantity.PROGRAMMING_ALLOWED: _NOTICE,
    Quantity.PROGRAMMING_COUNT: _NOTICE,
    Quantity.BATTERY_LOW: _BATTERY,
    Quantity.CLOCK_BATTERY_LOW: _BATTERY,
}
"""Severity of an event by what changed."""


@dataclass(slots=True)
class _Window:
    """What one unit has told lately, and what it has not: by quantity the first old value, and how often."""

    began_ns: int
    told: int = 0
    held: dict[Quantity, tuple[StateChange, int]] = field(default_factory=dict)


class StatusEvents:
    """Posts a MeterStatusEvent for every change it is told of, within bounds."""

    def __init__(self, plant: Plant, model: TypeModel, post: Callable[[Event], bytes], clock: Clock) -> None:
        self._plant = plant
        self._type = model.node_id("MeterStatusEventType")
        self._post = post
        self._clock = clock
        self._windows: dict[int, _Window] = {}
        catalogue = Catalogue()
        self._words = (catalogue.state("no"), catalogue.state("yes"))
        self._fields: dict[str, tuple[Names, ...]] = {
            entry.name: tuple(catalogue.field(entry.name, name) for name in entry.fields)
            for entry in model
            if isinstance(entry, Enumeration)
        }

    def tell(self, changes: Iterable[StateChange]) -> None:
        """Post these changes, or hold back those of units that have told enough."""
        now_ns = self._clock.monotonic_ns()
        for change in changes:
            window = self._windows.get(change.unit)
            if window is None:
                window = self._windows[change.unit] = _Window(now_ns)
            if window.told < AT_ONCE:
                window.told += 1
                self._send(change, 0)
                continue
            held, count = window.held.get(change.quantity, (change, 0))
            last = StateChange(change.unit, change.quantity, held.old, change.new)
            window.held[change.quantity] = (last, count + 1)

    def settle(self) -> None:
        """Tell what was held back by windows that have ended; call every few seconds."""
        ended_ns = self._clock.monotonic_ns() - WINDOW_NS
        for unit in [unit for unit, window in self._windows.items() if window.began_ns <= ended_ns]:
            for change, count in self._windows.pop(unit).held.values():
                self._send(change, count)

    def _send(self, change: StateChange, suppressed: int) -> None:
        definition = change.quantity.value
        variant = VARIANTS[definition.data_type]
        is_flag = definition.data_type is DataType.BOOLEAN
        old, new = (bool(change.old), bool(change.new)) if is_flag else (change.old, change.new)
        told = {
            "quantity": definition.names,
            "old": self._shown(change, change.old),
            "new": self._shown(change, change.new),
        }
        fields = {
            "3:Quantity": change.quantity.path,
            "3:OldValue": ua.Variant(old, variant),
            "3:NewValue": ua.Variant(new, variant),
            "3:Suppressed": suppressed,
        }
        message = (
            Message("status-flapped", {**told, "count": suppressed}) if suppressed else Message("status-changed", told)
        )
        severity = CLEARED_SEVERITY if is_flag and not new else SEVERITIES[change.quantity]
        self._post(Event(self._type, plant_id(self._plant.units[change.unit].id), message, severity, fields))

    def _shown(self, change: StateChange, value: int) -> Names | str:
        definition = change.quantity.value
        if definition.data_type is DataType.BOOLEAN:
            return self._words[bool(value)]
        fields = self._fields.get(definition.enumeration, ())
        return fields[value] if 0 <= value < len(fields) else str(value)
