"""What the data identifiers of DL/T 645-1997 stand for: two bytes, four digits that each choose something (annex A)."""

from __future__ import annotations

from functools import lru_cache

from address_space.model.quantity import by_path
from drivers.dlt645 import formats
from drivers.dlt645.formats import Format, bits, digits, number, opaque, stamp
from drivers.dlt645.item import Block, Entry, Item

ALL = 0xF
MOST_TARIFFS = 0xE
PHASES = ("A", "B", "C")

_MONTHS = {0x0: "", 0x4: "_last_month", 0x8: "_month_before_last"}
_DIRECTIONS = {
    0x0: {1: ("active_import", "ActiveEnergyImport"), 2: ("active_export", "ActiveEnergyExport")},
    0x1: {
        1: ("reactive_import", "ReactiveEnergyImport"),
        2: ("reactive_export", "ReactiveEnergyExport"),
        3: ("reactive_q1", ""),
        4: ("reactive_q4", ""),
        5: ("reactive_q2", ""),
        6: ("reactive_q3", ""),
    },
}
_VARIABLES = {
    0x1: ("voltage", "Voltage", "V", number(2), (), False),
    0x2: ("current", "Current", "A", number(2, 2), (number(3, 3, signed=True),), False),
    0x3: ("active_power", "ActivePower", "kW", formats.POWER, (), True),
    0x4: ("reactive_power", "ReactivePower", "kvar", number(2, 2, signed=True), (formats.POWER,), True),
    0x5: ("power_factor", "PowerFactor", "", formats.FACTOR, (), True),
    0x9: ("line_voltage", "Voltage", "V", number(2), (), False),
}
"""Third digit of B6: name, quantity, unit, format, formats of other makes, whether there is a total."""
_LINES = ("AB", "BC", "CA")
_LINE_PATHS = ("L1L2", "L2L3", "L3L1")

_SINGLE: dict[int, tuple[str, str, Format]] = {
    0xB210: ("last_programming", "", stamp("mhDM")),
    0xB211: ("last_demand_clear", "", stamp("mhDM")),
    0xB212: ("programming_count", "", number(2)),
    0xB213: ("demand_clear_count", "", number(2)),
    0xB214: ("battery_run_time", "min", number(3)),
    0xB310: ("phase_failure_count", "", number(2)),
    0xB311: ("phase_failure_count_A", "", number(2)),
    0xB312: ("phase_failure_count_B", "", number(2)),
    0xB313: ("phase_failure_count_C", "", number(2)),
    0xB320: ("phase_failure_minutes", "min", number(3)),
    0xB321: ("phase_failure_minutes_A", "min", number(3)),
    0xB322: ("phase_failure_minutes_B", "min", number(3)),
    0xB323: ("phase_failure_minutes_C", "min", number(3)),
    0xC010: ("date", "", formats.DATE),
    0xC011: ("time", "", formats.TIME),
    0xC020: ("meter_status", "", bits(1)),
    0xC021: ("grid_status", "", bits(1)),
    0xC022: ("rest_days", "", bits(1)),
    0xC030: ("active_constant", "imp/kWh", number(3)),
    0xC031: ("reactive_constant", "imp/kvarh", number(3)),
    0xC032: ("meter_number", "", digits(6)),
    0xC033: ("user_number", "", digits(6)),
    0xC034: ("device_number", "", digits(6)),
    0xC111: ("demand_period", "min", number(1)),
    0xC112: ("demand_slide", "min", number(1)),
    0xC113: ("screen_time", "s", number(1)),
    0xC114: ("screens_scrolled", "", number(1)),
    0xC115: ("energy_decimals_shown", "", number(1)),
    0xC116: ("power_decimals_shown", "", number(1)),
    0xC117: ("settlement_day", "", stamp("hD")),
    0xC118: ("record_start", "", stamp("mhDM")),
    0xC119: ("active_start_reading", "kWh", number(4, 1)),
    0xC11A: ("reactive_start_reading", "kvarh", number(4, 1)),
    0xC211: ("pulse_width", "ms", number(2)),
    0xC212: ("password_class_0", "", opaque(4)),
    0xC213: ("password_class_1", "", opaque(4)),
    0xC310: ("year_zones", "", number(1)),
    0xC311: ("day_tables", "", number(1)),
    0xC312: ("day_slots", "", number(1)),
    0xC313: ("tariffs", "", number(1)),
    0xC314: ("holidays", "", number(1)),
}


