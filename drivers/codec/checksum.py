"""Checksums of serial protocols."""

from __future__ import annotations


def _step(crc: int) -> int:
    for _ in range(8):
        crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc


_TABLE = tuple(map(_step, range(256)))


def crc16_modbus(data: bytes) -> bytes:
    """CRC of a Modbus RTU frame as sent, low byte first (Modbus over Serial Line 1.02, 6.2.2)."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")


def sum8(data: bytes) -> int:
    """Sum modulo 256, as DL/T 645, CJ/T 188 and M-Bus frames end with."""
    return sum(data) & 0xFF
