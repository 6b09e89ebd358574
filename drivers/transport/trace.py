"""Every byte of a line, written down: one file a channel, one JSON object a line, to be read by people and replayed.

    {"time_ns": 1800000000123456789, "event": "sent", "hex": "68 11 11 11 11 11 11 68 11 04 33 33 34 33 B3 16"}

A thread of its own writes, so that a slow disk delays no exchange; where it cannot keep up, or the disk is full,
the trace has a hole or an end, and the line goes on.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TextIO

from address_space.model.errors import HubError

log = logging.getLogger(__name__)

SUFFIX = ".trace.jsonl"
FILE_BYTES = 16 * 1024 * 1024
OLDER_FILES = 3
MOST_WAITING = 20_000
"""Marks that may wait for the disk."""
FLUSH_S = 1.0


class Event(Enum):
    """What happened on a line."""

    OPENED = "opened"
    CLOSED = "closed"
    LOST = "lost"
    TUNED = "tuned"
    SENT = "sent"
    RECEIVED = "received"
    DISCARDED = "discarded"
    """Bytes that arrived when nobody had asked."""
    MISSED = "missed"
    """So many marks are missing here."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing that happened. `text` names the line, its settings, or what was wrong with it."""

    time_ns: int
    event: Event
    data: bytes = b""
    text: str = ""

    def __str__(self) -> str:
        fields: dict[str, Any] = {"time_ns": self.time_ns, "event": self.event.value}
        if self.data:
            fields["hex"] = self.data.hex(" ").upper()
        if self.text:
            fields["text"] = self.text
        return json.dumps(fields, ensure_ascii=False)


class BadTrace(HubError):
    """A file is no trace, or was cut off in the middle of a line that is not the last."""


class Trace:
    """Writes the traces of all channels below `folder`, each at most `(older_files + 1) * file_bytes` long.

    `open` and `close` it; `close` waits until everything is written. What is noted while it is closed is dropped.
    """

    def __init__(self, folder: Path, *, file_bytes: int = FILE_BYTES, older_files: int = OLDER_FILES) -> None:
        self._folder = folder
        self._file_bytes = file_bytes
        self._older_files = older_files
        self._waiting: queue.Queue[tuple[ChannelTrace, Mark] | None] = queue.Queue(MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._failed = False
        self._channels: dict[str, ChannelTrace] = {}

    def of(self, channel: str) -> ChannelTrace:
        """The trace of one channel, the same each time."""
        found = self._channels.get(channel)
        if found is None:
            path = self._folder / f"{channel}{SUFFIX}"
            found = self._channels[channel] = ChannelTrace(self, path, self._file_bytes, self._older_files)
        return found

    def open(self) -> None:
        """Begin to write."""
        self._failed = False
        self._thread = threading.Thread(target=self._write, name="trace", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what waits and end; blocks."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._waiting.put(None)
            thread.join()

    def take(self, channel: ChannelTrace, mark: Mark) -> bool:
        """Have it written; False where that is not possible. Never blocks, never raises."""
        if self._failed or self._thread is None:
            return True
        try:
            self._waiting.put_nowait((channel, mark))
        except queue.Full:
            return False
        return True

    def _write(self) -> None:
        with ExitStack() as files:
            try:
                self._write_all(files)
            except OSError as error:
                self._failed = True
                log.error("trace ended folder=%s error=%s", self._folder, error)

    def _write_all(self, files: ExitStack) -> None:
        known: set[ChannelTrace] = set()
        written: set[ChannelTrace] = set()
        while True:
            try:
                job = self._waiting.get(timeout=FLUSH_S)
            except queue.Empty:
                for channel in written:
                    channel.flush()
                written.clear()
                continue
            if job is None:
                return
            channel, mark = job
            if channel not in known:
                known.add(channel)
                files.callback(channel.release)
            channel.write(mark)
            written.add(channel)


class ChannelTrace:
    """The trace of one channel; `note` is called by its link, the rest by the writing thread."""

    def __init__(self, trace: Trace, path: Path, file_bytes: int, older_files: int) -> None:
        self.path = path
        self._trace = trace
        self._file_bytes = file_bytes
        self._older_files = older_files
        self._file: TextIO | None = None
        self._size = 0
        self._missed = 0

    def note(self, mark: Mark) -> None:
        """Write it down when there is time; never raises, never waits."""
        if self._missed:
            hole = Mark(mark.time_ns, Event.MISSED, text=str(self._missed))
            if not self._trace.take(self, hole):
                self._missed += 1
                return
            self._missed = 0
        if not self._trace.take(self, mark):
            self._missed += 1

    def write(self, mark: Mark) -> None:
        """Write it now; raises OSError."""
        line = f"{mark}\n"
        if self._file is not None and self._size + len(line) > self._file_bytes:
            self._rotate()
        file = self._file or self._begin()
        file.write(line)
        self._size += len(line.encode("utf-8"))

    def flush(self) -> None:
        """Have it on the disk; raises OSError."""
        if self._file is not None:
            self._file.flush()

    def release(self) -> None:
        """Close the file; never raises."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file.close()

    def _begin(self) -> TextIO:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Frames carry passwords: nobody else may read them.
        number = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        file = self._file = os.fdopen(number, "a", encoding="utf-8")
        self._size = file.tell()
        return file

    def _rotate(self) -> None:
        self.release()
        names = [self.path, *(self.path.with_name(f"{self.path.name}.{n + 1}") for n in range(self._older_files))]
        for older, newer in zip(reversed(names), list(reversed(names))[1:], strict=False):
            if newer.exists():
                newer.replace(older)
        self.path.unlink(missing_ok=True)


def read_trace(path: Path) -> Iterator[Mark]:
    """The marks of one file, oldest first. A last line that was cut off is passed over; raises BadTrace, OSError."""
    with path.open(encoding="utf-8") as file:
        number, broken = 0, ""
        for number, line in enumerate(file, start=1):
            if broken:
                raise BadTrace(broken, where=f"{path}:{number - 1}", hint="only files that a trace wrote can be read")
            try:
                fields = json.loads(line)
                yield Mark(
                    int(fields["time_ns"]),
                    Event(fields["event"]),
                    bytes.fromhex(fields.get("hex", "")),
                    str(fields.get("text", "")),
                )
            except (ValueError, KeyError, TypeError) as error:
                broken = f"this is no line of a trace: {type(error).__name__}: {error}"
        if broken and number == 1:
            raise BadTrace(broken, where=f"{path}:1", hint="only files that a trace wrote can be read")
