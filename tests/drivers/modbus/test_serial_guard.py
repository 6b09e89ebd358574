"""The answer is found on a dirty serial line, nothing else is taken for it, and what was wrong is told."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.codec import crc16_modbus
from drivers.modbus.guard import Expected, Fit
from drivers.modbus.serial_guard import MOST_HEARD, judge_ascii, judge_rtu, tell_ascii, tell_rtu


def rtu(text: str) -> bytes:
    body = bytes.fromhex(text)
    return body + crc16_modbus(body)


def ascii_frame(text: str) -> bytes:
    body = bytes.fromhex(text)
    return b":" + (body + bytes((-sum(body) & 0xFF,))).hex().upper().encode() + b"\r\n"


REQUEST = rtu("01 03 0000 0002")
ASKED = Expected(1, 3, 4, request=REQUEST)
ANSWER = rtu("01 03 04 01020304")
PDU = bytes.fromhex("03 04 01020304")
WRITE = rtu("01 06 0010 0001")
WRITING = Expected(1, 6, None, written=WRITE[1:6], request=WRITE)

NOISE = {
    "nothing": "",
    "a run of FE": "FE FE FE FE",
    "zeros": "00 00 00",
    "FF": "FF",
    "mixed settling": "00 FF FE 00 FF",
    "random bytes": "C5 13 9A 77 42",
    "the answer's own head": "01 03 04",
    "half of the same answer": "01 03 04 01 02",
    "the request itself": REQUEST.hex(),
    "noise and the request itself": "00 00" + REQUEST.hex(),
    "an answer of another unit": rtu("02 03 04 99999999").hex(),
    "a refusal of another unit": rtu("02 83 02").hex(),
    "a late answer of another length": rtu("01 03 06 000100020003").hex(),
    "a late acknowledgement": rtu("01 06 0010 0001").hex(),
    "a late answer to another function": rtu("01 04 04 01020305").hex(),
    "an answer of another unit that contains the answer": rtu("02 03 09" + ANSWER.hex()).hex(),
}


@pytest.mark.parametrize("before", NOISE)
def test_the_answer_is_found_behind(before: str) -> None:
    verdict = judge_rtu(ASKED, bytes.fromhex(NOISE[before]) + ANSWER)
    assert (verdict.fit, verdict.pdu) == (Fit.ANSWER, PDU)


@pytest.mark.parametrize("before", NOISE.keys() - {"an answer of another unit that contains the answer"})
def test_it_is_found_however_it_is_cut_to_pieces(before: str) -> None:
    whole = bytes.fromhex(NOISE[before]) + ANSWER
    seen = [judge_rtu(ASKED, whole[:size]).fit for size in range(len(whole) + 1)]
    assert set(seen[:-1]) <= {Fit.PART}
    assert seen[-1] is Fit.ANSWER


def test_a_refusal_is_an_answer() -> None:
    verdict = judge_rtu(ASKED, b"\xfe" + rtu("01 83 02"))
    assert (verdict.fit, verdict.pdu) == (Fit.ANSWER, b"\x83\x02")


def test_what_a_transmitter_leaves_when_it_is_switched_off_does_not_spoil_the_answer() -> None:
    assert judge_rtu(ASKED, ANSWER + b"\x00\xff").fit is Fit.ANSWER


def test_an_answer_with_other_bytes_behind_it_is_not_trusted() -> None:
    verdict = judge_rtu(ASKED, ANSWER + b"\x01\x03")
    assert (verdict.fit, verdict.what) == (Fit.LOST, "2 bytes follow the answer")


def test_of_two_answers_that_differ_neither_is_believed() -> None:
    verdict = judge_rtu(ASKED, ANSWER + rtu("01 03 04 01020305"))
    assert verdict.fit is Fit.LOST
    assert "late" in verdict.what


def test_the_same_answer_twice_is_that_answer() -> None:
    assert judge_rtu(ASKED, ANSWER + ANSWER).pdu == PDU


def test_an_echo_alone_is_not_the_answer_to_a_read_although_it_could_be_its_bytes() -> None:
    request = rtu("01 01 0300 0011")
    asked = Expected(1, 1, 3, request=request)
    assert judge_rtu(asked, request).fit is Fit.PART
    assert tell_rtu(asked, request) == "only the request itself came back: the line echoes and nobody answered"


def test_on_a_line_known_to_echo_the_first_copy_of_a_write_is_no_acknowledgement() -> None:
    assert judge_rtu(WRITING, WRITE).fit is Fit.ANSWER
    echoing = Expected(1, 6, None, written=WRITE[1:6], request=WRITE, echoes=True)
    assert judge_rtu(echoing, WRITE).fit is Fit.PART
    assert judge_rtu(echoing, WRITE + WRITE).fit is Fit.ANSWER
    assert judge_rtu(echoing, WRITE + rtu("01 86 03")).pdu == b"\x86\x03"


def test_an_echo_of_a_long_write_that_arrives_in_parts_is_waited_for() -> None:
    request = rtu("01 10 0057 0002 04 0001 0001")
    asked = Expected(1, 16, None, written=request[1:6], request=request)
    whole = request + rtu("01 10 0057 0002")
    assert [judge_rtu(asked, whole[:size]).fit for size in range(len(whole))] == [Fit.PART] * len(whole)
    assert judge_rtu(asked, whole).echoed


def test_an_acknowledgement_of_another_write_is_no_answer() -> None:
    other = rtu("01 06 0011 0001")
    assert judge_rtu(WRITING, other).fit is Fit.PART
    assert tell_rtu(WRITING, other) == "it acknowledges another write"


def test_a_spoilt_answer_is_told_at_once() -> None:
    spoilt = ANSWER[:-1] + bytes((ANSWER[-1] ^ 1,))
    for noise in (b"", b"\xfe\xfe"):
        verdict = judge_rtu(ASKED, noise + spoilt)
        assert (verdict.fit, verdict.what) == (Fit.LOST, "the checksum is wrong")


@pytest.mark.parametrize(
    ("heard", "told"),
    [
        ("FE FE 00", "3 bytes of noise (00, FE, FF) and no answer"),
        (rtu("02 03 04 01020304").hex(), "unit 2 answered instead of 1"),
        (rtu("01 04 04 01020304").hex(), "function 0x04 answers function 0x03"),
        (rtu("01 03 02 0102").hex(), "2 bytes announced and 2 sent where 4 were asked for"),
        (ANSWER[:6].hex(), "half an answer: 6 of 9 bytes arrived"),
        ("11 22 33 44 55 66", "6 bytes arrived, among them no frame with a right checksum"),
    ],
)
def test_what_was_wrong_is_told(heard: str, told: str) -> None:
    buffer = bytes.fromhex(heard)
    assert judge_rtu(ASKED, buffer).fit is Fit.PART
    assert tell_rtu(ASKED, buffer) == told


def test_a_babbling_line_is_given_up() -> None:
    babble = random.Random(7).randbytes(MOST_HEARD + 1)
    assert "no answer" in judge_rtu(ASKED, babble).what
    assert "no answer" in judge_ascii(ASKED, b"A" * (MOST_HEARD + 1)).what


@given(st.binary(max_size=300))
def test_any_bytes_at_all_get_a_verdict_and_a_reason(data: bytes) -> None:
    for judge, tell in ((judge_rtu, tell_rtu), (judge_ascii, tell_ascii)):
        assert judge(ASKED, data).fit in Fit
        assert tell(ASKED, data)


@given(st.binary(max_size=40), st.integers(0, 8), st.integers(0, 7))
def test_an_answer_with_one_flipped_bit_is_never_believed(noise: bytes, byte: int, bit: int) -> None:
    spoilt = bytearray(ANSWER)
    spoilt[byte] ^= 1 << bit
    assert judge_rtu(ASKED, bytes(noise) + bytes(spoilt)).fit is not Fit.ANSWER


ASCII_ANSWER = ascii_frame("01 03 04 01020304")


@pytest.mark.parametrize("before", [b"", b"\xff\x00", b":0103", ascii_frame("02 03 04 01020304"), b"noise\r\n"])
def test_an_ascii_answer_is_found_behind_noise(before: bytes) -> None:
    assert judge_ascii(ASKED, before + ASCII_ANSWER).pdu == PDU


def test_ascii_digits_may_be_small_letters() -> None:
    asked = Expected(1, 3, 2)
    frame = ascii_frame("01 03 02 ABCD")
    assert judge_ascii(asked, frame.lower()).pdu == judge_ascii(asked, frame).pdu == bytes.fromhex("0302ABCD")


def test_the_example_of_an_ascii_sum() -> None:
    """11h 03h 006Bh 0003h sums to 82h, so the check is 7Eh."""
    assert ascii_frame("11 03 006B 0003") == b":1103006B00037E\r\n"


def test_an_ascii_echo_is_passed_over() -> None:
    request = ascii_frame("01 03 0000 0002")
    verdict = judge_ascii(Expected(1, 3, 4, request=request), request + ASCII_ANSWER)
    assert (verdict.pdu, verdict.echoed) == (PDU, True)


@pytest.mark.parametrize(
    ("heard", "told"),
    [
        (b":010304010203" + b"G1\r\n", "not hexadecimal"),
        (b":01 03 04\r\n", "not hexadecimal"),
        (b":0103040\r\n", "not hexadecimal"),
        (b":01\r\n", "no whole frame before the line's end"),
        (ASCII_ANSWER[:-4] + b"00\r\n", "the checksum is wrong"),
    ],
)
def test_a_broken_ascii_answer_is_told_at_once(heard: bytes, told: str) -> None:
    verdict = judge_ascii(ASKED, heard)
    assert (verdict.fit, verdict.what) == (Fit.LOST, told)


@pytest.mark.parametrize(
    ("heard", "told"),
    [
        (ascii_frame("05 03 04 01020304"), "unit 5 answered instead of 1"),
        (ASCII_ANSWER[:-2], "half an answer: 17 characters without CR LF at their end"),
        (b"0103", "4 bytes arrived, none of them the colon that begins a frame"),
    ],
)
def test_what_was_wrong_in_ascii_is_told(heard: bytes, told: str) -> None:
    assert judge_ascii(ASKED, heard).fit is Fit.PART
    assert tell_ascii(ASKED, heard) == told
