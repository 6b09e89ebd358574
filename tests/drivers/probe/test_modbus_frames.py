"""Answers of Modbus units nobody knows yet, found in whatever arrives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.probe.modbus_frames import Framing, Heard, answers, identification, identify_pdu, read_pdu, wrapped


def test_requests_are_those_of_the_specification() -> None:
    assert wrapped(Framing.TCP, 17, read_pdu(3, 0x6B, 3), 1).hex(" ") == "00 01 00 00 00 06 11 03 00 6b 00 03"
    assert wrapped(Framing.RTU, 17, read_pdu(3, 0x6B, 3)).hex(" ") == "11 03 00 6b 00 03 76 87"
    assert wrapped(Framing.ASCII, 17, read_pdu(3, 0x6B, 3)) == b":1103006B00037E\r\n"
    assert identify_pdu().hex(" ") == "2b 0e 01 00"


@given(
    framing=st.sampled_from(Framing),
    unit=st.integers(1, 247),
    words=st.binary(min_size=2, max_size=40).filter(lambda data: len(data) % 2 == 0),
    before=st.sampled_from([b"", b"\xfe\xfe", b"\x00"]),
)
def test_an_answer_is_found_behind_noise(framing: Framing, unit: int, words: bytes, before: bytes) -> None:
    pdu = bytes((3, len(words))) + words
    buffer = before + wrapped(framing, unit, pdu)
    assert Heard(unit, pdu, 1 if framing is Framing.TCP else 0) in answers(framing, buffer, 3)
    assert answers(framing, buffer, 4) == []


@given(framing=st.sampled_from(Framing), buffer=st.binary(max_size=300))
def test_no_bytes_at_all_break_it(framing: Framing, buffer: bytes) -> None:
    for function in (1, 3, 0x2B):
        for heard in answers(framing, buffer, function):
            identification(heard.pdu)
            assert heard.pdu[0] & 0x7F == function


@pytest.mark.parametrize("framing", Framing)
def test_a_refusal_tells_its_code(framing: Framing) -> None:
    (heard,) = answers(framing, wrapped(framing, 5, b"\x83\x02"), 3)
    assert (heard.unit, heard.exception) == (5, 2)


def test_a_spoiled_answer_is_none() -> None:
    frame = bytearray(wrapped(Framing.RTU, 5, b"\x03\x02\x00\x01"))
    frame[4] ^= 1
    assert answers(Framing.RTU, bytes(frame), 3) == []


def test_an_identification_is_taken_apart_in_every_framing() -> None:
    objects = b"\x00\x04Acme\x01\x05PM100\x02\x031.2"
    pdu = b"\x2b\x0e\x01\x01\x00\x00\x03" + objects
    for framing in Framing:
        (heard,) = answers(framing, wrapped(framing, 9, pdu), 0x2B)
        assert identification(heard.pdu) == ({0: "Acme", 1: "PM100", 2: "1.2"}, 0)
    assert identification(b"\x2b\x0e\x01\x01\xff\x02\x02\x00\x01A\x01\x01B") == ({0: "A", 1: "B"}, 2)
    assert identification(pdu[:12]) == ({}, 0)
