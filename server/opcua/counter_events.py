"""Events of registers that did not simply go on: each is told once, also when the hub restarts or computes it again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256

from asyncua import ua

from address_space.model.clock import Clock
from address_space.model.plant import Plant
from address_space.model.quantity import LOCALES, Names
from address_space.nodes import TypeModel
from address_space.nodes.nodeids import plant_id
from address_space.nodes.standard import eu_information
from historian.counters import HOUR_MS, Move
from historian.errors import HistoryError
from historian.events import EventLog
from historian.rollups import Anomaly, Rollups
from historian.schema import field_of
from server.opcua import event_record
from server.opcua.event import Event
from server.opcua.messages import Message, Messages

SEVERITIES: Mapping[Move, int] = {Move.REPLACED: 600, Move.RESET: 500, Move.GLITCH: 300, Move.ROLLOVER: 100}
CODES: Mapping[Move, int] = {Move.ROLLOVER: 0, Move.RESET: 1, Move.REPLACED: 2, Move.GLITCH: 3}
"""`CounterAnomalyEnum`."""
EVERY_S = 2.0
AT_ONCE = 500
_ID_BYTES = 16
_NS_PER_MS = 1_000_000
_log = logging.getLogger(__name__)


class CounterWords:
    """What a register did, in every language of the hub."""

    def __init__(self) -> None:
        self._messages = Messages()

    def names(self, anomaly: Anomaly) -> Names:
        """The same text in each language."""
        message = self.message(anomaly)
        return Names(*(self._messages.text(message, locale) for locale in LOCALES))

    def message(self, anomaly: Anomaly, others: int = 0) -> Message:
        """As a message; `others` of the same kind are not told for themselves."""
        values = {
            "quantity": anomaly.quantity.value.names,
            "before": _shown(anomaly, anomaly.before),
            "value": _shown(anomaly, anomaly.value),
            "booked": _shown(anomaly, anomaly.booked) if anomaly.booked is not None else "?",
        }
        message = Message(f"counter-{anomaly.move.value}", values)
        if not others:
            return message
        what = Names(*(self._messages.text(message, locale) for locale in LOCALES))
        return Message("counter-several", {"what": what, "count": others})


class CounterEvents:
    """Posts a CounterAnomalyEvent for all that the rollups found and nobody was told of. `run` while the hub does."""

    def __init__(
        self,
        plant: Plant,
        model: TypeModel,
        post: Callable[[Event], bytes],
        rollups: Rollups,
        log: EventLog,
        clock: Clock,
    ) -> None:
        self._plant = plant
        self._type = model.node_id("CounterAnomalyEventType")
        self._post = post
        self._rollups = rollups
        self._log = log
        self._clock = clock
        self._words = CounterWords()
        self._waiting = True
        """Whether there may be something to tell."""
        self._posted: set[bytes] = set()
        """Told in this process, and not noted as told yet."""
        self._in_trouble = False
        self._telling = asyncio.Lock()

    async def run(self) -> None:
        """Tell what there is, again and again."""
        while True:
            try:
                await self.tell()
            except HistoryError as error:
                if not self._in_trouble:
                    _log.warning("counter anomalies not told error=%s", error)
                self._in_trouble = True
            else:
                self._in_trouble = False
            await self._clock.sleep(EVERY_S)

    async def tell(self) -> None:
        """Tell all that there is; raises HistoryError, and tells the rest the next time."""
        async with self._telling:
            self._waiting |= await self._rollups.recent.refresh()
            while self._waiting:
                await self._tell_some()

    def event(self, anomaly: Anomaly, others: int = 0) -> Event:
        """The event of one of them; the same one has the same EventId whenever it is told."""
        unit = anomaly.quantity.unit
        fields = {
            "3:Quantity": field_of(anomaly.quantity),
            "3:Anomaly": CODES[anomaly.move],
            "3:OldValue": anomaly.before,
            "3:NewValue": anomaly.value,
            "3:Booked": anomaly.booked,
            "EngineeringUnits": ua.Variant(eu_information(unit)) if unit is not None else None,
            "3:Suppressed": others,
        }
        key = f"{anomaly.point}|{field_of(anomaly.quantity)}|{anomaly.time_ms}|{anomaly.move.value}"
        return Event(
            self._type,
            plant_id(anomaly.point),
            self._words.message(anomaly, others),
            SEVERITIES[anomaly.move],
            fields,
            time_ns=anomaly.time_ms * _NS_PER_MS,
            event_id=sha256(key.encode()).digest()[:_ID_BYTES],
        )

    async def _tell_some(self) -> None:
        found = await self._rollups.untold(AT_ONCE)
        for event in self._events(found):
            if event.event_id not in self._posted and not await self._kept(event):
                self._post(event)
                self._posted.add(event.event_id)
        await self._log.flush()
        if self._log.fault is not None:
            raise self._log.fault
        await self._rollups.told(found)
        self._posted.clear()
        self._waiting = len(found) == AT_ONCE

    def _events(self, found: Sequence[Anomaly]) -> list[Event]:
        """Of several of one register, kind and hour the newest; of units that the plant has no more, nothing."""
        groups: dict[tuple[str, str, Move, int], list[Anomaly]] = {}
        for one in found:
            if one.point in self._plant.unit_of:
                key = (one.point, field_of(one.quantity), one.move, one.time_ms // HOUR_MS)
                groups.setdefault(key, []).append(one)
        return [self.event(alike[-1], len(alike) - 1) for alike in groups.values()]

    async def _kept(self, event: Event) -> bool:
        """Whether it was told before: by a hub that was killed before it noted so, or before its rollups were lost."""
        same = await self._log.read(event.time_ns, event.time_ns + 1, AT_ONCE, sources=[event.source.to_string()])
        return any(event_record.read(one.body)[0].event_id == event.event_id for one in same)


def _shown(anomaly: Anomaly, value: float) -> str:
    definition, unit = anomaly.quantity.value, anomaly.quantity.unit
    number = f"{value:.{definition.decimals}f}"
    return f"{number} {unit.symbol}" if unit is not None else number
