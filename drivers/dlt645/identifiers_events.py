"""Event counters and records of DL/T 645-2007, identifiers 03, 1D and 1E (annex A.4), and purchases."""

from __future__ import annotations

from typing import Final

from address_space.model.quantity import by_path
from drivers.dlt645.formats import CLOCK, COUNT, CURRENT, ENERGY, MINUTE, MONEY, Format, digits, number, opaque, stamp
from drivers.dlt645.item import Block, Entry, Item

MOST_RECORDS: Final = 10
PHASES: Final = ("A", "B", "C")
_PHASE_EVENTS: Final = {
    0x01: "voltage_loss",
    0x02: "undervoltage",
    0x03: "overvoltage",
    0x04: "phase_failure",
    0x0B: "current_loss",
    0x0C: "overcurrent",
    0x0D: "current_break",
    0x0E: "power_reverse",
    0x0F: "overload",
}
"""Events told by phase: counted in one identifier, recorded in one a phase."""
_METER_EVENTS: Final = {
    0x05: "all_voltage_loss",
    0x06: "auxiliary_supply_loss",
    0x07: "voltage_sequence_reverse",
    0x08: "current_sequence_reverse",
    0x09: "voltage_unbalance",
    0x0A: "current_unbalance",
}
_OPERATIONS: Final = {
    0x00: "programming",
    0x01: "meter_clear",
    0x02: "demand_clear",
    0x03: "event_clear",
    0x04: "time_set",
    0x05: "day_table_programming",
    0x06: "zone_table_programming",
    0x07: "rest_day_programming",
    0x08: "holiday_programming",
    0x09: "active_combination_programming",
    0x0A: "reactive_combination_1_programming",
    0x0B: "reactive_combination_2_programming",
    0x0C: "settlement_day_programming",
    0x0D: "cover_open",
    0x0E: "terminal_cover_open",
}
_COUNTED: Final = {
    0x03110000: "Status.PowerDownCount",
    0x03300000: "Status.ProgrammingCount",
    0x03300D00: "Status.CoverOpenCount",
    0x03300E00: "Status.TerminalCoverOpenCount",
}
_OPERATOR: Final = digits(4)
_REST: Final = "rest"


def find(di: int) -> Entry | None:
    """The counter or record of an identifier, None where it is none that is known."""
    family, first, second, last = di >> 24, di >> 16 & 0xFF, di >> 8 & 0xFF, di & 0xFF
    if family in (0x1D, 0x1E):
        return _relay_event(di, "relay_trip" if family == 0x1D else "relay_close", first, second, last)
    if first in _PHASE_EVENTS:
        return _phase_event(di, _PHASE_EVENTS[first], second, last)
    if first in _METER_EVENTS:
        return _meter_event(di, _METER_EVENTS[first], second, last)
    match first:
        case 0x10 if second <= 3 and last <= 12:
            return _quality(di, second, last)
        case 0x11 if second == 0 and last == 0:
            return _count(di, "power_down_count")
        case 0x11 if second == 0 and last <= MOST_RECORDS:
            return _record(di, f"power_down_record_{last}", ("start", CLOCK), ("end", CLOCK))
        case 0x12 if second <= 6:
            return _demand_exceeded(di, second, last)
        case 0x30 if second in _OPERATIONS:
            return _operation(di, _OPERATIONS[second], second, last)
        case 0x32 | 0x33:
            return _purchase(di, first, second, last)
    return None


def _count(di: int, name: str) -> Item:
    path = _COUNTED.get(di, "")
    return Item(di, name, "", COUNT, by_path(path) if path else None, name.replace("_", " "))


def _record(di: int, name: str, *fields: tuple[str, Format], rest: bool = False) -> Block:
    """A record whose first fields are known; with `rest`, what follows them is shown as it is."""
    known = [Item(di, field, "", chosen, None, field.replace("_", " ")) for field, chosen in fields]
    if rest:
        known.append(Item(di, _REST, "", opaque(0), None, "readings at the time"))
    return Block(di, name, "", tuple(known), name.replace("_", " "), named=True)


def _phase_event(di: int, name: str, place: int, last: int) -> Entry | None:
    if place == 0 and last == 0:
        items = []
        for phase in PHASES:
            items.append(Item(di, f"count_{phase}", "", COUNT, None, f"times, phase {phase}"))
            items.append(Item(di, f"minutes_{phase}", "min", COUNT, None, f"minutes, phase {phase}"))
        return Block(di, f"{name}_counts", "", tuple(items), f"{name.replace('_', ' ')}: times and minutes", named=True)
    if not (1 <= place <= 3 and 1 <= last <= MOST_RECORDS):
        return None
    return _record(di, f"{name}_{PHASES[place - 1]}_record_{last}", ("start", CLOCK), ("end", CLOCK), rest=True)


