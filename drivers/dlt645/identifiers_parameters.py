"""Parameters and tables of DL/T 645-2007, identifiers 04 (annex A.5): clock, counts, numbers, ratings, status words."""

from __future__ import annotations

from typing import Final

from drivers.dlt645 import formats
from drivers.dlt645.formats import Format, bits, digits, number, opaque, stamp, text
from drivers.dlt645.item import Block, Entry, Item

STATUS_WORDS: Final = range(0x04000501, 0x04000508)
STATUS_BLOCK: Final = 0x040005FF

_ONE = number(1)
_TWO = number(2)
_SINGLE: Final[dict[int, tuple[str, str, Format]]] = {
    0x04000101: ("date", "", formats.DATE),
    0x04000102: ("time", "", formats.TIME),
    0x04000103: ("demand_period", "min", _ONE),
    0x04000104: ("demand_slide", "min", _ONE),
    0x04000105: ("pulse_width", "ms", _TWO),
    0x04000106: ("zone_table_switch_time", "", stamp("mhDMY")),
    0x04000107: ("day_table_switch_time", "", stamp("mhDMY")),
    0x04000108: ("ladder_switch_time", "", stamp("mhDMY")),
    0x04000109: ("price_switch_time", "", stamp("mhDMY")),
    0x0400010C: ("datetime", "", formats.CLOCK_WEEKDAY),
    0x04000201: ("year_zones", "", _ONE),
    0x04000202: ("day_tables", "", _ONE),
    0x04000203: ("day_slots", "", _ONE),
    0x04000204: ("tariffs", "", _ONE),
    0x04000205: ("holidays", "", _TWO),
    0x04000206: ("harmonics_analysed", "", _ONE),
    0x04000207: ("ladders", "", _ONE),
    0x04000301: ("screens_scrolled", "", _ONE),
    0x04000302: ("screen_time", "s", _ONE),
    0x04000303: ("energy_decimals_shown", "", _ONE),
    0x04000304: ("power_decimals_shown", "", _ONE),
    0x04000305: ("screens_by_key", "", _ONE),
    0x04000306: ("ct_ratio", "", number(3)),
    0x04000307: ("pt_ratio", "", number(3)),
    0x04000401: ("address", "", digits(6)),
    0x04000402: ("meter_number", "", digits(6)),
    0x04000403: ("asset_code", "", text(32)),
    0x04000404: ("rated_voltage", "", text(6)),
    0x04000405: ("rated_current", "", text(6)),
    0x04000406: ("maximum_current", "", text(6)),
    0x04000407: ("active_class", "", text(4)),
    0x04000408: ("reactive_class", "", text(4)),
    0x04000409: ("active_constant", "imp/kWh", number(3)),
    0x0400040A: ("reactive_constant", "imp/kvarh", number(3)),
    0x0400040B: ("model", "", text(10)),
    0x0400040C: ("made", "", text(10)),
    0x0400040D: ("protocol_version", "", text(16)),
    0x0400040E: ("customer_number", "", digits(6)),
    0x04000601: ("active_combination", "", bits(1)),
    0x04000602: ("reactive_combination_1", "", bits(1)),
    0x04000603: ("reactive_combination_2", "", bits(1)),
    0x04000701: ("infrared_baud", "", bits(1)),
    0x04000702: ("contact_infrared_baud", "", bits(1)),
    0x04000703: ("port1_baud", "", bits(1)),
    0x04000704: ("port2_baud", "", bits(1)),
    0x04000705: ("port3_baud", "", bits(1)),
    0x04000801: ("rest_days", "", bits(1)),
    0x04000802: ("rest_day_table", "", _ONE),
    0x04000901: ("record_mode", "", bits(1)),
    0x04000902: ("timed_freeze_mode", "", bits(1)),
    0x04000903: ("instant_freeze_mode", "", bits(1)),
    0x04000904: ("switch_freeze_mode", "", bits(1)),
    0x04000905: ("hourly_freeze_mode", "", bits(1)),
    0x04000906: ("daily_freeze_mode", "", bits(1)),
    0x04000A01: ("record_start", "", stamp("mhDM")),
    0x04000B01: ("settlement_day_1", "", stamp("hD")),
    0x04000B02: ("settlement_day_2", "", stamp("hD")),
    0x04000B03: ("settlement_day_3", "", stamp("hD")),
    0x04000E01: ("active_import_limit", "kW", number(3, 4)),
    0x04000E02: ("active_export_limit", "kW", number(3, 4)),
    0x04000E03: ("voltage_upper_limit", "V", formats.VOLTAGE),
    0x04000E04: ("voltage_lower_limit", "V", formats.VOLTAGE),
    0x04000F01: ("alarm_energy_1", "kWh", formats.ENERGY),
    0x04000F02: ("alarm_energy_2", "kWh", formats.ENERGY),
    0x04000F03: ("hoarding_energy_limit", "kWh", formats.ENERGY),
    0x04000F04: ("overdraft_energy_limit", "kWh", formats.ENERGY),
    0x04001001: ("alarm_amount_1", "CNY", formats.MONEY),
    0x04001002: ("alarm_amount_2", "CNY", formats.MONEY),
    0x04001003: ("overdraft_amount_limit", "CNY", formats.MONEY),
    0x04001004: ("hoarding_amount_limit", "CNY", formats.MONEY),
    0x04001005: ("closing_amount", "CNY", formats.MONEY),
    0x04001401: ("trip_delay", "min", _TWO),
    0x04800001: ("software_version", "", text(32)),
    0x04800002: ("hardware_version", "", text(32)),
    0x04800003: ("manufacturer_code", "", text(32)),
}
_COEFFICIENTS = ("conductance", "susceptance", "resistance", "reactance")
_MOST_SCREENS = 254
_WIDER = (opaque(5),)
"""Later revisions name the block of a screen's identifier too."""
_ZONE_SLOTS = 14
_HOLIDAYS = 254
_PRICES = 63
_LADDERS = 13


