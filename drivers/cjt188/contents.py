"""What the data of a frame say, in words and numbers, for people and for machines. Pure; never raises on any bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from drivers.cjt188 import identifiers as known
from drivers.cjt188 import requests
from drivers.cjt188.frame import Frame
from drivers.cjt188.identifiers import DiOrder, name_of, read_di
from drivers.cjt188.layouts import Field, Layout, clock_text, layout_of, number
from drivers.codec.frame68 import address_of

VALVE_COMMANDS: Final[Mapping[int, str]] = {
    0x55: "open",
    0x99: "close",
    0x66: "release_open (vendor)",
    0x77: "release_close (vendor)",
    0x00: "query (vendor)",
}
_VALVES: Final = ("open", "closed", "undefined", "abnormal")
_MAIN: Final = ("heat_current", "cumulative", "settlement", "remaining")
_SECRET: Final = frozenset({0xA014, 0xA107})
_BASE: Final = Layout(5, (Field("base_reading", 0, 4, 2, 4),))
_PURCHASE: Final = Layout(5, (Field("purchase_count", 0, 1), Field("purchased", 1, 4, 2)))


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of the data: what they are called and what they say."""

    bytes: bytes
    name: str
    meaning: str


@dataclass(slots=True)
class Contents:
    """The data of one frame. `values` are by name, None where the meter says that there is none; `decoded` is the same
    with units, clock and status. `quantity`, `unit` and `value` are those of the number that is asked for most."""

    parts: list[Part] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    di: int | None = None
    di_order: DiOrder | None = None
    ser: int | None = None
    quantity: str = ""
    unit: str | None = None
    value: Any = None
    values: dict[str, Any] = field(default_factory=dict)
    decoded: dict[str, Any] = field(default_factory=dict)


def contents_of(frame: Frame) -> Contents:
    """Everything the data of a sound frame say."""
    told = Contents()
    data = frame.data
    if frame.error:
        _serial(told, data[:1])
        _status(told, frame, data[1:3])
        _rest(told, data[3:])
        return told
    if len(data) < 2:
        _rest(told, data)
        if frame.function in requests.FUNCTIONS and frame.function != requests.READ_ADDRESS:
            told.notes.append("there is no identifier")
    else:
        told.di, told.di_order = read_di(data[:2])
        name = name_of(told.di) or "unknown identifier"
        order = "low byte first" if told.di_order is DiOrder.LE else "high byte first"
        told.parts.append(Part(data[:2], "identifier", f"{told.di:04X} {name}, {order}"))
        _serial(told, data[2:3])
        _payload(told, frame, data[3:])
    if frame.function == requests.READ_ADDRESS and frame.from_meter:
        told.quantity, told.value = "address", frame.address
    return told


def _serial(told: Contents, data: bytes) -> None:
    if data:
        told.ser = data[0]
        told.parts.append(Part(data, "serial number", str(data[0])))


def _payload(told: Contents, frame: Frame, payload: bytes) -> None:
    if not payload or told.di is None:
        return
    if told.di in _SECRET:
        told.parts.append(Part(b"", "key", f"{len(payload)} bytes, not shown"))
        return
    match told.di, frame.from_meter, len(payload):
        case (known.WRITE_VALVE, False, 1):
            command = VALVE_COMMANDS.get(payload[0], f"{payload[0]:02X} (vendor)")
            _say(told, payload, "valve_command", command)
        case (known.WRITE_CLOCK, False, 7):
            _clock(told, payload)
            told.quantity, told.value = "clock", told.decoded["datetime"]
        case (known.WRITE_ADDRESS, _, 7):
            _say(told, payload, "new_address", address_of(payload))
        case (known.WRITE_BASE, False, 5):
            _layout(told, frame, _BASE, payload)
        case (known.WRITE_PURCHASE, False, 5):
            _layout(told, frame, _PURCHASE, payload)
        case (_, True, 2) if told.di >> 8 == 0xA0:
            _status(told, frame, payload)
        case _:
            layout = layout_of(told.di, len(payload)) if frame.from_meter else None
            if layout is not None:
                _layout(told, frame, layout, payload)
            else:
                _rest(told, payload)


def _layout(told: Contents, frame: Frame, layout: Layout, payload: bytes) -> None:
    rows: list[tuple[int, Any]] = [(each.at, each) for each in layout.fields]
    rows += [
        (place, kind) for place, kind in ((layout.clock_at, "clock"), (layout.status_at, "status")) if place is not None
    ]
    for at, row in sorted(rows, key=lambda each: each[0]):
        if isinstance(row, Field):
            _number(told, row, payload)
        elif row == "clock":
            _clock(told, payload[at : at + 7])
        else:
            _status(told, frame, payload[at : at + 2])
    main = next((name for name in _MAIN if name in told.values), next(iter(told.values), ""))
    if main:
        entry = told.decoded.get(main)
        told.quantity, told.value = main, told.values[main]
        told.unit = entry["unit"] if isinstance(entry, dict) else layout.unit_of(main)
    elif "datetime" in told.decoded:
        told.quantity, told.value = "clock", told.decoded["datetime"]


def _number(told: Contents, row: Field, payload: bytes) -> None:
    found = number(payload, row)
    value = found.value
    shown: Any = None
    if value is not None:
        shown = float(value) if row.decimals or row.unit_at is not None else int(value)
    if found.absent:
        meaning = "not available"
    elif value is None:
        meaning = "no decimal number"
    else:
        meaning = f"{shown}"
    if row.unit_at is not None:
        symbol = found.unit.symbol if found.unit else None
        told.decoded[row.name] = {"value": shown, "unit": symbol}
        meaning += f" {symbol}" if symbol else f", unit byte {payload[row.unit_at]:02X} is not known"
        told.parts.append(Part(payload[row.at : row.at + row.length], row.name, meaning))
        told.parts.append(Part(payload[row.unit_at : row.unit_at + 1], "unit", symbol or "not known"))
    else:
        told.decoded[f"{row.name}_C" if row.unit == "°C" else row.name] = shown
        told.parts.append(Part(payload[row.at : row.at + row.length], row.name, f"{meaning} {row.unit}".strip()))
    told.values[row.name] = shown


def _clock(told: Contents, data: bytes) -> None:
    text = clock_text(data)
    told.decoded["datetime"] = text
    told.parts.append(Part(data, "clock", text or "not available"))


def _status(told: Contents, frame: Frame, data: bytes) -> None:
    if not data:
        return
    status: dict[str, Any] = {"hex": data.hex().upper()}
    meaning = "bits of the maker's own"
    if frame.type >> 4 != 2:
        status["valve"] = _VALVES[data[0] & 0x03]
        status["battery_low"] = bool(data[0] & 0x04)
        meaning = (
            f"valve {status['valve']} (also said by meters without one), battery {'low' if data[0] & 4 else 'good'}"
        )
    told.decoded["status"] = status
    told.parts.append(Part(data, "status", meaning))


def _say(told: Contents, data: bytes, name: str, value: str) -> None:
    told.quantity, told.value = name, value
    told.decoded[name] = value
    told.parts.append(Part(data, name.replace("_", " "), value))


def _rest(told: Contents, data: bytes) -> None:
    if data:
        told.parts.append(Part(data, "data", f"{len(data)} bytes, of no known form"))
