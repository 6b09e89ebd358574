"""What a simulated bus must know of a protocol: requests out of a stream, and where a frame holds what faults spoil."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from drivers.codec import crc16_modbus, sum8
from drivers.simulators.framing import COUNTED_REQUESTS, FIXED_REQUESTS, SOUND, Framing, take_ascii

Span = tuple[int, int]
_START, _END, _FILL = 0x68, 0x16, 0xFE


@dataclass(frozen=True, slots=True)
class Wire:
    """Frames of one protocol, as far as a bus cares.

    cut        where the first whole and sound request of a stream begins and ends; None while there is none
    seal       the frame with its checksum made right
    address    place of the address in a frame, counted behind any FE
    length_at  place of the byte that counts the data, None where requests are not answered with one
    check_at   place of a byte that makes a frame worthless where `flip` turns its bits over
    tail       bytes of checksum and end
    led        whether bytes FE may stand before a frame
    """

    name: str
    cut: Callable[[bytes], Span | None]
    seal: Callable[[bytes], bytes]
    address: slice
    length_at: int | None
    check_at: int = -2
    flip: int = 0xFF
    tail: int = 2
    led: bool = True

    def address_of(self, frame: bytes) -> bytes:
        """The address as it stands in a frame."""
        return frame[self._preamble(frame) :][self.address]

    def spoiled(self, frame: bytes) -> bytes:
        """The frame with a wrong checksum."""
        broken = bytearray(frame)
        broken[self.check_at] ^= self.flip
        return bytes(broken)

    def moved(self, frame: bytes, shift: int) -> bytes:
        """The same frame from the neighbour whose address is `shift` further on in its first byte."""
        at = self._preamble(frame)
        body = bytearray(frame[at:])
        body[self.address.start] = (body[self.address.start] + shift) & 0xFF
        return frame[:at] + self.seal(bytes(body))

    def resized(self, frame: bytes, change: int) -> bytes:
        """The frame with `change` bytes of data more or fewer at its end, well sealed."""
        at = self._preamble(frame)
        end = len(frame) - self.tail
        body, tail = frame[at:end], frame[end:]
        body = body + bytes(change) if change > 0 else body[:change]
        if self.length_at is not None and self.length_at < len(body):
            length = (body[self.length_at] + change) & 0xFF
            body = body[: self.length_at] + bytes((length,)) + body[self.length_at + 1 :]
        return frame[:at] + self.seal(body + tail)

    def _preamble(self, frame: bytes) -> int:
        return len(frame) - len(frame.lstrip(bytes((_FILL,)))) if self.led else 0


def sum_sealed(frame: bytes) -> bytes:
    """A frame of the DL/T 645 and CJ/T 188 kind with its sum made right."""
    return frame[:-2] + bytes((sum8(frame[:-2]), _END))


def _crc_sealed(frame: bytes) -> bytes:
    return frame[:-2] + crc16_modbus(frame[:-2])


def _cut_dlt645(stream: bytes) -> Span | None:
    at = stream.find(_START)
    while at >= 0:
        if len(stream) >= at + 12 and stream[at + 7] == _START:
            end = at + 12 + stream[at + 9]
            if len(stream) >= end and stream[end - 1] == _END and stream[end - 2] == sum8(stream[at : end - 2]):
                return at, end
        at = stream.find(_START, at + 1)
    return None


def _cut_rtu(stream: bytes) -> Span | None:
    """Functions whose length nobody knows are left out: on a shared line their frames may be another protocol's."""
    for at in range(len(stream) - 3):
        function = stream[at + 1]
        end = at + FIXED_REQUESTS.get(function, 0)
        place = COUNTED_REQUESTS.get(function)
        if place is not None and len(stream) > at + place:
            end = at + place + 3 + stream[at + place]
        if at < end <= len(stream) and crc16_modbus(stream[at:end]) == SOUND:
            return at, end
    return None


def _cut_mbap(stream: bytes) -> Span | None:
    """Datagrams hold whole frames, and begin with one."""
    if len(stream) < 8 or stream[2:4] != b"\0\0":
        return None
    end = 6 + int.from_bytes(stream[4:6], "big")
    return (0, end) if 8 <= end <= len(stream) else None


def _mbap_sealed(frame: bytes) -> bytes:
    return frame[:4] + (len(frame) - 6).to_bytes(2, "big") + frame[6:]


def _cut_ascii(stream: bytes) -> Span | None:
    begin = stream.find(b":")
    while begin >= 0:
        end = stream.find(b"\r\n", begin)
        if end < 0:
            return None
        if take_ascii(stream[begin : end + 2])[0]:
            return begin, end + 2
        begin = stream.find(b":", end)
    return None


def _lrc_sealed(frame: bytes) -> bytes:
    try:
        body = bytes.fromhex(frame[1:-4].decode())
    except ValueError:
        return frame
    return frame[:-4] + f"{-sum(body) & 0xFF:02X}\r\n".encode()


DLT645: Final = Wire("dlt645", _cut_dlt645, sum_sealed, slice(1, 7), length_at=9)
MODBUS_RTU: Final = Wire("modbus-rtu", _cut_rtu, _crc_sealed, slice(0, 1), length_at=2, led=False)
MODBUS_TCP: Final = Wire("modbus-tcp", _cut_mbap, _mbap_sealed, slice(6, 7), length_at=8, check_at=0, tail=0, led=False)
"""In a wrong frame the transaction is not the one that was asked."""
MODBUS_ASCII: Final = Wire(
    "modbus-ascii", _cut_ascii, _lrc_sealed, slice(1, 3), length_at=None, check_at=-3, flip=0x01, tail=4, led=False
)
MODBUS: Final[Mapping[Framing, Wire]] = MappingProxyType(
    {Framing.TCP: MODBUS_TCP, Framing.RTU: MODBUS_RTU, Framing.ASCII: MODBUS_ASCII}
)
