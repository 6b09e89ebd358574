"""Settling what subscribers were told with the history and with the meters' own books."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from asyncua import Client, ua

from tests.scale.measure import Child
from tests.scale.soak_client import Tally, client_of, node, usable
from tests.scale.soak_ledger import MS, Findings, Kept, Ledger
from tests.scale.soak_plant import COUNTERS
from tests.scale.soak_visitors import history_read
from tests.scale.soak_watcher import Watcher

TOGETHER = 20
"""Items whose history is read in one request."""
_BEFORE_MS = 30_000


class Auditor:
    """Reads the history of every watched item again and again and settles the ledgers with it."""

    def __init__(
        self, url: str, watchers: Sequence[Watcher], meters: Child, findings: Findings, tally: Tally, every_s: float
    ) -> None:
        self._url = url
        self._ledgers = [ledger for watcher in watchers for ledger in watcher.ledgers.values()]
        self._meters = meters
        self._findings = findings
        self._tally = tally
        self._every_s = every_s

    async def run(self) -> None:
        """One round after the other."""
        async with await client_of(self._url) as client:
            while True:
                began = time.monotonic()
                await self.round(client, self._every_s / (len(self._ledgers) / TOGETHER + 1) * 0.7)
                await asyncio.sleep(max(0.0, self._every_s - (time.monotonic() - began)))

    async def round(self, client: Client, pause_s: float) -> None:
        """Every ledger once."""
        for at in range(0, len(self._ledgers), TOGETHER):
            await self._settle(client, self._ledgers[at : at + TOGETHER])
            await asyncio.sleep(pause_s)
        self._tally.done["audits"] += 1

    async def last(self) -> None:
        """Settle what is left."""
        async with await client_of(self._url) as client:
            await self.round(client, 0.0)

    async def _settle(self, client: Client, ledgers: list[Ledger]) -> None:
        open_ones = [ledger.oldest_ns for ledger in ledgers if ledger.oldest_ns is not None]
        settled = [ledger.settled_ms for ledger in ledgers if ledger.settled_ms]
        if not open_ones and not settled:
            return
        starts_ms = [*(ns / 1e6 - 30_000 for ns in open_ones), *settled]
        start = datetime.fromtimestamp(min(starts_ms) / 1000, UTC)
        now_ms = int(time.time() * 1000)
        details = ua.ReadRawModifiedDetails(False, start, datetime.now(UTC) + timedelta(minutes=1), 0, False)
        told_before = {ledger.point: len(ledger.waiting) for ledger in ledgers}
        del told_before
        nodes = [ua.HistoryReadValueId(node(ledger.point), None, ua.QualifiedName(), None) for ledger in ledgers]
        results = await history_read(client, details, nodes)
        for ledger, result in zip(ledgers, results, strict=True):
            kept = await asyncio.to_thread(_kept, result)
            pairs = ledger.settle(kept, now_ms)
            self._tally.done["history values compared"] += len(pairs)
            unit, _, name = ledger.point.partition(".")
            if name in COUNTERS and pairs:
                samples = [(told.source_ns, round(told.value * 1000)) for _, told in pairs]
                wrong = (await asyncio.to_thread(self._meters, "wrong", meter=unit, quantity=name, samples=samples))[
                    "wrong"
                ]
                self._findings.counters_audited += len(samples)
                for one in wrong:
                    self._findings.note("wrong_counters", f"{ledger.point} {one}")


def _kept(result: Any) -> list[Kept]:
    if not result.HistoryData or result.ContinuationPoint:
        if result.ContinuationPoint:
            raise AssertionError("the history of one round does not fit into one page")
        return []
    kept = []
    for one in result.HistoryData.DataValues:
        code = (one.StatusCode.value if one.StatusCode is not None else 0) & 0xFFFF_0000
        if not code & 0xC000_0000 or code == 0x4094_0000:
            kept.append(Kept(round(one.SourceTimestamp.timestamp() * 1000), float(one.Value.Value), code))
    return kept
