"""Reading a range of registers of a device of which nobody knows which ones it has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from drivers.probe.asker import Asker
from drivers.probe.modbus_frames import Framing, Heard, read_pdu

Progress = Callable[[int, int], None]

ADDRESS_MISSING = frozenset({2, 3})
"""Exceptions after which fewer registers may be answered."""
MOST_SILENT = 3
"""Requests without an answer after which the rest is not asked for."""


@dataclass(slots=True)
class Registers:
    """What was read: words (0 and 1 for bits) by address, exceptions and silence by (address, count)."""

    words: dict[int, int] = field(default_factory=dict)
    refused: dict[tuple[int, int], int] = field(default_factory=dict)
    silent: list[tuple[int, int]] = field(default_factory=list)
    asked: int = 0


async def read_registers(
    asker: Asker,
    framing: Framing,
    unit: int,
    fc: int,
    span: tuple[int, int],
    progress: Progress,
    *,
    most: int = 60,
) -> Registers:
    """Registers (or bits, by `fc`) of `span`, first and count, in requests of `most` at once; where the device refuses
    a request, its halves are asked for. Raises ChannelDown."""
    first, count = span
    found = Registers()
    waiting = [(at, min(most, first + count - at)) for at in reversed(range(first, first + count, most))]
    done = 0
    while waiting:
        at, size = waiting.pop()
        progress(done, count)
        heard = await _once(asker, framing, unit, fc, at, size)
        found.asked += 1
        if heard is None:
            found.silent.append((at, size))
            done += size
            if len(found.silent) >= MOST_SILENT or not (found.words or found.refused):
                found.silent += reversed(waiting)
                break
        elif heard.exception in ADDRESS_MISSING and size > 1:
            half = size // 2
            waiting += [(at + half, size - half), (at, half)]
        elif heard.exception:
            found.refused[(at, size)] = heard.exception
            done += size
        else:
            found.words |= _words(heard.pdu, fc, at, size)
            done += size
    progress(count, count)
    return found


async def read_again(
    asker: Asker, framing: Framing, unit: int, fc: int, before: Registers, *, most: int = 60
) -> dict[int, int]:
    """The same registers once more, as far as they were there. Raises ChannelDown."""
    words: dict[int, int] = {}
    for at, size in _runs(sorted(before.words), most):
        heard = await _once(asker, framing, unit, fc, at, size)
        if heard is not None and not heard.exception:
            words |= _words(heard.pdu, fc, at, size)
    return words


async def _once(asker: Asker, framing: Framing, unit: int, fc: int, at: int, size: int) -> Heard | None:
    """The answer of the right length; asked twice where none came."""
    for _ in range(2):
        answered = await asker.modbus(framing, unit, read_pdu(fc, at, size))
        for heard in answered.heard:
            length = 2 * size if fc > 2 else (size + 7) // 8
            if heard.exception or heard.pdu[1] == length:
                return heard
    return None


def _words(pdu: bytes, fc: int, at: int, size: int) -> dict[int, int]:
    if fc > 2:
        return {at + step: int.from_bytes(pdu[2 + 2 * step : 4 + 2 * step], "big") for step in range(size)}
    return {at + bit: pdu[2 + (bit >> 3)] >> (bit & 7) & 1 for bit in range(size)}


def _runs(addresses: list[int], most: int) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for address in addresses:
        if runs and sum(runs[-1]) == address and runs[-1][1] < most:
            runs[-1] = runs[-1][0], runs[-1][1] + 1
        else:
            runs.append((address, 1))
    return runs
