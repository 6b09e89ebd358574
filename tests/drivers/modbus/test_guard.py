"""Whether what arrived is an answer."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from drivers.codec import crc16_modbus
from drivers.modbus.guard import Expected, Fit, judge_rtu, judge_tcp

ASKED = Expected(unit=1, function=3, data_bytes=4, transaction=7)


def tcp(pdu: bytes, *, transaction: int = 7, unit: int = 1) -> bytes:
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu


def rtu(body: bytes) -> bytes:
    return body + crc16_modbus(body)


RIGHT = bytes([3, 4, 1, 2, 3, 4])


@given(st.binary(max_size=300))
def test_any_bytes_at_all_get_a_verdict(data: bytes) -> None:
    assert judge_tcp(ASKED, data).fit in Fit
    assert judge_rtu(ASKED, data).fit in Fit


@given(st.integers(0, 12))
def test_a_part_of_the_answer_is_waited_for(size: int) -> None:
    assert judge_tcp(ASKED, tcp(RIGHT)[:size]).fit is Fit.PART


@given(st.binary(min_size=0, max_size=250))
def test_only_the_asked_for_length_is_an_answer(body: bytes) -> None:
    verdict = judge_tcp(ASKED, tcp(bytes([3, len(body)]) + body))
    assert (verdict.fit is Fit.ANSWER) is (len(body) == 4)


def test_a_frame_without_transaction_number_is_accepted() -> None:
    assert judge_tcp(ASKED, tcp(RIGHT, transaction=0)).fit is Fit.ANSWER


def test_a_stale_frame_is_passed_over_and_the_answer_behind_it_found() -> None:
    stale = tcp(RIGHT[:-1] + b"\x77", transaction=6)
    assert judge_tcp(ASKED, stale).fit is Fit.PART
    verdict = judge_tcp(ASKED, stale + tcp(RIGHT))
    assert (verdict.fit, verdict.pdu) == (Fit.ANSWER, RIGHT)


def test_a_serial_answer_with_bytes_behind_it_is_not_trusted() -> None:
    assert judge_rtu(ASKED, rtu(bytes([1]) + RIGHT)).fit is Fit.ANSWER
    assert judge_rtu(ASKED, rtu(bytes([1]) + RIGHT) + b"\0").fit is Fit.LOST


def test_a_serial_refusal_is_an_answer() -> None:
    assert judge_rtu(ASKED, rtu(bytes([1, 0x83, 2]))).fit is Fit.ANSWER
