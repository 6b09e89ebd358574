"""What the data identifiers of DL/T 645-2007 stand for, by the patterns of its annex A; those of 1997 lie beside.

An identifier is a number as it is written, "02010100", most significant byte first; the wire has it low first.
"""

from __future__ import annotations

from functools import lru_cache

from address_space.model.quantity import Quantity, by_path
from drivers.dlt645 import formats, identifiers_events, identifiers_parameters
from drivers.dlt645.identifiers_parameters import STATUS_WORDS as STATUS_WORDS
from drivers.dlt645.item import Block, Entry, Item

ALL = 0xFF
"""In a place of an identifier: everything that this place chooses from."""
MOST_TARIFFS = 0x3F
MOST_SETTLEMENTS = 12
PHASES = ("A", "B", "C")

_ENERGIES = {
    0x00: ("active_comb", "ActiveEnergyTotal", "kWh", True, "combined active energy"),
    0x01: ("active_import", "ActiveEnergyImport", "kWh", False, "active energy import"),
    0x02: ("active_export", "ActiveEnergyExport", "kWh", False, "active energy export"),
    0x03: ("reactive_comb1", "ReactiveEnergyImport", "kvarh", True, "combined reactive energy 1"),
    0x04: ("reactive_comb2", "ReactiveEnergyExport", "kvarh", True, "combined reactive energy 2"),
    0x05: ("reactive_q1", "", "kvarh", False, "reactive energy of quadrant 1"),
    0x06: ("reactive_q2", "", "kvarh", False, "reactive energy of quadrant 2"),
    0x07: ("reactive_q3", "", "kvarh", False, "reactive energy of quadrant 3"),
    0x08: ("reactive_q4", "", "kvarh", False, "reactive energy of quadrant 4"),
    0x09: ("apparent_import", "ApparentEnergy", "kVAh", False, "apparent energy import"),
    0x0A: ("apparent_export", "", "kVAh", False, "apparent energy export"),
}
"""Kind of energy: name, quantity, unit, signed, title (A.1)."""
_PHASE_GROUPS = (0x14, 0x28, 0x3C)
"""The kinds 01 to 0A once more for each phase: added to these."""
_POWER_UNITS = {"kWh": "kW", "kvarh": "kvar", "kVAh": "kVA"}

_INSTANTS = {
    0x01: ("voltage", "Voltage", "V", formats.VOLTAGE, False),
    0x02: ("current", "Current", "A", formats.CURRENT, False),
    0x03: ("active_power", "ActivePower", "kW", formats.POWER, True),
    0x04: ("reactive_power", "ReactivePower", "kvar", formats.POWER, True),
    0x05: ("apparent_power", "ApparentPower", "kVA", formats.POWER, True),
    0x06: ("power_factor", "PowerFactor", "", formats.FACTOR, True),
    0x07: ("phase_angle", "", "°", formats.VOLTAGE, False),
    0x08: ("thd_voltage", "ThdVoltage", "%", formats.PERCENT, False),
    0x09: ("thd_current", "ThdCurrent", "%", formats.PERCENT, False),
    0x0C: ("line_voltage", "Voltage", "V", formats.VOLTAGE, False),
}
"""Variable: name, quantity, unit, format, whether there is a total before the phases (A.3)."""
_LINES = ("AB", "BC", "CA")
_LINE_PATHS = ("L1L2", "L2L3", "L3L1")
_HARMONICS = {0x0A: "harmonic_voltage", 0x0B: "harmonic_current"}
MOST_HARMONICS = 0x15

_OTHER_INSTANTS = {
    0x01: ("neutral_current", "CurrentN", "A", formats.CURRENT),
    0x02: ("frequency", "Frequency", "Hz", formats.number(2, 2)),
    0x03: ("active_power_mean_1min", "", "kW", formats.POWER),
    0x04: ("active_demand", "DemandImport15min", "kW", formats.POWER),
    0x05: ("reactive_demand", "", "kvar", formats.POWER),
    0x06: ("apparent_demand", "", "kVA", formats.POWER),
    0x07: ("temperature", "Temperature", "°C", formats.number(2, 1, signed=True)),
    0x08: ("clock_battery_voltage", "BatteryVoltage", "V", formats.number(2, 2)),
    0x09: ("outage_battery_voltage", "", "V", formats.number(2, 2)),
    0x0A: ("battery_run_time", "", "min", formats.number(4)),
    0x0B: ("ladder_price", "", "CNY/kWh", formats.PRICE),
}
FREEZES = {
    0x00: "timed",
    0x01: "instant",
    0x02: "zone_switch",
    0x03: "slot_switch",
    0x04: "hourly",
    0x05: "price_switch",
    0x06: "daily",
    0x07: "ladder_switch",
}
"""What froze the values."""
_FROZEN = {kind: (kind << 16 | 0xFF00,) for kind in range(0x01, 0x09)} | {
    0x09: (0x0101FF00,),
    0x0A: (0x0102FF00,),
    0x10: (0x0203FF00, 0x0204FF00),
}
_PREPAID = {
    0x00900100: ("prepaid_remaining_energy", "Prepayment.MeterCreditEnergy", "kWh"),
    0x00900101: ("prepaid_overdraft_energy", "Prepayment.MeterOverdraftEnergy", "kWh"),
    0x00900200: ("prepaid_remaining_amount", "Prepayment.MeterCredit", "CNY"),
    0x00900201: ("prepaid_overdraft_amount", "Prepayment.MeterOverdraft", "CNY"),
}


