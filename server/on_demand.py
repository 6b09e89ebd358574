"""Reading single units because somebody asks, ahead of all polling: the method ReadNow."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from datetime import datetime

from address_space.model import Plant
from address_space.model.clock import to_datetime
from address_space.model.ids import NodeUid
from address_space.model.quality import Reason
from drivers.poller import Poller
from server.engine import Engine
from server.opcua import CallContext

SETTLE_S = 0.5
"""How long an answer waits for its own reading to be shown, so that whoever asked and reads next sees it."""


class OnDemand:
    """Knows which poller reaches a unit."""

    def __init__(self, plant: Plant, pollers: Iterable[Poller], engine: Engine) -> None:
        self._plant = plant
        self._pollers = {poller.channel.id: poller for poller in pollers}
        self._engine = engine

    def reaches(self, uid: str) -> bool:
        """Whether a unit is polled at all: it is in service and on a channel."""
        unit = self._plant.unit_of.get(NodeUid(uid))
        if unit is None:
            return False
        found = self._plant.units[unit]
        return found.enabled and found.channel in self._pollers

    async def read_now(self, uid: str, context: CallContext) -> tuple[bool, datetime]:  # noqa: ARG002  # as bound
        """Read everything of a unit; whether it answered, and when."""
        unit = self._plant.unit_of[NodeUid(uid)]
        outcome = await self._pollers[self._plant.units[unit].channel].read_now(unit)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S):
                await self._engine.drained()
        answered = outcome.reason in (Reason.FRESH, Reason.DEVICE_ERROR, Reason.NOT_SUPPORTED)
        return answered, to_datetime(outcome.at_ns)
