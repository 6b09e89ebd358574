"""The history of a running hub: which stores there are, what is written where, and which one answers.

Readings go to the embedded store, and through the spool to InfluxDB. The recorder commits to both; what is on its way
waits on the disk.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from zoneinfo import ZoneInfo

from address_space.model import Clock, NodeKind, Plant
from address_space.model.clock import to_datetime
from address_space.model.ids import NodeUid
from address_space.nodes.attributes import unknown_start
from config.sections import HistorySettings
from historian.api import HistoryReader, HistoryWriter, RowReader
from historian.calendar import Days
from historian.counters import Move
from historian.errors import HistoryError
from historian.events import EventLog
from historian.forwarder import Forwarder, ForwarderState
from historian.gaps import GapLedger, LedgerState, Plan
from historian.influx import Credentials, InfluxReader, InfluxSink, LineWriter, ServerOptions, Tags
from historian.leap import LeapGuard
from historian.recorder import Recorder, RecorderCounters
from historian.reserve import Reserve
from historian.rollups import JudgedReader, Ratings, RollupLines, RollupOptions, Rollups
from historian.rollups.limits import Changes, unchanged
from historian.schema import Measurement
from historian.spool import Spool, SpoolOptions, SpoolState
from historian.sqlite import SqliteStore, StoreOptions
from historian.sqlite.files import begins_ms
from historian.tee import Tee

log = logging.getLogger(__name__)

SINK = "influx"
ROOM_FILE = "start.reserve"
ROOM_BYTES = 8 * 1024**2
"""Kept back on the disk while the hub runs: to open its files it must write a little, on a full disk too."""
_NS_PER_MS = 1_000_000
_GIGABYTE = 1_000_000_000


@dataclass(frozen=True, slots=True)
class HistoryState:
    """How the history does; parts that there are not are None."""

    recorder: RecorderCounters
    spool: SpoolState | None
    forwarder: ForwarderState | None
    trouble: str
    ledger: LedgerState = field(default_factory=LedgerState)
    anomalies: Mapping[Move, int] = field(default_factory=dict)
    """What registers did that did not simply go on, since the start; nothing where nobody looks."""


class History:
    """Use with `async with`; `parts` are the tasks it needs meanwhile."""

    def __init__(
        self,
        settings: HistorySettings,
        data_dir: Path,
        plant: Plant,
        clock: Clock,
        plan: Plan | None = None,
        zone: ZoneInfo | None = None,
        changes: Changes = unchanged,
    ) -> None:
        self._changes = changes
        self._settings = settings
        self._plant = plant
        self._clock = clock
        self._stack = AsyncExitStack()
        self._room = Reserve(data_dir / "history" / ROOM_FILE, ROOM_BYTES)
        self._tags = _Tags(plant)
        self._guard = LeapGuard(data_dir / "history")
        self.store: SqliteStore | None = None
        if settings.embedded:
            self.store = SqliteStore(data_dir / "history", clock, store_options(settings), guard=self._guard)
        self._spool: Spool | None = None
        self._sink: InfluxSink | None = None
        self._forwarder: Forwarder | None = None
        self._influx_reader: InfluxReader | None = None
        self._lines: LineWriter | None = None
        writers: list[HistoryWriter] = [self.store] if self.store is not None else []
        if settings.influx.url:
            options = server_options(settings)
            self._spool = Spool(data_dir / "spool", clock, SpoolOptions(round(settings.spool_gb * _GIGABYTE)))
            self._sink = InfluxSink(SINK, options)
            self._forwarder = Forwarder(self._spool, self._sink, clock)
            self._influx_reader = InfluxReader(options)
            self._lines = LineWriter(self._spool, [SINK], self._tags.of)
            writers.append(self._lines)
        self.plan: Plan = plan if plan is not None else {}
        self.events = EventLog(data_dir / "history", clock)
        self.ledger = GapLedger(data_dir / "history", clock, keep_days=settings.retention_days, guard=self._guard)
        self.rollups = self._made_rollups(data_dir / "history", zone if zone is not None else ZoneInfo("UTC"))
        everywhere: HistoryWriter = Tee([*writers, self.ledger])
        self.recorder = Recorder(
            self.rollups.tap(everywhere) if self.rollups is not None else everywhere,
            plant,
            clock,
            commit_s=settings.commit_interval_s,
            capacity_values=settings.queue_values,
        )
        embedded_answers = self.store is not None and settings.read_from != "influx"
        self.reader: HistoryReader | None = self.store if embedded_answers else self._influx_reader

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._room.release)
        try:
            if self.store is not None:
                await self._stack.enter_async_context(self.store)
            if self._spool is not None:
                await self._stack.enter_async_context(self._spool)
            if self._sink is not None:
                self._stack.push_async_callback(self._sink.close)
            if self._influx_reader is not None:
                self._stack.push_async_callback(self._influx_reader.close)
            if self.rollups is not None:
                await self._stack.enter_async_context(self.rollups)
            await self._stack.enter_async_context(self.events)
            await self._stack.enter_async_context(self.ledger)
            await self._expect()
            await asyncio.to_thread(self._room.take_what_is_left)
            await self._stack.enter_async_context(self.recorder)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def judged(self) -> HistoryReader | None:
        """What answers clients: stored readings, in which glitches are not Good."""
        if self.reader is None or self.rollups is None:
            return self.reader
        return JudgedReader(self.reader, self.rollups.recent)

    @property
    def parts(self) -> Mapping[str, Callable[[], Coroutine[Any, Any, None]]]:
        """What must run while the hub does, by name."""
        parts: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "event-log": self.events.run,
            "gap-ledger": self.ledger.upkeep,
        }
        if self.store is not None:
            parts["history-upkeep"] = self.store.upkeep
        if self._forwarder is not None:
            parts["history-forwarder"] = self._forwarder.run
        if self.rollups is not None:
            parts["history-rollups"] = self.rollups.run
        return parts

    def _made_rollups(self, folder: Path, zone: ZoneInfo) -> Rollups | None:
        kept = self._settings.rollups
        source: RowReader | None = self.store if self.store is not None else self._influx_reader
        if source is None or not kept.enabled:
            return None
        options = RollupOptions(
            quarters=kept.quarters,
            keep_days_quarter=kept.quarter_retention_days,
            keep_days_hour=kept.retention_days,
            grace_s=kept.grace_s,
        )
        lines = RollupLines(self._lines) if self._lines is not None else None
        unread = self._oldest_in_spool if self.store is None else None
        ratings = Ratings(self._plant)
        days = Days(zone)
        return Rollups(
            folder,
            self._clock,
            source,
            days,
            ratings,
            options,
            lines=lines,
            changes=self._changes,
            unread=unread,
            guard=self._guard,
        )

    async def _oldest_in_spool(self) -> int:
        return await self._spool.oldest_ms((Measurement.ENERGY, Measurement.INST)) if self._spool is not None else 0

    def start(self) -> datetime:
        """A time before which nothing can be read."""
        if self.store is not None and self.reader is self.store:
            begins = begins_ms(self.store.folder)
            return to_datetime(begins * _NS_PER_MS if begins is not None else self._clock.now_ns())
        return unknown_start()

    async def _expect(self) -> None:
        """Tell the ledger what is expected, and after a crash what it missed."""
        await self.ledger.adopt(self.plan)
        if self.ledger.crashed and self.reader is not None:
            try:
                await self.ledger.reconcile(self.reader, self.plan)
            except HistoryError as error:
                log.warning("gap ledger not compared with the history error=%s", error)

    async def state(self) -> HistoryState:
        """How it does."""
        spool: SpoolState | None = None
        trouble = str(self.recorder.fault or "")
        if self._spool is not None:
            try:
                spool = await self._spool.state()
            except HistoryError as error:
                trouble = trouble or str(error)
        forwarder = self._forwarder.state if self._forwarder is not None else None
        if forwarder is not None:
            trouble = trouble or forwarder.trouble
        ledger = self.ledger.state
        anomalies = self.rollups.found if self.rollups is not None else {}
        return HistoryState(self.recorder.counters, spool, forwarder, trouble or ledger.trouble, ledger, anomalies)


def store_options(settings: HistorySettings) -> StoreOptions:
    """Options of the embedded store."""
    return StoreOptions(
        hot_days=settings.hot_days,
        keep_days_energy=settings.retention_days,
        keep_days_inst=settings.retention_days,
    )


def server_options(settings: HistorySettings) -> ServerOptions:
    """How InfluxDB is reached."""
    influx = settings.influx
    return ServerOptions(
        url=influx.url,
        database=influx.database,
        org=influx.org,
        credentials=Credentials(influx.token.get_secret_value(), influx.username, influx.password.get_secret_value()),
        api=influx.api.value,
        ca_file=influx.ca_file,
        compress=influx.compress,
        timeout_s=influx.timeout_s,
    )


class _Tags:
    """Medium and site of each unit; the site is the nearest site above it, else the topmost node."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._sites: dict[NodeUid | None, str] = {None: ""}

    def of(self, uid: NodeUid) -> Tags:
        """Tags of a unit; one that the plant does not know has none."""
        handle = self._plant.unit_of.get(uid)
        if handle is None:
            return Tags("other")
        unit = self._plant.units[handle]
        return Tags(unit.medium.name.lower(), self._site(unit.parent))

    def _site(self, node: NodeUid | None) -> str:
        found = self._sites.get(node)
        if found is None and node is not None:
            known = self._plant.nodes[node]
            own = known.kind is NodeKind.SITE or known.parent is None
            found = self._sites[node] = str(node) if own else self._site(known.parent)
        return found or ""
