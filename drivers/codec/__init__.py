"""Numbers, words and checksums as meters send them: pure functions, exact both ways."""

from drivers.codec.bcd import from_bcd, from_mod10000, to_bcd, to_mod10000
from drivers.codec.checksum import crc16_modbus, sum8
from drivers.codec.moment import MomentFormat, fields_format
from drivers.codec.numbers import NumberType, Raw, decode, decode_text, encode, exact, refine
from drivers.codec.words import Order, arrange, to_words, wire_positions

__all__ = [
    "MomentFormat",
    "NumberType",
    "Order",
    "Raw",
    "arrange",
    "crc16_modbus",
    "decode",
    "decode_text",
    "encode",
    "exact",
    "fields_format",
    "from_bcd",
    "from_mod10000",
    "refine",
    "sum8",
    "to_bcd",
    "to_mod10000",
    "to_words",
    "wire_positions",
]
