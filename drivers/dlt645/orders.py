"""Commands of a profile as a meter takes them: what each step writes or looks at, and its arguments filled in.

What 1A would do, clear the meter's registers, has no word here: the hub never offers it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from drivers.api import Action, WriteRequest
from drivers.dlt645.clock import ClockWithin, SetClock
from drivers.dlt645.formats import Format
from drivers.dlt645.relay import Supply, Switch
from drivers.dlt645.standard import format_of, standard_item
from drivers.errors import ProfileError
from drivers.profiles import Command, Step
from drivers.profiles.dlt645_schema import ReadBackEntry, WriteEntry

EVERY: Final = "99"
NOW: Final = EVERY * 4
EVERY_EVENT: Final = bytes([0xFF] * 4)
MOST_CIPHERTEXT: Final = 200
RELAY_S: Final = 1.0
"""What a relay takes at least to move and to be seen in a status word."""
_LABELS: Final = {
    "trip": "open the relay",
    "permit_close": "permit closing at the meter",
    "close": "close the relay",
    "alarm": "raise the alarm",
    "alarm_off": "end the alarm",
    "keep_power": "keep power on",
    "release_keep_power": "no longer keep power on",
}
_DI: Final = re.compile(r"[0-9A-Fa-f]{4}|[0-9A-Fa-f]{8}")


@dataclass(frozen=True, slots=True)
class Freeze:
    """Keep the registers: minute, hour, day, month as they are sent."""

    moment: bytes


@dataclass(frozen=True, slots=True)
class Clear:
    """Clear with this control code what `data` names behind the password."""

    control: int
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Transport:
    """Hand over ciphertext that a utility's key machine has made (control code 03)."""

    di: int


@dataclass(frozen=True, slots=True)
class WriteData:
    """Write the data of an identifier."""

    di: int
    format: Format


@dataclass(frozen=True, slots=True)
class ReadData:
    """Read the data of an identifier; `equals` None takes anything for reached."""

    di: int
    format: Format | None = None
    equals: float | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """What goes with a write. A value that was not given is the channel's (password, operator) or the step's own."""

    value: Any = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    operator: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class CompiledStep:
    """One step: its key for `Driver.write` or `Driver.confirm`, and the argument that goes with it."""

    step: Step
    label: str
    key: Any = None
    argument: str = ""
    value: float | None = None


Steps = tuple[CompiledStep, ...]


def compile_step(step: Step, entry: WriteEntry | ReadBackEntry | None, version: str) -> CompiledStep:
    """One step of a profile's command, checked. Raises ProfileError."""
    if isinstance(entry, WriteEntry):
        return _write(step, entry, version)
    if isinstance(entry, ReadBackEntry):
        return _read_back(step, entry, version)
    if step.effect is not None:
        return CompiledStep(step, f"look whether {step.effect}", step.effect)
    return CompiledStep(step, f"wait {step.wait_s:g} s")


def filled_in(command: Command, steps: Steps, version: str, arguments: Mapping[str, Any]) -> tuple[Action, ...]:
    """The steps with their arguments; raises ProfileError where they do not fit."""
    plain = {name: _plain(value) for name, value in arguments.items()}
    missing = [name for name in (*command.needs, *(step.argument for step in steps)) if name and name not in plain]
    if missing:
        raise ProfileError(f"the command {command.name} needs {', '.join(dict.fromkeys(missing))}")
    return tuple(_action(compiled, version, plain) for compiled in steps)


def _action(compiled: CompiledStep, version: str, plain: Mapping[str, Any]) -> Action:
    step, key = compiled.step, compiled.key
    if step.write is not None:
        value = _value(compiled, plain)
        given = Given(value, plain.get("password"), plain.get("operator"))
        request = WriteRequest(key, given)
        return Action(compiled.label, request, always=step.always, answer_proves=step.answer_proves)
    if key is None:
        return Action(compiled.label, wait_s=step.wait_s, always=step.always)
    if isinstance(key, ReadData) and compiled.argument:
        key = ReadData(_identifier(plain[compiled.argument], version), key.format, key.equals)
    return Action(compiled.label, confirm=key, after_s=_looks_s(step, key))


def _looks_s(step: Step, key: Any) -> tuple[float, ...]:
    """When to look: a relay needs its time, and a plain read shows at once what there is."""
    if (isinstance(key, ReadData) and key.equals is None) or key == ClockWithin(None):
        return (0.0,)
    if isinstance(key, Supply):
        return tuple(look for look in step.looks_s if look >= RELAY_S) or step.looks_s[-1:]
    return step.looks_s


