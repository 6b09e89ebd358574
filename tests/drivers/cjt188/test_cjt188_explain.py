"""A frame told to a person and to a machine, and what is wrong with a broken one."""

from __future__ import annotations

import random

import pytest

from drivers.cjt188.explain import explain
from drivers.cjt188.frame import Frame, encode

ADDRESS = "00123456789012"
READ = "68 10 12 90 78 56 34 12 00 01 03 1F 90 00 E1 16"


def told(control: int, data: str, kind: int = 0x10) -> dict[str, object]:
    return explain(encode(Frame(kind, ADDRESS, control, bytes.fromhex(data))).hex()).to_dict()


def test_a_request_has_the_keys_that_are_promised() -> None:
    assert explain(READ).to_dict() | {"fields": []} == {
        "valid": True,
        "errors": [],
        "notes": [],
        "protocol": "cjt188",
        "meter_type": "10",
        "address": ADDRESS,
        "control": "01",
        "function": "read",
        "from_meter": False,
        "error": False,
        "more": False,
        "length": 3,
        "di": "901F",
        "data": "1F9000",
        "di_order": "LE",
        "ser": 0,
        "decoded": {},
        "fields": [],
    }


@pytest.mark.parametrize(
    ("control", "data", "quantity", "unit", "value"),
    [
        (0x81, "901F01 10270000 2C 00000000 2C 00000000000000 0000", "cumulative", "m3", 27.1),
        (0x81, "1F9001 FFFFFFFF 2C 00000000 2C 00000000000000 0000", "cumulative", "m3", None),
        (0x81, "1F9001 10270000 2D", "cumulative", "m3", 271.0),
        (0x81, "1F9001 10270000 FF", "cumulative", None, 27.1),
        (0x81, "20D101 99990000 2C", "settlement", "m3", 99.99),
        (0x81, "058101 07 00500000 00750100 99120000 0000", "remaining", None, 12.99),
        (0x81, "7F9001 56341223112620", "clock", None, "2026-11-23 12:34:56"),
        (0x81, "038101 15", "settlement_day", None, 15),
        (0x83, "0A8101", "address", None, ADDRESS),
        (0x04, "17A001 55", "valve_command", None, "open"),
        (0x04, "A01701 99", "valve_command", None, "close"),
        (0x04, "17A001 77", "valve_command", None, "release_close (vendor)"),
        (0x04, "15A001 56341223112620", "clock", None, "2026-11-23 12:34:56"),
        (0x16, "16A001 78563412 2C", "base_reading", "m3", 123456.78),
        (0x15, "18A001 01020304050607", "new_address", None, "07060504030201"),
    ],
)
def test_known_identifiers_have_quantity_unit_and_value(
    control: int, data: str, quantity: str, unit: str | None, value: object
) -> None:
    said = told(control, data)
    assert (said["quantity"], said["unit"], said["value"]) == (quantity, unit, value)


def test_a_block_has_all_its_values_and_null_where_the_meter_says_not_available() -> None:
    said = told(
        0x81,
        "1F9001"
        + "1000000005" * 2
        + "FFFFFFFF17"
        + "5034010035"
        + "100000002C"
        + "453000"
        + "FFFFFF"
        + "000100"
        + "00000000000000"
        + "0000",
        0x20,
    )
    assert said["values"] == {
        "heat_settlement_or_cooling": 0.1,
        "heat_current": 0.1,
        "heat_power": None,
        "flow": 1.345,
        "volume": 0.1,
        "supply_temp": 30.45,
        "return_temp": None,
        "work_hours": 100,
    }


def test_an_error_has_its_status_and_no_identifier() -> None:
    said = told(0xC1, "010500")
    assert (said["error"], said["di"], said["ser"]) == (True, None, 1)
    assert said["decoded"] == {"status": {"hex": "0500", "valve": "closed", "battery_low": True}}


def test_a_key_that_is_written_stands_in_no_field() -> None:
    explanation = explain(encode(Frame(0x10, ADDRESS, 0x04, bytes.fromhex("14a001" + "00" + "1122334455667788"))).hex())
    assert not any("11 22" in line or "not explained" in line for line in explanation.lines())
    assert any("key: 9 bytes, not shown" in line for line in explanation.lines())


def test_a_makers_own_answer_to_a_valve_command_is_no_error() -> None:
    said = told(0xAA, "17A0010000")
    assert (said["function"], said["error"], said["more"], said["from_meter"]) == ("vendor", False, False, True)


def test_bytes_behind_the_frame_are_told_and_do_no_harm() -> None:
    explanation = explain(READ + " 00 01")
    assert explanation.sound
    assert explanation.notes == ("2 bytes follow the frame",)


def test_noise_before_the_frame_is_told_and_does_no_harm() -> None:
    explanation = explain("68 10 01 02 " + READ)
    assert explanation.sound
    assert "4 bytes before" in explanation.notes[0]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "no 68"),
        ("zz", "not hexadecimal"),
        ("123", "not hexadecimal"),
        ("FE FE", "no 68"),
        (READ.replace("E1", "E2"), "the checksum is E2 and should be E1"),
        (READ[:-2] + "17", "ends with 17"),
        (READ[:-6], "cut off after 14 of 16 bytes"),
        ("68 10 12", "cut off after 3 of at least 13 bytes"),
        ("68 55 12 90 78 56 34 12 00 01 03 1F 90 00 E1 16", "no kind of meter"),
        ("68 10 12 90 78 56 34 12 00 01 65", "101 bytes of data are announced"),
        ("00" * 5000, "longer than any frame"),
    ],
)
def test_a_broken_frame_says_what_is_wrong(text: str, what: str) -> None:
    explanation = explain(text)
    assert not explanation.sound
    assert any(what in problem for problem in explanation.problems), explanation.problems
    assert any("wrong: " in line for line in explanation.lines())


def test_a_wrong_length_is_named_beside_the_checksum() -> None:
    assert any(
        "4 bytes of data are announced, 3 are there" in each
        for each in explain(READ.replace("01 03", "01 04")).problems
    )


def test_a_frame_of_an_unknown_kind_of_meter_is_told_with_a_note() -> None:
    body = bytes.fromhex("6877129078563412000103" + "1F9000")
    explanation = explain((body + bytes((sum(body) & 0xFF, 0x16))).hex())
    assert explanation.sound
    assert "no kind of meter" in explanation.notes[0]


def test_a_person_reads_a_field_a_line() -> None:
    lines = explain(READ).lines()
    assert lines[0] == "CJ/T 188 request"
    assert any("identifier: 901F current_reading, low byte first" in line for line in lines)


def test_any_bytes_at_all_are_explained() -> None:
    dice = random.Random(1)
    for _ in range(3_000):
        kind, control = dice.choice([0x10, 0x20, 0x30]), dice.randrange(256)
        data = dice.choice([b"\x1f\x90", b"\x05\x81", b"\x17\xa0", dice.randbytes(2)]) + dice.randbytes(
            dice.choice([0, 1, 3, 8, 20, 44])
        )
        explanation = explain(encode(Frame(kind, ADDRESS, control, data)).hex())
        assert explanation.sound
        assert explanation.lines()
        assert explanation.to_dict()["data"] == data.hex().upper()
        explain(dice.randbytes(dice.randrange(60)).hex()).to_dict()
