"""What is told of one frame of DL/T 645, and the fields that requests and answers share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from drivers.codec.frame68 import address_of
from drivers.dlt645 import formats, identifiers, identifiers_1997
from drivers.dlt645.frame import Frame
from drivers.dlt645.item import Entry
from drivers.explained import Field

VERSION_2007: Final = "dlt645-2007"
VERSION_1997: Final = "dlt645-1997"
MASK: Final = "••"

_SECURITY_DIS: Final = {
    0x070000FF: "authenticate",
    0x070001FF: "validity of the authentication",
    0x070002FF: "end the authentication",
    0x070101FF: "open account",
    0x070102FF: "recharge",
    0x070108FF: "refund",
    0x070201FF: "key update 1",
    0x070202FF: "key update 2",
    0x070203FF: "key update 3",
    0x078001FF: "read back data",
    0x078102FF: "query state",
}
_BAUDS_2007: Final = {0x02: 600, 0x04: 1200, 0x08: 2400, 0x10: 4800, 0x20: 9600, 0x40: 19200}
_BAUDS_1997: Final = {0x04: 600, 0x08: 1200, 0x10: 2400, 0x20: 4800, 0x40: 9600}


@dataclass(slots=True)
class Told:
    """What one frame says. `value` is a list for a row of values and a mapping for a record; None is not available."""

    frame: Frame
    protocol: str
    function: str
    fields: list[Field] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    di: str = ""
    quantity: str = ""
    unit: str = ""
    value: Any = None
    more_keys: dict[str, Any] = field(default_factory=dict)

    def add(self, data: bytes, name: str, meaning: object) -> None:
        """One more field; nothing where there are no bytes."""
        if data:
            self.fields.append(Field(data.hex(" ").upper(), name, str(meaning)))

    def hide(self, data: bytes, name: str) -> None:
        """A field that nobody is to see."""
        if data:
            self.fields.append(Field(" ".join(MASK for _ in data), name, "not shown"))

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        frame = self.frame
        told: dict[str, Any] = {
            "protocol": self.protocol,
            "address": frame.address,
            "control": f"{frame.control:02X}",
            "function": self.function,
            "from_meter": frame.from_meter,
            "error": frame.error,
            "more": frame.more,
            "length": len(frame.data),
            "di": self.di or None,
            "data": frame.data.hex().upper(),
        }
        if self.quantity:
            told |= {"quantity": self.quantity, "unit": self.unit or None, "value": self.value}
            if isinstance(self.value, list):
                told["values"] = self.value
            elif isinstance(self.value, dict):
                told["values"] = list(self.value.values())
        return told | self.more_keys


def identifier(data: bytes) -> int:
    """The number that an identifier is, of its bytes."""
    return int.from_bytes(data, "little")


def _size_of_di(told: Told) -> int:
    return 4 if told.protocol == VERSION_2007 else 2


def take_di(told: Told) -> tuple[int, Entry | None, bytes]:
    """The identifier at the head of the data, what it stands for, and what follows."""
    size = _size_of_di(told)
    head, rest = told.frame.data[:size], told.frame.data[size:]
    if len(head) < size:
        told.add(head, "data", "too short for an identifier")
        told.notes.append(f"an identifier has {size} bytes, here are {len(head)}")
        return -1, None, b""
    di = identifier(head)
    told.di = f"{di:0{2 * size}X}"
    entry = identifiers.find(di) if size == 4 else identifiers_1997.find(di)
    name = _SECURITY_DIS.get(di) if told.frame.function == 0x03 else _load_record(di) if size == 4 else None
    title = entry.title or entry.name if entry is not None else name or "unknown to the standard"
    told.add(head, "identifier", f"{told.di} {title}")
    if entry is not None:
        told.quantity, told.unit = entry.name, entry.unit
    elif name is None:
        _suspect(told, head)
    return di, entry, rest


def _suspect(told: Told, head: bytes) -> None:
    """An identifier that nobody knows may have been sent without 33H."""
    bare = identifier(bytes((byte + 0x33) & 0xFF for byte in head))
    known = identifiers.find(bare) if len(head) == 4 else identifiers_1997.find(bare)
    if known is not None:
        told.notes.append(f"the data seem not to have 33H added: as they stand they ask for {bare:0{2 * len(head)}X}")


def _load_record(di: int) -> str | None:
    if di >> 24 != 0x06:
        return None
    which = {0: "oldest", 1: "from a time on", 2: "newest"}.get(di & 0xFF, "")
    return f"load records of class {di >> 16 & 0xFF}, {which}" if which else None


def tell_clock(told: Told, data: bytes) -> None:
    """The six bytes of a clock."""
    shown = formats.CLOCK.decode(data) if len(data) == 6 else None
    told.quantity, told.value = "clock", shown
    told.add(data, "clock", shown or "no time")
    if shown and formats.moment(formats.CLOCK.layout, data) is None:
        told.notes.append(f"{shown} is no possible time")


def tell_address(told: Told, data: bytes, name: str) -> None:
    """The six bytes of an address that is answered or set."""
    told.quantity, told.value = name, address_of(data) if len(data) == 6 else None
    told.add(data, name.replace("_", " "), told.value or "not of six bytes")


def tell_baud(told: Told, data: bytes) -> None:
    """The byte that names a speed."""
    bauds = _BAUDS_2007 if told.protocol == VERSION_2007 else _BAUDS_1997
    baud = bauds.get(data[0]) if data else None
    told.quantity, told.unit, told.value = "baud", "Bd", baud
    told.add(data, "speed", f"{baud} Bd" if baud else "unknown")
