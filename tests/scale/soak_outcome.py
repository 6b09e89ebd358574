"""How hard a soak is, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.scale.soak_client import Tally
from tests.scale.soak_gauge import Gauge
from tests.scale.soak_ledger import Findings

FIRST_S = 300.0
"""When everything is warm."""
LEVELS = frozenset({"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"})
COUNTED = ("rss_mb", "blocks", "fds", "tasks", "threads", "sessions", "subscriptions", "items")


@dataclass(frozen=True, slots=True)
class Hardness:
    """How long and how hard.

    fault_every_s  how often a meter begins to misbehave, for one to ten times as long
    plug_every_s   how often a bus is away, for a tenth of that
    cut_every_s    how often the relay's line is cut
    audit_every_s  how often every watched item is settled with the history
    crowd          clients at a time that come and go
    leave_s        how long what they leave behind may stay after the end
    """

    minutes: float
    meters: int = 200
    buses: int = 10
    seed: int = 1
    fault_every_s: float = 4.0
    plug_every_s: float = 180.0
    cut_every_s: float = 45.0
    audit_every_s: float = 120.0
    sample_s: float = 10.0
    crowd: int = 3
    leave_s: float = 120.0


@dataclass(slots=True)
class Outcome:
    """What came of it."""

    seconds: float
    gauge: Gauge
    findings: Findings
    tally: Tally
    log: Counter[str]
    cuts: int
    reconnects: Mapping[str, int]
    republished: int
    played: Mapping[str, Any] = field(default_factory=dict)
    left: Mapping[str, float] = field(default_factory=dict)

    @property
    def right(self) -> bool:
        """Whether everything that was told is right, and nothing of clients that are gone was left."""
        return not self.findings.wrong and not any(self.left.values())

    def as_data(self) -> dict[str, Any]:
        """For machines."""
        rows = self.gauge.rows
        used = {} if not rows else self._used()
        return {
            "seconds": round(self.seconds),
            "used": used,
            "findings": asdict(self.findings),
            "cuts": self.cuts,
            "reconnects": dict(self.reconnects),
            "republished": self.republished,
            "played": dict(self.played),
            "left": dict(self.left),
            "done": dict(sorted(self.tally.done.items())),
            "failed": dict(self.tally.failed),
            "last": dict(self.tally.last),
            "log": dict(self.log),
        }

    def as_text(self) -> str:
        """For people."""
        data = self.as_data()
        lines = [f"{self.seconds / 60:.1f} minutes", ""]
        lines.append(f"{'':16}{'5 min':>12}{'half':>12}{'end':>12}{'growth/h in the second half':>30}")
        for name, (first, half, last, slope) in data["used"].items():
            lines.append(f"{name:16}{first:12,}{half:12,}{last:12,}{slope:30,}")
        for name in ("findings", "reconnects", "played", "left", "done", "failed", "log"):
            lines += ["", f"{name}:", *(f"  {key}: {value}" for key, value in data[name].items() if key != "examples")]
        lines += ["", f"line cut {self.cuts} times, {self.republished} messages asked again", *self.findings.examples]
        return "\n".join(lines) + "\n"

    def _used(self) -> dict[str, tuple[float, float, float, float]]:
        """After five minutes, half way, at the end, and growth an hour in the second half."""
        gauge = self.gauge
        first, half, last = gauge.at(min(FIRST_S, self.seconds)), gauge.at(self.seconds / 2), gauge.rows[-1]
        used = {name: (first[name], half[name], last[name], round(gauge.slope(name), 2)) for name in COUNTED}
        busy = [round(row["cpu_s"] / max(row["s"], 1.0), 3) for row in (first, half, last)]
        used["cores"] = (busy[0], busy[1], busy[2], 0.0)
        return used


def log_levels(log: Path) -> Counter[str]:
    """How many lines of each level the hub has logged; lines of tracebacks count as such."""
    found: Counter[str] = Counter()
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        level = line.split(maxsplit=2)[1:2]
        found[level[0] if level and level[0] in LEVELS else "traceback"] += 1
    return found
