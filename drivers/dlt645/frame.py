"""Frames of DL/T 645, both versions alike: bytes to frames out of any stream, and frames to bytes.

DL/T 645-2007 clause 5: 68, address of six BCD bytes low first, 68, control, length, data with 33H added to each byte,
sum of all before modulo 256, 16; any number of FE may come first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from drivers.codec import frame68, sum8
from drivers.codec.frame68 import FILL, Cause, Controlled, Flaw, address_bytes

START: Final = 0x68
END: Final = 0x16
HEAD: Final = 10
"""Bytes before the data."""
TAIL: Final = 2
"""Bytes after the data."""
MAX_DATA: Final = 255
LONGEST: Final = HEAD + MAX_DATA + TAIL
DIGITS: Final = 12
"""Digits of an address."""
ANY: Final = "A" * DIGITS
"""Address that each meter takes for its own, for one meter on the line."""
BROADCAST: Final = "9" * DIGITS
"""Address to all meters; none of them answers (some of 1997 do)."""
_ADD_33: Final = bytes((byte + 0x33) & 0xFF for byte in range(256))
TAKE_33: Final = bytes((byte - 0x33) & 0xFF for byte in range(256))
"""Table that takes the 33H from data as they stand on the wire."""


@dataclass(frozen=True, slots=True)
class Frame(Controlled):
    """One frame. `address` is twelve digits, most significant first, wildcards as "AA"; `data` is without the 33H."""

    address: str
    control: int
    data: bytes = b""


def matches(asked: str, answered: str) -> bool:
    """Whether the meter that calls itself `answered` is one that `asked` speaks to: the same number, or one with
    "AA" for bytes that may be anything, or the broadcast."""
    return asked == BROADCAST or frame68.matches(asked, answered)


def encode(frame: Frame, preamble: int = 4) -> bytes:
    """The frame as it goes over the wire, after so many FE; raises ValueError for an impossible address or length."""
    if len(frame.data) > MAX_DATA:
        raise ValueError(f"a frame has at most {MAX_DATA} bytes of data, not {len(frame.data)}")
    body = b"\x68%b\x68%c%c%b" % (
        address_bytes(frame.address, DIGITS),
        frame.control,
        len(frame.data),
        frame.data.translate(_ADD_33),
    )
    return b"%b%b%c\x16" % (b"\xfe" * preamble, body, sum8(body))


class Decoder:
    """Frames out of a stream that comes in pieces, through any noise. Keeps less than one longest frame.

    Where something looks like a frame and is none, the search goes on at its second byte. Something that looks like the
    beginning of a frame is waited for, unless a whole frame lies inside; `flush` ends the waiting.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._offset = 0
        self._blamed = 0
        self._noise_from = -1

    @property
    def kept(self) -> int:
        """Bytes that are waited with."""
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
            begin = data.find(START, at)
            if begin < 0:
                self._skip(data, at, size)
                at = size
                break
            if begin > at:
                self._skip(data, at, begin)
                at = begin
            end = _end(data, at)
            if end == 0:
                self._skip(data, at, at + 1)
                at += 1
            elif end > size:
                later = at + 1 if at_end else _whole_frame(data, at + 1)
                if not at_end and later < 0:
                    break
                if at_end:
                    self._blame(found, Flaw(Cause.CUT, self._offset + at, _cut(data, at, end)), size)
                self._skip(data, at, later)
                at = later
            else:
                flaw = self._judge(data, at, end)
                if flaw is None:
                    self._report_noise(found, self._offset + at)
                    found.append(
                        Frame(
                            data[at + 6 : at : -1].hex().upper(),
                            data[at + 8],
                            data[at + HEAD : end - TAIL].translate(TAKE_33),
                        )
                    )
                    at = end
                else:
                    self._blame(found, flaw, end)
                    self._skip(data, at, at + 1)
                    at += 1
        self._offset += at
        self._rest = data[at:]
        self._report_noise(found, self._offset)
        return found

    def _judge(self, data: bytes, at: int, end: int) -> Flaw | None:
        if data[end - 1] != END:
            what = f"the frame ends with {data[end - 1]:02X} instead of 16"
            return Flaw(Cause.END, self._offset + at, what)
        right = sum8(data[at : end - TAIL])
        if data[end - TAIL] != right:
            what = f"checksum {data[end - TAIL]:02X} should be {right:02X}"
            return Flaw(Cause.CHECKSUM, self._offset + at, what)
        return None

    def _blame(self, found: list[Frame | Flaw], flaw: Flaw, end: int) -> None:
        """Report a flaw, and take the bytes up to `end` (in the piece at hand) as explained by it."""
        self._report_noise(found, flaw.offset)
        if flaw.offset >= self._blamed:
            found.append(flaw)
        self._blamed = max(self._blamed, self._offset + end)

    def _skip(self, data: bytes, begin: int, end: int) -> None:
        """Bytes of no frame; those that no flaw explains are noise, unless they only fill the line."""
        begin = max(begin, self._blamed - self._offset)
        if begin < end and self._noise_from < 0 and data[begin:end].strip(FILL):
            self._noise_from = self._offset + begin

    def _report_noise(self, found: list[Frame | Flaw], until: int) -> None:
        if self._noise_from >= 0:
            what = f"{until - self._noise_from} bytes that belong to no frame"
            found.append(Flaw(Cause.NOISE, self._noise_from, what))
            self._noise_from = -1


def _end(data: bytes, at: int) -> int:
    """Where the frame at `at` ends if it is one; 0 where it is none, and beyond the data while that is not known."""
    left = len(data) - at
    if left >= 8 and data[at + 7] != START:
        return 0
    return at + HEAD + data[at + 9] + TAIL if left >= HEAD else at + LONGEST


def _whole_frame(data: bytes, at: int) -> int:
    """Where the next whole and sound frame begins, -1 where there is none."""
    begin = data.find(START, at)
    while begin >= 0:
        end = _end(data, begin)
        if 0 < end <= len(data) and data[end - 1] == END and data[end - TAIL] == sum8(data[begin : end - TAIL]):
            return begin
        begin = data.find(START, begin + 1)
    return -1


def _cut(data: bytes, at: int, end: int) -> str:
    left = len(data) - at
    if left < HEAD:
        return f"the frame is cut off after {left} of its first {HEAD} bytes"
    return f"the frame is cut off after {left} of {end - at} bytes"
