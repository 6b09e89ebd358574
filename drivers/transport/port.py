"""Opening a serial port through pySerial, and what to tell a person where that fails."""

from __future__ import annotations

import contextlib
import errno
import os
import termios
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import serial

from drivers.errors import ChannelDown
from drivers.transport.options import Direction, Parity, SerialSettings

_PARITIES = {Parity.NONE: serial.PARITY_NONE, Parity.EVEN: serial.PARITY_EVEN, Parity.ODD: serial.PARITY_ODD}
_BUSY = frozenset({errno.EBUSY, errno.EAGAIN})
_PSEUDO_MAJORS = range(136, 144)
"""Linux, Documentation/admin-guide/devices.txt."""
_GONE = frozenset({errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.EIO})


@dataclass(frozen=True, slots=True)
class Rs485:
    """Level of RTS while sending, and the pauses around what is sent."""

    direction: Direction = "none"
    before_s: float = 0.0
    after_s: float = 0.0


def is_url(device: str) -> bool:
    """Whether pySerial reaches the port in another way than through the system's serial driver."""
    return "://" in device


def open_port(device: str, settings: SerialSettings, rs485: Rs485, *, read_timeout_s: float, write_s: float) -> Any:
    """An open port of pySerial, for this program alone; blocks. Raises ChannelDown."""
    try:
        port = serial.serial_for_url(device, do_not_open=True)
    except (OSError, ValueError, ImportError) as error:
        raise down(device, error, "this port's name cannot be understood") from error
    try:
        port.timeout = read_timeout_s
        if not device.startswith("rfc2217:"):  # pySerial refuses it there, and has a limit of its own
            port.write_timeout = write_s
        if not is_url(device):
            port.exclusive = True
        apply(port, settings)
        with _terminal_errors():
            port.open()
            if rs485.direction != "none":
                _switch_direction(port, rs485)
            port.reset_input_buffer()
    except (OSError, ValueError) as error:
        close_port(port)
        raise down(device, error, "cannot open the port") from error
    return port


def close_port(port: Any) -> None:
    """Close it without waiting for what was not sent yet; never raises."""
    with contextlib.suppress(OSError), _terminal_errors():
        port.reset_output_buffer()
    plug = getattr(port, "_socket", None)
    with contextlib.suppress(OSError):
        port.close()
    if plug is not None:
        plug.close()  # which pySerial forgets where the peer has hung up first


def apply(port: Any, settings: SerialSettings) -> None:
    """Set speed and format, of an open port at once. Raises OSError or ValueError."""
    if _is_pseudo(port.port or ""):
        settings = replace(settings, parity=Parity.NONE, data_bits=8)
    if port.is_open and _format(port) == (settings.baud, settings.data_bits, settings.parity, settings.stop_bits):
        return
    with _terminal_errors():
        port.apply_settings(
            {
                "baudrate": settings.baud,
                "bytesize": settings.data_bits,
                "parity": _PARITIES[settings.parity],
                "stopbits": settings.stop_bits,
            }
        )


def down(device: str, error: BaseException, what: str) -> ChannelDown:
    """The error that says which port, what is wrong with it and what to do."""
    codes = {number for each in _chain(error) if isinstance(number := getattr(each, "errno", None), int)}
    text = getattr(error, "strerror", None) or error
    if is_url(device):
        return ChannelDown(f"{what}: {text}", where=device, hint="check the address, and that nobody else uses it")
    if codes & _GONE:
        return ChannelDown(
            "the port is not there" if errno.ENOENT in codes else "the port is gone",
            where=device,
            hint="plug the adapter in; a name below /dev/serial/by-id stays the same wherever it is plugged in",
        )
    if codes & _BUSY:
        return ChannelDown(
            "another program uses the port", where=device, hint=f"find it with `fuser -v {device}` and stop it"
        )
    if codes & {errno.EACCES, errno.EPERM}:
        return ChannelDown(
            "the hub may not use the port",
            where=device,
            hint=f"add the hub's user to the group {_group(device)} (`usermod -aG`) and start the hub anew",
        )
    if errno.ENOTTY in codes or "Inappropriate ioctl" in str(error):
        return ChannelDown("this is no serial port", where=device, hint="name the port, such as /dev/ttyUSB0")
    return ChannelDown(f"{what}: {text}", where=device, hint="check the port's name, speed and format")


@contextlib.contextmanager
def _terminal_errors() -> Iterator[None]:
    """pySerial lets errors of the terminal driver pass that are no OSError."""
    try:
        yield
    except termios.error as error:
        raise OSError(*error.args) from error


def driven_by_hand(port: Any, rs485: Rs485) -> bool:
    """Whether the direction must be switched by whoever sends, because the port's driver does not do it."""
    return rs485.direction != "none" and port.rs485_mode is None


def _switch_direction(port: Any, rs485: Rs485) -> None:
    """Have the port's driver switch the direction; where it cannot, see that RTS can at least be set."""
    high = rs485.direction == "rts_high"
    try:
        port.rs485_mode = serial.rs485.RS485Settings(
            rts_level_for_tx=high,
            rts_level_for_rx=not high,
            delay_before_tx=rs485.before_s,
            delay_before_rx=rs485.after_s,
        )
    except (OSError, ValueError, NotImplementedError, AttributeError):
        with contextlib.suppress(OSError, ValueError):
            port.rs485_mode = None
        try:
            port.rts = not high
        except OSError:
            raise ValueError("it has no RTS to switch RS-485 direction with; leave rs485 out") from None


def _is_pseudo(device: str) -> bool:
    """Whether it is a pseudo-terminal, which has no parity and no other characters than of 8 bits (pty(7))."""
    try:
        return os.major(os.stat(device).st_rdev) in _PSEUDO_MAJORS
    except OSError:
        return False


def _format(port: Any) -> tuple[int, int, Parity, float]:
    parity = next(ours for ours, theirs in _PARITIES.items() if theirs == port.parity)
    return port.baudrate, port.bytesize, parity, port.stopbits


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return found


def _group(device: str) -> str:
    try:
        return Path(device).group()
    except (OSError, KeyError, NotImplementedError):
        return "dialout"
