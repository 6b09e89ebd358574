"""What a profile says of a log: what is taken from it, and every mistake with its place and what to do."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.errors import ProfileError
from drivers.modbus import compile_profile
from drivers.modbus.file_records import FileRead, Group
from drivers.modbus.plan import Read
from drivers.profiles.build import build_profile
from drivers.profiles.document import parse_document
from tests.drivers.modbus.log_rig import HEAD, log_of, profile_of
from tests.drivers.modbus.test_log_books import HEAD as PAGE_HEAD
from tests.drivers.modbus.test_log_books import on_the_page

SOUND = {
    "file": 4,
    "words": 8,
    "count": 2976,
    "newest": "search",
    "period": "15min",
    "time": {"at": 0, "format": "unix"},
    "values": {"ActiveEnergyImport": {"at": 2, "type": "uint32"}},
}
REGISTERS = {**{key: value for key, value in SOUND.items() if key != "file"}, "at": 0x4000, "count": 100}


def flow(entry: dict[str, object]) -> str:
    """A log as a line of YAML."""
    return f"log: {json.dumps(entry)}"


@pytest.mark.parametrize(
    ("base", "change", "what", "hint"),
    [
        (SOUND, {"at": 5}, "either in a file or at a register", ""),
        (SOUND, {"file": None}, "either in a file or at a register", ""),
        (SOUND, {"words": 122}, "121 registers at most", ""),
        (SOUND, {"words": 70}, "a record of 70 words does not fit an answer of 60", "max_words"),
        (SOUND, {"fc": 3}, "fc and base belong to a log in registers", ""),
        (SOUND, {"stride": 9}, "stride belongs", ""),
        (SOUND, {"numbers": "registers", "at_once": 3}, "at_once belongs to numbers: records", ""),
        (SOUND, {"numbers": "registers", "count": 9000}, "beyond 65535", "per_file"),
        (SOUND, {"period": "quarter"}, "period", ""),
        (SOUND, {"period": "7min", "time": None, "newest": "first"}, "cannot be dated", "a period of which a day"),
        (SOUND, {"time": None}, "searched by time stamps", ""),
        (SOUND, {"newest": "first", "ring": False}, "ring does not matter", ""),
        (SOUND, {"newest": "last"}, "it is first, search, or the register that tells it", ""),
        (SOUND, {"newest": {"at": 0x70000, "type": "uint16", "means": "next"}}, "no Modbus address", "base"),
        (SOUND, {"newest": {"at": 7, "type": "float32", "means": "next"}}, "a pointer is an unsigned integer", ""),
        (SOUND, {"time": {"at": 7, "format": "unix"}}, "register 8 lies behind a record of 8", "0 to 7"),
        (SOUND, {"time": {"at": 0, "format": ["year", "month"]}}, "is missing", ""),
        (SOUND, {"time": {"at": 0, "format": "unix", "zone": "Mars"}}, "no time zone", ""),
        (SOUND, {"checksum": {"at": 8, "kind": "crc16"}}, "register 8 lies behind", "0 to 7"),
        (SOUND, {"valid": [{"at": 9, "type": "uint16", "equals": 1}]}, "register 9 lies behind", ""),
        (SOUND, {"values": {}}, "values", ""),
        (SOUND, {"values": {"Frequency": {"at": 2, "type": "uint16"}}}, "no point of the profile", "VoltageL1"),
        (SOUND, {"values": {"VoltageL1": {"at": 8, "type": "uint16"}}}, "register 8 lies behind", ""),
        (SOUND, {"values": {"VoltageL1": {"at": 2, "type": "uint16", "fc": 3}}}, "fc says nothing", "leave it out"),
        (SOUND, {"values": {"VoltageL1": {"at": 2, "type": "uint16", "unit": "A"}}}, "cannot be stated in 'A'", ""),
        (SOUND, {"values": {"VoltageL1": {"at": 2, "type": "uint16", "scal": 2}}}, "unknown key 'scal'", "scale"),
        (SOUND, {"values": {"VoltageL1": {}}}, "does not say where", "at and type"),
        (SOUND, {"period": "99999mo"}, "2976 records every 99999mo are more than 1000 years", "compare count"),
        (SOUND, {"period": "12mo", "count": 1100}, "more than 1000 years", "compare count"),
        (SOUND, {"file": 65535, "per_file": 100}, "file 65564 is beyond 65535", "compare file"),
        (SOUND, {"checksum": {"at": 0, "kind": "crc16"}}, "at: Input should be greater", ""),
        (SOUND, {"time": {"at": 0, "format": "unix", "base": 1}}, "unknown key 'base'", "see docs/profiles.md"),
        (SOUND, {"wrods": 8}, "unknown key 'wrods'", "words"),
        (REGISTERS, {"numbers": "records"}, "numbers belongs to a log in a file", ""),
        (REGISTERS, {"stride": 7}, "cannot follow one another every 7 registers", ""),
        (REGISTERS, {"count": 7000}, "does not lie within the 65536 registers", "compare at"),
        (REGISTERS, {"base": 0x5000}, "does not lie within the 65536 registers", "compare at"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_to_do(
    base: dict[str, object], change: dict[str, object], what: str, hint: str
) -> None:
    entry = {key: value for key, value in {**base, **change}.items() if value is not None}
    with pytest.raises(ProfileError) as caught:
        profile_of(flow(entry))
    assert any(what in str(mistake) and hint in str(mistake) for mistake in caught.value.mistakes), str(caught.value)
    assert all(mistake.where.startswith("meter.yaml:11:") for mistake in caught.value.mistakes)


def test_records_of_a_file_are_asked_for_by_their_numbers() -> None:
    log = log_of(flow({**SOUND, "first": 1, "at_once": 3, "per_file": 1000}))
    assert log.shelf.ask(998, 2) == FileRead((Group(4, 999, 8), Group(4, 1000, 8)))
    assert log.shelf.ask(1000, 1) == FileRead((Group(5, 1, 8),))
    assert [log.slots(slot, 99) for slot in (0, 998, 999, 1000, 2974, 2975)] == [3, 2, 1, 3, 2, 1]


def test_registers_of_a_file_are_asked_for_in_one_run() -> None:
    log = log_of(flow({**SOUND, "numbers": "registers", "stride": 10, "first": 5, "max_words": 50}))
    assert log.shelf.ask(2, 5) == FileRead((Group(4, 25, 48),))
    assert log.slots(0, 99) == 5


def test_registers_are_read_as_many_as_the_device_gives() -> None:
    log = log_of(flow({**REGISTERS, "stride": 10, "fc": 4, "base": 1}))
    assert log.shelf.ask(2, 3) == Read(4, 0x4000 - 1 + 20, 28)
    assert log.slots(0, 99) == 6


def test_a_variant_has_its_own_logs() -> None:
    head = HEAD + "variants:\n  new:\n    when: [{at: 9, type: uint16, equals: 2}]\n    settings: {logs: {}}\n"
    makes = profile_of(flow(SOUND), head=head).makes
    assert [[log.name for log in make.logs] for make in makes] == [["log"], []]


SCRAPS = [
    "",
    *" :{}[],\n-0",
    "null",
    "-1",
    "70000",
    "'",
    "at: 0",
    "true",
    "1d",
    "1mo",
    "first",
    "search",
    "unix",
    "65535",
]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_log_is_a_log_still_or_a_mistake_with_its_place(data: st.DataObject) -> None:
    text = on_the_page()
    for _ in range(data.draw(st.integers(1, 3))):
        first = data.draw(st.integers(0, len(text)))
        last = first + data.draw(st.integers(0, 6))
        text = text[:first] + data.draw(st.sampled_from(SCRAPS)) + text[last:]
    mistakes: tuple[ProfileError, ...] = ()
    try:
        compile_profile(build_profile(parse_document(PAGE_HEAD + text, "meter.yaml")))
    except ProfileError as error:
        mistakes = error.mistakes
    assert all(mistake.where.startswith("meter.yaml") and mistake.what for mistake in mistakes)