@lru_cache(maxsize=2048)
def find(di: int) -> Entry | None:
    """What the identifier of DL/T 645-1997 stands for; None where it is not known (a vendor's own)."""
    if not 0 <= di <= 0xFFFF:
        return None
    family, kind = di >> 12, di >> 8 & 0xF
    if di in _SINGLE:
        name, unit, chosen = _SINGLE[di]
        return Item(di, name, unit, chosen, None, name.replace("_", " "))
    if family == 0x9:
        return _energy(di)
    if family == 0xA or (family == 0xB and kind & 3 <= 1):
        return _demand(di)
    if di >> 8 == 0xB6:
        return _variable(di)
    return _table(di) if di >> 8 in (0xC3, 0xC4) else None


def _chosen(di: int) -> tuple[str, str, str, str, bool] | None:
    """Name, quantity, month and what is told of the last digit, and whether it is reactive, of energy or demand."""
    kind, direction = di >> 8 & 0xF, di >> 4 & 0xF
    month, reactive = _MONTHS.get(kind & 0xC), kind & 3
    known = _DIRECTIONS.get(reactive, {}).get(direction)
    if month is None or known is None or di & 0xF > MOST_TARIFFS + 1:
        return None
    last = di & 0xF
    place = {0: "", ALL: "_block"}.get(last, f"_T{last}")
    return known[0], known[1], month, place, bool(reactive)


def _energy(di: int) -> Entry | None:
    chosen = _chosen(di)
    if chosen is None:
        return None
    name, path, month, place, reactive = chosen
    unit = "kvarh" if reactive else "kWh"
    named = f"energy_{name}{place}{month}"
    if place == "_block":
        items = tuple(item for item in map(_energy, _row(di)) if isinstance(item, Item))
        return Block(di, named, unit, items, f"{_words(name)} energy{_words(month)}, total and tariffs")
    quantity = by_path(path + place.removeprefix("_")) if path and not month else None
    return Item(di, named, unit, formats.ENERGY, quantity, f"{_words(name)} energy{_words(place + month)}")


def _demand(di: int) -> Entry | None:
    chosen = _chosen(di)
    if chosen is None:
        return None
    name, _, month, place, reactive = chosen
    is_time = di >> 12 == 0xB
    unit = "" if is_time else "kvar" if reactive else "kW"
    named = f"demand_{'time_' if is_time else ''}{name}{place}{month}"
    title = f"{'time of ' if is_time else ''}maximum demand, {_words(name)}{_words(place + month)}"
    if place == "_block":
        items = tuple(item for item in map(_demand, _row(di)) if isinstance(item, Item))
        return Block(di, named, unit, items, title)
    return Item(di, named, unit, stamp("mhDM") if is_time else number(3, 4), None, title)


def _variable(di: int) -> Entry | None:
    variable, place = di >> 4 & 0xF, di & 0xF
    if variable not in _VARIABLES:
        return None
    name, path, unit, chosen, others, has_total = _VARIABLES[variable]
    title = _words(name)
    if place == ALL:
        places = (di & 0xFFF0 | each for each in range(0 if has_total else 1, 4))
        items = tuple(item for item in map(_variable, places) if isinstance(item, Item))
        return Block(di, f"{name}_block", unit, items, f"{title}, all phases")
    if place == 0 and has_total:
        return Item(di, f"{name}_total", unit, chosen, by_path(path), f"{title}, total", None, others)
    if not 1 <= place <= 3:
        return None
    suffix = _LINES[place - 1] if variable == 0x9 else PHASES[place - 1]
    tail = _LINE_PATHS[place - 1] if variable == 0x9 else f"L{place}"
    return Item(di, f"{name}_{suffix}", unit, chosen, by_path(path + tail), f"{title}, {suffix}", None, others)


def _table(di: int) -> Entry | None:
    family, table, place = di >> 8 & 0xF, di >> 4 & 0xF, di & 0xF
    if family == 0x4 and table == 1 and 1 <= place <= 0xE:
        return Item(di, f"holiday_{place}", "", stamp("NDM"), None, f"public holiday {place} and its day table")
    if family == 0x3 and table == 2 and 1 <= place <= 0xE:
        return Item(di, f"zone_{place}", "", stamp("NDM"), None, f"year zone {place}: beginning and day table")
    if family == 0x3 and 3 <= table <= 0xA and 1 <= place <= 0xE:
        name = f"day_table_{table - 2}_slot_{place}"
        return Item(di, name, "", stamp("Nmh"), None, f"day table {table - 2}, slot {place}: beginning and tariff")
    return None


def _row(di: int) -> list[int]:
    return [di & 0xFFF0 | tariff for tariff in range(MOST_TARIFFS + 1)]


def _words(name: str) -> str:
    return name.replace("_", " ")
