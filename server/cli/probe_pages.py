"""What `joulehub probe` shows: sentences and tables for a person, plain data for machines."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from drivers.codec import NumberType, Order
from drivers.modbus.refusals import EXCEPTION_NAMES
from drivers.probe import (
    Answered,
    Confidence,
    Decoding,
    Diagnosis,
    FoundDevice,
    Movement,
    Registers,
    Search,
    Unclear,
    texts,
)
from drivers.probe.fit import Fit, Value

NOT_ASKED: Final = (
    "DL/T 645 and CJ/T 188 meters are asked by number (--meter NUMBER), or by wildcard where one meter is on the wire "
    "(--one-meter)\n"
)
BEST_FITS: Final = 5
MOST_MEANINGS: Final = 2
WIDTH: Final = 150
_SURE: Final = {
    Confidence.HIGH: "answered twice",
    Confidence.MEDIUM: "answered twice; the parity makes no difference, so take the meter's own",
    Confidence.LOW: "answered only once of two times: the line is bad, or the setting is not quite right",
}
_MOVED: Final = {
    Movement.GROWS: "↑",
    Movement.WAVERS: "~",
    Movement.JUMPS: "!",
    Movement.STILL: "=",
    Movement.UNKNOWN: "",
}
_COLUMNS: Final = (
    (NumberType.UINT16, Order.ABCD),
    (NumberType.INT16, Order.ABCD),
    (NumberType.UINT32, Order.ABCD),
    (NumberType.UINT32, Order.CDAB),
    (NumberType.FLOAT32, Order.ABCD),
    (NumberType.FLOAT32, Order.CDAB),
)
"""Shown of each register; what else looks like something stands behind."""


def search_note(question_s: float) -> str:
    """What a search by wildcards may take."""
    return (
        "where several meters answer at once, each byte of their numbers takes 100 questions more "
        f"(about {100 * question_s:.0f} s); --at-most bounds it\n"
    )


def trouble_as_data(diagnosis: Diagnosis, target: str) -> dict[str, Any]:
    """Why a line does not open."""
    return {"trouble": diagnosis.trouble.value, "what": diagnosis.what, "where": target, "hint": diagnosis.hint}


def search_as_data(search: Search) -> dict[str, Any]:
    """What came of looking for settings."""
    found = search.found
    data: dict[str, Any] = {
        "questions": search.asked,
        "garbled": search.garbled,
        "gateway_silent": search.gateway,
        "found": None,
    }
    if found is not None:
        data["found"] = {
            "protocol": found.sign.protocol,
            "framer": found.sign.framing or None,
            "address": found.sign.address,
            "what": found.sign.what,
            "settings": str(found.settings) if found.settings else None,
            "baud": found.settings.baud if found.settings else None,
            "parity": found.settings.parity.value if found.settings else None,
            "confidence": found.confidence.value,
            "also": [str(each) for each in found.others],
            "echo": found.sign.echoed,
        }
    return data


def search_lines(search: Search, target: str) -> Iterator[str]:
    """The same in sentences."""
    found = search.found
    if found is None:
        yield f"{target} is open, and nobody answered {search.asked} questions"
        if search.gateway:
            yield "a gateway says that no device answers behind it: check the bus behind it, and the unit's number"
        for settings, count in sorted(search.garbled.items(), key=lambda each: -each[1])[:3]:
            yield f"{f'at {settings} ' if settings else ''}{count} bytes came that are no frame of these protocols"
        yield "check that A and B are not swapped, power, the device's own number (--units, --meter), and its protocol"
        return
    how = f" at {found.settings}" if found.settings else ""
    framing = f" (framer {found.sign.framing})" if found.sign.framing else ""
    yield f"{found.sign.protocol}{framing}{how}: {found.sign.what}"
    yield f"confidence {found.confidence.value}: {_SURE[found.confidence]}"
    if found.others:
        yield f"answers came also at {', '.join(map(str, found.others))}"
    if found.sign.echoed:
        yield "the line sends back what is sent: use --echo here, and echo: true in the channel"


def scan_as_data(
    found: Sequence[FoundDevice],
    unclear: Sequence[Unclear],
    fits: Mapping[FoundDevice, Sequence[Fit]],
    *,
    complete: bool,
) -> dict[str, Any]:
    """What was found on a bus."""
    return {
        "complete": complete,
        "devices": [
            {
                "protocol": device.protocol,
                "address": device.address,
                "edition": device.edition or None,
                "framer": device.framing or None,
                "told": dict(device.told),
                "profiles": [_fit_as_data(each) for each in fits.get(device, ())],
            }
            for device in found
        ],
        "unclear": [{"protocol": each.protocol, "asked": each.asked, "garbled": each.garbled} for each in unclear],
    }


def _fit_as_data(fit: Fit) -> dict[str, Any]:
    return {
        "profile": fit.profile,
        "score": fit.score,
        "answered": fit.answered,
        "values": [
            {
                "point": value.quantity.path,
                "value": value.value,
                "unit": value.quantity.unit.base if value.quantity.unit else "",
                "plausible": value.plausible,
            }
            for value in fit.values
        ],
    }


def scan_lines(
    found: Sequence[FoundDevice],
    unclear: Sequence[Unclear],
    fits: Mapping[FoundDevice, Sequence[Fit]],
    *,
    any_unit: bool,
) -> Iterator[str]:
    """The same in sentences."""
    if not found:
        yield "nobody answered"
    if any_unit:
        yield "every unit that was asked answered: this is likely one device that does not look at the unit's number"
    for device in found:
        name = f"{device.protocol}{f' {device.edition}' if device.edition else ''} {device.address}"
        told = "; ".join(f"{key} {said}" for key, said in device.told)
        yield f"{name}{f': {told}' if told else ''}"
        for fit in fits.get(device, ())[:BEST_FITS]:
            shown = ", ".join(_value(value) for value in fit.values if value.value is not None)
            yield f"    {fit.score:4.0%}  {fit.profile}: {shown}"
        if device in fits and not fits[device]:
            yield "    no profile of the library fits: look at its registers with `joulehub probe read`"
    for each in unclear:
        yield f"{each.protocol} {each.asked}: {each.garbled} bytes that are no frame; several at once, or a bad line"


def _value(value: Value) -> str:
    unit = value.quantity.unit.base if value.quantity.unit else ""
    return f"{value.quantity.path} {value.value:g} {unit}".strip() + ("" if value.plausible else " (!)")


def registers_as_data(
    registers: Registers, later: Sequence[Mapping[int, int]], found: Sequence[Decoding]
) -> dict[str, Any]:
    """Registers and each way of reading them."""
    return {
        "registers": {f"0x{address:04X}": word for address, word in sorted(registers.words.items())},
        "later": [{f"0x{address:04X}": word for address, word in sorted(each.items())} for each in later],
        "refused": [
            {"at": f"0x{at:04X}", "count": count, "exception": code, "what": EXCEPTION_NAMES.get(code, "")}
            for (at, count), code in registers.refused.items()
        ],
        "silent": [{"at": f"0x{at:04X}", "count": count} for at, count in registers.silent],
        "texts": [
            {"at": f"0x{at:04X}", "words": words, "text": text} for at, words, text in texts(registers.words, found)
        ],
        "decodings": [
            {
                "at": f"0x{one.address:04X}",
                "type": one.type.value,
                "order": one.order.value,
                "raw": one.raw,
                "later": one.later,
                "movement": one.movement.value,
                "note": one.note,
                "meanings": [
                    {
                        "what": each.what,
                        "value": each.value,
                        "unit": each.unit,
                        "scale": each.scale,
                        "points": each.points,
                        "likely": each.likely,
                    }
                    for each in one.meanings
                ],
            }
            for one in found
        ],
    }


def show_registers(
    registers: Registers, later: Sequence[Mapping[int, int]], found: Sequence[Decoding], *, everything: bool, bits: bool
) -> None:
    """A line for each register: the usual readings side by side, and behind them what looks like something."""
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDTH, highlight=False)
    if bits:
        for address, bit in sorted(registers.words.items()):
            moved = "  changed" if any(each.get(address, bit) != bit for each in later) else ""
            console.print(f"0x{address:04X}  {bit}{moved}")
    elif registers.words:
        console.print(_table(registers, found, everything=everything))
        console.print("★ likely   ↑ grows   ~ wavers   ! jumps   = stands still, from read to read")
    for at, words, text in texts(registers.words, found) if not bits else ():
        console.print(Text(f"0x{at:04X}, {words} registers of text: {text!r}"))
    for at, count, code in _joined(registers.refused):
        console.print(f"0x{at:04X} x {count}: exception {code} ({EXCEPTION_NAMES.get(code, 'unknown')})")
    for at, count in registers.silent:
        console.print(f"0x{at:04X} x {count}: no answer")


def _table(registers: Registers, found: Sequence[Decoding], *, everything: bool) -> Table:
    table = Table(expand=False, box=None, header_style="dim", padding=(0, 1, 0, 0))
    for heading in ("at", "hex"):
        table.add_column(heading, no_wrap=True)
    for kind, order in _COLUMNS:
        suffix = "" if kind.words == 1 else f" {order.value}"
        table.add_column(f"{kind.value}{suffix}", justify="right", no_wrap=True)
    table.add_column("looks like")
    by_address: dict[int, list[Decoding]] = {}
    for one in found:
        by_address.setdefault(one.address, []).append(one)
    for address, word in sorted(registers.words.items()):
        here = by_address.get(address, [])
        cells = [_cell(here, kind, order) for kind, order in _COLUMNS]
        table.add_row(f"0x{address:04X}", f"{word:04X}", *cells, _meanings(here, everything=everything))
    return table


def _cell(here: Sequence[Decoding], kind: NumberType, order: Order) -> Text:
    for one in here:
        if one.type is kind and one.order is order:
            if one.note or one.raw is None:
                return Text(one.note or "–", "dim")
            likely = one.best is not None and one.best.likely
            return Text(f"{_number(one.raw)}{_MOVED[one.movement]}", "bold green" if likely else "")
    return Text("")


def _meanings(here: Sequence[Decoding], *, everything: bool) -> Text:
    rows = [(meaning, one) for one in here for meaning in one.meanings]
    rows.sort(key=lambda row: -row[0].points)
    chosen = rows if everything else [row for row in rows if row[0].likely][:MOST_MEANINGS]
    said: list[str] = []
    for meaning, one in chosen:
        scale = "" if meaning.scale == 1 else f" × {meaning.scale:g}"
        order = "" if one.type.words == 1 and one.order is Order.ABCD else f" {one.order.value}"
        value = f"{_number(meaning.value)} {meaning.unit}".strip()
        said.append(f"{'★' if meaning.likely else '·'} {meaning.what} {value} ({one.type.value}{order}{scale})")
    return Text("; ".join(said))


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return f"{value:.6g}" if abs(value) < 1e7 else f"{value:.4e}"


def _joined(refused: Mapping[tuple[int, int], int]) -> list[tuple[int, int, int]]:
    """Refusals of neighbours in one line."""
    rows: list[tuple[int, int, int]] = []
    for (at, count), code in sorted(refused.items()):
        if rows and rows[-1][2] == code and rows[-1][0] + rows[-1][1] == at:
            rows[-1] = rows[-1][0], rows[-1][1] + count, code
        else:
            rows.append((at, count, code))
    return rows


def answered_as_data(row: Answered) -> dict[str, Any]:
    """One identifier."""
    return {
        "di": row.di,
        "name": row.name,
        "value": row.value,
        "unit": row.unit or None,
        "refused": row.refused or None,
        "note": row.note or None,
    }


def show_answered(rows: Sequence[Answered], meter: str) -> None:
    """A line for each identifier that was answered, and one for those that were refused."""
    for row in rows:
        if not row.refused:
            shown = "not available" if row.value is None else _shown(row.value)
            note = f"  ({row.note})" if row.note else ""
            sys.stdout.write(f"{row.di:8}  {row.name:32}  {shown} {row.unit}".rstrip() + note + "\n")
    refused: dict[str, list[str]] = {}
    for row in rows:
        if row.refused:
            refused.setdefault(row.refused, []).append(row.di)
    for reason, which in refused.items():
        sys.stdout.write(f"refused ({reason}): {', '.join(which)}\n")
    if not rows:
        sys.stdout.write(f"meter {meter} did not answer; find it with `joulehub probe scan`\n")


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown(each)}" for key, each in value.items())
    if isinstance(value, list):
        return ", ".join("–" if each is None else _shown(each) for each in value)
    return "–" if value is None else str(value)
