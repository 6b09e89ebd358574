"""Finding the answer on a serial line: behind noise, echoes and answers of others, by unit, function, length and sum.

What is found is the only frame that fits; two that differ are not believed, for one of them is late. Where nothing
fits, `tell_rtu` and `tell_ascii` say what there was instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from drivers.codec import crc16_modbus
from drivers.modbus.file_records import READ_FILE
from drivers.modbus.guard import PART, STALE, Expected, Fit, Verdict, wrong_pdu

MOST_HEARD = 1024
"""Bytes after which a line that gives no answer is not listened to any longer; an ASCII frame has up to 513."""
SETTLING = frozenset(b"\x00\xff\xfe")
"""Bytes that a line makes by itself when a transmitter is switched on or off."""
MOST_SETTLING = 4
_LEAST = 5
"""Bytes of the shortest frame, a refusal."""
_DOUBTFUL = "two different answers arrived, and which of them is late cannot be known"
_BABBLE = f"more than {MOST_HEARD} bytes and no answer among them"


@dataclass(frozen=True, slots=True)
class _Found:
    """A sound frame in a buffer: its unit and protocol data unit, where it begins and ends."""

    unit: int
    pdu: bytes
    begin: int
    end: int


def judge_rtu(expected: Expected, buffer: bytes) -> Verdict:
    """Judge a buffer of RTU frames (Modbus over Serial Line 1.02, 2.5.1)."""
    if len(buffer) < _LEAST:
        return PART
    frames = list(_rtu_frames(expected, buffer))
    verdict = _chosen(expected, frames, _is_echo_of(expected.request))
    if verdict.fit is Fit.ANSWER:
        rest = buffer[frames[-1].end :]
        if len(rest) > MOST_SETTLING or not SETTLING.issuperset(rest):
            return Verdict(Fit.LOST, f"{len(rest)} bytes follow the answer")
    elif verdict.fit is Fit.PART:
        if len(buffer) > MOST_HEARD:
            return Verdict(Fit.LOST, _BABBLE)
        if _spoilt(expected, buffer, frames[-1].end if frames else 0):
            return Verdict(Fit.LOST, "the checksum is wrong")
        if not _begins(expected, buffer, frames[-1].end if frames else 0):
            return STALE
    return verdict


def tell_rtu(expected: Expected, buffer: bytes) -> str:
    """What is wrong with a buffer in which no answer was found."""
    told = _wrong_frames(expected, list(_rtu_frames(expected, buffer, everywhere=True)), _is_echo_of(expected.request))
    if told:
        return told
    begin = next((at for at, byte in enumerate(buffer) if byte not in SETTLING), len(buffer))
    if begin == len(buffer):
        return f"{len(buffer)} bytes of noise (00, FE, FF) and no answer"
    head = bytes((expected.unit, expected.function))
    if buffer[begin : begin + 2] == head and len(buffer) - begin < _answer_size(expected):
        return f"half an answer: {len(buffer) - begin} of {_answer_size(expected)} bytes arrived"
    if buffer[begin : begin + 2] == head and _answer_size(expected) == len(buffer) - begin:
        return "the checksum is wrong"
    return f"{len(buffer)} bytes arrived, among them no frame with a right checksum"


def judge_ascii(expected: Expected, buffer: bytes) -> Verdict:
    """Judge a buffer of Modbus ASCII: colon, hexadecimal with its sum, CR LF (Serial Line 1.02, 2.5.2)."""
    frames, wrong = _ascii_frames(buffer)
    verdict = _chosen(expected, frames, _is_echo_of(_ascii_body(expected.request)))
    if verdict.fit is Fit.PART:
        if wrong and not frames:
            return Verdict(Fit.LOST, wrong)
        if len(buffer) > MOST_HEARD:
            return Verdict(Fit.LOST, _BABBLE)
        if b":" not in buffer[frames[-1].end if frames else 0 :]:
            return STALE
    return verdict


def tell_ascii(expected: Expected, buffer: bytes) -> str:
    """What is wrong with a buffer in which no answer was found."""
    frames, wrong = _ascii_frames(buffer)
    told = _wrong_frames(expected, frames, _is_echo_of(_ascii_body(expected.request))) or wrong
    if told:
        return told
    begin = buffer.rfind(b":")
    if begin < 0:
        return f"{len(buffer)} bytes arrived, none of them the colon that begins a frame"
    return f"half an answer: {len(buffer) - begin} characters without CR LF at their end"


def _chosen(expected: Expected, frames: list[_Found], is_echo: _Echo) -> Verdict:
    """The answer among sound frames."""
    answer: _Found | None = None
    echoed = False
    for frame in frames:
        if not echoed and is_echo(frame) and (expected.echoes or not _repeats(expected, frame)):
            echoed = True
            continue
        if frame.unit != expected.unit or wrong_pdu(expected, frame.pdu):
            continue
        if answer is not None and answer.pdu != frame.pdu:
            return Verdict(Fit.LOST, _DOUBTFUL)
        answer = frame
    return PART if answer is None else Verdict(Fit.ANSWER, pdu=answer.pdu, echoed=echoed)


def _repeats(expected: Expected, frame: _Found) -> bool:
    """Whether a sound answer may be the request word by word, as that to a single write is."""
    return expected.data_bytes is None and not wrong_pdu(expected, frame.pdu)


class _Echo:
    """Whether a frame is the request come back."""

    def __init__(self, unit: int, pdu: bytes) -> None:
        self._unit = unit
        self._pdu = pdu

    def __call__(self, frame: _Found) -> bool:
        return frame.unit == self._unit and frame.pdu == self._pdu


def _is_echo_of(request: bytes) -> _Echo:
    return _Echo(request[0], request[1:-2]) if len(request) > 3 else _Echo(-1, b"")


def _wrong_frames(expected: Expected, frames: list[_Found], is_echo: _Echo) -> str:
    """What is wrong with sound frames of which none is the answer; empty where there is none."""
    others = [frame for frame in frames if not is_echo(frame)]
    own = [frame for frame in others if frame.unit == expected.unit]
    if own:
        return wrong_pdu(expected, own[-1].pdu)
    if others:
        return f"unit {others[-1].unit} answered instead of {expected.unit}"
    return "only the request itself came back: the line echoes and nobody answered" if frames else ""


# RTU


def _rtu_frames(expected: Expected, buffer: bytes, *, everywhere: bool = False) -> Iterator[_Found]:
    """Sound frames one after the other. Behind what is none, only what begins as the answer or the request does is
    looked at, or every byte where `everywhere`: a line that babbles must not cost more than it can."""
    at = 0
    while True:
        while at < len(buffer) and buffer[at] in SETTLING and buffer[at] != expected.unit:
            at += 1
        if len(buffer) - at < _LEAST:
            return
        end = _rtu_end(expected, buffer, at)
        if end:
            yield _Found(buffer[at], buffer[at + 1 : end - 2], at, end)
            at = end
        else:
            at = at + 1 if everywhere else _next_start(expected, buffer, at + 1)


def _next_start(expected: Expected, buffer: bytes, at: int) -> int:
    """Where the answer or the request may begin next; the end of the buffer where nowhere."""
    refused = bytes((expected.unit, expected.function | 0x80))
    heads = (_head(expected), refused, expected.request or refused)
    return min((found for head in heads if (found := buffer.find(head, at)) >= 0), default=len(buffer))


def _head(expected: Expected) -> bytes:
    """How the answer begins."""
    head = bytes((expected.unit, expected.function))
    return head if expected.data_bytes is None else head + bytes((expected.data_bytes & 0xFF,))


def _rtu_end(expected: Expected, buffer: bytes, at: int) -> int:
    """Where the sound frame that begins at `at` ends; 0 where none does."""
    function = buffer[at + 1]
    request = expected.request
    if request and buffer.startswith(request, at):
        return at + len(request)
    if function & 0x80:
        sizes: tuple[int, ...] = (5,)
    elif function in (1, 2, 3, 4):
        sizes = (5 + buffer[at + 2], 8)
    elif function == READ_FILE:
        sizes = (5 + buffer[at + 2],)
    elif function in (5, 6, 15, 16):
        sizes = (8,)
    else:
        return 0
    for size in sizes:
        end = at + size
        if end <= len(buffer) and crc16_modbus(buffer[at : end - 2]) == buffer[end - 2 : end]:
            return end
    return 0


def _answer_size(expected: Expected) -> int:
    return 8 if expected.data_bytes is None else 5 + expected.data_bytes


def _spoilt(expected: Expected, buffer: bytes, begin: int) -> bool:
    """Whether what follows `begin` is the answer to its last byte but for its checksum: nothing more will come."""
    while begin < len(buffer) and buffer[begin] in SETTLING and buffer[begin] != expected.unit:
        begin += 1
    head = _head(expected)
    heard = buffer[begin:]
    if not heard.startswith(head) or len(heard) < _answer_size(expected) or expected.request.startswith(heard):
        return False
    again = heard.find(head, 1)
    return (again < 0 or len(heard) - again >= _answer_size(expected)) and not heard.endswith((head[:1], head[:2]))


def _begins(expected: Expected, buffer: bytes, at: int) -> bool:
    """Whether the end of the buffer, from `at` on, may be the beginning of the answer or of an echo."""
    own = (bytes((expected.unit, expected.function)), bytes((expected.unit, expected.function | 0x80)))
    at = max(at, len(buffer) - max(_answer_size(expected), len(expected.request)))
    while (at := buffer.find(own[0][:1], at)) >= 0:
        rest = buffer[at:]
        if rest[:2] in own or len(rest) < 2:
            return True
        at += 1
    return False


# ASCII


def _ascii_frames(buffer: bytes) -> tuple[list[_Found], str]:
    """Sound frames, and what is wrong with the last one that is not."""
    frames: list[_Found] = []
    wrong = ""
    at = 0
    while (end := buffer.find(b"\r\n", at)) >= 0:
        begin = buffer.rfind(b":", at, end)
        if begin >= 0:
            body, trouble = _ascii_bytes(buffer[begin + 1 : end])
            if trouble:
                wrong = trouble
            else:
                frames.append(_Found(body[0], body[1:-1], begin, end + 2))
        at = end + 2
    return frames, wrong


def _ascii_bytes(digits: bytes) -> tuple[bytes, str]:
    if len(digits) % 2 or not digits.isalnum():
        return b"", "not hexadecimal"
    try:
        body = bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        return b"", "not hexadecimal"
    if len(body) < 4:
        return b"", "no whole frame before the line's end"
    return (b"", "the checksum is wrong") if sum(body) & 0xFF else (body, "")


def _ascii_body(request: bytes) -> bytes:
    """An ASCII request as if it were RTU: unit, protocol data unit and two bytes of sum."""
    body, trouble = _ascii_bytes(request[1:-2])
    return b"" if trouble else body + b"\0"
