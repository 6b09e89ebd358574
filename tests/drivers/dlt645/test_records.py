"""Load records and frozen values as lists of readings."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from address_space.model.quantity import Quantity
from drivers.dlt645 import records
from drivers.dlt645.formats import MINUTE

AT = datetime(2026, 11, 22, 10, 15)  # noqa: DTZ001 - as the meter's clock tells it
CLASS_1 = bytes.fromhex("0123" * 3 + "000500" * 3 + "0050")
CLASS_2 = bytes.fromhex("000001" * 4 + "000002" * 4)
CLASS_4 = bytes.fromhex("78563412" * 4)


def record(parts: list[bytes], at: datetime = AT, *, counts: str = "body") -> bytes:
    body = MINUTE.encode(at) + b"\xaa".join(parts) + b"\xaa"
    length = {"body": len(body), "all": len(body) + 2, "whole": len(body) + 5}[counts]
    made = b"\xa0\xa0" + bytes([length]) + body
    return made + bytes([sum(made) & 0xFF, 0xE5])


def test_requests_name_class_and_place() -> None:
    assert records.newest(1) == bytes.fromhex("02000106")
    assert records.oldest(0, 12) == bytes.fromhex("0000000612")
    assert records.since(2, 10, AT) == bytes.fromhex("0100020610" + "1510221126")
    assert f"{records.frozen(6, 1, 3):08X}" == "05060103"


@pytest.mark.parametrize(("of_class", "blocks"), [(7, 1), (-1, 1), (1, 0), (1, 100)])
def test_impossible_requests_are_not_made(of_class: int, blocks: int) -> None:
    with pytest.raises(ValueError, match=r"load records|at once"):
        records.oldest(of_class, blocks)


@pytest.mark.parametrize("counts", ["body", "all", "whole"])
def test_all_classes_of_a_record_are_read_whatever_its_length_counts(counts: str) -> None:
    parts = [CLASS_1, CLASS_2, b"", CLASS_4, b"", b""]
    found = records.samples(0, record(parts, counts=counts))
    assert len(found) == 7 + 8 + 4
    by_quantity = {each.quantity: each.value for each in found if each.quantity is not None}
    assert by_quantity[Quantity.VOLTAGE_L1] == 230.1
    assert by_quantity[Quantity.CURRENT_L3] == 0.5
    assert by_quantity[Quantity.FREQUENCY] == 50.0
    assert by_quantity[Quantity.ACTIVE_POWER] == 1.0
    assert by_quantity[Quantity.ACTIVE_ENERGY_IMPORT] == 123456.78
    assert {each.at for each in found} == {AT}


def test_one_class_alone_is_known_by_what_was_asked() -> None:
    found = records.samples(5, record([CLASS_4]))
    assert found[0].name == "energy_reactive_q1_total_settle0"
    assert [each.unit for each in found] == ["kvarh"] * 4


def test_single_phase_meters_have_shorter_records() -> None:
    found = records.samples(1, record([bytes.fromhex("0123" + "000500" + "0050")]))
    assert [each.name for each in found] == ["voltage_A", "current_A", "frequency"]


def test_several_records_follow_one_another_and_broken_ones_are_left_out() -> None:
    later = datetime(2026, 11, 22, 10, 30)  # noqa: DTZ001
    good, broken = record([CLASS_4]), bytearray(record([CLASS_4]))
    broken[12] ^= 0x11
    found = records.samples(4, good + bytes(broken) + b"\x99" + record([CLASS_4], later))
    assert sorted({each.at for each in found}) == [AT, later]
    assert len(found) == 8


def test_parts_behind_the_last_class_are_left_out() -> None:
    found = records.samples(records.ALL_CLASSES, record([b"", b"", b"", CLASS_4, b"", b"", b"\x00", CLASS_4]))
    assert [each.value for each in found] == [123456.78] * 4


def test_a_value_that_the_meter_does_not_have_is_none() -> None:
    found = records.samples(4, record([b"\xff" * 4 + CLASS_4[:12]]))
    assert [each.value for each in found] == [None, 123456.78, 123456.78, 123456.78]


def test_frozen_energies_keep_their_quantities() -> None:
    found = records.frozen_samples(AT, records.frozen(6, 1, 1), bytes.fromhex("78563412" + "00010000" * 4))
    assert [(each.quantity, each.value) for each in found[:2]] == [
        (Quantity.ACTIVE_ENERGY_IMPORT, 123456.78),
        (Quantity.ACTIVE_ENERGY_IMPORT_T1, 1.0),
    ]
    assert len(found) == 5
    assert records.frozen_time(bytes.fromhex("1510221126")) == AT


def test_frozen_demands_and_powers_are_read() -> None:
    demand = records.frozen_samples(AT, records.frozen(6, 9, 1), bytes.fromhex("341200" + "0019211126"))
    assert [each.value for each in demand] == [0.1234]
    powers = records.frozen_samples(AT, records.frozen(6, 0x10, 1), CLASS_2)
    assert [each.value for each in powers] == [1.0] * 4 + [2.0] * 4


def test_an_unknown_freeze_tells_nothing() -> None:
    assert records.frozen_samples(AT, 0x05999901, b"\0\0\0\0") == []
    assert records.frozen_time(b"\xff" * 5) is None


@given(st.integers(0, 6), st.binary(max_size=400))
def test_any_body_is_read(of_class: int, body: bytes) -> None:
    assert isinstance(records.samples(of_class, body), list)


@given(st.integers(0, 6), st.lists(st.binary(max_size=40), max_size=4))
def test_any_record_that_is_sealed_is_read(of_class: int, parts: list[bytes]) -> None:
    body = MINUTE.encode(AT) + b"\xaa".join(parts)
    made = b"\xa0\xa0" + bytes([len(body) & 0xFF]) + body
    for each in records.samples(of_class, made + bytes([sum(made) & 0xFF, 0xE5])):
        assert each.at == AT
