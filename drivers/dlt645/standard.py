"""What the standard says of an identifier, and formats as profiles write them."""

from __future__ import annotations

import re
from typing import Final

from drivers.dlt645 import identifiers, identifiers_1997
from drivers.dlt645.formats import Format, bits, number
from drivers.dlt645.item import Item

_BINARY: Final = re.compile(r"bits(\d+)")


def format_of(text: str, *, signed: bool) -> Format:
    """The format that a profile writes as "XXXXXX.XX" or "bits16"."""
    binary = _BINARY.fullmatch(text)
    if binary:
        return bits(int(binary[1]) // 8)
    digits, _, decimals = text.partition(".")
    return number((len(digits) + len(decimals)) // 2, len(decimals), signed=signed)


def standard_item(di: int, version: str) -> Item | None:
    """What the standard says of an identifier of one value; None where it says nothing."""
    entry = identifiers.find(di) if version == "2007" else identifiers_1997.find(di)
    return entry if isinstance(entry, Item) else None
