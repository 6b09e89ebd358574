"""What the hub of the soak uses, every few seconds, and how fast that grows."""

from __future__ import annotations

import asyncio
import csv
import os
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tests.scale.measure import Child

MB = 1024 * 1024


class Gauge:
    """What the hub uses, every few seconds, in a CSV file."""

    def __init__(self, hub: Child, out: Path, every_s: float) -> None:
        self._hub = hub
        self._out = out
        self._every_s = every_s
        self._began, self._cpu_s = time.monotonic(), hub.cpu_s
        self.rows: list[dict[str, float]] = []

    async def run(self) -> None:
        """Sample for ever."""
        with self._out.open("w", newline="") as sheet:
            row = await self._sample()
            table = csv.DictWriter(sheet, list(row))
            table.writeheader()
            while True:
                self.rows.append(row)
                table.writerow(row)
                sheet.flush()
                await asyncio.sleep(self._every_s)
                row = await self._sample()

    def slope(self, key: str) -> float:
        """Growth an hour over the second half of the run, by least squares; 0 where there are too few samples."""
        half = [row for row in self.rows if row["s"] >= self.rows[-1]["s"] / 2]
        if len(half) < 2:
            return 0.0
        return float(np.polyfit([row["s"] / 3600 for row in half], [row[key] for row in half], 1)[0])

    def at(self, second: float) -> Mapping[str, float]:
        """The sample nearest to a second of the run."""
        return min(self.rows, key=lambda row: abs(row["s"] - second))

    async def _sample(self) -> dict[str, float]:
        census = await asyncio.to_thread(self._hub, "census")
        return {
            "s": round(time.monotonic() - self._began, 1),
            "rss_mb": round(self._hub.rss_bytes / MB, 2),
            "cpu_s": round(self._hub.cpu_s - self._cpu_s, 2),
            "fds": len(os.listdir(f"/proc/{self._hub.process.pid}/fd")),
            **census,
        }
