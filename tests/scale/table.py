"""What benchmarks hand back, and the one table that is printed of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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

    stock  the same measured with stock asyncua, None where there is nothing to compare with
    goal   what the figure must stay below (LESS) or reach (MORE), None where no goal is set
    note   what a reader must know to compare: another model size, what was measured beside
    """

    benchmark: str
    what: str
    unit: str
    ours: Figure
    stock: Figure | None = None
    goal: float | None = None
    better: Better = Better.LESS
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times better than stock asyncua."""
        if self.stock is None or not self.ours.value or not self.stock.value:
            return None
        better = self.stock.value / self.ours.value
        return better if self.better is Better.LESS else 1.0 / better

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
        }


def table(rows: Sequence[Row]) -> Table:
    """All rows for people."""
    shown = Table(title="JouleHub, measured", title_justify="left", caption_justify="left", expand=False)
    for name in ("what", "ours", "stock asyncua", "ratio", "goal"):
        shown.add_column(name, justify="left" if name == "what" else "right", vertical="top")
    last = None
    for row in rows:
        if last is not None and row.benchmark != last:
            shown.add_section()
        last = row.benchmark
        what = f"{row.what}\n[dim]{row.note}[/dim]" if row.note else row.what
        ratio = row.ratio
        shown.add_row(
            what,
            _shown(row.ours, row.unit),
            "" if row.stock is None else _shown(row.stock, row.unit),
            "" if ratio is None else f"{_short(ratio)} ×",
            _goal(row),
        )
    return shown


def _shown(figure: Figure, unit: str) -> str:
    spread = f" [dim]±{figure.spread:.0%}[/dim]" if figure.low != figure.high else ""
    return f"{_short(figure.value)} {unit}{spread}"


def _goal(row: Row) -> str:
    if row.goal is None:
        return ""
    sign = "<" if row.better is Better.LESS else "≥"
    colour = "green" if row.met else "red"
    return f"[{colour}]{sign} {_short(row.goal)} {row.unit} {'✓' if row.met else '✗'}[/{colour}]"


def _short(value: float) -> str:
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}"


def _data(figure: Figure) -> dict[str, float]:
    return {"value": figure.value, "low": figure.low, "high": figure.high}
