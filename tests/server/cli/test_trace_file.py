"""`joulehub trace`: a recording in words, with nothing in it that nobody is to see."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drivers.cjt188.frame import Frame as WaterFrame
from drivers.cjt188.frame import encode as water
from drivers.dlt645.frame import Frame, encode
from drivers.probe.modbus_frames import Framing, read_pdu, wrapped
from drivers.transport import Event, Mark
from server.cli.main import main

MS = 1_000_000
START = 1_800_000_000_000_000_000
METER = "202611220017"


def recording(folder: Path, *marks: tuple[int, Event, bytes]) -> Path:
    file = folder / "c1.trace.jsonl"
    file.write_text("".join(f"{Mark(START + at * MS, event, data)}\n" for at, event, data in marks))
    return file


ENERGY = Frame(METER, 0x11, bytes.fromhex("00000100"))
ANSWER = Frame(METER, 0x91, bytes.fromhex("00000100") + bytes.fromhex("78563412"))


def test_an_exchange_is_told_with_its_values_and_times(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = encode(ANSWER)
    file = recording(
        tmp_path, (0, Event.SENT, encode(ENERGY)), (80, Event.RECEIVED, said[:9]), (95, Event.RECEIVED, said[9:])
    )
    assert main(["trace", str(file)]) == 0
    out, err = capsys.readouterr()
    assert "2027-01-15T08:00:00.000Z  → dlt645-2007" in out
    assert "123456.78 kWh" in out.replace("12345678", "")
    assert "(80 ms to 95 ms)" in out
    assert "1 exchanges: 0 without an answer, 0 with something wrong" in err
    assert main(["trace", str(file), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["answer"]["value"] == 123456.78
    assert (told["answer_ms"], told["complete_ms"], told["wrong"]) == (80.0, 95.0, [])


def test_what_is_wrong_is_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = bytearray(encode(ANSWER))
    broken[-2] ^= 1
    ask = wrapped(Framing.TCP, 1, read_pdu(3, 0, 2), 5)
    marks = [
        (0, Event.SENT, encode(ENERGY)),
        (50, Event.RECEIVED, bytes(broken)),
        (100, Event.SENT, encode(ENERGY)),
        (900, Event.SENT, ask),
        (910, Event.RECEIVED, wrapped(Framing.TCP, 1, b"\x83\x02", 5)),
        (950, Event.SENT, ask),
        (960, Event.RECEIVED, wrapped(Framing.TCP, 1, b"\x03\x04\0\0\0\0", 5)),
    ]
    file = recording(tmp_path, *marks)
    assert main(["trace", str(file), "--wrong", "--json"]) == 0
    wrong = [json.loads(line)["wrong"] for line in capsys.readouterr().out.splitlines()]
    assert len(wrong) == 3
    assert "checksum" in wrong[0][0]
    assert wrong[1:] == [["no answer"], ["answer: the device refused"]]
    assert main(["trace", str(file)]) == 0
    assert "4 exchanges: 1 without an answer, 3 with something wrong" in capsys.readouterr().err


def test_passwords_and_keys_are_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trip = encode(Frame(METER, 0x1C, bytes.fromhex("02 654321 00000000 1A00 000010221126")))
    key = water(WaterFrame(0x10, "0" * 14, 0x04, bytes.fromhex("14A0 07 0102030405060708")))
    file = recording(
        tmp_path, (0, Event.SENT, trip), (40, Event.RECEIVED, trip), (500, Event.SENT, key), (600, Event.CLOSED, b"")
    )
    for options in (["--json"], ["--fields"], []):
        assert main(["trace", str(file), *options]) == 0
        shown = capsys.readouterr().out.replace(" ", "").lower()
        for secret in ("654321", "987654", "0102030405060708"):
            assert secret not in shown
        assert "trip" in shown


def test_a_file_that_is_no_recording_is_told_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text("hello\nthere\n")
    assert main(["trace", str(file)]) == 1
    assert f"{file}:1" in capsys.readouterr().err
