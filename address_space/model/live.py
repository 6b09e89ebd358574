"""The live table: the last value, status and times of every point, in columns.

28 bytes a point. Rows are point handles; blocks of the plant are seen as matrices (units × variables), so that
ageing and loss of communication are a few vector operations however large the plant is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from address_space.model.clock import NS
from address_space.model.ids import PointHandle, UnitHandle
from address_space.model.plant import Block, Plant
from address_space.model.quality import SEVERITY_BAD, Reason
from address_space.model.quantity import ALL, DataType
from address_space.model.value import Handles, Instants, PointValue, Statuses, Values

FUTURE_TOLERANCE_NS = NS
"""A source time further ahead of the hub's clock than this is not believed."""

STALE_AFTER_PERIODS = 3
"""A value older than this many poll periods is uncertain."""

NEVER_HELD = frozenset({Reason.OUT_OF_SERVICE, Reason.MISCONFIGURED})
"""Reasons of loss that leave nothing to hold: the unit is not expected to answer."""

_SETTLED = (Reason.STALE.status, Reason.HELD.status, Reason.SUBSTITUTED.status, Reason.RESTORED.status)
_FOREVER_NS = np.iinfo(np.int64).max // 2

Changed = NDArray[np.bool_]
_Cell = TypeVar("_Cell", bound=np.generic)


