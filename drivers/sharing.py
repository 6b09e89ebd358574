"""One piece of work for all who want it at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

_Key = TypeVar("_Key")
_Result = TypeVar("_Result")


class Sharing(Generic[_Key, _Result]):
    """Whoever wants what is already being done for another waits for that; where it fails, the next one tries."""

    def __init__(self) -> None:
        self._under_way: dict[_Key, asyncio.Future[_Result | None]] = {}

    async def run(self, key: _Key, work: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
        """Result of the work for this key; raises what it raises to whoever it was begun for."""
        while (other := self._under_way.get(key)) is not None:
            result = await asyncio.shield(other)
            if result is not None:
                return result
        own: asyncio.Future[_Result | None] = asyncio.get_running_loop().create_future()
        self._under_way[key] = own
        try:
            result = await work()
            own.set_result(result)
            return result
        finally:
            del self._under_way[key]
            if not own.done():
                own.set_result(None)
