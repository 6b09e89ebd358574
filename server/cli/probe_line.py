"""The line that a `joulehub probe` command speaks over: its options, and the time it takes."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

from address_space.model import Clock, SystemClock
from drivers.errors import ChannelDown
from drivers.probe import Diagnosis, Framing, ProbeMistake, diagnose, line_options
from drivers.transport import LineOptions, Lines, Link
from server.cli.arguments import positive

SERIAL_TIMEOUT_MS: Final = 500.0
"""Meters begin to answer within 500 ms (DL/T 645-2007 clause 5.3)."""
NETWORK_TIMEOUT_MS: Final = 1000.0
MODEM_TIMEOUT_MS: Final = 4000.0
_TIMEOUTS: Final = {"serial": SERIAL_TIMEOUT_MS, "dial_in": MODEM_TIMEOUT_MS}
MOST_NUMBERS: Final = 10_000


class LineClosed(ProbeMistake):
    """The line does not open; `diagnosis` says why."""

    def __init__(self, diagnosis: Diagnosis, where: str) -> None:
        super().__init__(diagnosis.what, where=where, hint=diagnosis.hint)
        self.diagnosis = diagnosis


def add_line(command: argparse.ArgumentParser) -> None:
    """Add where the line is and how it is spoken to."""
    command.add_argument(
        "target",
        help="host:port, udp://host:port, /dev/ttyUSB0, rfc2217://host:port, or dial-in://0.0.0.0:port/MODEM",
    )
    command.add_argument("--baud", type=int, help="speed of a serial line (9600)")
    command.add_argument("--parity", choices=("none", "even", "odd"), help="parity of a serial line (none)")
    command.add_argument("--data-bits", type=int, choices=(7, 8), help="data bits of a serial line (8)")
    command.add_argument("--stop-bits", type=int, choices=(1, 2), help="stop bits of a serial line (1)")
    command.add_argument(
        "--rts", dest="rs485", choices=("none", "rts_high", "rts_low"), help="level of RTS while sending (none)"
    )
    command.add_argument("--echo", action="store_true", help="the line sends back what is sent, as some adapters do")
    command.add_argument("--framer", choices=("tcp", "rtu", "ascii"), help="how Modbus is wrapped on this line")
    command.add_argument("--registration", help="dial-in: regular expression of the modem's first packet")
    command.add_argument("--timeout", type=positive, metavar="MS", help="within what time an answer must begin")
    command.add_argument("--json", action="store_true", help="answer as JSON")


def add_meters(command: argparse.ArgumentParser) -> None:
    """Add which meters of DL/T 645 and CJ/T 188 to ask."""
    command.add_argument(
        "--meter", action="append", default=[], metavar="NUMBER", help="a meter's number, or a range FROM-TO of them"
    )
    command.add_argument(
        "--one-meter", action="store_true", help="there is one meter on the wire: wildcard addresses may be used"
    )


def options_of(arguments: argparse.Namespace) -> LineOptions:
    """The line's options; raises ProbeMistake."""
    given: dict[str, Any] = {
        key: getattr(arguments, key)
        for key in ("baud", "parity", "data_bits", "stop_bits", "rs485", "registration")
        if getattr(arguments, key) is not None
    }
    return line_options(arguments.target, given | {"echo": arguments.echo})


def timeout_of(arguments: argparse.Namespace, options: LineOptions) -> float:
    """Patience in seconds."""
    return float(arguments.timeout or _TIMEOUTS.get(options.transport, NETWORK_TIMEOUT_MS)) / 1000


def framings_of(arguments: argparse.Namespace, options: LineOptions) -> list[Framing]:
    """Ways of wrapping Modbus to try on this line, the likeliest first."""
    if arguments.framer:
        return [Framing(arguments.framer)]
    return [Framing.TCP, Framing.RTU] if options.transport in ("tcp", "udp") else [Framing.RTU]


@asynccontextmanager
async def opened(options: LineOptions, target: str) -> AsyncIterator[tuple[Link, Clock]]:
    """The line, open; raises LineClosed."""
    clock = SystemClock()
    lines = Lines(clock)
    link = lines.link("probe", options)
    async with lines:
        try:
            await link.open()
            yield link, clock
        except ChannelDown as error:
            raise LineClosed(diagnose(error), target) from error
        finally:
            link.close()


def say_time(questions: int, seconds: float) -> None:
    """Tell a person beforehand how long it may take."""
    asked = f"{questions} question{'s' if questions != 1 else ''}"
    sys.stderr.write(f"{asked}, at most {shown_time(seconds)}; Ctrl-C stops\n")
    sys.stderr.flush()


def shown_time(seconds: float) -> str:
    """In seconds, or minutes where they are many."""
    whole = max(round(seconds), 1)
    return f"{whole} s" if whole < 120 else f"{whole // 60} min {whole % 60:02d} s"


def numbers(text: str, lowest: int, highest: int) -> list[int]:
    """Numbers written as "1-32,40"; raises argparse.ArgumentTypeError."""
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]+)(?:-([0-9]+))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not lowest <= first <= last <= highest:
            raise argparse.ArgumentTypeError(f"{part!r} is no number or range from {lowest} to {highest}")
        found += range(first, last + 1)
    return list(dict.fromkeys(found))


def units(text: str) -> list[int]:
    """Units of Modbus."""
    return numbers(text, 0, 255)


def meters_of(given: Iterable[str]) -> list[str]:
    """Numbers of meters, ranges spread out; raises ProbeMistake."""
    found: list[str] = []
    for text in given:
        match = re.fullmatch(r"([0-9]{1,14})(?:-([0-9]{1,14}))?", text)
        if match is None:
            raise ProbeMistake(f"{text!r} is no meter's number", hint="1 to 14 digits, or a range FROM-TO")
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last < first + MOST_NUMBERS:
            raise ProbeMistake(f"{text!r} is no range of up to {MOST_NUMBERS} numbers", hint="begin with the lower one")
        found += [f"{number:0{len(match[1])}d}" for number in range(first, last + 1)]
    return list(dict.fromkeys(found))
