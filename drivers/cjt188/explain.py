"""A CJ/T 188 frame told field by field, and what is wrong with a broken one. Never raises, whatever it is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from drivers.cjt188.contents import Contents, contents_of
from drivers.cjt188.frame import ANY, HEAD, SHORTEST, START, Frame, examine
from drivers.cjt188.requests import FUNCTIONS, VENDOR_VALVE_ANSWER
from drivers.codec.frame68 import FILL, Flaw, address_of
from drivers.explained import Field, dicts_of, hex_digits, lines_of

MAX_SHOWN = 4000
PROTOCOL = "cjt188"
TYPES: Final[Mapping[int, str]] = {
    0x10: "cold water",
    0x11: "hot water",
    0x12: "drinking water",
    0x13: "reclaimed water",
    0x20: "heat",
    0x21: "cooling",
    0x22: "heat and cooling",
    0x30: "gas",
    0x40: "electricity or the maker's own",
    0xAA: "any",
}
_FAMILIES: Final[Mapping[int, str]] = {1: "water", 2: "heat", 3: "gas", 4: "the maker's own"}


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a frame says. `frame` is None where there is no sound one, then `problems` says why."""

    frame: Frame | None
    contents: Contents
    fields: tuple[Field, ...]
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    head: bytes = b""
    """Of a broken frame: what there is of type, address, control and length."""

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """The same as plain data; the keys are called alike for DL/T 645 and CJ/T 188 (docs/cli.md)."""
        told: dict[str, Any] = {
            "valid": self.sound,
            "errors": list(self.problems),
            "notes": list(self.notes),
            "protocol": PROTOCOL,
            **self._header(),
        }
        if self.frame is not None:
            contents = self.contents
            told["data"] = self.frame.data.hex().upper()
            told["di"] = None if contents.di is None else f"{contents.di:04X}"
            told["di_order"] = contents.di_order.name if contents.di_order else None
            told["ser"] = contents.ser
            if contents.quantity:
                told |= {"quantity": contents.quantity, "unit": contents.unit, "value": contents.value}
            if contents.values:
                told["values"] = contents.values
            told["decoded"] = contents.decoded
        told["fields"] = dicts_of(self.fields)
        return told

    def lines(self) -> list[str]:
        """The same for a person, a field a line."""
        told = [f"CJ/T 188 {'answer' if self.frame.from_meter else 'request'}" if self.frame else "CJ/T 188"]
        told += lines_of(self.fields)
        told += [f"  note: {note}" for note in self.notes]
        told += [f"  wrong: {problem}" for problem in self.problems]
        return told

    def _header(self) -> dict[str, Any]:
        head = self.head
        told: dict[str, Any] = {}
        if len(head) > 1:
            told["meter_type"] = f"{head[1]:02X}"
        if len(head) > 8:
            told["address"] = address_of(head[2:9])
        if len(head) > 9:
            control = head[9]
            told["control"] = f"{control:02X}"
            told["function"] = function_word(control)
            told["from_meter"] = bool(control & 0x80)
            told["error"] = bool(control & 0x40)
            told["more"] = bool(control & 0x20) and control != VENDOR_VALVE_ANSWER
        if len(head) > 10:
            told["length"] = head[10]
        return told


def explain(text: str) -> Explanation:
    """The frame written as `text` in hexadecimal, with or without blanks, colons, commas, dashes and 0x."""
    try:
        data = bytes.fromhex(hex_digits(text))
    except ValueError:
        return _nothing("not hexadecimal: an odd number of digits or a foreign character")
    if len(data) > MAX_SHOWN:
        return _nothing(f"{len(data)} bytes are longer than any frame")
    starts = [at for at, byte in enumerate(data) if byte == START]
    if not starts:
        return _nothing("there is no 68, with which every frame begins", data)
    for any_type in (False, True):
        for at in starts:
            told = examine(data, at, any_type=any_type)
            if isinstance(told, Frame):
                return _sound(data, at, told)
    flaws = [(at, told) for at in starts if isinstance(told := examine(data, at), Flaw)]
    at, flaw = flaws[0]
    return _broken(data, at, flaw)


def function_word(control: int) -> str:
    """What a control byte asks or answers."""
    if control == VENDOR_VALVE_ANSWER:
        return "vendor"
    return FUNCTIONS.get(control & 0x1F, "unknown")


def _nothing(problem: str, data: bytes = b"") -> Explanation:
    fields = (Field(data.hex(" "), "bytes", "not explained"),) if data else ()
    return Explanation(None, Contents(), fields, (problem,))


def _sound(data: bytes, at: int, frame: Frame) -> Explanation:
    end = at + SHORTEST + len(frame.data)
    contents = contents_of(frame)
    fields = [*_before(data[:at]), *_head_fields(data[at : at + HEAD])]
    fields += [Field(part.bytes.hex(" "), part.name, part.meaning) for part in contents.parts]
    fields += [Field(data[end - 2 : end - 1].hex(), "checksum", "right"), Field("16", "end", "of the frame")]
    notes = list(contents.notes)
    if end < len(data):
        fields.append(Field(data[end:].hex(" "), "after the frame", "not part of it"))
        notes.append(f"{len(data) - end} bytes follow the frame")
    if data[:at].strip(FILL):
        notes.append(f"{at} bytes before the frame are not part of it")
    if isinstance(examine(data, at), Flaw):
        notes.append(f"{frame.type:02X} is no kind of meter that is known")
    if frame.address != ANY and not frame.address.isdecimal():
        notes.append("the address is not decimal")
    return Explanation(frame, contents, tuple(fields), (), tuple(notes), data[at : at + HEAD])


def _broken(data: bytes, at: int, flaw: Flaw) -> Explanation:
    head = data[at : at + HEAD]
    fields = [*_before(data[:at]), *_head_fields(head)]
    if data[at + HEAD :]:
        fields.append(Field(data[at + HEAD :].hex(" "), "rest", "data, checksum and end"))
    problems = [flaw.what]
    if len(head) == HEAD:
        announced, here = head[10], len(data) - at - SHORTEST
        if announced != here and flaw.what.startswith("the"):
            problems.append(f"{announced} bytes of data are announced, {max(here, 0)} are there")
    return Explanation(None, Contents(), tuple(fields), tuple(problems), (), head)


def _before(data: bytes) -> list[Field]:
    if not data:
        return []
    return [Field(data.hex(" "), "before the frame", "noise" if data.strip(FILL) else f"{len(data)} bytes of preamble")]


def _head_fields(head: bytes) -> list[Field]:
    fields = [Field(head[:1].hex(), "start", "of the frame")]
    if len(head) > 1:
        kind = TYPES.get(head[1]) or _FAMILIES.get(head[1] >> 4, "unknown")
        fields.append(Field(head[1:2].hex(), "meter type", kind))
    if len(head) > 8:
        fields.append(Field(head[2:9].hex(" "), "address", address_of(head[2:9])))
    if len(head) > 9:
        control = head[9]
        words = [f"{'answer' if control & 0x80 else 'request'}: {function_word(control)}"]
        words += ["refused"] if control & 0x40 else []
        words += ["more follows"] if control & 0x20 and control != VENDOR_VALVE_ANSWER else []
        fields.append(Field(head[9:10].hex(), "control", ", ".join(words)))
    if len(head) > 10:
        fields.append(Field(head[10:11].hex(), "length", f"{head[10]} bytes of data"))
    return fields
