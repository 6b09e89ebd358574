"""Whether what arrived is an answer."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.guard import Expected, Fit, judge_tcp, tell_tcp

ASKED = Expected(unit=1, function=3, data_bytes=4, transaction=7)


def tcp(pdu: bytes, *, transaction: int = 7, unit: int = 1) -> bytes:
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu


RIGHT = bytes([3, 4, 1, 2, 3, 4])


@given(st.binary(max_size=300))
def test_any_bytes_at_all_get_a_verdict(data: bytes) -> None:
    assert judge_tcp(ASKED, data).fit in Fit
    assert tell_tcp(ASKED, data)


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


def test_an_acknowledgement_of_another_write_is_no_answer() -> None:
    asked = Expected(1, 6, None, 7, written=bytes.fromhex("0600100001"))
    assert judge_tcp(asked, tcp(bytes.fromhex("0600100001"))).fit is Fit.ANSWER
    verdict = judge_tcp(asked, tcp(bytes.fromhex("0600110001")))
    assert (verdict.fit, verdict.what) == (Fit.WRONG, "it acknowledges another write")


def test_a_device_asked_as_the_only_one_may_answer_with_its_own_unit() -> None:
    for unit in (0, 255):
        assert judge_tcp(Expected(unit, 3, 4, 7), tcp(RIGHT, unit=17)).fit is Fit.ANSWER
    assert judge_tcp(ASKED, tcp(RIGHT, unit=17)).fit is Fit.WRONG