def _meter_event(di: int, name: str, place: int, last: int) -> Entry | None:
    if place or last > MOST_RECORDS:
        return None
    if last == 0:
        items = (Item(di, "count", "", COUNT, None, "times"), Item(di, "minutes", "min", COUNT, None, "minutes"))
        return Block(di, f"{name}_counts", "", items, f"{name.replace('_', ' ')}: times and minutes", named=True)
    second = ("current", CURRENT) if name == "all_voltage_loss" else ("end", CLOCK)
    return _record(di, f"{name}_record_{last}", ("start", CLOCK), second, rest=True)


def _quality(di: int, place: int, month: int) -> Block:
    percent, volts = number(3, 2), number(2, 1)
    fields = (
        ("monitored", number(3), "min"),
        ("qualified", percent, "%"),
        ("out_of_range", percent, "%"),
        ("too_high", number(3), "min"),
        ("too_low", number(3), "min"),
        ("highest", volts, "V"),
        ("highest_at", stamp("mhDM"), ""),
        ("lowest", volts, "V"),
        ("lowest_at", stamp("mhDM"), ""),
    )
    items = tuple(Item(di, name, unit, chosen, None, name.replace("_", " ")) for name, chosen, unit in fields)
    phase = ("", *(f"_{phase}" for phase in PHASES))[place]
    return Block(di, f"voltage_quality{phase}_{month}", "", items, "voltage quality of a month", named=True)


def _demand_exceeded(di: int, place: int, last: int) -> Block | None:
    names = ("import", "export", "q1", "q2", "q3", "q4")
    if place == 0 and last == 0:
        items = tuple(Item(di, f"count_{name}", "", COUNT, None, f"times, {name}") for name in names)
        return Block(di, "demand_exceeded_counts", "", items, "demand exceeded, times", named=True)
    if not (place and 1 <= last <= MOST_RECORDS):
        return None
    fields = (("start", CLOCK), ("end", CLOCK), ("demand", number(3, 4)), ("demand_at", MINUTE))
    return _record(di, f"demand_exceeded_{names[place - 1]}_record_{last}", *fields)


def _operation(di: int, name: str, second: int, last: int) -> Entry | None:
    if last == 0:
        return _count(di, f"{name}_count")
    if last > MOST_RECORDS:
        return None
    named = f"{name}_record_{last}"
    match second:
        case 0x00:
            changed = [(f"di_{at}", opaque(4)) for at in range(1, 11)]
            return _record(di, named, ("at", CLOCK), ("operator", _OPERATOR), *changed)
        case 0x03:
            return _record(di, named, ("at", CLOCK), ("operator", _OPERATOR), ("di", opaque(4)))
        case 0x04:
            return _record(di, named, ("operator", _OPERATOR), ("before", CLOCK), ("after", CLOCK))
        case 0x0D | 0x0E:
            return _record(di, named, ("start", CLOCK), ("end", CLOCK), rest=True)
    return _record(di, named, ("at", CLOCK), ("operator", _OPERATOR), rest=True)


def _relay_event(di: int, name: str, first: int, second: int, last: int) -> Entry | None:
    if first == 0 and second == 0 and last == 1:
        return _count(di, f"{name}_count")
    if last == 0 or last > MOST_RECORDS:
        return None
    return _record(di, f"{name}_record_{last}", ("at", CLOCK), ("operator", _OPERATOR), rest=True)


def _purchase(di: int, first: int, second: int, last: int) -> Entry | None:
    if not (1 <= second <= 6 and 1 <= last <= MOST_RECORDS):
        return None
    energy = first == 0x32
    unit, chosen = ("kWh", ENERGY) if energy else ("CNY", MONEY)
    what = "energy" if energy else "money"
    name, each, of = {
        1: ("date", MINUTE, ""),
        2: ("count", number(2), ""),
        3: ("amount", chosen, unit),
        4: ("remaining_before", chosen, unit),
        5: ("remaining_after", chosen, unit),
        6: ("total", chosen, unit),
    }[second]
    counted = by_path("Prepayment.PurchaseCount") if second == 2 and last == 1 else None
    title = f"purchase of {what} {last} back: {name.replace('_', ' ')}"
    return Item(di, f"purchase_{what}_{name}_{last}", of, each, counted, title)
