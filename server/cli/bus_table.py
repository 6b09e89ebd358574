"""How the bus-time budget is shown: a table of channels, and under it what cannot be kept and what would help."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from drivers.budget import ChannelBudget

BUSY = 0.8
WIDTH = 110
MOST_SHOWN = 20
LARGEST = 3


def say_budgets(budgets: Sequence[ChannelBudget], *, everything: bool = False) -> None:
    """Write the table on stdout: of all channels, or of those that are busier than `BUSY` and no more than twenty."""
    shown = [budget for budget in budgets if everything or budget.worst_utilisation > BUSY]
    if not shown:
        return
    left_out = 0 if everything else max(len(shown) - MOST_SHOWN, 0)
    shown = shown[: len(shown) - left_out]
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDTH, highlight=False)
    console.print(_table(shown))
    if left_out:
        console.print(f"{left_out} more channels are busier than {BUSY:.0%}: see them with --budget all")
    for assumed in dict.fromkeys(budget.wire.assumed for budget in shown if budget.wire.assumed):
        first, *others = [budget.channel for budget in shown if budget.wire.assumed == assumed]
        of = f"{first} and {len(others)} more" if others else first
        console.print(Text(f"assumed of {of}: {assumed}"), soft_wrap=True)
    for budget in shown:
        if not budget.met:
            console.print(Text(_warning(budget)), soft_wrap=True)


def as_data(budget: ChannelBudget) -> dict[str, Any]:
    """A budget for machines; times in seconds, shares of all time."""
    return {
        "channel": budget.channel,
        "devices": budget.devices,
        "dead": budget.dead,
        "line": str(budget.wire),
        "assumed": budget.wire.assumed,
        "cycle_s": round(budget.cycle_s, 3),
        "worst_cycle_s": round(budget.worst_cycle_s, 3),
        "utilisation": round(budget.utilisation, 4),
        "worst_utilisation": round(budget.worst_utilisation, 4),
        "met": budget.met,
        "largest": [
            {
                "profile": load.make,
                "period_s": load.period_s,
                "devices": load.devices,
                "requests": load.exchanges,
                "device_s": round(load.seconds(budget.wire), 4),
                "share": round(load.share, 4),
            }
            for load in budget.loads[:LARGEST]
        ],
        "advice": list(budget.advice),
    }


def _table(budgets: Sequence[ChannelBudget]) -> Table:
    table = Table(title="Bus time", title_justify="left", expand=False)
    table.add_column("channel")
    for name in ("devices", "line", "all read in", "dead", "then in", "busy", "with the dead"):
        table.add_column(name, justify="right")
    for budget in budgets:
        worst = f"{budget.worst_utilisation:.0%}"
        table.add_row(
            Text(budget.channel),
            str(budget.devices),
            str(budget.wire),
            f"{budget.cycle_s:.1f} s",
            str(budget.dead),
            f"{budget.worst_cycle_s:.1f} s",
            f"{budget.utilisation:.0%}",
            Text(worst, "" if budget.met else "bold red"),
        )
    return table


def _warning(budget: ChannelBudget) -> str:
    largest = budget.loads[0]
    return "\n".join(
        [
            f"warning: {budget.channel} cannot be read as often as it should be: {budget.worst_utilisation:.0%} with "
            f"{budget.dead} dead; most of it is {largest.make} every {largest.period_s:g} s ({largest.share:.0%})",
            *(f"  - {advice}" for advice in budget.advice),
        ]
    )
