"""What identifiers stand for, over the whole of both versions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from address_space.model.quantity import Quantity
from drivers.dlt645 import identifiers, identifiers_1997
from drivers.dlt645.formats import Kind
from drivers.dlt645.item import Block, Item

ALL_1997 = [entry for entry in map(identifiers_1997.find, range(0x10000)) if entry is not None]


def item(di: int) -> Item:
    found = identifiers.find(di)
    assert isinstance(found, Item)
    return found


def block(di: int) -> Block:
    found = identifiers.find(di)
    assert isinstance(found, Block)
    return found


@pytest.mark.parametrize(
    ("di", "name", "unit", "size", "quantity"),
    [
        (0x00000000, "energy_active_comb_total_settle0", "kWh", 4, Quantity.ACTIVE_ENERGY_TOTAL),
        (0x00010000, "energy_active_import_total_settle0", "kWh", 4, Quantity.ACTIVE_ENERGY_IMPORT),
        (0x00010300, "energy_active_import_T3_settle0", "kWh", 4, Quantity.ACTIVE_ENERGY_IMPORT_T3),
        (0x00010500, "energy_active_import_T5_settle0", "kWh", 4, None),
        (0x0001000C, "energy_active_import_total_settle12", "kWh", 4, None),
        (0x00020000, "energy_active_export_total_settle0", "kWh", 4, Quantity.ACTIVE_ENERGY_EXPORT),
        (0x00030000, "energy_reactive_comb1_total_settle0", "kvarh", 4, Quantity.REACTIVE_ENERGY_IMPORT),
        (0x00090000, "energy_apparent_import_total_settle0", "kVAh", 4, Quantity.APPARENT_ENERGY),
        (0x00150000, "energy_energy_15_total_settle0", "kWh", 4, Quantity.ACTIVE_ENERGY_IMPORT_L1),
        (0x003D0000, "energy_energy_3D_total_settle0", "kWh", 4, Quantity.ACTIVE_ENERGY_IMPORT_L3),
        (0x00440000, "energy_energy_44_total_settle0", "kvarh", 4, None),
        (0x01010000, "demand_active_import_total_settle0", "kW", 8, None),
        (0x02010200, "voltage_B", "V", 2, Quantity.VOLTAGE_L2),
        (0x02020300, "current_C", "A", 3, Quantity.CURRENT_L3),
        (0x02030000, "active_power_total", "kW", 3, Quantity.ACTIVE_POWER),
        (0x02040100, "reactive_power_A", "kvar", 3, Quantity.REACTIVE_POWER_L1),
        (0x02060000, "power_factor_total", "", 2, Quantity.POWER_FACTOR),
        (0x02070100, "phase_angle_A", "°", 2, None),
        (0x02080100, "thd_voltage_A", "%", 2, Quantity.THD_VOLTAGE_L1),
        (0x020A0103, "harmonic_voltage_A_3", "%", 2, None),
        (0x020C0200, "line_voltage_BC", "V", 2, Quantity.VOLTAGE_L2L3),
        (0x02800001, "neutral_current", "A", 3, Quantity.CURRENT_N),
        (0x02800002, "frequency", "Hz", 2, Quantity.FREQUENCY),
        (0x02800007, "temperature", "°C", 2, Quantity.TEMPERATURE),
        (0x0280000A, "battery_run_time", "min", 4, None),
        (0x03110000, "power_down_count", "", 3, Quantity.POWER_DOWN_COUNT),
        (0x03300D00, "cover_open_count", "", 3, Quantity.COVER_OPEN_COUNT),
        (0x03330201, "purchase_money_count_1", "", 2, Quantity.PURCHASE_COUNT),
        (0x04000101, "date", "", 4, None),
        (0x04000403, "asset_code", "", 32, None),
        (0x04000503, "status_word_3", "", 2, None),
        (0x04050102, "price_1_T2", "CNY/kWh", 4, None),
        (0x00900100, "prepaid_remaining_energy", "kWh", 4, Quantity.METER_CREDIT_ENERGY),
        (0x00900201, "prepaid_overdraft_amount", "CNY", 4, Quantity.METER_OVERDRAFT),
        (0x05060001, "freeze_daily_time_1", "", 5, None),
        (0x1D000001, "relay_trip_count", "", 3, None),
    ],
)
def test_an_identifier_has_its_name_unit_size_and_quantity(
    di: int, name: str, unit: str, size: int, quantity: Quantity | None
) -> None:
    found = item(di)
    assert (found.di, found.name, found.unit, found.size, found.quantity) == (di, name, unit, size, quantity)


@pytest.mark.parametrize(
    ("di", "name", "unit", "size", "quantity"),
    [
        (0x9010, "energy_active_import", "kWh", 4, Quantity.ACTIVE_ENERGY_IMPORT),
        (0x9014, "energy_active_import_T4", "kWh", 4, Quantity.ACTIVE_ENERGY_IMPORT_T4),
        (0x9020, "energy_active_export", "kWh", 4, Quantity.ACTIVE_ENERGY_EXPORT),
        (0x9110, "energy_reactive_import", "kvarh", 4, Quantity.REACTIVE_ENERGY_IMPORT),
        (0x9410, "energy_active_import_last_month", "kWh", 4, None),
        (0x9810, "energy_active_import_month_before_last", "kWh", 4, None),
        (0xA010, "demand_active_import", "kW", 3, None),
        (0xB010, "demand_time_active_import", "", 4, None),
        (0xB612, "voltage_B", "V", 2, Quantity.VOLTAGE_L2),
        (0xB621, "current_A", "A", 2, Quantity.CURRENT_L1),
        (0xB630, "active_power_total", "kW", 3, Quantity.ACTIVE_POWER),
        (0xB640, "reactive_power_total", "kvar", 2, Quantity.REACTIVE_POWER),
        (0xB653, "power_factor_C", "", 2, Quantity.POWER_FACTOR_L3),
        (0xB691, "line_voltage_AB", "V", 2, Quantity.VOLTAGE_L1L2),
        (0xC032, "meter_number", "", 6, None),
        (0xC020, "meter_status", "", 1, None),
    ],
)
def test_an_identifier_of_1997_has_them_too(
    di: int, name: str, unit: str, size: int, quantity: Quantity | None
) -> None:
    found = identifiers_1997.find(di)
    assert isinstance(found, Item)
    assert (found.di, found.name, found.unit, found.size, found.quantity) == (di, name, unit, size, quantity)


@pytest.mark.parametrize(
    "di", [0x00010D00 | 0x0D, 0x0001C000, 0x02010400, 0x02010101, 0x020A0116, 0x03990000, 0x04FF0000, 0xFFFFFFFF, -1]
)
def test_what_the_standard_does_not_know_is_unknown(di: int) -> None:
    assert identifiers.find(di) is None


@given(st.integers(0, 0xFFFFFFFF))
def test_any_identifier_has_an_answer(di: int) -> None:
    found = identifiers.find(di)
    assert found is None or found.di == di


@given(
    st.sampled_from([0, 1, 2, 3, 4, 5, 0x1D]), st.sampled_from(range(0x100)), st.integers(0, 255), st.integers(0, 255)
)
def test_names_are_words_and_blocks_are_full(family: int, first: int, second: int, last: int) -> None:
    di = family << 24 | first << 16 | second << 8 | last
    found = identifiers.find(di)
    if found is not None:
        assert " " not in found.name
        assert not isinstance(found, Block) or found.items


def test_no_two_identifiers_of_1997_share_a_name() -> None:
    names = [entry.name for entry in ALL_1997]
    assert len(names) == len(set(names))
    assert len(names) > 500


def test_no_two_instantaneous_values_share_a_name() -> None:
    dis = [0x02000000 | variable << 16 | place << 8 for variable in range(0x0D) for place in (*range(4), 0xFF)]
    names = [entry.name for entry in map(identifiers.find, dis) if entry is not None]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("di", "data", "values"),
    [
        (0x0001FF00, "290100006200000060000000", [1.29, 0.62, 0.60]),
        (0x0201FF00, "5622FFFFFFFF", [225.6, None, None]),
        (0x0201FF00, "5622", [225.6]),
        (0x0203FF00, "000001000081FFFFFF000000", [1.0, -1.0, None, 0.0]),
        (0x0001FF00, "29010000AA62000000AA", [1.29, 0.62]),
        (0x0001FF00, "29010000AA62000000", [1.29, 0.62]),
        (0x0201FF00, "562200", []),
        (0x0201FF00, "", []),
        (0x03010000, "010000" + "050000" * 5, [1, 5, 5, 5, 5, 5]),
    ],
)
def test_the_length_says_how_many_values_a_block_has(di: int, data: str, values: list[float | None]) -> None:
    parts = block(di).split(bytes.fromhex(data))
    assert [each.decode(part) for each, part in parts] == values


def test_a_record_shows_what_it_knows_and_the_rest_as_it_is() -> None:
    record = block(0x03300D01)
    data = bytes.fromhex("000010221126" + "300010221126") + bytes(48)
    assert record.named
    assert [(each.name, each.decode(part)) for each, part in record.split(data)] == [
        ("start", "2026-11-22 10:00:00"),
        ("end", "2026-11-22 10:00:30"),
        ("rest", "00" * 48),
    ]


def test_other_makes_of_1997_are_known_by_their_length() -> None:
    found = identifiers_1997.find(0xB640)
    assert isinstance(found, Item)
    assert found.decode(bytes.fromhex("3412")) == 12.34
    assert found.decode(bytes.fromhex("345612")) == 12.5634
    assert found.decode(bytes.fromhex("34")) is None


def test_status_words_are_bits() -> None:
    assert all(each.format.kind is Kind.BITS for each in block(0x040005FF).items)
    assert block(0x040005FF).size == 14
