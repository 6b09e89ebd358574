"""Searches in the logs of one channel's devices that go on from request to request, and what is known of these logs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Hashable
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from address_space.model.ids import UnitHandle
from drivers.errors import ChannelDown, DeviceRefused, DriverError
from drivers.modbus.log_reader import Known
from drivers.modbus.logs import Ask, RecordTable
from drivers.modbus.refusals import ILLEGAL_DATA_ADDRESS, ILLEGAL_DATA_VALUE, ILLEGAL_FUNCTION

NOT_THERE: Final = frozenset({ILLEGAL_FUNCTION, ILLEGAL_DATA_ADDRESS, ILLEGAL_DATA_VALUE})
"""Exceptions by which a device says that it has no such record, or no log at all."""
MOST_FAILURES: Final = 3
"""So often in a row a patient search sends a request in vain; then what it asks for is taken as not there."""
MOST_SEARCHES: Final = 8
"""Searches of one channel that are not over; the oldest one begins anew."""


class Outcome(Protocol):
    """What a search ends with."""

    @property
    def refused(self) -> bool:
        """Whether the device has no such log."""


_Outcome = TypeVar("_Outcome", bound=Outcome)


@dataclass(slots=True)
class _Search:
    steps: Generator[Ask, bytes | None, Any]
    ask: Ask
    error: DriverError | None = None
    failures: int = 0


class Shelves:
    """The searches of one channel."""

    def __init__(self) -> None:
        self._known: dict[tuple[UnitHandle, RecordTable], Known] = {}
        self._searches: dict[Hashable, _Search] = {}

    def known(self, unit: UnitHandle, table: RecordTable) -> Known:
        """What is known of the log of a device."""
        return self._known.setdefault((unit, table), Known())

    async def look(
        self,
        key: Hashable,
        begin: Callable[[], Generator[Ask, bytes | None, _Outcome]],
        read: Callable[[Ask], Awaitable[bytes]],
        *,
        patient: bool = False,
    ) -> _Outcome | None:
        """Send the next request of the search of this key; None while it goes on. Raises DriverError, after which it
        begins anew, or where it is `patient` goes on with the same request, and once that has failed again and again as
        if the device had not what it asks for."""
        search = self._searches.pop(key, None)
        if search is None:
            steps = begin()
            try:
                search = _Search(steps, next(steps))
            except StopIteration as ended:
                only: _Outcome = _outcome(ended)
                return only
        data: bytes | None = None
        try:
            data = await read(search.ask)
        except DeviceRefused as error:
            if error.code not in NOT_THERE:
                self._go_on(key, search, error, patient=patient)
            search.error = error
        except ChannelDown:
            self._keep(key, search, patient=patient)
            raise
        except DriverError as error:
            self._go_on(key, search, error, patient=patient)
            search.error = error
        search.failures = 0
        try:
            search.ask = search.steps.send(data)
        except StopIteration as ended:
            outcome: _Outcome = _outcome(ended)
            if outcome.refused and search.error is not None:
                raise search.error from None
            return outcome
        self._keep(key, search, patient=True)
        return None

    def _go_on(self, key: Hashable, search: _Search, error: DriverError, *, patient: bool) -> None:
        """Raise the error, after which the request is sent again; return where that was done often enough."""
        search.failures += 1
        if not patient or search.failures < MOST_FAILURES:
            self._keep(key, search, patient=patient)
            raise error

    def _keep(self, key: Hashable, search: _Search, *, patient: bool) -> None:
        if not patient:
            return
        while len(self._searches) >= MOST_SEARCHES:
            self._searches.pop(next(iter(self._searches)))
        self._searches[key] = search


def _outcome(ended: StopIteration) -> Any:
    return ended.value
