"""The log on standard error: one event a line, for people or as JSON. Whoever reads it, or does not, holds nobody up.

An event is a fixed phrase with key=value fields ("device lost channel=%s device=%s"); as JSON each field has its
own key.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from datetime import UTC, datetime
from io import UnsupportedOperation
from queue import Full, Queue
from threading import Thread
from typing import Any, TextIO

from config.sections import LogFormat

LIBRARIES = ("asyncua", "pymodbus", "pymodbus.logging")
"""Loggers of libraries that speak of what the hub itself reports in its own words."""
WAITING = 10_000
"""So many lines wait for a reader of the log; more are lost and counted."""
FLUSH_S = 10.0
_FIELD = re.compile(r" (\w+)=%[-+ #0-9.]*[a-zA-Z]")
_OWN_KEYS = frozenset({"time", "level", "logger", "event", "trace"})


def set_up_logging(level: str, form: LogFormat = LogFormat.TEXT) -> None:
    """Log to standard error from this level on; libraries say only what is an error."""
    handler = PatientHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form is LogFormat.JSON else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(max(logging.ERROR, logging.getLogger().level))


def finish_log() -> None:
    """Have written out what waits, so that what is said next stands behind it."""
    for handler in logging.getLogger().handlers:
        handler.flush()


class PatientHandler(logging.Handler):
    """Writes on a thread of its own: a pipe that is full, closed or broken and a full disk cost lines, never time."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._waiting: Queue[str | None] = Queue(WAITING)
        self._lost = 0
        Thread(target=self._write_all, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Put a line behind the others, or count it as lost."""
        try:
            self._waiting.put_nowait(self.format(record) + "\n")
        except Full:
            self._lost += 1
        except Exception:  # noqa: BLE001 - a record that cannot be told must not harm who tells it
            self.handleError(record)

    def flush(self) -> None:
        """Wait a moment for what is not written yet."""
        done = self._waiting.all_tasks_done
        with done:
            done.wait_for(lambda: not self._waiting.unfinished_tasks, FLUSH_S)

    def close(self) -> None:
        """End the thread, once it has written what waits."""
        if not self._waiting.full():
            self._waiting.put_nowait(None)
        super().close()

    def _write_all(self) -> None:
        while (line := self._waiting.get()) is not None:
            try:
                _write(self._stream, line)
                if self._lost:
                    lost, self._lost = self._lost, 0
                    _write(self._stream, self.format(_told(lost)) + "\n")
            except (OSError, ValueError):
                self._lost += 1
            finally:
                self._waiting.task_done()
        self._waiting.task_done()


def _told(lost: int) -> logging.LogRecord:
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, "log lines lost count=%d", (lost,), None)


def _write(stream: TextIO, text: str) -> None:
    """To the descriptor itself: at the end of the program nobody then waits for a stream that this thread holds."""
    try:
        number = stream.fileno()
    except (AttributeError, UnsupportedOperation):
        stream.write(text)
        return
    data = text.encode(errors="backslashreplace")
    while data:
        data = data[os.write(number, data) :]


class TextFormatter(logging.Formatter):
    """`2026-01-31T12:00:00.000Z INFO    server.app hub ready units=200`; a traceback follows on lines of its own."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802
        return _time(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return super().formatMessage(record).replace("\n", "\\n")


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time`, `level`, `logger`, `event`, the event's fields, and `trace` of an exception."""

    def format(self, record: logging.LogRecord) -> str:
        event, fields = _event(record)
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": event,
        }
        line.update((f"{key}_" if key in _OWN_KEYS else key, value) for key, value in fields.items())
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _event(record: logging.LogRecord) -> tuple[str, dict[str, Any]]:
    """The fixed phrase and its fields; a message of another form is all phrase."""
    keys = _FIELD.findall(str(record.msg))
    arguments = record.args if isinstance(record.args, tuple) else ()
    phrase = _FIELD.sub("", str(record.msg))
    if len(keys) != len(arguments) or "%" in phrase:
        return record.getMessage(), {}
    return phrase, {key: _plain(value) for key, value in zip(keys, arguments, strict=True)}


def _plain(value: object) -> object:
    return value if isinstance(value, str | int | float | bool | None) else str(value)
