"""What is asked of a meter of DL/T 645, told field by field; passwords are not shown."""

from __future__ import annotations

from typing import Final

from drivers.dlt645 import formats
from drivers.dlt645.telling_values import tell_values
from drivers.dlt645.told import Told, take_di, tell_address, tell_baud, tell_clock

RELAY_COMMANDS: Final = {
    0x1A: "trip",
    0x1B: "permit_close",
    0x1C: "close",
    0x2A: "alarm",
    0x2B: "alarm_off",
    0x3A: "keep_power",
    0x3B: "release_keep_power",
}
OUTPUTS: Final = {0: "second pulse", 1: "demand period", 2: "zone switch"}
_CREDITING: Final = frozenset({0x070101FF, 0x070102FF})


def tell_request(told: Told) -> None:
    """All fields of a request behind its length."""
    function, data = told.frame.function, told.frame.data
    match told.protocol, function:
        case _, 0x08:
            tell_clock(told, data)
        case ("dlt645-2007", 0x13) | ("dlt645-1997", 0x03):
            told.add(data, "data", "not expected")
        case ("dlt645-2007", 0x15) | ("dlt645-1997", 0x0A):
            tell_address(told, data, "new_address")
        case "dlt645-2007", 0x11 | 0x12:
            _asked(told, function)
        case "dlt645-1997", 0x01 | 0x02:
            _, _, rest = take_di(told)
            told.add(rest, "data", "not expected")
        case "dlt645-2007", 0x14:
            _, entry, rest = take_di(told)
            tell_values(told, entry, _credentials(told, rest))
        case "dlt645-1997", 0x04:
            _, entry, rest = take_di(told)
            told.hide(rest[:4], "password")
            tell_values(told, entry, rest[4:])
        case "dlt645-2007", 0x03:
            _security(told)
        case "dlt645-2007", 0x1C:
            _relay(told, _credentials(told, data))
        case _:
            _rare(told, function, data)


def _asked(told: Told, function: int) -> None:
    di, _, rest = take_di(told)
    if function == 0x12:
        told.add(rest[:1], "sequence", f"part {rest[0]}" if rest else "")
        told.add(rest[1:], "data", "not expected")
        return
    if di < 0:
        return
    blocks = formats.number(1).decode(rest[:1]) if rest else None
    told.add(rest[:1], "blocks", f"{blocks} records")
    if len(rest) > 1:
        told.add(rest[1:], "from", formats.MINUTE.decode(rest[1:]) or "no time")


def _credentials(told: Told, data: bytes) -> bytes:
    """Tell password and operator at the head of the data; returns what follows."""
    if len(data) < 8:
        told.notes.append("too short for password and operator")
    told.add(data[:1], "password level", f"{data[0]:02X}" if data else "")
    told.hide(data[1:4], "password")
    told.add(data[4:8], "operator", data[4:8][::-1].hex().upper())
    return data[8:]


def _relay(told: Told, data: bytes) -> None:
    if not data:
        return
    command = RELAY_COMMANDS.get(data[0], f"unknown_{data[0]:02X}")
    told.quantity, told.value = "relay_command", command
    told.add(data[:1], "command", command.replace("_", " "))
    told.add(data[1:2], "reserved", "delay or nothing")
    until = formats.CLOCK.decode(data[2:8])
    told.add(data[2:8], "valid until", until or "no time")
    told.add(data[8:], "left over", "not expected")
    told.more_keys = {"command": command, "valid_until": until}


def _security(told: Told) -> None:
    di, _, rest = take_di(told)
    told.add(rest[:4], "operator", rest[:4][::-1].hex().upper())
    sealed = rest[4:]
    if di in _CREDITING and len(sealed) == 22:
        told.add(sealed[:4], "amount", f"{int.from_bytes(sealed[:4], 'little')} as the meter counts money")
        told.add(sealed[4:8], "purchase number", int.from_bytes(sealed[4:8], "little"))
        told.add(sealed[8:12], "authentication code", "of amount and number")
        told.add(sealed[12:18], "customer", sealed[12:18][::-1].hex().upper())
        told.add(sealed[18:], "authentication code", "of the customer")
    else:
        told.add(sealed, "sealed data", f"{len(sealed)} bytes")
    told.more_keys = {"payload": rest.hex().upper()}


def _rare(told: Told, function: int, data: bytes) -> None:
    """Requests that are not asked every day."""
    match told.protocol, function:
        case "dlt645-2007", 0x16:
            told.add(data, "freeze at", _freeze(data))
        case ("dlt645-2007", 0x17) | ("dlt645-1997", 0x0C):
            tell_baud(told, data)
        case "dlt645-2007", 0x18:
            _, _, rest = take_di(told)
            told.hide(rest[:4], "old password")
            told.hide(rest[4:8], "new password")
        case "dlt645-1997", 0x0F:
            told.hide(data[:4], "old password")
            told.hide(data[4:], "new password")
        case "dlt645-2007", 0x19 | 0x1A | 0x1B:
            rest = _credentials(told, data)
            told.add(rest, "events", "all" if rest == b"\xff" * 4 else rest[::-1].hex().upper())
        case "dlt645-2007", 0x1D:
            told.add(data[:1], "output", OUTPUTS.get(data[0], "unknown") if data else "")
        case _:
            told.add(data, "data", f"{len(data)} bytes")


def _freeze(data: bytes) -> str:
    if len(data) != 4:
        return "not of the standard's length"
    minute, hour, day, month = (f"{byte:02X}" for byte in data)
    if (minute, hour, day, month) == ("99",) * 4:
        return "at once"
    if month != "99":
        return f"{month}-{day} {hour}:{minute} of each year"
    if day != "99":
        return f"day {day} {hour}:{minute} of each month"
    return f"{hour}:{minute} of each day" if hour != "99" else f"minute {minute} of each hour"
