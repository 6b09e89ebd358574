"""The enumeration of quantities: what must hold for every member."""

from __future__ import annotations

import re

import pytest

from address_space.model import quantity as module
from address_space.model.quantity import ALL, LOCALES, MEASURED, SYSTEM, DataType, Kind, Names, Quantity, by_path
from address_space.model.state import Phase

every = pytest.mark.parametrize("quantity", ALL, ids=lambda quantity: quantity.path)
measured = pytest.mark.parametrize("quantity", MEASURED, ids=lambda quantity: quantity.path)

OBIS = re.compile(r"(\d{1,2})-(\d{1,2}):(\d{1,3})\.(\d{1,3})\.(\d{1,3})\*(\d{1,3})")
SUFFIX_PHASE = re.compile(r"(?:[a-z])(L1L2|L2L3|L3L1|L1|L2|L3|N)$")


def test_paths_are_unique_even_where_case_does_not_count() -> None:
    assert len({quantity.path.lower() for quantity in ALL}) == len(ALL)


@measured
def test_a_measured_quantity_has_a_camel_case_name(quantity: Quantity) -> None:
    assert all(re.fullmatch(r"(?:[A-Z][a-z0-9]*)+", part) for part in quantity.path.split("."))


@every
def test_a_path_is_made_of_camel_case_names_one_or_two_levels_deep(quantity: Quantity) -> None:
    assert re.fullmatch(r"[A-Z][A-Za-z0-9]*(?:\.[A-Z][A-Za-z0-9]*)?", quantity.path)


@every
def test_a_quantity_is_found_by_its_path_and_its_code(quantity: Quantity) -> None:
    assert by_path(quantity.path) is quantity
    assert ALL[quantity.code] is quantity


def test_an_unknown_path_is_no_quantity() -> None:
    assert by_path("activeenergyimport") is None


def test_codes_fit_a_byte() -> None:
    assert len(ALL) <= 256


@pytest.mark.parametrize("locale", LOCALES)
def test_no_two_quantities_share_a_name_in_any_language(locale: str) -> None:
    names = [quantity.value.names.in_locale(locale) for quantity in ALL]
    assert all(name.strip() == name and name for name in names)
    assert len({name.casefold() for name in names}) == len(names)


@pytest.mark.parametrize(("locale", "script"), [("ru", r"[а-яё]"), ("zh", r"[\u4e00-\u9fff]")])
def test_names_are_written_in_the_script_of_their_language(locale: str, script: str) -> None:
    assert all(re.search(script, quantity.value.names.in_locale(locale).lower()) for quantity in ALL)


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("en", "Voltage, mean"),
        ("ru-RU", "Напряжение, среднее"),
        ("uz-Latn-UZ", "Oʻrtacha kuchlanish"),
        ("ZH", "平均电压"),
        ("de", "Voltage, mean"),
        ("", "Voltage, mean"),
    ],
)
def test_a_language_tag_finds_its_language_and_any_other_english(tag: str, name: str) -> None:
    assert Quantity.VOLTAGE.value.names.in_locale(tag) == name


def test_phases_and_tariffs_are_told_in_every_language() -> None:
    assert Quantity.VOLTAGE_L1L2.value.names == Names(
        "Voltage L1-L2", "Напряжение L1-L2", "Kuchlanish L1-L2", "电压 L1-L2"
    )
    assert Quantity.ACTIVE_ENERGY_IMPORT_T3.value.names.ru == "Активная энергия, приём, тариф 3"


@every
def test_an_obis_code_is_well_formed(quantity: Quantity) -> None:
    if not quantity.value.obis:
        return
    found = OBIS.fullmatch(quantity.value.obis)
    assert found is not None
    assert all(int(group) <= 255 for group in found.groups())
    assert found[6] == "255"


def test_obis_codes_and_measurement_ids_name_one_quantity_each() -> None:
    for given in (
        [quantity.value.obis for quantity in ALL if quantity.value.obis],
        [quantity.value.measurement_id for quantity in ALL if quantity.value.measurement_id],
    ):
        assert len(set(given)) == len(given)


