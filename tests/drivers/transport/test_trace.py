"""Traces: all that went over a line, in order, to be read again; and a disk that cannot hold them."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from address_space.model.clock import NS, ManualClock
from drivers.errors import ChannelDown
from drivers.transport import (
    BadTrace,
    Event,
    LineOptions,
    Lines,
    Mark,
    SerialSettings,
    Trace,
    TracedLink,
    pair,
    read_trace,
)

START_NS = 1_800_000_000 * NS


@pytest.fixture
def trace(tmp_path: Path) -> Trace:
    return Trace(tmp_path / "traces")


async def test_what_went_over_a_line_is_read_again_in_order(trace, tmp_path):
    clock = ManualClock(START_NS)
    near, far = pair("bus")
    trace.open()
    link = TracedLink(near, trace.of("c1"), clock)
    await link.open()
    link.tune(SerialSettings(2400))
    link.send(b"\x68\x16")
    await clock.advance(0.25)
    far.send(b"\xfe\xfe\x68")
    assert await link.receive(1) == b"\xfe\xfe\x68"
    far.send(b"late")
    assert link.discard() == b"late"
    assert link.discard() == b""
    far.close()
    with pytest.raises(ChannelDown):
        link.send(b"lost")
    link.close()
    trace.close()
    later_ns = START_NS + NS // 4
    assert list(read_trace(tmp_path / "traces" / "c1.trace.jsonl")) == [
        Mark(START_NS, Event.OPENED, text="bus, near end"),
        Mark(START_NS, Event.TUNED, text="2400 8N1"),
        Mark(START_NS, Event.SENT, b"\x68\x16"),
        Mark(later_ns, Event.RECEIVED, b"\xfe\xfe\x68"),
        Mark(later_ns, Event.DISCARDED, b"late"),
        Mark(later_ns, Event.LOST, text="bus, near end: not connected"),
    ]


async def test_a_line_that_does_not_open_leaves_a_mark(trace, tmp_path, free_port):
    options = LineOptions(host="127.0.0.1", port=free_port())
    lines = Lines(ManualClock(START_NS), trace=trace)
    link = lines.link("gw1", options)
    async with lines:
        with pytest.raises(ChannelDown):
            await link.open()
    (mark,) = read_trace(tmp_path / "traces" / "gw1.trace.jsonl")
    assert mark.event is Event.LOST
    assert "cannot connect" in mark.text


async def test_a_trace_goes_on_where_an_earlier_one_ended(trace, tmp_path):
    for number in range(2):
        trace.open()
        trace.of("c1").note(Mark(number, Event.SENT, b"x"))
        trace.close()
    assert [mark.time_ns for mark in read_trace(tmp_path / "traces" / "c1.trace.jsonl")] == [0, 1]


def test_nobody_but_the_hub_reads_a_trace_which_may_hold_passwords(trace, tmp_path):
    trace.open()
    trace.of("c1").note(Mark(1, Event.SENT, b"x"))
    trace.close()
    assert (tmp_path / "traces" / "c1.trace.jsonl").stat().st_mode & 0o077 == 0
    assert trace.of("c1") is trace.of("c1")


def test_old_files_make_room_for_new_ones(tmp_path):
    trace = Trace(tmp_path, file_bytes=2000, older_files=2)
    trace.open()
    channel = trace.of("c1")
    for number in range(200):
        channel.note(Mark(number, Event.SENT, bytes(20)))
    trace.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["c1.trace.jsonl", "c1.trace.jsonl.1", "c1.trace.jsonl.2"]
    assert all(path.stat().st_size <= 2000 for path in tmp_path.iterdir())
    kept = [mark.time_ns for name in reversed(names) for mark in read_trace(tmp_path / name)]
    assert kept == list(range(200 - len(kept), 200))
    assert len(kept) > 30


def test_a_full_disk_ends_the_trace_with_one_word_and_not_the_exchange(caplog):
    trace = Trace(Path("/dev/full"))  # a folder cannot be made there, and nothing can be written
    trace.open()
    channel = trace.of("c1")
    for number in range(100):
        channel.note(Mark(number, Event.SENT, b"x"))
    trace.close()
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "trace ended" in caplog.text


def test_a_disk_that_fills_on_the_way_ends_the_trace_too(tmp_path, caplog):
    trace = Trace(tmp_path)
    (tmp_path / "c1.trace.jsonl").symlink_to("/dev/full")
    trace.open()
    channel = trace.of("c1")
    for number in range(2000):
        channel.note(Mark(number, Event.SENT, bytes(50)))
    trace.close()
    assert caplog.text.count("trace ended") == 1


def test_a_disk_that_cannot_keep_up_leaves_a_hole_that_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("drivers.transport.trace.MOST_WAITING", 3)
    trace = Trace(tmp_path)
    channel = trace.of("c1")
    trace._thread = object()  # type: ignore[assignment]  # open, but nobody writes yet
    for number in range(10):
        channel.note(Mark(number, Event.SENT, b"x"))
    trace.open()
    while not trace._waiting.empty():
        pass
    channel.note(Mark(10, Event.SENT, b"y"))
    trace.close()
    marks = list(read_trace(tmp_path / "c1.trace.jsonl"))
    assert [mark.time_ns for mark in marks] == [0, 1, 2, 10, 10]
    assert (marks[3].event, marks[3].text) == (Event.MISSED, "7")


def test_a_last_line_that_was_cut_off_is_passed_over(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text(f"{Mark(1, Event.SENT, b'x')}\n{Mark(2, Event.SENT, b'y')}"[:-9])
    assert [mark.time_ns for mark in read_trace(path)] == [1]


@pytest.mark.parametrize("text", ["hello\n", "{}\n", '{"time_ns": 1, "event": "sung"}\n', '[]\n{"a": 1}\n'])
def test_another_file_is_no_trace(tmp_path, text):
    path = tmp_path / "t.jsonl"
    path.write_text(text)
    with pytest.raises(BadTrace, match=r"t\.jsonl:1: this is no line of a trace"):
        list(read_trace(path))


async def test_a_closed_trace_takes_nothing_and_says_nothing(trace, tmp_path):
    near, _ = pair()
    link = TracedLink(near, trace.of("c1"), ManualClock())
    await link.open()
    link.send(b"x")
    await asyncio.sleep(0)
    assert not (tmp_path / "traces").exists()
