"""Slips that are easily made when a register table is copied from a manual, and that no schema sees."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from drivers.modbus.layout import CompiledPoint, Register

NOTATION = {3: range(40_001, 50_000), 4: range(30_001, 40_000)}
"""Numbers by which manuals call holding and input registers, by function code."""


@dataclass(frozen=True, slots=True)
class Slip:
    """What looks wrong about the point called `name`, and what to do."""

    name: str
    what: str
    hint: str


def slips_of(points: Sequence[CompiledPoint | None], *, counts_from_zero: bool) -> Iterator[Slip]:
    """Slips in the points of one make; `counts_from_zero` where nothing was said about the base of addresses."""
    present = [point for point in points if point is not None]
    if counts_from_zero:
        yield from _notation(present)
    yield from _overlaps(present)


def _notation(points: Sequence[CompiledPoint]) -> Iterator[Slip]:
    registers = [term.register for point in points for term in point.terms]
    if registers and all(register.address in NOTATION.get(register.fc, ()) for register in registers):
        first = registers[0]
        base = NOTATION[first.fc].start
        yield Slip(
            points[0].name,
            f"{first.address} looks like the notation of a manual, in which {base} is the first register",
            f"say base: {base} in the section, or base: 0 if these are the addresses on the wire",
        )


def _overlaps(points: Iterable[CompiledPoint]) -> Iterator[Slip]:
    readers: dict[tuple[int, int], tuple[CompiledPoint, Register]] = {}
    for point in points:
        told: set[str] = set()
        for register in (term.register for term in point.terms):
            for place in register.places:
                other, theirs = readers.setdefault((register.fc, place), (point, register))
                if other is point or other.name in told or point.shared or other.shared:
                    continue
                if theirs.places == register.places and _takes_another_part(point, register, other, theirs):
                    continue
                told.add(other.name)
                yield Slip(
                    point.name,
                    f"{point.name} ({register}) reads 0x{place:04X}, which {other.name} ({theirs}) reads already",
                    "check address and type (32 bits take two registers), or say shared: true where both are meant",
                )


def _takes_another_part(point: CompiledPoint, register: Register, other: CompiledPoint, theirs: Register) -> bool:
    """Whether two points take different things from the same registers: other bits, the other byte, other states."""
    return (register.type, register.bits, point.map) != (theirs.type, theirs.bits, other.map)