def _write(step: Step, entry: WriteEntry, version: str) -> CompiledStep:
    if entry.relay is not None:
        _only_2007(version, "switching with control code 1C")
        return CompiledStep(step, _LABELS[entry.relay], Switch(entry.relay))
    if entry.clock is not None:
        everyone = entry.clock == "broadcast"
        label = "set the clocks of the whole line" if everyone else "set the clock"
        return CompiledStep(step, label, SetClock(everyone), entry.argument)
    if entry.freeze is not None:
        _only_2007(version, "freezing")
        return CompiledStep(step, "freeze the registers", Freeze(_freeze(entry.freeze)))
    if entry.clear is not None:
        _only_2007(version, "clearing")
        if entry.clear == "demand":
            return CompiledStep(step, "clear the maximum demand", Clear(0x19))
        return CompiledStep(step, "clear the event records", Clear(0x1B, EVERY_EVENT))
    if entry.transport is not None:
        _only_2007(version, "control code 03")
        return CompiledStep(step, f"hand over {entry.transport:08X}", Transport(entry.transport), entry.argument)
    return _write_data(step, entry, version)


def _write_data(step: Step, entry: WriteEntry, version: str) -> CompiledStep:
    di = entry.di or 0
    item = standard_item(di, version)
    if entry.format is not None:
        chosen = format_of(entry.format, signed=entry.signed)
    elif item is not None:
        chosen = item.format
    else:
        raise ProfileError(f"the standard has no value {di:04X}", hint="state its format, as in XXXXXX.XX")
    if version == "1997" and di > 0xFFFF:
        raise ProfileError(f"{di:08X} is no identifier of 1997, which have two bytes")
    return CompiledStep(step, f"write {di:08X}", WriteData(di, chosen), entry.argument, entry.value)


def _read_back(step: Step, entry: ReadBackEntry, version: str) -> CompiledStep:
    if entry.relay is not None:
        _only_2007(version, "status word 3")
        return CompiledStep(step, f"look whether supply is {entry.relay.replace('_', ' ')}", Supply(entry.relay))
    if entry.clock is not None:
        if entry.clock == "any":
            return CompiledStep(step, "read the clock", ClockWithin(None))
        return CompiledStep(step, f"look whether the clock is right to {entry.clock:g} s", ClockWithin(entry.clock))
    item = standard_item(entry.di, version) if entry.di is not None else None
    chosen = item.format if item is not None else None
    if entry.format is not None:
        chosen = format_of(entry.format, signed=entry.signed)
    if entry.equals is not None and chosen is None:
        raise ProfileError("equals needs to know how the data are written", hint="state format")
    label = f"read {entry.di:08X}" if entry.di is not None else f"read what {entry.argument} names"
    return CompiledStep(step, label, ReadData(entry.di or 0, chosen, entry.equals), entry.argument)


def _only_2007(version: str, what: str) -> None:
    if version != "2007":
        raise ProfileError(f"{what} is of DL/T 645-2007, not of 1997", hint="write the vendor's identifier with di")


def _freeze(text: str) -> bytes:
    """Minute, hour, day, month from month to minute."""
    digits = NOW if text == "now" else text.replace("*", EVERY)
    return bytes.fromhex(digits)[::-1]


def _value(compiled: CompiledStep, plain: Mapping[str, Any]) -> Any:
    if not compiled.argument:
        return plain.get("time") if isinstance(compiled.key, SetClock) else compiled.value
    value = plain[compiled.argument]
    if isinstance(compiled.key, Transport):
        return _ciphertext(value)
    if isinstance(compiled.key, WriteData):
        try:
            compiled.key.format.encode(value)
        except (ValueError, TypeError, OverflowError) as error:
            raise ProfileError(f"the argument {compiled.argument} cannot be written: {error}") from error
    return value


def _ciphertext(value: Any) -> bytes:
    try:
        data = value if isinstance(value, bytes) else bytes.fromhex(str(value))
    except ValueError:
        raise ProfileError("the ciphertext is no hexadecimal", hint="two digits a byte, without 33H added") from None
    if not 0 < len(data) <= MOST_CIPHERTEXT:
        raise ProfileError(f"the ciphertext has {len(data)} bytes", hint=f"1 to {MOST_CIPHERTEXT} fit a frame")
    return data


def _identifier(value: Any, version: str) -> int:
    if isinstance(value, int):
        return value
    text = str(value)
    if not _DI.fullmatch(text) or (len(text) == 8) is not (version == "2007"):
        raise ProfileError(f"{text!r} is no data identifier", hint="8 hexadecimal digits, 4 in 1997: 00010000, 9010")
    return int(text, 16)


def _plain(value: Any) -> Any:
    """A secret argument as it is sent."""
    reveal = getattr(value, "get_secret_value", None)
    return reveal() if callable(reveal) else value
