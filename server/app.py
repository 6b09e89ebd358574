"""The running hub: builds every part, hands each to the others, starts them in order and stops them in reverse.

On the way down nothing accepted is lost: pollers stop first, what they delivered is applied and recorded, OPC UA
clients are told that the server is shutting down, then the store is flushed and closed. A part that fails for good
takes the hub down the same way.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from address_space.model import Clock, HubError, LiveTable, SystemClock
from config.loader import load_plant
from config.plant import PlantConfig
from config.settings import HubSettings
from drivers.api import DriverPlugin
from drivers.channel import Channel
from drivers.poller import Poller, PollPolicy
from drivers.profiles import ProfileLibrary, load_library
from drivers.registry import load_drivers
from drivers.transport import Lines
from historian.api import HistoryReader
from historian.errors import HistoryError
from historian.gaps import OrdersState
from server import heap
from server.assembly import Assembly, assemble
from server.backfill import Backfill, BackfillOptions
from server.clocks import Clocks
from server.data_lock import data_lock
from server.engine import Engine
from server.errors import CannotListen, DataUnwritable, PartFailed, causes, reason_of
from server.expected import expected
from server.health import SERVICE_LEVEL_STOPPING, service_level
from server.history import History
from server.memory import SlotMemory
from server.meter_events import MeterEvents
from server.on_demand import OnDemand
from server.opcua import (
    CounterEvents,
    HubServer,
    Limits,
    MeterLogEvents,
    OpcUaOptions,
    Protection,
    RolledUp,
    StatusEvents,
)
from server.reports import Reports

log = logging.getLogger(__name__)

STATUS_EVERY_S = 2.0
RESTORE_UNITS = 500
"""Units whose last stored values are fetched at once after a start."""
RESTORE_FIRST_S = 1.0
"""How long polling waits for them; what is not restored by then comes while meters are read."""
NS_PER_MS = 1_000_000


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
    assembly = assemble(config, profiles, plugins, settings.polling, recorded=settings.history.enabled)
    return Blueprint(settings, config, assembly)


def site_profiles(plant: Path) -> tuple[Path, ...]:
    """Folders of the site's own profiles, which win over the library."""
    own = plant / "profiles"
    return (own,) if own.is_dir() else ()


