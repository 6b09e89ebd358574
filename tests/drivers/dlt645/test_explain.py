"""Frames told to a person, and what is wrong with those that are none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.dlt645.explain import explain
from drivers.dlt645.frame import ANY, Frame, encode

METER = "123456789012"
READ = "68129078563412681104333334336816"


def sent(control: int, data: str, address: str = METER) -> str:
    return encode(Frame(address, control, bytes.fromhex(data))).hex()


def wrong(frame: str) -> str:
    return " | ".join(explain(frame).problems)


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ("", "there are no bytes"),
        ("681", "odd number of hexadecimal digits (3)"),
        ("68 zz", "'z' is no hexadecimal digit"),
        ("12 34 56", "no start byte 68"),
        ("FEFEFEFE", "no start byte 68"),
        ("6812", "cut off after 2 bytes"),
        ("68129078563412991104333334336816", "byte 8 of the frame is 99, should be 68"),
        ("6812907856341268110433333433", "cut off: the length says 4 bytes of data, 4 have come"),
        ("68129078563412681104333334", "cut off: the length says 4 bytes of data, 3 have come"),
        ("68129078563412681104333334336916", "checksum 69 should be 68"),
        ("68129078563412681104333334336815", "the end byte 15 should be 16"),
        ("68129078563412681105333334336916", "the length says 5 bytes of data, 4 stand before"),
        ("68129078563412681103333334336816", "the length says 3 bytes of data, 4 stand before"),
        ("FEFE68129078563412681104333334336416", "it counts the FE before the frame too"),
        ("68129078563412681104333334339C16", "before 33H was added"),
        ("68129078563412681104333334330016", "checksum 00 should be 68"),
        (READ + "1234", "trailing bytes after the frame: 12 34"),
        (READ + READ[:-4] + "0016", "checksum 00 should be 68"),
    ],
)
def test_it_is_said_what_is_wrong(frame: str, said: str) -> None:
    told = explain(frame)
    assert not told.sound
    assert said in " | ".join(told.problems)
    assert any("wrong:" in line for line in told.lines())
    assert told.to_dict()["valid"] is False


@pytest.mark.parametrize("frame", [READ, f"0x{READ[:2]} 0x{READ[2:]}", READ.lower(), ":".join([READ[:8], READ[8:]])])
def test_digits_may_be_written_in_many_ways(frame: str) -> None:
    assert explain(frame).to_dict()["di"] == "00010000"


def test_a_broken_frame_is_told_as_far_as_it_goes() -> None:
    shown = explain(READ[:-4] + "0016").to_dict()
    assert (shown["address"], shown["control"], shown["di"]) == (METER, "11", "00010000")


def test_data_without_33h_are_suspected() -> None:
    frame = bytearray.fromhex("68129078563412681104")
    frame += bytes.fromhex("00000100")
    told = explain(bytes([*frame, sum(frame) & 0xFF, 0x16]).hex())
    assert told.sound
    assert "they ask for 00010000" in " ".join(told.to_dict()["notes"])


def test_digits_that_are_none_are_pointed_at() -> None:
    shown = explain(sent(0x91, "00000100" + "00000E00")).to_dict()
    assert (shown["valid"], shown["value"]) == (True, None)
    assert "no decimal digits" in shown["notes"][0]


@pytest.mark.parametrize(
    ("control", "data", "key", "value"),
    [
        (0x1C, "02000000000000001A00000010221126", "command", "trip"),
        (0x1C, "02000000000000001C00000010221126", "value", "close"),
        (0x1C, "02000000000000003A00000010221126", "valid_until", "2026-11-22 10:00:00"),
        (0x14, "02010004" + "02998877" + "00000000" + "563412", "value", "12:34:56"),
        (0x14, "02010004" + "02998877" + "00000000" + "563412", "quantity", "time"),
        (0x17, "20", "value", 9600),
        (0x16, "99999999", "function", "freeze"),
        (0x12, "00FF010001", "di", "0001FF00"),
        (0xC3, "2000", "err", ["recharge_count_mismatch"]),
        (0xD1, "06", "err", ["no_such_data", "password_or_unauthorised"]),
        (0xD1, "", "err", []),
        (0xB1, "00FF0100" + "00010000" * 2, "more", True),
        (0xB1, "00FF0100" + "00010000" * 2, "values", [1.0, 1.0]),
        (0x91, "00000101" + "345612" + "0019210626", "value", 12.5634),
        (0x91, "00000101" + "345612" + "0019210626", "time", "2026-06-21 19:00"),
        (0x91, "00FF0102" + "FFFFFF", "quantity", "voltage_block"),
        (0x91, "00FF0102" + "FFFFFF", "value", None),
        (0x91, "00009999" + "1234", "quantity", None),
        (0x91, "03050004" + "5000", "value", 0x0050),
        (0x91, "00FF0202" + "000500" + "000580" + "FFFFFF", "values", [0.5, -0.5, None]),
    ],
)
def test_keys_say_what_the_fields_say(control: int, data: str, key: str, value: object) -> None:
    assert explain(sent(control, data)).to_dict().get(key) == value


def test_passwords_are_not_shown_to_a_person() -> None:
    for control, data in (
        (0x1C, "02998877000000001A00000010221126"),
        (0x14, "0201000402998877" + "00000000563412"),
        (0x18, "01000C04" + "02998877" + "02998877"),
        (0x04, "11C0" + "02998877" + "563412"),
    ):
        lines = "\n".join(explain(sent(control, data)).lines())
        assert "99 88 77" not in lines
        assert "••" in lines


def test_a_status_word_is_told_bit_by_bit() -> None:
    states = explain(sent(0x91, "03050004" + "5000")).to_dict()["states"]
    assert (states["relay_state"], states["relay_command"], states["supply"]) == ("open", "open", "main")
    lines = "\n".join(explain(sent(0x91, "FF050004" + "0000" * 2 + "1000" + "0000" * 4)).lines())
    assert "relay state: open" in lines
    assert "relay command: close" in lines


def test_a_sealed_purchase_is_told_but_for_its_codes() -> None:
    told = explain(sent(0x03, "FF020107" + "44332211" + "10270000" + "07000000" + "AA" * 4 + "00" * 6 + "BB" * 4))
    said = {field.name: field.meaning for field in told.told[0].fields}
    assert said["purchase number"] == "7"
    assert said["operator"] == "11223344"
    assert told.to_dict()["payload"].startswith("44332211")


def test_the_version_follows_from_the_control_code() -> None:
    assert explain(sent(0x01, "1090")).to_dict()["protocol"] == "dlt645-1997"
    assert explain(sent(0x11, "00000100")).to_dict()["protocol"] == "dlt645-2007"
    assert explain(sent(0x13, "", ANY)).to_dict()["function"] == "read_address"


def test_load_records_are_told_value_by_value() -> None:
    record = bytes.fromhex("A0A0") + bytes([5 + 17 + 6]) + bytes.fromhex("0010221126")
    record += bytes.fromhex("0123" * 3 + "000500" * 3 + "0050") + b"\xaa" * 6
    record += bytes([sum(record) & 0xFF, 0xE5])
    shown = explain(sent(0x91, "02000006" + record.hex())).to_dict()
    assert len(shown["value"]) == 7
    assert shown["value"][0] == {"time": "2026-11-22 10:00:00", "quantity": "voltage_A", "unit": "V", "value": 230.1}


@given(st.binary(max_size=300))
def test_any_bytes_are_explained(data: bytes) -> None:
    told = explain(data.hex())
    json.dumps(told.to_dict())
    assert told.lines()


@given(st.integers(0, 255), st.binary(max_size=60))
def test_any_sound_frame_is_explained(control: int, data: bytes) -> None:
    told = explain(encode(Frame(METER, control, data)).hex())
    assert told.sound
    json.dumps(told.to_dict())


@given(st.text(max_size=50))
def test_any_text_is_explained(written: str) -> None:
    assert isinstance(explain(written).sound, bool)
