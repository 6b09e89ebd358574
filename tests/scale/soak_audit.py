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
from tests.scale.soak_ledger import MS, Findings, Kept, Ledger, Told
from tests.scale.soak_plant import COUNTERS
from tests.scale.soak_visitors import history_read
from tests.scale.soak_watcher import Watcher

TOGETHER = 20
"""Items whose history is read in one request."""
BEFORE_MS = 30_000
"""How much older than the first sample told its slot may be."""
_BUSY = 0.7
_BASE_UNITS = 1000
"""Wh of a kWh, in which counters are shown."""


class Auditor:
    """Reads the history of every watched item again and again, and settles the ledgers with it."""

    def __init__(
        self, url: str, watchers: Sequence[Watcher], meters: Child, findings: Findings, tally: Tally, every_s: float
    ) -> None:
        self._url = url
        self._pairs = [(ledger, watcher) for watcher in watchers for ledger in watcher.ledgers.values()]
        self._meters = meters
        self._findings = findings
        self._tally = tally
        self._every_s = every_s

    async def run(self) -> None:
        """One round after the other, evenly spread, until the connection breaks."""
        pause_s = self._every_s * _BUSY / (len(self._pairs) / TOGETHER + 1)
        async with await client_of(self._url) as client:
            while True:
                began = time.monotonic()
                await self._round(client, pause_s)
                await asyncio.sleep(max(0.0, self._every_s - (time.monotonic() - began)))

    async def last(self) -> None:
        """Settle what is left."""
        async with await client_of(self._url) as client:
            await self._round(client, 0.0)

    async def _round(self, client: Client, pause_s: float) -> None:
        for at in range(0, len(self._pairs), TOGETHER):
            await self._settle(client, self._pairs[at : at + TOGETHER])
            await asyncio.sleep(pause_s)
        self._tally.done["audits"] += 1

    async def _settle(self, client: Client, pairs: Sequence[tuple[Ledger, Watcher]]) -> None:
        since_ms = [ledger.since_ms(BEFORE_MS) for ledger, _ in pairs]
        known = [one for one in since_ms if one is not None]
        if not known:
            return
        now = datetime.now(UTC)
        start = datetime.fromtimestamp(min(known) / 1000, UTC)
        details = ua.ReadRawModifiedDetails(False, start, now + timedelta(minutes=1), 0, False)
        nodes = [ua.HistoryReadValueId(node(ledger.point), None, ua.QualifiedName(), None) for ledger, _ in pairs]
        heard_ms = [watcher.heard_ms for _, watcher in pairs]
        results = await history_read(client, details, nodes)
        for (ledger, _), heard, result in zip(pairs, heard_ms, results, strict=True):
            agreed = ledger.settle(_kept(result), now.timestamp() * 1000, heard)
            await self._audit(ledger.point, agreed)

    async def _audit(self, point: str, agreed: Sequence[Told]) -> None:
        unit, _, quantity = point.partition(".")
        if quantity not in COUNTERS or not agreed:
            return
        samples = [(told.source_ns, round(told.value * _BASE_UNITS)) for told in agreed]
        answer = await asyncio.to_thread(self._meters, "wrong", meter=unit, quantity=quantity, samples=samples)
        self._findings.counters_audited += len(samples)
        for at_ns, value in answer["wrong"]:
            self._findings.note("wrong_counters", f"{point} {value} at {at_ns / MS:.0f} ms")


def _kept(result: Any) -> list[Kept]:
    if result.ContinuationPoint:
        raise AssertionError("the history of one round does not fit into one page")
    codes = ((one, usable(one.StatusCode)) for one in result.HistoryData.DataValues) if result.HistoryData else ()
    return [
        Kept(round(one.SourceTimestamp.timestamp() * 1000), float(one.Value.Value), code)
        for one, code in codes
        if code is not None
    ]
