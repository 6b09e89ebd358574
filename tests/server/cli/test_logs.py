"""The log as text and as JSON."""

from __future__ import annotations

import json
import logging
import os
import sys

import pytest

from config.sections import LogFormat
from server.cli.logs import WAITING, JsonFormatter, PatientHandler, TextFormatter, finish_log, set_up_logging


def record(message: str, *arguments: object) -> logging.LogRecord:
    made = logging.LogRecord("server.app", logging.WARNING, "", 0, message, arguments, None)
    made.created = 1_800_000_000.25
    return made


def as_json(message: str, *arguments: object) -> dict[str, object]:
    return json.loads(JsonFormatter().format(record(message, *arguments)))


def test_a_text_line_has_time_level_logger_phrase_and_fields() -> None:
    line = TextFormatter().format(record("hub ready endpoint=%s units=%d", "opc.tcp://x", 3))
    assert line == "2027-01-15T08:00:00.250Z WARNING server.app hub ready endpoint=opc.tcp://x units=3"


def test_what_a_device_says_cannot_begin_a_new_line() -> None:
    assert "\n" not in TextFormatter().format(record("device lost error=%s", "a\nWARNING forged"))


def test_json_has_the_phrase_and_each_field_by_its_key() -> None:
    assert as_json("hub ready endpoint=%s units=%d load=%.1f", "opc.tcp://x y=z", 3, 0.25) == {
        "time": "2027-01-15T08:00:00.250Z",
        "level": "warning",
        "logger": "server.app",
        "event": "hub ready",
        "endpoint": "opc.tcp://x y=z",
        "units": 3,
        "load": 0.25,
    }


def test_json_keeps_what_has_another_form_as_a_phrase_and_never_fails() -> None:
    assert as_json("%s of %s", 1, 2)["event"] == "1 of 2"
    assert as_json("100% sure")["event"] == "100% sure"
    assert as_json("seen level=%s", "high")["level_"] == "high"
    assert as_json("seen level=%s", "high")["level"] == "warning"
    assert as_json("broken error=%s", OSError("no"))["error"] == "no"


def test_json_has_the_trace_of_an_exception_in_the_same_line() -> None:
    made = record("part failed part=%s", "engine")
    try:
        json.loads("why")
    except ValueError:
        made.exc_info = sys.exc_info()
    line = JsonFormatter().format(made)
    assert "\n" not in line
    assert "JSONDecodeError: " in json.loads(line)["trace"]


def test_the_settings_decide_on_level_and_form_and_libraries_are_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("warning", LogFormat.JSON)
    logging.getLogger("server.app").info("quiet")
    logging.getLogger("server.app").warning("loud part=%s", "x")
    for name in ("asyncua.server", "pymodbus.logging"):
        logging.getLogger(name).warning("library talk")
    finish_log()
    lines = capsys.readouterr().err.splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["loud"]


def test_a_log_that_nobody_empties_holds_nobody_up_and_says_how_many_lines_it_lost() -> None:
    reading, writing = os.pipe()
    with open(reading, encoding="utf-8") as told, open(writing, "w", encoding="utf-8") as stream:
        handler = PatientHandler(stream)
        handler.setFormatter(TextFormatter())
        for number in range(WAITING + 5000):
            handler.handle(record("much said number=%d" + " and more" * 50, number))
        lines = []
        while not lines or "log lines lost" not in lines[-1]:
            lines.append(told.readline())
        handler.close()
    numbers = [int(line.partition("number=")[2].split()[0]) for line in lines[:-1]]
    assert numbers == list(range(len(numbers)))
    assert 1 <= int(lines[-1].partition("count=")[2]) <= 5000


@pytest.mark.parametrize("place", ["/dev/full", "closed"])
def test_a_log_that_takes_nothing_harms_nobody(place: str) -> None:
    stream = open(os.devnull if place == "closed" else place, "w", encoding="utf-8")  # noqa: SIM115 - closed at once, or never written
    if place == "closed":
        stream.close()
    handler = PatientHandler(stream)
    handler.setFormatter(TextFormatter())
    handler.handle(record("said"))
    handler.flush()
    handler.close()
    stream.close()