def find(di: int) -> Entry | None:
    """The parameter of an identifier, None where it is none that is known."""
    if di in STATUS_WORDS:
        return _status_word(di)
    if di == STATUS_BLOCK:
        return Block(di, "status_words", "", tuple(map(_status_word, STATUS_WORDS)), "status words 1 to 7", named=True)
    if di in _SINGLE:
        name, unit, chosen = _SINGLE[di]
        return Item(di, name, unit, chosen, None, name.replace("_", " "))
    if 0x04000A02 <= di <= 0x04000A07:
        return Item(di, f"record_interval_{(di & 0xFF) - 1}", "min", _TWO, None, "interval of a class of load records")
    if 0x04000D01 <= di <= 0x04000D0C:
        phase, kind = divmod((di & 0xFF) - 1, 4)
        return Item(di, f"{_COEFFICIENTS[kind]}_{'ABC'[phase]}", "", number(2, 3), None, "coefficient of line losses")
    if di >> 8 in (0x040401, 0x040402) and 1 <= di & 0xFF <= _MOST_SCREENS:
        return Item(
            di, f"screen_{di >> 8 & 0xFF}_{di & 0xFF}", "", opaque(4), None, "what a screen shows", None, _WIDER
        )
    if 0x04000C01 <= di <= 0x04000C0A:
        return Item(di, f"password_{(di & 0xFF) - 1}", "", opaque(4), None, "password, only ever written")
    return _table(di)


def _status_word(di: int) -> Item:
    word = di & 0xFF
    return Item(di, f"status_word_{word}", "", formats.STATUS, None, f"status word {word}")


def _table(di: int) -> Entry | None:
    family, place, last = di >> 16 & 0xFF, di >> 8 & 0xFF, di & 0xFF
    if family in (0x01, 0x02) and place == 0:
        return _tariff_table(di, family, last)
    if family == 0x03 and place == 0 and 1 <= last <= _HOLIDAYS:
        return Item(di, f"holiday_{last}", "", stamp("NDMY"), None, f"public holiday {last} and its day table")
    if family == 0x05 and place in (0x01, 0x02):
        return _prices(di, place, last)
    if family == 0x06 and place in (0x00, 0x01, 0x02, 0x03):
        return _ladder(di, place, last)
    return None


def _tariff_table(di: int, book: int, table: int) -> Entry | None:
    if table == 0:
        zones = tuple(
            Item(di, f"zone_{at}", "", stamp("NDM"), None, f"year zone {at}") for at in range(1, _ZONE_SLOTS + 1)
        )
        return Block(di, f"zone_table_{book}", "", zones, f"year zones, set {book}: beginning and day table")
    if table > 8:
        return None
    slots = tuple(Item(di, f"slot_{at}", "", stamp("Nmh"), None, f"slot {at}") for at in range(1, _ZONE_SLOTS + 1))
    return Block(di, f"day_table_{book}_{table}", "", slots, f"day table {table}, set {book}: beginning and tariff")


def _prices(di: int, book: int, last: int) -> Entry | None:
    if last == 0xFF:
        prices = tuple(item for item in (_prices(di & ~0xFF | at, book, at) for at in range(1, _PRICES + 1)) if item)
        return Block(di, f"prices_{book}", "CNY/kWh", tuple(p for p in prices if isinstance(p, Item)), "tariff prices")
    if not 1 <= last <= _PRICES:
        return None
    return Item(di, f"price_{book}_T{last}", "CNY/kWh", formats.PRICE, None, f"price of tariff {last}, set {book}")


def _ladder(di: int, place: int, last: int) -> Entry | None:
    book = place % 2 + 1
    steps = place < 2
    word, unit, chosen = ("step", "kWh", formats.ENERGY) if steps else ("price", "CNY/kWh", formats.PRICE)
    if last == 0xFF:
        rungs = (_ladder(di & ~0xFF | at, place, at) for at in range(1, _LADDERS + 1))
        return Block(di, f"ladder_{word}s_{book}", unit, tuple(r for r in rungs if isinstance(r, Item)), "ladder")
    if not 1 <= last <= _LADDERS:
        return None
    return Item(di, f"ladder_{word}_{book}_{last}", unit, chosen, None, f"ladder {word} {last}, set {book}")
