"""Units against the OPC Foundation's table of UNECE codes (UNECE_to_OPCUA.csv)."""

from __future__ import annotations

import pytest

from address_space.model.units import UNITS, Unit

UNIT_IDS = {
    "WHR": 5720146, "KWH": 4937544, "MWH": 5068616, "K3": 19251, "C79": 4405049, "VLT": 5655636, "KVT": 4937300,
    "AMP": 4279632, "4K": 13387, "WTT": 5723220, "KWT": 4937556, "MAW": 5062999, "D44": 4469812, "KVR": 4937298,
    "D46": 4469814, "KVA": 4937281, "HTZ": 4740186, "DD": 17476, "DBM": 4473421, "P1": 20529, "C62": 4404786,
    "MTQ": 5067857, "LTR": 5002322, "MQH": 5067080, "MQS": 5067091, "E32": 4535090, "KGM": 4933453, "TNE": 5525061,
    "E93": 4536627, "E18": 4534584, "KGS": 4933459, "GV": 18262, "3B": 13122, "KJO": 4934223, "E14": 4534580,
    "K51": 4928817, "K53": 4928819, "CEL": 4408652, "KEL": 4932940, "BAR": 4342098, "PAL": 5259596, "KPA": 4935745,
    "MPA": 5066817, "HUR": 4740434, "MIN": 5065038, "SEC": 5457219, "DAY": 4473177, "C26": 4403766,
}  # fmt: skip
SYMBOLS = {
    "KWH": "kW·h", "K3": "kvar·h", "C79": "kVAh", "VLT": "V", "AMP": "A", "KWT": "kW", "KVR": "kvar", "KVA": "kV·A",
    "HTZ": "Hz", "DD": "°", "P1": "%", "C62": "1", "MTQ": "m³", "MQH": "m³/h", "GV": "GJ", "TNE": "t", "E18": "t/h",
    "CEL": "°C", "BAR": "bar", "KVT": "kV", "DBM": "dBm", "SEC": "s", "C26": "ms", "HUR": "h",
}  # fmt: skip
PER_UNIT = {
    "KWH": ("Wh", 1000), "K3": ("varh", 1000), "C79": ("VAh", 1000), "KWT": ("W", 1000), "KVR": ("var", 1000),
    "KVA": ("VA", 1000), "MTQ": ("l", 1000), "MQH": ("l/h", 1000), "GV": ("kJ", 1_000_000), "TNE": ("kg", 1000),
    "E18": ("kg/h", 1000), "KVT": ("V", 1000), "HUR": ("s", 3600),
}  # fmt: skip


@pytest.mark.parametrize(("code", "unit_id"), UNIT_IDS.items())
def test_the_unit_id_is_made_of_the_bytes_of_the_code(code: str, unit_id: int) -> None:
    assert Unit(code, "", "").unit_id == unit_id


def test_every_unit_of_the_hub_stands_in_the_table() -> None:
    assert {code: unit.unit_id for code, unit in UNITS.items()} == {code: UNIT_IDS[code] for code in UNITS}


def test_units_are_shown_as_the_table_says() -> None:
    assert {code: unit.symbol for code, unit in UNITS.items()} == SYMBOLS


def test_a_unit_holds_the_right_number_of_base_units() -> None:
    scaled = {code: (unit.base, unit.per_unit) for code, unit in UNITS.items() if unit.per_unit != 1}
    assert scaled == PER_UNIT


def test_a_unit_that_is_its_own_base_says_so() -> None:
    for code in UNITS.keys() - PER_UNIT.keys():
        assert UNITS[code].base == UNITS[code].symbol


def test_units_stand_under_their_own_code_and_the_known_traps_are_avoided() -> None:
    assert all(code == unit.code for code, unit in UNITS.items())
    assert not UNITS.keys() & {"GJ", "VA", "K5"}
