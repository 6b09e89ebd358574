"""Frames of CJ/T 188: bytes to frames out of any stream, and frames to bytes.

CJ/T 188-2004 clause 5: 68, meter type, address of seven BCD bytes low first, control, length, data, sum of all before
modulo 256, 16; any number of FE may come first. There is no second 68 and nothing is added to the data, so noise looks
like the beginning of a frame more often than in DL/T 645: only the sum and the 16 decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from drivers.codec import sum8
from drivers.codec.frame68 import FILL, Cause, Controlled, Flaw, address_bytes, address_of

START: Final = 0x68
END: Final = 0x16
HEAD: Final = 11
"""Bytes before the data."""
TAIL: Final = 2
"""Bytes after the data."""
MAX_DATA: Final = 0x64
LONGEST: Final = HEAD + MAX_DATA + TAIL
SHORTEST: Final = HEAD + TAIL
DIGITS: Final = 14
"""Digits of an address."""
ANY: Final = "A" * DIGITS
"""Address that each meter takes for its own, for one meter on the line."""
ANY_TYPE: Final = 0xAA
_START: Final = b"\x68"
_TYPES: Final = frozenset((*(tens << 4 | ones for tens in (1, 2, 3, 4) for ones in range(10)), ANY_TYPE))


@dataclass(frozen=True, slots=True)
class Frame(Controlled):
    """One frame. `address` is 14 digits, most significant first, "AA" for bytes that may be anything.

    type     what kind of meter (0x10 cold water … 0x30 gas), as the meter itself says it: not to be relied on
    control  function, direction and error as on the wire
    data     identifier, serial number and contents
    """

    type: int
    address: str
    control: int
    data: bytes = b""


def encode(frame: Frame, preamble: int = 3) -> bytes:
    """The frame as it goes over the wire, after so many FE; raises ValueError for an impossible address or length."""
    if len(frame.data) > MAX_DATA:
        raise ValueError(f"a frame has at most {MAX_DATA} bytes of data, not {len(frame.data)}")
    if frame.type not in _TYPES:
        raise ValueError(f"no kind of meter has the number {frame.type:02X}")
    address = address_bytes(frame.address, DIGITS)
    body = b"\x68%c%b%c%c%b" % (frame.type, address, frame.control, len(frame.data), frame.data)
    return b"%b%b%c\x16" % (b"\xfe" * preamble, body, sum8(body))


def examine(data: bytes, at: int, offset: int = 0, *, any_type: bool = False) -> Frame | Flaw:
    """What begins with the 68 at `at`; a flaw with CUT where the bytes end before it does. With `any_type` the kind of
    meter need not be a known one: for frames that are surely frames."""
    size = len(data)
    if size > at + 1 and data[at + 1] not in _TYPES and not any_type:
        return Flaw(Cause.TYPE, offset + at, f"{data[at + 1]:02X} is no kind of meter")
    if size > at + 10 and data[at + 10] > MAX_DATA:
        return Flaw(Cause.LENGTH, offset + at, f"{data[at + 10]} bytes of data are announced, {MAX_DATA} are possible")
    end = at + SHORTEST + (data[at + 10] if size > at + 10 else 0)
    if size < end:
        return Flaw(Cause.CUT, offset + at, f"the frame is cut off after {size - at} of {_at_least(data, at)} bytes")
    right = sum8(data[at : end - 2])
    if data[end - 2] != right:
        return Flaw(Cause.CHECKSUM, offset + at, f"the checksum is {data[end - 2]:02X} and should be {right:02X}")
    if data[end - 1] != END:
        return Flaw(Cause.END, offset + at, f"the frame ends with {data[end - 1]:02X} instead of 16")
    return Frame(data[at + 1], address_of(data[at + 2 : at + 9]), data[at + 9], data[at + HEAD : end - TAIL])


def _at_least(data: bytes, at: int) -> str:
    return str(SHORTEST + data[at + 10]) if len(data) > at + 10 else f"at least {SHORTEST}"


class Decoder:
    """Frames out of a stream that comes in pieces, through any noise. Keeps less than one longest frame.

    Where something looks like a frame and is none, the search goes on at its second byte. Something that looks like
    the beginning of a frame is waited for, unless a whole frame follows inside; `flush` ends the waiting.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._offset = 0

    @property
    def kept(self) -> int:
        """Bytes that are waited upon."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[Frame | Flaw]:
        """What the stream says so far that it had not said before."""
        return self._scan(self._rest + data, at_end=False)

    def flush(self) -> list[Frame | Flaw]:
        """The line has fallen silent: judge what was waited for, and keep nothing."""
        return self._scan(self._rest, at_end=True)

    def _scan(self, data: bytes, *, at_end: bool) -> list[Frame | Flaw]:
        found: list[Frame | Flaw] = []
        at, size = 0, len(data)
        while at < size:
            begin = data.find(_START, at)
            if begin != at:
                end = size if begin < 0 else begin
                if data[at:end].strip(FILL):
                    found.append(Flaw(Cause.NOISE, self._offset + at, f"{end - at} bytes that are no frame"))
                at = end
                continue
            told = examine(data, at, self._offset)
            if isinstance(told, Frame):
                found.append(told)
                at += SHORTEST + len(told.data)
                continue
            later = at + 1
            if told.cause is Cause.CUT and not at_end:
                later = _whole_frame(data, at + 1)
                if later < 0:
                    break
            found.append(told)
            at = later
        self._rest = data[at:]
        self._offset += at
        return found


def _whole_frame(data: bytes, at: int) -> int:
    """Where the first sound frame from `at` on begins, -1 where none does."""
    at = data.find(_START, at)
    while at >= 0:
        if isinstance(examine(data, at), Frame):
            return at
        at = data.find(_START, at + 1)
    return -1