@lru_cache(maxsize=4096)
def find(di: int) -> Entry | None:
    """What the identifier of DL/T 645-2007 stands for; None where it is not known (a vendor's own)."""
    if not 0 <= di <= 0xFFFFFFFF:
        return None
    if di in _PREPAID:
        name, path, unit = _PREPAID[di]
        return Item(di, name, unit, formats.MONEY, _quantity(path), "balance kept by the meter")
    match di >> 24:
        case 0x00:
            return _energy(di)
        case 0x01:
            return _demand(di)
        case 0x02:
            return _instant(di)
        case 0x03 | 0x1D | 0x1E:
            return identifiers_events.find(di)
        case 0x04:
            return identifiers_parameters.find(di)
        case 0x05:
            return _frozen(di)
    return None


def energy_in_general(di: int) -> Item:
    """An energy whose data do not fit what the standard says of it: a vendor's own record."""
    kind, tariff, settlement = di >> 16 & 0xFF, di >> 8 & 0xFF, di & 0xFF
    name = f"energy_{_energy_name(kind)}_{_place(tariff)}_{_settled(settlement)}"
    reactive = 3 <= kind & 0x0F <= 8
    return Item(di, name, "kvarh" if reactive else "kWh", formats.ENERGY)


def _quantity(path: str) -> Quantity | None:
    return by_path(path) if path else None


def _parts(di: int) -> tuple[int, int, int]:
    return di >> 16 & 0xFF, di >> 8 & 0xFF, di & 0xFF


def _energy_name(kind: int) -> str:
    return _ENERGIES[kind][0] if kind in _ENERGIES else f"energy_{kind:02X}"


def _kind_of(kind: int) -> tuple[str, str, bool, str, str] | None:
    """Quantity, unit, signed, title, and the phase as the hub names it, of a kind of energy; None where unknown."""
    for phase, group in enumerate(_PHASE_GROUPS, 1):
        if group < kind <= group + 0x0A:
            _, path, unit, signed, title = _ENERGIES[kind - group]
            return path, unit, signed, f"{title}, phase {PHASES[phase - 1]}", f"L{phase}"
    if kind in _ENERGIES:
        _, path, unit, signed, title = _ENERGIES[kind]
        return path, unit, signed, title, ""
    return None


def _place(tariff: int) -> str:
    return {0: "total", ALL: "block"}.get(tariff, f"T{tariff}")


def _settled(settlement: int) -> str:
    return "settle_block" if settlement == ALL else f"settle{settlement}"


def _told(title: str, tariff: int, settlement: int) -> str:
    if 0 < tariff < ALL:
        title += f", tariff {tariff}"
    if 0 < settlement < ALL:
        title += f", settlement day {settlement} back"
    return title


def _spread(di: int, tariff: int, settlement: int) -> list[int] | None:
    """Identifiers that a block asks for; empty for a single one, None where there is no such identifier."""
    if tariff == ALL and settlement <= MOST_SETTLEMENTS:
        return [di & 0xFFFF00FF | each << 8 for each in range(MOST_TARIFFS)]
    if settlement == ALL and tariff <= MOST_TARIFFS:
        return [di & 0xFFFFFF00 | each for each in range(MOST_SETTLEMENTS + 1)]
    return [] if tariff <= MOST_TARIFFS and settlement <= MOST_SETTLEMENTS else None


