"""The history of a running hub: which stores there are, what is written where, and which one answers.

Readings go to the embedded store, and through the spool to InfluxDB. The recorder commits to both; what is on its way
waits on the disk.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from address_space.model import Clock, NodeKind, Plant
from address_space.model.ids import NodeUid
from config.sections import HistorySettings
from historian.api import HistoryReader, HistoryWriter
from historian.errors import HistoryError
from historian.forwarder import Forwarder, ForwarderState
from historian.influx import Credentials, InfluxReader, InfluxSink, LineWriter, ServerOptions, Tags
from historian.recorder import Recorder, RecorderCounters
from historian.spool import Spool, SpoolOptions, SpoolState
from historian.sqlite import SqliteStore, StoreOptions
from historian.tee import Tee

log = logging.getLogger(__name__)

SINK = "influx"
_GIGABYTE = 1_000_000_000


@dataclass(frozen=True, slots=True)
class HistoryState:
    """How the history does; parts that there are not are None."""

    recorder: RecorderCounters
    spool: SpoolState | None
    forwarder: ForwarderState | None
    trouble: str


class History:
    """Use with `async with`; `parts` are the tasks it needs meanwhile."""

    def __init__(self, settings: HistorySettings, data_dir: Path, plant: Plant, clock: Clock) -> None:
        self._settings = settings
        self._plant = plant
        self._clock = clock
        self._stack = AsyncExitStack()
        self._tags = _Tags(plant)
        self.store = SqliteStore(data_dir / "history", clock, store_options(settings)) if settings.embedded else None
        self._spool: Spool | None = None
        self._sink: InfluxSink | None = None
        self._forwarder: Forwarder | None = None
        self._influx_reader: InfluxReader | None = None
        writers: list[HistoryWriter] = [self.store] if self.store is not None else []
        if settings.influx.url:
            options = server_options(settings)
            self._spool = Spool(data_dir / "spool", clock, SpoolOptions(round(settings.spool_gb * _GIGABYTE)))
            self._sink = InfluxSink(SINK, options)
            self._forwarder = Forwarder(self._spool, self._sink, clock)
            self._influx_reader = InfluxReader(options)
            writers.append(LineWriter(self._spool, [SINK], self._tags.of))
        self.recorder = Recorder(
            writers[0] if len(writers) == 1 else Tee(writers),
            plant,
            clock,
            commit_s=settings.commit_interval_s,
            capacity_values=settings.queue_values,
        )
        embedded_answers = self.store is not None and settings.read_from != "influx"
        self.reader: HistoryReader | None = self.store if embedded_answers else self._influx_reader

    async def __aenter__(self) -> Self:
        try:
            if self.store is not None:
                await self._stack.enter_async_context(self.store)
            if self._spool is not None:
                await self._stack.enter_async_context(self._spool)
            if self._sink is not None:
                self._stack.push_async_callback(self._sink.close)
            if self._influx_reader is not None:
                self._stack.push_async_callback(self._influx_reader.close)
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
    def parts(self) -> Mapping[str, Callable[[], Coroutine[Any, Any, None]]]:
        """What must run while the hub does, by name."""
        parts: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {}
        if self.store is not None:
            parts["history-upkeep"] = self.store.upkeep
        if self._forwarder is not None:
            parts["history-forwarder"] = self._forwarder.run
        return parts

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
        return HistoryState(self.recorder.counters, spool, forwarder, trouble)


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
