"""A meter mounted the wrong way round: what it counts as import is export, and its powers have the other sign."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from drivers.modbus.layout import CompiledPoint

_SIGNED = ("ActivePower", "ReactivePower")


def invert(points: Sequence[CompiledPoint | None]) -> tuple[tuple[CompiledPoint | None, ...], tuple[str, ...]]:
    """The points of a make as the mounting wants them, and the names of those that lack their counterpart.

    Power factors stay as they are: most meters show them without a sign, or with that of the reactive power.
    """
    by_name = {point.name: point for point in points if point is not None}
    turned: list[CompiledPoint | None] = []
    alone: list[str] = []
    for point in points:
        other = _counterpart(point.name) if point is not None else ""
        if point is None:
            turned.append(None)
        elif other:
            if other not in by_name:
                alone.append(point.name)
            turned.append(replace(by_name.get(other, point), quantity=point.quantity))
        else:
            turned.append(_negated(point) if point.name.startswith(_SIGNED) else point)
    return tuple(turned), tuple(alone)


def _counterpart(name: str) -> str:
    if "Import" in name:
        return name.replace("Import", "Export")
    return name.replace("Export", "Import") if "Export" in name else ""


def _negated(point: CompiledPoint) -> CompiledPoint:
    terms = tuple(replace(term, negate=not term.negate) for term in point.terms)
    fallback = _negated(point.fallback) if point.fallback else None
    return replace(point, terms=terms, offset=-point.offset, fallback=fallback)