class LiveTable:
    """Columns over all handles of a plant. Values are in shown units; texts stand beside, by handle.

    `apply` and its kin return which of the handles given changed in value or status: an equal value read again
    only moves its times. `server_ns` is when value and status were last verified: by a reading, by a loss of
    communication, or when age changed the status.
    """

    def __init__(self, plant: Plant, now_ns: int) -> None:
        self.plant = plant
        self.value: Values = np.full(plant.size, np.nan)
        self.status: Statuses = np.full(plant.size, Reason.NEVER_READ.status, np.uint32)
        self.source_ns: Instants = np.full(plant.size, now_ns, np.int64)
        self.server_ns: Instants = np.full(plant.size, now_ns, np.int64)
        self.texts: dict[int, str] = {}
        self.lost: NDArray[np.uint32] = np.zeros(len(plant.units), np.uint32)
        """Per unit: status code of the loss of communication, 0 while it answers."""
        self._latest_ns = now_ns

    def apply(
        self,
        handles: Handles,
        values: Values,
        status: Statuses,
        source_ns: Instants | int,
        now_ns: int,
        texts: Mapping[int, str] | None = None,
    ) -> Changed:
        """Store new values; handles must be distinct. Returns a mask over `handles` of what changed."""
        self._notice_step_back(now_ns)
        old = self.value[handles]
        changed: Changed = (old != values) & ((old == old) | (values == values))
        changed |= self.status[handles] != status
        if texts:
            for position, handle in enumerate(handles.tolist()):
                text = texts.get(handle)
                if text is not None and self.texts.get(handle) != text:
                    self.texts[handle] = text
                    changed[position] = True
        self.value[handles] = values
        self.status[handles] = status
        bounded = np.minimum(source_ns, now_ns + FUTURE_TOLERANCE_NS)
        self.source_ns[handles] = np.maximum(self.source_ns[handles], bounded)
        self.server_ns[handles] = now_ns
        return changed

    def found(self, unit: UnitHandle) -> None:
        """The unit answers again; its values heal with the readings that follow."""
        self.lost[unit] = 0

    def lose(self, unit: UnitHandle, reason: Reason, now_ns: int) -> Handles:
        """Communication with a unit is lost: what may be held turns Uncertain, the rest Bad. Returns the changed.

        Held is a usable value no older than its hold time, unless the reason says that the unit is not there at
        all; calling again is harmless, and a later reason replaces an earlier one. Out of service stays so.
        """
        self._notice_step_back(now_ns)
        self.lost[unit] = reason.status
        template = self.plant.block_of_unit(unit).template
        first = self.plant.first_handle(unit)
        span = slice(first, first + template.measured)
        status = self.status[span]
        held = (status & SEVERITY_BAD == 0) & (template.hold_ns > 0)
        held &= self.source_ns[span] >= now_ns - template.hold_ns
        held &= reason not in NEVER_HELD
        target = np.where(held, Reason.HELD.status, reason.status).astype(np.uint32)
        changed = (status != target) & (status != Reason.OUT_OF_SERVICE.status)
        gone = changed & ~held
        self.status[span][changed] = target[changed]
        self.value[span][gone] = np.nan
        self.source_ns[span][gone] = np.maximum(self.source_ns[span][gone], now_ns)
        self.server_ns[span] = now_ns
        return first + np.flatnonzero(changed)

    def age(self, now_ns: int) -> Handles:
        """Turn values stale that were not refreshed, and end the hold of lost ones. Returns the changed handles."""
        self._notice_step_back(now_ns)
        changed = [self._age_block(block, now_ns) for block in self.plant.blocks if block.template.measured]
        return np.concatenate(changed) if changed else np.empty(0, np.int64)

    def restore(self, handles: Handles, values: Values, source_ns: Instants, texts: Mapping[int, str]) -> Handles:
        """Show values from the store after a start, as UncertainInitialValue, until the first reading.

        Leaves alone what was read or lost in the meantime, and what the store has no value for; returns the others.
        """
        known = ~np.isnan(values)
        if texts:
            known |= np.fromiter((handle in texts for handle in handles.tolist()), np.bool_, len(handles))
        known &= self.status[handles] == Reason.NEVER_READ.status
        shown = handles[known]
        self.value[shown] = values[known]
        self.status[shown] = Reason.RESTORED.status
        self.source_ns[shown] = np.minimum(source_ns[known], self._latest_ns)
        self.texts.update((handle, texts[handle]) for handle in shown.tolist() if handle in texts)
        return shown

    def read(self, handle: PointHandle) -> PointValue:
        """One point as a value object; a Bad one has no value."""
        value: float | bool | str | None
        number = float(self.value[handle])
        status = int(self.status[handle])
        data_type = ALL[int(self.plant.codes(np.array([handle]))[0])].value.data_type
        if status & SEVERITY_BAD:
            value = None
        elif data_type in (DataType.STRING, DataType.LOCALIZED_TEXT):
            value = self.texts.get(handle)
        elif number != number:
            value = None
        elif data_type is DataType.BOOLEAN:
            value = bool(number)
        else:
            value = number if data_type in (DataType.DOUBLE, DataType.DATETIME) else int(number)
        return PointValue(handle, value, status, int(self.source_ns[handle]), int(self.server_ns[handle]))

    def _matrix(self, column: NDArray[_Cell], block: Block) -> NDArray[_Cell]:
        span = column[block.first_handle : block.first_handle + block.handles]
        return span.reshape(block.units, block.template.width)[:, : block.template.measured]

    def _age_block(self, block: Block, now_ns: int) -> Handles:
        status = self._matrix(self.status, block)
        server_ns = self._matrix(self.server_ns, block)
        template = block.template
        fresh_ns = np.where(template.poll_ns > 0, STALE_AFTER_PERIODS * template.poll_ns, _FOREVER_NS)
        stale = server_ns < now_ns - fresh_ns
        if stale.any():
            stale &= status & SEVERITY_BAD == 0
            for settled in _SETTLED:
                stale &= status != settled
        expired = status == Reason.HELD.status
        if expired.any():
            source_ns = self._matrix(self.source_ns, block)
            expired &= source_ns < now_ns - template.hold_ns
            lost = self.lost[block.first_unit : block.first_unit + block.units]
            stale |= expired & (lost == 0)[:, None]  # it answers again, only this value was not read yet
            expired &= (lost != 0)[:, None]
            status[expired] = np.broadcast_to(lost[:, None], status.shape)[expired]
            self._matrix(self.value, block)[expired] = np.nan
            source_ns[expired] = np.maximum(source_ns[expired], now_ns)
        status[stale] = Reason.STALE.status
        changed = stale | expired
        server_ns[changed] = now_ns
        rows, columns = np.nonzero(changed)
        handles: Handles = block.first_handle + rows * template.width + columns
        return handles

    def _notice_step_back(self, now_ns: int) -> None:
        """When the wall clock was set back, times still ahead of it become now, or nothing would age until then."""
        if now_ns < self._latest_ns - FUTURE_TOLERANCE_NS:
            np.minimum(self.server_ns, now_ns, out=self.server_ns)
            np.minimum(self.source_ns, now_ns, out=self.source_ns)
            self._latest_ns = now_ns
        self._latest_ns = max(self._latest_ns, now_ns)
