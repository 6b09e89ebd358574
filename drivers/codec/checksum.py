"""Checksums of serial protocols."""

from __future__ import annotations


def crc16_modbus(data: bytes) -> bytes:
    """CRC of a Modbus RTU frame as sent, low byte first (Modbus over Serial Line 1.02, 6.2.2)."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")
