"""The log on standard error: one event a line, for people or as JSON.

An event is a fixed phrase with key=value fields ("device lost channel=%s device=%s"); as JSON each field has its
own key.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any

from config.sections import LogFormat

LIBRARIES = ("asyncua", "pymodbus", "pymodbus.logging")
"""Loggers of libraries that speak of what the hub itself reports in its own words."""
_FIELD = re.compile(r" (\w+)=%[-+ #0-9.]*[a-zA-Z]")
_OWN_KEYS = frozenset({"time", "level", "logger", "event", "trace"})


def set_up_logging(level: str, form: LogFormat = LogFormat.TEXT) -> None:
    """Log to standard error from this level on; libraries say only what is an error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form is LogFormat.JSON else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(max(logging.ERROR, logging.getLogger().level))


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
