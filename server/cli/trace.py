"""`joulehub trace FILE`: a recorded bus, exchange by exchange, told in words."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from address_space.model import NS
from drivers.transport import Mark, read_trace
from drivers.transport.recording import Exchange, exchanges
from server.cli.decode import EXPLAINERS, Explained

NS_PER_MS = 1_000_000
MOST_BYTES = 2000
"""Longer ones are told as noise of so many bytes."""
SHOWN_FIELDS = 12
_HARMLESS = {
    "dlt645-2007": frozenset({0x11, 0x12, 0x13, 0x08, 0x16}),
    "dlt645-1997": frozenset({0x01, 0x02, 0x08}),
}
"""Functions of DL/T 645 whose requests carry no password."""
_KEYS = frozenset({"A014", "A107"})
"""Identifiers of CJ/T 188 whose data are keys."""
_ORDER = ("dlt645", "cjt188", "modbus")
"""The strictest first: what is a frame there is hardly one elsewhere."""
_PASSED_OVER = frozenset({"preamble", "start", "end", "length", "transaction", "checksum", "bytes"})


def add_to(commands: Any) -> None:
    """Add this command to the command line."""
    command = commands.add_parser("trace", help="tell what a bus said that `run --trace` has recorded")
    command.add_argument("file", type=Path, help="a file that `run --trace` wrote")
    command.add_argument("--fields", action="store_true", help="every field of every frame, a line each")
    command.add_argument("--wrong", action="store_true", help="only exchanges with something wrong")
    command.add_argument("--json", action="store_true", help="one JSON object a line")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Tell; raises BadTrace where it is no recording."""
    counts: Counter[str] = Counter()
    for each in exchanges(read_trace(arguments.file)):
        told = _exchange(each, counts) if isinstance(each, Exchange) else _mark(each, counts)
        if arguments.wrong and not told["wrong"]:
            continue
        if arguments.json:
            sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
        else:
            sys.stdout.writelines(f"{line}\n" for line in _lines(told, fields=arguments.fields))
    if not arguments.json:
        sys.stderr.write(
            f"{counts['exchanges']} exchanges: {counts['silent']} without an answer, {counts['wrong']} with something "
            f"wrong, {counts['lost']} at which the line was lost\n"
        )
    return 0


def _mark(mark: Mark, counts: Counter[str]) -> dict[str, Any]:
    counts[mark.event.value] += 1
    told: dict[str, Any] = {"time": _time(mark.time_ns), "event": mark.event.value, "text": mark.text}
    if mark.data:
        told["hex"] = mark.data.hex(" ").upper()
    return told | {"wrong": [mark.text] if mark.event.value in ("lost", "missed") else []}


def _exchange(each: Exchange, counts: Counter[str]) -> dict[str, Any]:
    """Everything that is told of an exchange, as plain data."""
    counts["exchanges"] += 1
    protocol, request = _explained(each.request)
    told: dict[str, Any] = {"time": _time(each.at_ns), "event": "exchange", "request": _frame(each.request, request)}
    secret = _is_secret(request)
    if secret:
        told["request"] = _masked(told["request"])
    wrong = [f"request: {error}" for error in told["request"]["errors"]]
    if each.pieces:
        answer = _as_dict(protocol, _without_echo(each.request, each.answer))
        told["answer"] = _frame(each.answer, answer)
        if secret and (each.answer.startswith(each.request) or not (answer["valid"] and answer.get("from_meter"))):
            told["answer"] = _masked(told["answer"])  # an echo, perhaps a broken one
        told["answer_ms"] = _ms(each.pieces[0].after_ns)
        told["complete_ms"] = _ms(each.pieces[-1].after_ns)
        wrong += [f"answer: {error}" for error in told["answer"]["errors"]]
        if answer.get("error") or any("refused" in str(field["meaning"]) for field in answer.get("fields", [])):
            wrong.append("answer: the device refused")
    elif not each.last and not each.lost:
        counts["silent"] += 1
        wrong.append("no answer")
    if each.lost:
        counts["lost"] += 1
        wrong.append(f"the line was lost: {each.lost}")
    counts["wrong"] += bool(wrong)
    return told | {"wrong": wrong}


def _explained(data: bytes) -> tuple[str, dict[str, Any]]:
    """The protocol in which the bytes are a sound frame, and what they say; Modbus where they are none anywhere."""
    for protocol in _ORDER:
        told = _as_dict(protocol, data)
        if told["valid"]:
            return protocol, told
    return "modbus", _as_dict("modbus", data)


def _as_dict(protocol: str, data: bytes) -> dict[str, Any]:
    if len(data) > MOST_BYTES:
        return {"valid": False, "errors": [f"{len(data)} bytes, longer than any frame"], "protocol": "", "fields": []}
    explained: Explained = EXPLAINERS[protocol](data.hex())
    return explained.to_dict()


def _without_echo(request: bytes, answer: bytes) -> bytes:
    return answer[len(request) :] if answer.startswith(request) and len(answer) > len(request) else answer


def _is_secret(request: dict[str, Any]) -> bool:
    """Whether the bytes of a request may hold a password or a key."""
    harmless = _HARMLESS.get(request.get("protocol", ""))
    if harmless is not None and not request.get("from_meter"):
        return int(request.get("control") or "0", 16) & 0x1F not in harmless
    return request.get("protocol") == "cjt188" and request.get("di") in _KEYS


def _frame(data: bytes, told: dict[str, Any]) -> dict[str, Any]:
    return told | {"hex": data.hex(" ").upper()}


def _masked(frame: dict[str, Any]) -> dict[str, Any]:
    """Without the bytes in which a password stands; the fields name it and do not show it."""
    return {key: value for key, value in frame.items() if key != "frames"} | {"hex": "", "data": ""}


def _lines(told: dict[str, Any], *, fields: bool) -> Iterator[str]:
    if told["event"] != "exchange":
        yield f"{told['time']}  {told['event']} {told['text']}{told.get('hex', '')}".rstrip()
        return
    yield f"{told['time']}  → {_short(told['request'])}"
    yield from _fields(told["request"], fields=fields)
    if "answer" in told:
        taken = f"{told['answer_ms']:g} ms"
        if told["complete_ms"] > told["answer_ms"]:
            taken += f" to {told['complete_ms']:g} ms"
        yield f"{'':24}  ← {_short(told['answer'])}  ({taken})"
        yield from _fields(told["answer"], fields=fields)
    yield from (f"{'':24}  ! {what}" for what in told["wrong"])


def _short(frame: dict[str, Any]) -> str:
    """One line on a frame."""
    words = [
        f"{field['name']} {field['meaning']}" for field in frame["fields"] if field["name"].lower() not in _PASSED_OVER
    ]
    if len(words) > SHOWN_FIELDS:
        words = [*words[:SHOWN_FIELDS], f"and {len(words) - SHOWN_FIELDS} more"]
    shown = "; ".join(words) or frame["hex"] or "bytes that are not shown"
    return f"{frame['protocol'] or 'bytes'}: {shown}"


def _fields(frame: dict[str, Any], *, fields: bool) -> Iterator[str]:
    if fields:
        for field in frame["fields"]:
            yield f"{'':28}{field['bytes']:<24}  {field['name']}: {field['meaning']}"


def _time(at_ns: int) -> str:
    moment = datetime.fromtimestamp(at_ns // NS, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ns % NS // NS_PER_MS:03d}Z"


def _ms(after_ns: int) -> float:
    return round(after_ns / NS_PER_MS, 1)
