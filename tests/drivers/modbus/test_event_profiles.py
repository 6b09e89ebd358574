"""What a profile says of a log of events: what is taken from it, and every mistake with its place and what to do."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

import pytest

from address_space.model.units import UNITS
from drivers.errors import ProfileError
from drivers.modbus.event_logs import EventTable
from drivers.profiles import shown_unit
from drivers.profiles.units import SIZES
from tests.drivers.modbus.log_rig import HEAD, profile_of

SOUND: dict[str, Any] = {
    "at": 0x4000,
    "words": 6,
    "count": 100,
    "newest": "search",
    "time": {"at": 0, "format": "unix"},
    "code": {"at": 2, "type": "uint16"},
    "value": {"at": 3, "type": "int16", "scale": 0.1, "unit": "V"},
    "codes": {"1": {"text": "Cover open"}},
}


def table_of(change: dict[str, Any], *, section: str = "") -> EventTable:
    entry = {key: value for key, value in {**SOUND, **change}.items() if value is not None}
    lines = f"{section}  event_logs:\n    log: {json.dumps(entry)}\n"
    (table,) = profile_of("{}", section=lines).makes[0].event_logs
    return table


@pytest.mark.parametrize(
    ("change", "what", "hint"),
    [
        ({"time": None}, "time is missing", "see docs/profiles.md"),
        ({"code": None}, "code is missing", ""),
        ({"period": "15min"}, "unknown key 'period'", ""),
        ({"time": {"at": 0, "format": "unix", "marks": "end"}}, "unknown key 'marks'", ""),
        ({"values": {}}, "unknown key 'values'", "did you mean 'value'?"),
        ({"file": 5}, "either in a file or at a register", ""),
        ({"newest": "last"}, "it is first, search, or the register that tells it", ""),
        ({"count": 20000}, "does not lie within the 65536 registers", "compare at"),
        ({"time": {"at": 5, "format": "unix"}}, "register 6 lies behind a record of 6", "0 to 5"),
        ({"code": {"at": 6, "type": "uint16"}}, "register 6 lies behind a record of 6", "0 to 5"),
        ({"code": {"at": 2, "type": "int16"}}, "an unsigned integer of at most 32 bits", ""),
        ({"code": {"at": 2, "type": "uint64"}}, "an unsigned integer of at most 32 bits", ""),
        ({"code": {"at": 2, "type": "uint16", "mask": 0x10000}}, "mask has bits that uint16 has not", ""),
        ({"code": {"at": 2, "type": "uint16", "fc": 3}}, "unknown key 'fc'", ""),
        ({"value": {"at": 5, "type": "uint32"}}, "register 6 lies behind", ""),
        ({"value": {"at": 5, "type": "uint16", "unit": "volt"}}, "'volt' is no unit", "see docs/profiles.md"),
        ({"value": {"at": 5, "type": "uint16", "scale": 0}}, "a scale of 0 loses the value", ""),
        ({"value": {"at": 5, "type": "string"}}, "is a number", ""),
        ({"codes": {"cover": {"text": "Cover"}}}, "valid integer", ""),
        ({"codes": {"-1": {"text": "Cover"}}}, "greater than or equal to 0", ""),
        ({"codes": {"1": {}}}, "text is missing", ""),
        ({"codes": {"1": {"text": 5}}}, "it is a text, or one for each language", ""),
        ({"codes": {"1": {"text": {"ru": "Крышка"}}}}, "en is missing", ""),
        ({"codes": {"1": {"text": {"en": "Cover", "de": "Deckel"}}}}, "unknown key 'de'", ""),
        ({"codes": {"1": {"text": "Cover", "severity": 1001}}}, "less than or equal to 1000", ""),
        ({"codes": {"1": {"text": "Cover", "state": "over"}}}, "'begins' or 'ends'", ""),
        ({"codes": {"65536": {"text": "Cover"}}}, "cannot tell the number 0x10000", "within 0xFFFF"),
        ({"every": "often"}, "every", ""),
        ({"every": "1mo"}, "every", ""),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_to_do(change: dict[str, Any], what: str, hint: str) -> None:
    with pytest.raises(ProfileError) as caught:
        table_of(change)
    assert any(what in str(mistake) and hint in str(mistake) for mistake in caught.value.mistakes), str(caught.value)
    assert all(mistake.where.startswith("meter.yaml:11:") for mistake in caught.value.mistakes)


def test_logs_of_values_and_of_events_have_names_of_their_own() -> None:
    values = {"ActiveEnergyImport": {"at": 2, "type": "uint32"}}
    log = {"at": 0, "words": 4, "count": 9, "newest": "first", "period": "1d", "values": values}
    with pytest.raises(ProfileError, match="log is a log of values already"):
        profile_of(f"log: {json.dumps(log)}", section=f"  event_logs:\n    log: {json.dumps(SOUND)}\n")


def test_a_record_tells_its_time_its_number_and_its_value() -> None:
    table = table_of(
        {
            "code": {"at": 2, "type": "uint16", "mask": 0xFF00},
            "value": {"at": 4, "type": "int32", "scale": 0.5, "unit": "W", "order": "CDAB", "sentinels": [0x80000000]},
            "codes": {"256": {"text": {"en": "Sag", "ru": "Провал"}, "severity": 500, "state": "begins"}},
            "every": "2h",
        }
    )

    def record(code: int, low: int, high: int) -> bytes:
        words = (0x6540, 0x0000, code, 0, low, high)
        return b"".join(word.to_bytes(2, "big") for word in words)

    event = table.event(record(0x0142, 0xFFFE, 0xFFFF), UTC)
    assert event is not None
    assert (event.time_ms, event.code, event.value) == (0x65400000 * 1000, 0x0100, -0.001)
    told = table.codes[event.code]
    assert (told.text.en, told.text.ru, told.text.uz, told.severity, told.active) == ("Sag", "Провал", "Sag", 500, True)
    missing = table.event(record(0x0142, 0x0000, 0x8000), UTC)
    assert missing is not None
    assert missing.value is None
    assert table.detail is not None
    assert (table.detail.unit, table.every_s) == (UNITS["KWT"], 7200)
    assert event.mark != missing.mark
    assert event.mark == table.event(record(0x0177, 0xFFFE, 0xFFFF), UTC).mark  # type: ignore[union-attr]


@pytest.mark.parametrize("record", [bytes(12), b"\xff" * 12, b"\xff" * 4 + bytes(8), bytes(10)])
def test_what_was_never_written_tells_nothing(record: bytes) -> None:
    table = table_of({"valid": [{"at": 5, "type": "uint16", "equals": 0x55AA}]})
    assert table.event(record, UTC) is None


def test_every_unit_of_a_profile_has_one_that_clients_are_told() -> None:
    for unit, sizes in SIZES.items():
        found = shown_unit(unit)
        assert found is not None, unit
        shown, count = found
        assert count * shown.per_unit == sizes[shown.base]
    assert shown_unit("parsec") is None


def test_a_variant_has_its_own_logs_of_events() -> None:
    head = HEAD + "variants:\n  new:\n    when: [{at: 9, type: uint16, equals: 2}]\n    settings: {event_logs: {}}\n"
    entry = f"  event_logs:\n    log: {json.dumps(SOUND)}\n"
    makes = profile_of("{}", section=entry, head=head).makes
    assert [[table.name for table in make.event_logs] for make in makes] == [["log"], []]
