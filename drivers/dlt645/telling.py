"""One sound frame of DL/T 645 told field by field: who speaks, what is asked or answered, what the values are."""

from __future__ import annotations

from typing import Final

from drivers.dlt645 import status
from drivers.dlt645.frame import ANY, BROADCAST, Frame
from drivers.dlt645.telling_requests import tell_request
from drivers.dlt645.telling_values import tell_load_records, tell_values
from drivers.dlt645.told import (
    VERSION_1997,
    VERSION_2007,
    Told,
    identifier,
    take_di,
    tell_address,
    tell_baud,
)

FUNCTIONS_2007: Final = {
    0x03: "security_auth",
    0x08: "broadcast_time",
    0x11: "read",
    0x12: "read_next",
    0x13: "read_address",
    0x14: "write",
    0x15: "write_address",
    0x16: "freeze",
    0x17: "change_baud",
    0x18: "change_password",
    0x19: "clear_demand",
    0x1A: "clear_meter",
    0x1B: "clear_events",
    0x1C: "relay_control",
    0x1D: "output_control",
}
FUNCTIONS_1997: Final = {
    0x01: "read",
    0x02: "read_next",
    0x03: "reread",
    0x04: "write",
    0x08: "broadcast_time",
    0x0A: "write_address",
    0x0C: "change_baud",
    0x0F: "change_password",
    0x10: "clear_demand",
}


def tell(frame: Frame) -> Told:
    """Everything that a sound frame says."""
    version = _version(frame)
    functions = FUNCTIONS_2007 if version == VERSION_2007 else FUNCTIONS_1997
    told = Told(frame, version, functions.get(frame.function, f"unknown_{frame.function:02X}"))
    who = {ANY: "any meter", BROADCAST: "all meters"}.get(frame.address, "meter")
    told.add(bytes.fromhex(frame.address)[::-1], "address", f"{who} {frame.address}")
    told.add(bytes((frame.control,)), "control", _control(frame, told.function))
    told.add(bytes((len(frame.data) & 0xFF,)), "length", f"{len(frame.data)} bytes of data")
    if frame.function not in functions:
        told.notes.append(f"the function {frame.function:02X} is none of the standard's")
    if frame.error:
        _error(told)
    elif frame.from_meter:
        _answer(told)
    else:
        tell_request(told)
    return told


def _version(frame: Frame) -> str:
    function, length = frame.function, len(frame.data)
    if function == 0x03 and not frame.error:
        if not frame.from_meter:
            return VERSION_1997 if length in (0, 2) else VERSION_2007
        re_read = length > 2 and identifier(frame.data[:2]) >> 8 in range(0x90, 0xC6)
        return VERSION_1997 if re_read and frame.data[3:4] != b"\x07" else VERSION_2007
    return VERSION_2007 if function in FUNCTIONS_2007 else VERSION_1997


def _control(frame: Frame, function: str) -> str:
    said = f"{'answer to' if frame.from_meter else 'request to'} {function.replace('_', ' ')}"
    if frame.error:
        said += ", refused"
    return said + (", more data follow" if frame.more else "")


def _error(told: Told) -> None:
    data = told.frame.data
    security = told.frame.function == 0x03 and len(data) == 2
    if len(data) not in (1, 2) or (len(data) == 2 and not security):
        told.add(data, "error", "not of the standard's length")
        told.notes.append(f"an error answer has one byte of error, this has {len(data)}")
        told.more_keys = {"err_byte": data.hex().upper() or None, "err": []}
        return
    code = identifier(data)
    names = status.security_error_names(code) if security else status.error_names(code)
    told.add(data, "error", ", ".join(name.replace("_", " ") for name in names) or "no error bit")
    told.more_keys = {"err_byte": data.hex().upper(), "err": names}


def _answer(told: Told) -> None:
    function, data = told.frame.function, told.frame.data
    match told.protocol, function:
        case "dlt645-2007", 0x13:
            tell_address(told, data, "address")
        case "dlt645-2007", 0x11:
            di, entry, rest = take_di(told)
            if di >> 24 == 0x06:
                tell_load_records(told, di, rest)
            else:
                tell_values(told, entry, rest)
        case "dlt645-2007", 0x12:
            _, entry, rest = take_di(told)
            tell_values(told, entry, rest[:-1])
            told.add(rest[-1:], "sequence", f"part {rest[-1]}" if rest else "")
        case "dlt645-1997", 0x01 | 0x02 | 0x03:
            _, entry, rest = take_di(told)
            tell_values(told, entry, rest)
        case ("dlt645-2007", 0x17) | ("dlt645-1997", 0x0C):
            tell_baud(told, data)
        case "dlt645-2007", 0x18:
            told.hide(data, "new password")
        case "dlt645-2007", 0x03:
            _, _, rest = take_di(told)
            told.add(rest, "sealed data", f"{len(rest)} bytes")
            told.more_keys = {"payload": rest.hex().upper()}
        case _:
            told.add(data, "data", f"{len(data)} bytes")