class Hub:
    """One hub, built from a blueprint; `run` starts it, serves until told to stop, and stops it."""

    def __init__(self, blueprint: Blueprint, clock: Clock | None = None, lines: Lines | None = None) -> None:
        self.settings = blueprint.settings
        self.clock = clock if clock is not None else SystemClock()
        settings, assembly = blueprint.settings, blueprint.assembly
        self.plant = assembly.plant
        self.live = LiveTable(self.plant, self.clock.now_ns())
        kept = settings.history
        changes = assembly.changes.of
        self.history: History | None = None
        if kept.enabled:
            zone = ZoneInfo(blueprint.config.time_zone)
            self.history = History(kept, settings.data_dir, self.plant, self.clock, expected(assembly), zone, changes)
        reader = self.history.reader if self.history is not None else None
        recorder = self.history.recorder if self.history is not None else None
        self.opcua = HubServer(
            self.plant,
            self.live,
            _opcua_options(settings),
            self.history.judged if self.history is not None else None,
            self.clock,
            rollups=_rollups(self.history),
            event_log=self.history.events if self.history is not None else None,
            changes=changes,
        )
        if self.history is not None:
            self.opcua.aspace.facts.archive_start = self.history.start
        self.counter_events = self._made_counter_events()
        self.status_events = StatusEvents(self.plant, self.opcua.aspace.model, self.opcua.events.post, self.clock)
        self.engine = Engine(self.plant, self.live, self.opcua.projection, recorder, self.clock, self.status_events)
        policy = PollPolicy(
            comm_lost_after=settings.polling.comm_lost_after, backoff_max_s=settings.polling.backoff_max_s
        )
        self.lines = lines if lines is not None else Lines(self.clock)
        self.pollers: list[Poller] = []
        memory = SlotMemory(reader, self.plant) if reader is not None else None
        for index, bus in enumerate(assembly.buses):
            driver = bus.plugin.create(bus.config.id, bus.options, self.lines)
            channel = Channel(bus.config.id, driver, bus.plugin.line(bus.options), self.clock)
            if bus.devices:
                self.pollers.append(Poller(channel, bus.devices, self.engine, self.clock, policy, index, memory))
        self.backfill: Backfill | None = None
        if self.history is not None and reader is not None:
            ledger, plan = self.history.ledger, self.history.plan
            options, recording = BackfillOptions(days=kept.backfill_days), self.history.recorder
            self.backfill = Backfill(self.plant, plan, self.pollers, ledger, recording, reader, self.clock, options)
        self.meter_events = self._made_meter_events()
        self.on_demand = OnDemand(self.plant, self.pollers, self.engine)
        self.clocks = Clocks(assembly, self.pollers, self.clock, ZoneInfo(blueprint.config.time_zone))
        orders = self.backfill.orders_state if self.backfill is not None else OrdersState
        self.reports = Reports(self.plant, self.pollers, self.clock, self.history, orders)
        self.opcua.report_with(self.reports.of)
        self._bind_methods()

    async def run(self, stop: asyncio.Event, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop` is set; calls `ready` once clients can connect.

        Raises HubError where a part cannot start (DataUnwritable, HistoryError, CannotListen) or fails for good
        (PartFailed); everything that had started is then stopped.
        """
        try:
            async with AsyncExitStack() as stack:
                await self._start(stack)
                log.info("hub ready endpoint=%s units=%d", self.opcua.endpoint_urls[0], len(self.plant.units))
                ready()
                await self._serve(stop)
        except ExceptionGroup as group:
            raise next(causes(group)) from group
        log.info("hub stopped readings=%d", self.engine.readings_applied)

    def _made_counter_events(self) -> CounterEvents | None:
        history, hub = self.history, self.opcua
        if history is None or history.rollups is None:
            return None
        return CounterEvents(self.plant, hub.aspace.model, hub.events.post, history.rollups, history.events, self.clock)

    def _made_meter_events(self) -> MeterEvents | None:
        if self.history is None:
            return None
        model, hub = self.opcua.aspace.model, self.opcua.events
        teller = MeterLogEvents(model, hub.post, hub.file, self.history.events, self.clock)
        return MeterEvents(self.plant, self.pollers, teller, self.clock)

    def _bind_methods(self) -> None:
        """Put what the hub can do behind the methods of its nodes."""
        reads, clocks = self.on_demand, self.clocks
        self.opcua.bind("ReadNow", reads.read_now, protection=Protection.NONE, executable=reads.reaches)
        self.opcua.bind("SyncClock", clocks.sync, executable=clocks.settable)

    async def _start(self, stack: AsyncExitStack) -> None:
        _prepare(self.settings.data_dir)
        try:
            stack.enter_context(data_lock(self.settings.data_dir))
        except OSError as error:
            raise _unwritable(self.settings.data_dir, error) from error
        if self.history is not None:
            try:
                await stack.enter_async_context(self.history)
            except OSError as error:
                raise _unwritable(Path(error.filename or self.settings.data_dir), error) from error
        try:
            await self.opcua.start()
        except OSError as error:
            opcua = self.settings.opcua
            raise CannotListen(
                f"OPC UA cannot listen on {opcua.host}:{opcua.port}: {reason_of(error)}",
                hint="stop the program that has the port, perhaps another hub, or set another in opcua.port and "
                "opcua.host",
            ) from error
        stack.push_async_callback(self.opcua.stop)
        await stack.enter_async_context(self.lines)
        heap.settle()
        stack.callback(gc.unfreeze)

    async def _serve(self, stop: asyncio.Event) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:

                def begin(part: str, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
                    return tasks.create_task(_part(part, work), name=part)

                others = [begin("engine", self.engine.run), begin("status", self._watch)]
                if self.history is not None and self.history.reader is not None:
                    others.append(begin("restore", partial(self._restore, self.history.reader)))
                    # First of all, for a while: a line that is down would leave nothing to restore.
                    await asyncio.wait(others[-1:], timeout=RESTORE_FIRST_S)
                    others += [begin(part, work) for part, work in self.history.parts.items()]
                    if self.counter_events is not None:
                        others.append(begin("counter-events", self.counter_events.run))
                polls = [begin(f"poll-{poller.channel.id}", poller.run) for poller in self.pollers]
                if self.backfill is not None:
                    polls.append(begin("backfill", self.backfill.run))
                if self.meter_events is not None:
                    polls.append(begin("meter-events", self.meter_events.run))
                await stop.wait()
                await self.opcua.set_service_level(SERVICE_LEVEL_STOPPING)
                await _end(polls)
                await _end(others)
        finally:
            self.engine.flush()

    async def _watch(self) -> None:
        while True:
            await self.opcua.set_service_level(service_level(*self.engine.online_share()))
            await self.reports.refresh()
            self.status_events.settle()
            await self.clock.sleep(STATUS_EVERY_S)

    async def _restore(self, store: HistoryReader) -> None:
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
                    shown = self.live.restore(handles, latest.values[rows, columns], times, {})
                    if shown.size:
                        self.opcua.projection.touch(shown, np.ones(shown.size, np.bool_))
        except HistoryError as error:
            log.warning("last values not restored error=%s", error)


async def _part(name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run one part of the hub; whatever ends it becomes an error that names it."""
    try:
        await work()
    except HubError:
        raise
    except Exception as error:
        log.exception("part failed part=%s", name)
        raise PartFailed(
            f"the part {name!r} failed: {type(error).__name__}: {error}",
            hint="the log has the details; start the hub again",
        ) from error


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


def _prepare(data_dir: Path) -> None:
    """Make the data folder; raises DataUnwritable."""
    trial = data_dir / ".writable"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise _unwritable(data_dir, error) from error


def _unwritable(folder: Path, error: OSError) -> DataUnwritable:
    return DataUnwritable(
        f"the data folder {folder} cannot be written: {reason_of(error)}",
        hint="make it writable for the hub's user, or set another data_dir",
    )


def _rollups(history: History | None) -> RolledUp | None:
    kept = history.rollups if history is not None else None
    return None if kept is None else RolledUp(kept, kept.widths)


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
        locale=opcua.locale,
        name=opcua.application_name,
        limits=Limits(history_values=settings.history.raw_limit),
    )