def test_measurement_ids_are_those_of_opc_34100() -> None:
    ids = {quantity.path: quantity.value.measurement_id for quantity in ALL if quantity.value.measurement_id}
    assert ids == {
        "ActiveEnergyImport": 1002, "ActiveEnergyExport": 1005, "ReactiveEnergyImport": 1011,
        "ReactiveEnergyExport": 1014, "ApparentEnergy": 1020, "VoltageL1": 1100, "VoltageL2": 1106, "VoltageL3": 1112,
        "VoltageL1L2": 1127, "VoltageL2L3": 1133, "VoltageL3L1": 1139, "CurrentL1": 1200, "CurrentL2": 1206,
        "CurrentL3": 1212, "CurrentN": 1233, "Frequency": 1300, "ActivePowerL1": 1400, "ActivePowerL2": 1403,
        "ActivePowerL3": 1406, "ActivePower": 1412, "ApparentPower": 1512, "ReactivePower": 1619,
        "PowerFactorL1": 1700, "PowerFactorL2": 1703, "PowerFactorL3": 1706, "PowerFactor": 1712,
        "DemandImport15min": 1416, "ThdVoltageL1": 1715, "ThdCurrentL1": 1721, "Volume": 28686, "VolumeFlow": 2100,
        "HeatEnergy": 2002, "SupplyTemperature": 28684, "Mass": 28685, "MassFlow": 2101, "Pressure": 28683,
    }  # fmt: skip


@every
def test_a_counter_is_kept_exact_in_base_units(quantity: Quantity) -> None:
    if quantity.kind is not Kind.COUNTER:
        return
    assert quantity.unit is not None
    assert quantity.per_unit >= 1000
    assert quantity.value.eu_range[0] == 0
    assert quantity.value.eu_range[1] * quantity.per_unit < 2**53


@every
def test_what_has_a_number_has_a_range_to_show_it_in(quantity: Quantity) -> None:
    low, high = quantity.value.eu_range
    if quantity.kind in (Kind.COUNTER, Kind.GAUGE):
        assert low < high
        assert quantity.value.data_type is DataType.DOUBLE
        assert quantity.unit is not None
        assert 1 <= quantity.value.decimals <= 3
    elif quantity in MEASURED and quantity.unit is not None:
        assert low < high
    else:
        assert low == high == 0


@every
def test_a_text_is_text_on_the_wire(quantity: Quantity) -> None:
    is_text = quantity.value.data_type in (DataType.STRING, DataType.LOCALIZED_TEXT)
    assert is_text == (quantity.kind is Kind.TEXT)


@measured
def test_the_phase_stands_in_the_name(quantity: Quantity) -> None:
    found = SUFFIX_PHASE.search(quantity.path)
    assert quantity.value.phase is (Phase[found[1]] if found else Phase.TOTAL)


def test_the_hub_tells_quality_and_communication_of_every_unit() -> None:
    assert {quantity.path.partition(".")[0] for quantity in SYSTEM} == {"Quality", "Communication"}
    assert set(SYSTEM) | set(MEASURED) == set(ALL)
    assert not set(SYSTEM) & set(MEASURED)


def test_what_a_meter_tells_of_its_relay_valve_credit_and_condition_stands_below_them() -> None:
    below: dict[str, set[str]] = {}
    for quantity in MEASURED:
        group, dot, name = quantity.path.partition(".")
        if dot:
            below.setdefault(group, set()).add(name)
            assert quantity.kind is Kind.STATE
    assert set(below) == {"Switch", "Valve", "Prepayment", "Status"}
    assert below["Switch"] == {"State", "Commanded", "KeepPowerActive"}
    assert below["Valve"] == {"State"}
    assert below["Prepayment"] == {
        "MeterCredit", "MeterOverdraft", "MeterCreditEnergy", "MeterOverdraftEnergy", "PurchaseCount",
    }  # fmt: skip
    assert Quantity.SWITCH_STATE.value.enumeration == "SwitchStateEnum"
    assert Quantity.VALVE_STATE.value.enumeration == "ValveStateEnum"


def test_data_types_carry_the_ids_of_namespace_0() -> None:
    from asyncua import ua

    names = {"UINT16": "UInt16", "INT32": "Int32", "UINT32": "UInt32", "DATETIME": "DateTime"}
    for data_type in DataType:
        name = names.get(data_type.name, data_type.name.title().replace("_", ""))
        assert getattr(ua.ObjectIds, name) == data_type


def test_a_quantity_without_unit_counts_in_ones() -> None:
    assert Quantity.ACTIVE_TARIFF.unit is None
    assert Quantity.ACTIVE_TARIFF.per_unit == 1
    assert Quantity.ACTIVE_ENERGY_IMPORT.per_unit == 1000


def test_the_locales_are_the_fields_of_a_name() -> None:
    assert module.Names._fields == LOCALES
