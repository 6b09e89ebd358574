"""Frames told to a person."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.codec import crc16_modbus
from drivers.modbus.explain import explain


def rtu(body: str) -> str:
    data = bytes.fromhex(body)
    return (data + crc16_modbus(data)).hex()


@pytest.mark.parametrize(
    ("frame", "kind", "direction"),
    [
        (rtu("010300000002"), "rtu", "request"),
        (rtu("01030443664000"), "rtu", "answer"),
        (rtu("018302"), "rtu", "answer"),
        (rtu("0110005700020400010001"), "rtu", "request"),
        (rtu("011000570002"), "rtu", "answer"),
        (rtu("01050001ff00"), "rtu", "request or its echo"),
        (rtu("01140E0600040001000206000300090002"), "rtu", "request"),
        (rtu("01140C05060DFE0020050633CD0040"), "rtu", "answer"),
        (rtu("019402"), "rtu", "answer"),
        ("000100000006010300000002", "tcp", "request"),
        ("00 01 00 00 00 07 01 03 04 43 66 40 00", "tcp", "answer"),
        ("0x00 0x01 0x00 0x00 0x00 0x03 0x01 0x83 0x02", "tcp", "answer"),
        (":1103006B00037E\r\n", "ascii", "request"),
        (":01030443664000 0F".replace(" ", ""), "ascii", "answer"),
        (b":1103006B00037E\r\n".hex(), "ascii", "request"),
    ],
)
def test_a_sound_frame_is_known_for_what_it_is(frame: str, kind: str, direction: str) -> None:
    told = explain(frame)
    assert (told.kind, told.direction, told.problems) == (kind, direction, ())


def test_an_answer_shows_its_registers() -> None:
    told = explain("00010000000701030443664000")
    assert told.words == (0x4366, 0x4000)
    assert any("register +1: 16384" in line for line in told.lines())
    assert explain(rtu("01140C05060DFE0020050633CD0040")).words == (0x0DFE, 0x0020, 0x33CD, 0x0040)


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        ("01030000000200ff", "checksum"),
        ("000100000009010300000002", "announces 9 bytes"),
        ("00010000000701030643664000", "6 bytes are announced, 4 follow"),
        (rtu("010300000000"), "a read asks for 1 to 125"),
        (rtu("014100"), "function 65 is not known"),
        (rtu("f80300000002"), "unit 248"),
        (rtu("011000570003040001"), "announced"),
        ("0103", "too few"),
        (rtu("01140607060DFE0020"), "a record of 7 bytes does not fit the 5 that follow"),
        (rtu("01140605070DFE0020"), "reference type is 7"),
        (rtu("01140605060DFE00"), "6 bytes are announced, 5 follow"),
        ("", "too few"),
        ("zz", "not hexadecimal"),
        ("01 0", "not hexadecimal"),
        (":1103006B00037F", "should be 7e"),
        (":1103006B00037", "half a one"),
    ],
)
def test_what_is_wrong_is_said(frame: str, problem: str) -> None:
    told = explain(frame)
    assert not told.sound
    assert any(problem in line for line in told.problems), told.problems


@given(st.one_of(st.text(), st.binary(max_size=300).map(bytes.hex)))
def test_it_never_fails_and_always_makes_json(text: str) -> None:
    told = explain(text)
    assert json.loads(json.dumps(told.to_dict()))["valid"] is told.sound
    assert told.lines()


@given(st.one_of(st.binary(min_size=5, max_size=260), st.binary(min_size=3).map(lambda rest: b"\x01\x14" + rest)))
def test_every_byte_of_a_frame_is_shown_once(data: bytes) -> None:
    told = explain(data.hex())
    assert b"".join(bytes.fromhex(each.bytes) for each in told.fields) == data
