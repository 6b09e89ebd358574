"""Dates and times in registers."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.codec import MomentFormat, fields_format

SIX_WORDS = fields_format(["year", "month", "day", "hour", "minute", "second"])
FORMATS = {
    "six words": SIX_WORDS,
    "four words": fields_format(["year", "month day", "hour minute", "second"]),
    "three words of bytes": fields_format(["year2 month", "day hour", "minute second"]),
    "decimal bytes": fields_format(["year2 month", "day weekday", "hour minute", "second zero"], bcd=True),
    "a word of milliseconds": fields_format(["year2 month", "day hour", "zero minute", "ms"]),
    "cp56": MomentFormat("cp56"),
    "unix": MomentFormat("unix"),
}
MOMENT = datetime.fromisoformat("2026-11-22T13:05:59")
KNOWN = {
    "six words": "07EA 000B 0016 000D 0005 003B",
    "four words": "07EA 0B16 0D05 003B",
    "three words of bytes": "1A0B 160D 053B",
    "decimal bytes": "2611 2207 1305 5900",
    "a word of milliseconds": "1A0B 160D 0005 E678",
    "cp56": "001A 0BF6 0D05 E678",
    "unix": "6B02E8B7",
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_known_moment_is_these_registers(name: str) -> None:
    assert FORMATS[name].encode(MOMENT) == bytes.fromhex(KNOWN[name])
    assert FORMATS[name].decode(bytes.fromhex(KNOWN[name])) == MOMENT
    assert 2 * FORMATS[name].size == len(bytes.fromhex(KNOWN[name]))


@pytest.mark.parametrize("name", FORMATS)
@given(seconds=st.integers(0, 99 * 365 * 86_400))
def test_every_second_comes_back(name: str, seconds: int) -> None:
    moment = datetime.fromisoformat("2000-01-01") + timedelta(seconds=seconds)
    assert FORMATS[name].decode(FORMATS[name].encode(moment)) == moment


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data())
def test_any_registers_at_all_are_a_moment_or_none(name: str, data: st.DataObject) -> None:
    size = 2 * FORMATS[name].size
    found = FORMATS[name].decode(data.draw(st.binary(min_size=size, max_size=size)))
    assert found is None or isinstance(found, datetime)


def test_a_year_of_two_digits_is_of_this_century_wherever_it_stands() -> None:
    assert SIX_WORDS.decode(bytes.fromhex("001A 000B 0016 000D 0005 003B")) == MOMENT


def test_a_clock_that_its_device_does_not_trust_is_none() -> None:
    assert MomentFormat("cp56").decode(bytes.fromhex("001A 0BF6 0D85 E678")) is None


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["year", "month", "day", "hour"], "minute is missing"),
        (["month day", "hour minute"], "year is missing"),
        (["year month", "day hour", "minute second"], "take a whole word"),
        (["year", "month day", "hour minute", "month"], "stands twice"),
        (["year", "month day moon", "hour minute"], "a word holds one or two of"),
        (["jahr"], "a word holds one or two of"),
    ],
)
def test_fields_that_make_no_moment_are_told(words: list[str], wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        fields_format(words)
