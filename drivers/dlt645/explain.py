"""Bytes of DL/T 645 written in hexadecimal, told field by field, and what is wrong with them. Never raises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from drivers.codec import sum8
from drivers.codec.frame68 import Cause, Flaw, address_of
from drivers.dlt645.frame import END, HEAD, START, TAIL, TAKE_33, Decoder, Frame
from drivers.dlt645.telling import tell
from drivers.dlt645.told import Told
from drivers.explained import dicts_of, hex_digits, lines_of

MAX_SHOWN: Final = 4000
_FE: Final = b"\xfe"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What some bytes say: the frames in them, what is wrong (`problems`, empty where all is sound), and `notes`.

    suspect is a broken frame told as far as it goes, where there is no sound one.
    """

    told: tuple[Told, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    suspect: Told | None = None

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """As plain data: the keys of the first frame, and all of them in `frames` where there are several."""
        first = self.told[0] if self.told else self.suspect
        shown = first.to_dict() if first is not None else {"protocol": ""}
        data: dict[str, Any] = {"valid": self.sound, "errors": list(self.problems)} | shown
        data["notes"] = [*self.notes, *(first.notes if first is not None else ())]
        data["fields"] = dicts_of(first.fields if first is not None else ())
        if len(self.told) > 1:
            data["frames"] = [told.to_dict() | {"fields": dicts_of(told.fields)} for told in self.told]
        return data

    def lines(self) -> list[str]:
        """For a person, a field a line."""
        said: list[str] = []
        for told in self.told or ([self.suspect] if self.suspect else []):
            said.append(f"{told.protocol.upper().replace('DLT', 'DL/T ')} {told.fields[1].meaning}")
            said += lines_of(told.fields)
            said += [f"  note: {note}" for note in told.notes]
        said += [f"  note: {note}" for note in self.notes]
        said += [f"  wrong: {problem}" for problem in self.problems]
        return said


def explain(text: str) -> Explanation:
    """What `text` says in hexadecimal, with or without blanks, colons, commas, dashes and 0x."""
    digits = hex_digits(text)
    try:
        data = bytes.fromhex(digits)
    except ValueError:
        return Explanation(problems=(_no_bytes(digits),))
    if not data:
        return Explanation(problems=("there are no bytes",))
    if len(data) > MAX_SHOWN:
        return Explanation(problems=(f"{len(data)} bytes are more than is told at once ({MAX_SHOWN})",))
    decoder = Decoder()
    found = decoder.feed(data) + decoder.flush()
    frames = [tell(each) for each in found if isinstance(each, Frame)]
    if not frames:
        problems, suspect = _diagnosed(data)
        return Explanation(problems=tuple(problems), suspect=suspect)
    problems, notes = _around(found, data)
    return Explanation(tuple(frames), tuple(problems), tuple(notes))


def _no_bytes(digits: str) -> str:
    foreign = [char for char in digits if char not in "0123456789abcdefABCDEF"]
    if foreign:
        return f"{foreign[0]!r} is no hexadecimal digit"
    return f"an odd number of hexadecimal digits ({len(digits)}): one is missing or too many"


def _around(found: list[Frame | Flaw], data: bytes) -> tuple[list[str], list[str]]:
    """What is wrong between and after the frames; noise before them is only noted, receivers pass over it."""
    problems: list[str] = []
    notes: list[str] = []
    last = max(at for at, each in enumerate(found) if isinstance(each, Frame))
    for at, each in enumerate(found):
        if not isinstance(each, Flaw):
            continue
        if each.cause is not Cause.NOISE:
            problems.append(f"at byte {each.offset + 1}: {each.what}")
        elif at > last:
            problems.append(f"trailing bytes after the frame: {data[each.offset :].hex(' ').upper()}")
        else:
            notes.append(f"at byte {each.offset + 1}: {each.what}; receivers pass over them")
    return problems, notes


def _diagnosed(data: bytes) -> tuple[list[str], Told | None]:
    """What keeps the bytes from being a frame, and the frame told as far as it can be."""
    begin = _likely_start(data)
    if begin < 0:
        return ["there is no start byte 68"], None
    frame = data[begin:]
    if len(frame) < 8:
        return [f"the frame is cut off after {len(frame)} bytes: even without data it has {HEAD + TAIL}"], None
    if frame[7] != START:
        return [f"the second start byte is missing: byte 8 of the frame is {frame[7]:02X}, should be 68"], None
    if len(frame) < HEAD:
        return [f"the frame is cut off after {len(frame)} bytes: even without data it has {HEAD + TAIL}"], None
    problems = _length(data, begin)
    length = min(frame[9], max(0, len(frame) - HEAD - TAIL)) if problems else frame[9]
    if not problems:
        problems = _ending(data, begin)
    shown = Frame(address_of(frame[1:7]), frame[8], frame[HEAD : HEAD + length].translate(TAKE_33))
    return problems, tell(shown)


def _likely_start(data: bytes) -> int:
    """The first byte 68 that has another one seven bytes on, else the first at all; -1 without any."""
    at = data.find(START)
    while at >= 0:
        if data[at + 7 : at + 8] == b"\x68":
            return at
        at = data.find(START, at + 1)
    return data.find(START)


def _length(data: bytes, begin: int) -> list[str]:
    """What is wrong with the length, judged by where the bytes end."""
    frame = data[begin:]
    said, there = frame[9], len(frame) - HEAD - TAIL
    if said == there:
        return []
    closed = there >= 0 and frame[-1] == END
    right = closed and frame[-2] == sum8(frame[:9] + bytes((there,)) + frame[HEAD:-2]) and there <= 255
    whole = closed and frame[-2] == sum8(frame[:-2])
    if right or whole:
        return [f"the length says {said} bytes of data, {there} stand before checksum and end"]
    if said > there:
        come = min(said, len(frame) - HEAD) if not closed else there
        return [f"the frame is cut off: the length says {said} bytes of data, {come} have come"]
    if frame[HEAD + said + 1] == END:
        return [*_ending(data, begin), f"trailing bytes after the end: {frame[HEAD + said + TAIL :].hex(' ').upper()}"]
    return [f"the length says {said} bytes of data, {there} stand before checksum and end"]


def _ending(data: bytes, begin: int) -> list[str]:
    frame = data[begin:]
    end = HEAD + frame[9] + TAIL
    problems: list[str] = []
    given, right = frame[end - 2], sum8(frame[: end - 2])
    if given != right:
        problems.append(f"checksum {given:02X} should be {right:02X}{_why(data, begin, end)}")
    if frame[end - 1] != END:
        problems.append(f"the end byte {frame[end - 1]:02X} should be 16")
    return problems


def _why(data: bytes, begin: int, end: int) -> str:
    """A usual mistake that would explain a wrong checksum; empty where none does."""
    frame = data[begin : begin + end]
    given = frame[-2]
    preamble = data[:begin]
    if preamble.strip(_FE) == b"" and preamble and given == sum8(preamble + frame[:-2]):
        return ": it counts the FE before the frame too"
    if given == sum8(frame[:HEAD] + frame[HEAD:-2].translate(TAKE_33)):
        return ": it was made before 33H was added to the data"
    if given == sum8(frame[1:-2]):
        return ": it leaves out the first byte 68"
    return ""