def _energy(di: int) -> Entry | None:
    kind, tariff, settlement = _parts(di)
    spread = _spread(di, tariff, settlement)
    if spread is None:
        return None
    known = _kind_of(kind)
    path, unit, signed, title, phase = known or ("", energy_in_general(di).unit, False, f"energy {kind:02X}", "")
    name = f"energy_{_energy_name(kind)}_{_place(tariff)}_{_settled(settlement)}"
    if spread:
        items = tuple(item for item in map(_energy, spread) if isinstance(item, Item))
        return Block(di, name, unit, items, f"{title}, total and tariffs" if tariff == ALL else f"{title}, settlements")
    suffix = phase or (f"T{tariff}" if tariff else "")
    quantity = None if settlement or (phase and tariff) or not path else _quantity(path + suffix)
    chosen = formats.ENERGY_SIGNED if signed else formats.ENERGY
    return Item(di, name, unit, chosen, quantity, _told(title, tariff, settlement))


def _demand(di: int) -> Entry | None:
    kind, tariff, settlement = _parts(di)
    known = _kind_of(kind)
    spread = _spread(di, tariff, settlement)
    if known is None or spread is None:
        return None
    _, unit, signed, title, _ = known
    name = f"demand_{_energy_name(kind).removeprefix('energy_')}_{_place(tariff)}_{_settled(settlement)}"
    title = "maximum demand of " + title
    unit = _POWER_UNITS[unit]
    if spread:
        items = tuple(item for item in map(_demand, spread) if isinstance(item, Item))
        return Block(di, name, unit, items, f"{title}, total and tariffs" if tariff == ALL else f"{title}, settlements")
    chosen = formats.POWER if signed else formats.number(3, 4)
    return Item(di, name, unit, chosen, None, _told(title, tariff, settlement), formats.MINUTE, (chosen,))


def _instant(di: int) -> Entry | None:
    variable, place, last = _parts(di)
    if variable in _HARMONICS:
        return _harmonic(di, _HARMONICS[variable], place, last)
    if variable == 0x80:
        if place or last not in _OTHER_INSTANTS:
            return None
        name, path, unit, chosen = _OTHER_INSTANTS[last]
        return Item(di, name, unit, chosen, _quantity(path), name.replace("_", " "))
    if variable not in _INSTANTS or last:
        return None
    name, path, unit, chosen, has_total = _INSTANTS[variable]
    title = name.replace("_", " ")
    if place == ALL:
        first = 0 if has_total else 1
        items = [_instant(di & 0xFFFF00FF | each << 8) for each in range(first, 4)]
        return Block(di, f"{name}_block", unit, tuple(i for i in items if isinstance(i, Item)), f"{title}, all phases")
    if place == 0 and has_total:
        return Item(di, f"{name}_total", unit, chosen, _quantity(path), f"{title}, total")
    if not 1 <= place <= 3:
        return None
    if variable == 0x0C:
        return Item(di, f"{name}_{_LINES[place - 1]}", unit, chosen, _quantity(path + _LINE_PATHS[place - 1]), title)
    quantity = _quantity(f"{path}L{place}") if path else None
    phase = PHASES[place - 1]
    return Item(di, f"{name}_{phase}", unit, chosen, quantity, f"{title}, phase {phase}")


def _frozen(di: int) -> Entry | None:
    """Frozen values are told as those of the moment are, with what froze them and how far back (annex A.6)."""
    mode, what, nth = _parts(di)
    if mode not in FREEZES or not nth or (what not in _FROZEN and what != 0):
        return None
    name = f"freeze_{FREEZES[mode]}_{{}}_{nth}"
    title = f"{FREEZES[mode]} freeze, {nth} back: "
    if what == 0:
        return Item(di, name.format("time"), "", formats.MINUTE, None, title + "its time")
    source = _frozen_rows(what)
    word = source[0].name if len(source) == 1 else "powers"
    items = [item for entry in source for item in (entry.items if isinstance(entry, Block) else (entry,))]
    return Block(di, name.format(word), source[0].unit, tuple(items), title + word.replace("_", " "))


def _frozen_rows(what: int) -> list[Entry]:
    return [entry for entry in map(find, _FROZEN[what]) if entry is not None]


def _harmonic(di: int, name: str, place: int, order: int) -> Entry | None:
    if not 1 <= place <= 3:
        return None
    phase = PHASES[place - 1]
    title = f"{name.replace('_', ' ')}, phase {phase}"
    if order == ALL:
        items = [_harmonic(di & 0xFFFFFF00 | each, name, place, each) for each in range(1, MOST_HARMONICS + 1)]
        return Block(di, f"{name}_{phase}_block", "%", tuple(i for i in items if isinstance(i, Item)), title)
    if not 1 <= order <= MOST_HARMONICS:
        return None
    return Item(di, f"{name}_{phase}_{order}", "%", formats.PERCENT, None, f"{title}, order {order}")
