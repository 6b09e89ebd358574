"""What happens to the line of one client of the soak."""

from __future__ import annotations

import asyncio
import random

from tests.interop.relay import Relay


class Scissors:
    """Cuts a relay's line, sometimes after it has swallowed what the hub sent, sometimes for a while."""

    def __init__(self, relay: Relay, every_s: float, seed: int) -> None:
        self._relay = relay
        self._every_s = every_s
        self._random = random.Random(seed)

    async def run(self) -> None:
        """Cut for ever."""
        while True:
            await asyncio.sleep(self._every_s * self._random.uniform(0.5, 1.5))
            if self._random.random() < 0.5:
                self._relay.swallow(on=True)
                await asyncio.sleep(self._random.uniform(0.5, 3.0))
            away = self._random.random() < 0.5
            self._relay.refuse(on=away)
            self._relay.swallow(on=False)
            await asyncio.to_thread(self._relay.cut)
            if away:
                await asyncio.sleep(self._random.uniform(1.0, 8.0))
                self._relay.refuse(on=False)
