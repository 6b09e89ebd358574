"""What benchmarks hand back, and the one table that is printed of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from rich.table import Table

from tests.scale.measure import Figure


class Better(Enum):
    """Which way a figure is good."""

    LESS = "less"
    MORE = "more"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    stock   the same measured with stock asyncua, None where there is nothing to compare with
    goal    what the figure must stay below (LESS) or reach (MORE), None where no goal is set
    note    what a reader must know to compare: another model size, what was measured beside
    peers   the same measured with other servers
    bounds  how many times the figure of a peer ours may be
    """

    benchmark: str
    what: str
    unit: str
    ours: Figure
    stock: Figure | None = None
    goal: float | None = None
    better: Better = Better.LESS
    note: str = ""
    peers: Mapping[str, Figure] = field(default_factory=dict)
    bounds: Mapping[str, float] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """How many times better than stock asyncua."""
        return self.against(self.stock)

    def against(self, other: Figure | None) -> float | None:
        """How many times better than the same figure of another server; None where there is none."""
        if other is None or not self.ours.value or not other.value:
            return None
        better = other.value / self.ours.value
        return better if self.better is Better.LESS else 1.0 / better

    @property
    def met_beside(self) -> dict[str, bool]:
        """Whether each bound to a peer is kept, of the peers that were measured."""
        ratios = {name: self.against(self.peers.get(name)) for name in self.bounds}
        return {name: ratio * self.bounds[name] >= 1.0 for name, ratio in ratios.items() if ratio is not None}

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached."""
        if self.goal is None:
            return None
        return self.ours.value < self.goal if self.better is Better.LESS else self.ours.value >= self.goal

    def as_data(self) -> dict[str, Any]:
        """The row for machines."""
        return {
            "benchmark": self.benchmark,
            "what": self.what,
            "unit": self.unit,
            "ours": _data(self.ours),
            "stock": None if self.stock is None else _data(self.stock),
            "ratio": self.ratio,
            "goal": self.goal,
            "better": self.better.value,
            "met": self.met,
            "note": self.note,
            "peers": {name: _data(figure) for name, figure in self.peers.items()},
            "bounds": dict(self.bounds),
            "met_beside": self.met_beside,
        }


def table(rows: Sequence[Row], absent: Mapping[str, str] | None = None) -> Table:
    """All rows for people; `absent` are the peers that could not be measured, with the reason."""
    shown = Table(title="JouleHub, measured", title_justify="left", caption_justify="left", expand=False)
    absent = absent or {}
    peers = list(dict.fromkeys([*absent, *(name for row in rows for name in row.peers)]))
    for name in ("what", "ours", "stock asyncua", *peers, "goal"):
        shown.add_column(name, justify="left" if name == "what" else "right", vertical="top")
    last = None
    for row in rows:
        if last is not None and row.benchmark != last:
            shown.add_section()
        last = row.benchmark
        what = f"{row.what}\n[dim]{row.note}[/dim]" if row.note else row.what
        others = [row.stock, *(row.peers.get(name) for name in peers)]
        cells = ["" if other is None else _beside(row, other) for other in others]
        for column, name in enumerate(peers, 1):
            if name in absent and (row.peers or row.bounds):
                cells[column] = f"[dim]{absent[name]}[/dim]"
        shown.add_row(what, _shown(row.ours, row.unit), *cells, _goal(row))
    return shown


def _beside(row: Row, other: Figure) -> str:
    ratio = row.against(other)
    times = "" if ratio is None else f"\n[dim]{_short(ratio)} ×[/dim]"
    return _shown(other, row.unit) + times


def _shown(figure: Figure, unit: str) -> str:
    spread = f" [dim]±{figure.spread:.0%}[/dim]" if figure.low != figure.high else ""
    return f"{_short(figure.value)} {unit}{spread}"


def _goal(row: Row) -> str:
    parts = []
    if row.goal is not None:
        sign = "<" if row.better is Better.LESS else "≥"
        parts.append(_marked(f"{sign} {_short(row.goal)} {row.unit}", met=bool(row.met)))
    for name, met in row.met_beside.items():
        times = row.bounds[name]
        parts.append(_marked(f"≤ {'' if times == 1.0 else f'{times:g} × '}{name}", met=met))
    return "\n".join(parts)


def _marked(text: str, *, met: bool) -> str:
    colour, sign = ("green", "✓") if met else ("red", "✗")
    return f"[{colour}]{text} {sign}[/{colour}]"


def _short(value: float) -> str:
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}"


def _data(figure: Figure) -> dict[str, float]:
    return {"value": figure.value, "low": figure.low, "high": figure.high}
