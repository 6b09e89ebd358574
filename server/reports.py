"""How lines, devices and the history are doing, as the nodes of lines, `Communication` and `system.History` show it.

Reports on lines are made every few seconds, a vector operation for each, and kept; one on a device is made when
somebody looks at it and costs nothing until then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from address_space.model import Clock, Plant
from address_space.model.clock import to_datetime
from address_space.model.errors import UnknownId
from address_space.model.ids import NodeUid
from address_space.model.quality import Reason
from address_space.nodes import Report
from address_space.nodes.nodeids import SYSTEM, line_id
from drivers.health import ChannelSnapshot, DeviceSnapshot, DeviceState
from drivers.poller import Poller
from historian.counters import Move
from historian.gaps import OrdersState, UnitDay
from historian.rollups import UnitAnomalies
from historian.schema import Measurement
from server.history import History, HistoryState
from server.opcua import CounterWords

_ANOMALIES = {
    "CounterRollovers": Move.ROLLOVER,
    "CounterResets": Move.RESET,
    "CounterReplacements": Move.REPLACED,
    "CounterGlitches": Move.GLITCH,
}
BREATHE_EVERY = 50
"""Reports after which other tasks get the processor."""
PERCENT = 100.0
NS_PER_MS = 1_000_000
MS = 1000.0


class Reports:
    """The latest report on every line and on the history, and one on any device that is asked for."""

    def __init__(
        self,
        plant: Plant,
        pollers: Iterable[Poller],
        clock: Clock,
        history: History | None = None,
        orders: Callable[[], OrdersState] = OrdersState,
    ) -> None:
        self._plant = plant
        self._history = history
        self._orders = orders
        self._pollers = {poller.channel.id: poller for poller in pollers}
        self._clock = clock
        self._lines: dict[str, Report] = {}
        self._words = CounterWords()

    async def refresh(self) -> None:
        """Make a new report on every line and on the history."""
        if self._history is not None:
            values = history_values(await self._history.state(), self._orders())
            self._lines[SYSTEM] = Report(values, self._clock.now_ns())
        for index, poller in enumerate(self._pollers.values()):
            values = line_values(poller.snapshot(), poller.channel.tally.session_lines())
            self._lines[line_id(poller.channel.id)] = Report(values, self._clock.now_ns())
            if index % BREATHE_EVERY == BREATHE_EVERY - 1:
                await asyncio.sleep(0)

    def of(self, identifier: str) -> Report | None:
        """The report on a line, a unit or the system by its id in the address space; None where there is none."""
        found = self._lines.get(identifier)
        if found is not None:
            return found
        unit = self._plant.unit_of.get(NodeUid(identifier))
        poller = None if unit is None else self._pollers.get(self._plant.units[unit].channel)
        if unit is None or poller is None:
            return None
        try:
            device = poller.device(unit)
        except UnknownId:
            return None
        values = {**device_values(device)}
        if self._history is not None:
            values |= day_values(self._history.ledger.day_of(NodeUid(identifier)))
            rollups = self._history.rollups
            values |= counter_values(
                rollups.recent.of(NodeUid(identifier)) if rollups is not None else None, self._words
            )
        return Report(values, self._clock.now_ns())


def line_values(snapshot: ChannelSnapshot, sessions: tuple[str, ...]) -> Mapping[str, Any]:
    """A line by the names of its variables."""
    devices = snapshot.devices
    return {
        "State": int(snapshot.state),
        "Requests": snapshot.requests,
        **_errors(snapshot.errors),
        "SuccessRate": snapshot.success_rate * PERCENT,
        "RoundTrip": snapshot.round_trip_ms,
        "Utilisation": snapshot.utilisation * PERCENT,
        "LastGood": to_datetime(snapshot.last_good_ns) if snapshot.last_good_ns else None,
        "LastError": snapshot.last_error,
        "DevicesTotal": sum(devices.values()),
        "DevicesOnline": devices.get(DeviceState.ONLINE, 0),
        "DevicesDegraded": devices.get(DeviceState.DEGRADED, 0),
        "DevicesOffline": devices.get(DeviceState.OFFLINE, 0),
        "SlotsMissed": snapshot.slots_missed,
        "Reconnects": snapshot.reconnects,
        "Sessions": list(sessions),
    }


def history_values(state: HistoryState, orders: OrdersState | None = None) -> Mapping[str, Any]:
    """The history by the names of its variables."""
    recorder, spool, forwarder = state.recorder, state.spool, state.forwarder
    orders = orders if orders is not None else OrdersState()
    shed = spool.shed if spool is not None else {}
    sent_ns = forwarder.last_success_ns if forwarder is not None else 0
    return {
        "Trouble": state.trouble or orders.trouble,
        "Accepted": recorder.accepted,
        "Committed": recorder.committed,
        "Lost": recorder.lost,
        "DroppedInst": recorder.dropped_inst,
        "DroppedEnergy": recorder.dropped_energy,
        "Lag": recorder.lag_s * MS,
        "LinesWaiting": spool.lines if spool is not None else 0,
        "BytesWaiting": spool.bytes if spool is not None else 0,
        "OldestWaiting": to_datetime(spool.oldest_ms * NS_PER_MS) if spool is not None and spool.oldest_ms else None,
        "LinesSent": forwarder.sent_lines if forwarder is not None else 0,
        "PostsFailed": forwarder.failed_posts if forwarder is not None else 0,
        "DeadLetters": spool.dead + shed.get("dead", 0) if spool is not None else 0,
        "LinesDamaged": spool.damaged if spool is not None else 0,
        "ShedInst": shed.get(Measurement.INST.value, 0),
        "ShedEnergy": shed.get(Measurement.ENERGY.value, 0),
        "LastSuccess": to_datetime(sent_ns) if sent_ns else None,
        "SlotsExpected": state.ledger.expected,
        "SlotsMissing": state.ledger.expected - state.ledger.stored,
        "SlotsFilled": state.ledger.filled,
        **{name: state.anomalies.get(move) for name, move in _ANOMALIES.items()},
        "OrdersOpen": orders.open,
        "OrderedSlots": orders.wanted,
        "OrderedSlotsLeft": orders.left,
        "LastOrderEnded": to_datetime(orders.ended_ms * NS_PER_MS) if orders.ended_ms else None,
    }


def device_values(snapshot: DeviceSnapshot) -> Mapping[str, Any]:
    """A device by the names of the variables below `Communication`."""
    return {
        "State": int(snapshot.state),
        "Requests": snapshot.requests,
        **_errors(snapshot.errors),
        "SlotsMissed": snapshot.slots_missed,
    }


def day_values(day: UnitDay | None) -> Mapping[str, Any]:
    """The last 24 hours of a unit by the names of the variables below `Communication`; None has no values."""
    if day is None:
        return {}
    return {
        "SlotsExpected": day.expected,
        "SlotsMissing": day.missing,
        "SlotsFilled": day.filled,
        "Completeness": PERCENT * day.stored / day.expected if day.expected else None,
        "LastGap": to_datetime(day.last_gap_ms * NS_PER_MS) if day.last_gap_ms else None,
    }


def counter_values(found: UnitAnomalies | None, words: CounterWords) -> Mapping[str, Any]:
    """What a unit's registers did, by the names of the variables below `Communication`; None has no values."""
    if found is None:
        return {}
    last = found.last
    return {
        "CounterAnomalies": found.count,
        "LastCounterAnomaly": words.names(last) if last is not None else None,
        "LastCounterAnomalyTime": to_datetime(last.time_ms * NS_PER_MS) if last is not None else None,
    }


def _errors(errors: Mapping[Reason, int]) -> dict[str, int]:
    total = sum(errors.values())
    kinds = {
        "Timeouts": errors.get(Reason.TIMEOUT, 0),
        "BadFrames": errors.get(Reason.BAD_FRAME, 0),
        "NotConnected": errors.get(Reason.NOT_CONNECTED, 0),
    }
    return {"Errors": total, **kinds, "Refusals": total - sum(kinds.values())}
