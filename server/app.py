"""The running hub: builds every part, hands each to the others, starts them in order and stops them in reverse.

On the way down nothing accepted is lost: pollers stop first, what they delivered is applied and recorded, then the
store is flushed and closed while OPC UA clients are told that the server is shutting down.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from address_space.model import Clock, LiveTable, Plant, SystemClock
from config.loader import load_plant
from config.plant import PlantConfig
from config.settings import HubSettings
from drivers.api import DriverPlugin
from drivers.channel import Channel
from drivers.poller import Poller, PollPolicy
from drivers.profiles import ProfileLibrary, load_library
from drivers.registry import load_drivers
from historian.errors import HistoryError
from historian.recorder import Recorder
from historian.sqlite import SqliteStore, StoreOptions
from server.assembly import Assembly, assemble
from server.engine import Engine
from server.health import SERVICE_LEVEL_STOPPING, service_level
from server.opcua import HubServer, Limits, OpcUaOptions

log = logging.getLogger(__name__)

STATUS_EVERY_S = 2.0
RESTORE_UNITS = 500
"""Units whose last stored values are fetched at once after a start."""
NS_PER_MS = 1_000_000
DRAIN_S = 0.8
"""How long a stop waits for delivered readings to be applied."""


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A checked configuration, ready to be run."""

    settings: HubSettings
    config: PlantConfig
    assembly: Assembly


def draw(
    settings: HubSettings,
    *,
    library: ProfileLibrary | None = None,
    drivers: Mapping[str, DriverPlugin] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Blueprint:
    """Load and check everything the settings name; raises ConfigErrors with every mistake."""
    plugins = drivers if drivers is not None else load_drivers()
    profiles = library if library is not None else load_library(*site_profiles(settings.plant))
    config = load_plant(settings.plant, profiles=profiles.names, drivers=plugins.keys(), progress=progress)
    assembly = assemble(config, profiles, plugins, settings.polling)
    return Blueprint(settings, config, assembly)


def site_profiles(plant: Path) -> tuple[Path, ...]:
    """Folders of the site's own profiles, which win over the library."""
    own = plant / "profiles"
    return (own,) if own.is_dir() else ()


class Hub:
    """One hub, built from a blueprint; `run` starts it, serves until told to stop, and stops it."""

    def __init__(self, blueprint: Blueprint, clock: Clock | None = None) -> None:
        self.blueprint = blueprint
        self.clock = clock if clock is not None else SystemClock()
        settings = blueprint.settings
        assembly = blueprint.assembly
        self.plant = assembly.plant
        self.live = LiveTable(self.plant, self.clock.now_ns())
        self.store = _store(settings, self.clock)
        self.recorder = None if self.store is None else _recorder(settings, self.store, self.plant, self.clock)
        self.opcua = HubServer(self.plant, self.live, _opcua_options(settings), self.store, self.clock)
        self.engine = Engine(self.plant, self.live, self.opcua.projection, self.recorder, self.clock)
        policy = PollPolicy(
            comm_lost_after=settings.polling.comm_lost_after, backoff_max_s=settings.polling.backoff_max_s
        )
        self.pollers: list[Poller] = []
        for index, bus in enumerate(assembly.buses):
            driver = bus.plugin.create(bus.config.id, bus.options)
            channel = Channel(bus.config.id, driver, bus.plugin.line(bus.options), self.clock)
            if bus.devices:
                self.pollers.append(Poller(channel, bus.devices, self.engine, self.clock, policy, seed=index))

    async def run(self, stop: asyncio.Event, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop` is set; calls `ready` once clients can connect. A part that fails for good raises."""
        async with AsyncExitStack() as stack:
            if self.store is not None and self.recorder is not None:
                await stack.enter_async_context(self.store)
                await stack.enter_async_context(self.recorder)
            await self.opcua.start()
            stack.push_async_callback(self.opcua.stop)
            gc.collect()
            gc.freeze()
            stack.callback(gc.unfreeze)
            log.info("hub ready endpoint=%s units=%d", self.opcua.endpoint_urls[0], len(self.plant.units))
            ready()
            await self._serve(stop)

    async def _serve(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as core:
            work = [
                core.create_task(self.engine.run(), name="engine"),
                core.create_task(self._watch(), name="status"),
            ]
            if self.store is not None:
                work.append(core.create_task(self._restore(self.store), name="restore"))
                work.append(core.create_task(self.store.upkeep(), name="history-upkeep"))
            async with asyncio.TaskGroup() as polling:
                polls = [polling.create_task(poller.run(), name=f"poll-{poller.channel.id}") for poller in self.pollers]
                await stop.wait()
                await self.opcua.set_service_level(SERVICE_LEVEL_STOPPING)
                for task in polls:
                    task.cancel()
            await self._drain()
            for task in work:
                task.cancel()

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(DRAIN_S):
                await self.engine.drained()
        except TimeoutError:
            log.warning("readings were still waiting when the hub stopped")

    async def _watch(self) -> None:
        while True:
            await self.opcua.set_service_level(service_level(*self.engine.online_share()))
            await self.clock.sleep(STATUS_EVERY_S)

    async def _restore(self, store: SqliteStore) -> None:
        """Show the last stored values, as UncertainInitialValue, wherever no reading has arrived yet."""
        try:
            for block in self.plant.blocks:
                quantities = block.template.quantities[: block.template.measured]
                for first in range(block.first_unit, block.first_unit + block.units, RESTORE_UNITS):
                    last = min(first + RESTORE_UNITS, block.first_unit + block.units)
                    latest = await store.latest([unit.id for unit in self.plant.units[first:last]], quantities)
                    begin = block.first_handle + (first - block.first_unit) * block.template.width
                    rows, columns = np.nonzero(latest.time_ms)
                    handles = begin + rows * block.template.width + columns
                    times = latest.time_ms[rows, columns] * NS_PER_MS
                    self.live.restore(handles, latest.values[rows, columns], times, {})
                    self.opcua.projection.touch(handles, np.ones(handles.size, np.bool_))
        except HistoryError:
            log.exception("last values could not be restored")


def _store(settings: HubSettings, clock: Clock) -> SqliteStore | None:
    history = settings.history
    if not history.enabled:
        return None
    options = StoreOptions(
        hot_days=history.hot_days, keep_days_energy=history.retention_days, keep_days_inst=history.retention_days
    )
    return SqliteStore(settings.data_dir / "history", clock, options)


def _recorder(settings: HubSettings, store: SqliteStore, plant: Plant, clock: Clock) -> Recorder:
    history = settings.history
    return Recorder(
        store,
        plant,
        clock,
        commit_s=history.commit_interval_s,
        capacity_values=history.queue_values,
    )


def _opcua_options(settings: HubSettings) -> OpcUaOptions:
    opcua = settings.opcua
    return OpcUaOptions(
        data_dir=settings.data_dir,
        host=opcua.host,
        port=opcua.port,
        uri=opcua.uri,
        advertised_urls=opcua.advertised_urls,
        allow_none=opcua.allow_none_security,
        allow_anonymous=opcua.allow_anonymous,
        name=opcua.application_name,
        limits=Limits(history_values=settings.history.raw_limit),
    )
