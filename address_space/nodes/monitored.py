"""The monitored items of one subscription over plant points, in columns (Part 4 5.13).

Two ways lead to a notification. Items of queue size one are `dirty` until published and then show what the live table
holds. Items with a longer queue keep their readings in `queue`, oldest first, trimmed to the size of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from address_space.model.quantity import DataType
from address_space.model.value import Handles
from address_space.nodes.monitored_rows import (
    ENTRY,
    ITEM,
    ItemSpec,
    Mode,
    Samples,
    Trigger,
    Want,
    merge,
    passes,
    revise_texts,
    trimmed,
)
from address_space.nodes.wire import TYPE_OF_QUANTITY, Columns, Timestamps, encode

if TYPE_CHECKING:
    from address_space.nodes.projection import Projection

Rows = NDArray[np.int64]
_ABSORB_ROWS = 50_000
_KEPT = ("type", "mode", "dirty", "fresh", "source", "fired", "released", "seen", "last_value", "last_status", "handle")
"""Columns that a change of parameters leaves as they are."""


class MonitoredItems:
    """Items sorted by id, with what waits to be published."""

    def __init__(self, projection: Projection) -> None:
        self._projection = projection
        self._items = np.empty(0, ITEM)
        self._queue = np.empty(0, ENTRY)
        self._inbox: list[Samples] = []
        self._inbox_rows = 0
        self._seen = -1
        self._order = np.empty(0, np.int64)
        self._sorted_handles = np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, item: int) -> bool:
        return self._row(item) is not None

    def add(self, specs: Sequence[ItemSpec]) -> None:
        """Monitor more; ids must be larger than any given before. Each enabled item reports its present value first."""
        if not specs:
            return
        rows = np.zeros(len(specs), ITEM)
        for row, spec in zip(rows, specs, strict=True):
            self._fill(row, spec)
        rows["type"] = TYPE_OF_QUANTITY[self._projection.live.plant.codes(rows["handle"])]
        revise_texts(rows)
        self._items = np.concatenate([self._items, rows])
        self._count(rows, 1)
        self._restart(np.arange(len(self._items) - len(rows), len(self._items)))

    def remove(self, ids: Iterable[int]) -> list[bool]:
        """Stop monitoring; says for each id whether it was there."""
        found = [self._row(item) for item in ids]
        rows = {row for row in found if row is not None}
        gone = np.array(sorted(rows), np.int64)
        if len(gone):
            self._count(self._items[gone], -1)
            lost = self._items["id"][gone]
            self._items = np.delete(self._items, gone)
            self._queue = self._queue[~np.isin(self._queue["id"], lost)]
            self._index()
        removed = []
        for row in found:  # an id that is given twice is gone by the second time
            removed.append(row in rows)
            rows.discard(row)
        return removed

    def clear(self) -> None:
        """Stop monitoring everything."""
        self.remove(self._items["id"].tolist())

    def modify(self, spec: ItemSpec) -> bool:
        """Give the item `spec.id` new parameters; its mode and what it queued stay. False where there is none."""
        row = self._row(spec.id)
        if row is None:
            return False
        self._absorb()
        one = self._items[row : row + 1]
        self._count(one, -1)
        kept = one.copy()
        self._fill(one[0], spec)
        for column in _KEPT:
            one[column] = kept[column]
        revise_texts(one)
        self._count(one, 1)
        if kept["size"][0] > 1 and one["size"][0] == 1:
            one["dirty"] |= bool((self._queue["id"] == spec.id).any())
            self._queue = self._queue[self._queue["id"] != spec.id]
        self._queue = trimmed(self._queue, self._items)
        return True

    def spec_handle(self, item: int) -> int | None:
        """Handle that the item monitors, or None where there is no such item."""
        row = self._row(item)
        return None if row is None else int(self._items["handle"][row])

    def set_mode(self, mode: Mode, ids: Iterable[int]) -> list[bool]:
        """Change the monitoring mode; says for each id whether it was there."""
        wanted = list(ids)
        found = [self._row(item) for item in wanted]
        rows = np.array([row for row in found if row is not None], np.int64)
        if len(rows):
            self._absorb()
            woken = rows[(self._items["mode"][rows] == Mode.DISABLED) & (mode is not Mode.DISABLED)]
            self._items["mode"][rows] = mode
            if mode is Mode.DISABLED:
                self._items["dirty"][rows] = self._items["released"][rows] = False
                self._queue = self._queue[~np.isin(self._queue["id"], self._items["id"][rows])]
            self._restart(np.unique(woken))
        return [row is not None for row in found]

    def refresh(self) -> None:
        """Report the present value of every enabled item again (TransferSubscriptions with SendInitialValues)."""
        enabled = np.flatnonzero(self._items["mode"] != Mode.DISABLED)
        idle = enabled[~np.isin(self._items["id"][enabled], self._queue["id"])]
        self._restart(idle)

    def watch_for(self, sources: Iterable[int]) -> None:
        """Exactly these items trigger others from now on; ids of other tables are passed over."""
        items = self._items
        marked = np.isin(items["id"], np.array(list(sources), np.int64))
        items["fired"] &= marked & items["source"]
        items["source"] = marked

    def take_fired(self) -> list[int]:
        """Triggering items that sampled something to report since this was asked last."""
        self._absorb()
        rows = np.flatnonzero(self._items["fired"] & self._items["source"])
        self._items["fired"][rows] = False
        found: list[int] = self._items["id"][rows].tolist()
        return found

    def release(self, ids: Iterable[int]) -> None:
        """Report what sampling items hold, once, because another item triggered them."""
        items = self._items
        chosen = np.isin(items["id"], np.array(list(ids), np.int64)) & (items["mode"] == Mode.SAMPLING)
        items["released"] |= chosen & (items["dirty"] | np.isin(items["id"], self._queue["id"]))

    def hand(self, samples: Samples) -> None:
        """Take readings of queued points."""
        self._inbox.append(samples)
        self._inbox_rows += len(samples.handles)
        if self._inbox_rows > _ABSORB_ROWS:
            self._absorb()

    def collect(self, now_ns: int) -> None:
        """Decide which items have something to report."""
        self._absorb()
        projection = self._projection
        items = self._items
        if not len(items) or (self._seen == projection.round and not items["fresh"].any() and not self._waits(now_ns)):
            return
        self._seen = projection.round
        handles = items["handle"]
        changed = projection.changed_in[handles] > items["seen"]
        timed = items["trigger"] == Trigger.STATUS_VALUE_TIMESTAMP
        read = timed & (projection.read_in[handles] > items["seen"])
        pending = (changed | read | items["fresh"]) & (items["mode"] != Mode.DISABLED) & (items["size"] == 1)
        open_rows = ~items["dirty"] | items["source"]
        rows = np.flatnonzero(pending & open_rows & (items["due"] <= now_ns))
        if not len(rows):
            return
        live = projection.live
        picked = items[rows]
        accepted = picked["fresh"] | timed[rows]
        accepted |= passes(picked, live.value[picked["handle"]], live.status[picked["handle"]])
        hits = rows[accepted]
        items["dirty"][hits] = items["fired"][hits] = True
        held = hits[items["source"][hits] & (items["mode"][hits] == Mode.SAMPLING)]
        items["last_value"][held] = live.value[items["handle"][held]]
        items["last_status"][held] = live.status[items["handle"][held]]
        items["fresh"][hits] = False
        items["seen"][rows] = projection.round
        items["due"][hits] = np.where(items["sampling"][hits] > 0, now_ns + items["sampling"][hits], 0)

    @property
    def disabled_count(self) -> int:
        """Items that are disabled."""
        return int((self._items["mode"] == Mode.DISABLED).sum())

    @property
    def waiting(self) -> int:
        """Notifications ready to be published."""
        return len(self._ready_entries()) + len(self._ready_rows())

    def take(self, limit: int) -> tuple[bytes, int]:
        """Up to `limit` MonitoredItemNotifications, written, and how many; they count as reported."""
        entries = self._ready_entries()[:limit]
        rows = self._ready_rows()[: max(limit - len(entries), 0)]
        written = self._write_queued(entries) + self._write_latest(rows)
        if len(entries):
            kept = np.ones(len(self._queue), np.bool_)
            kept[entries] = False
            self._queue = self._queue[kept]
            if self._items["released"].any():
                self._items["released"] &= np.isin(self._items["id"], self._queue["id"]) | self._items["dirty"]
        return written, len(entries) + len(rows)

    # columns

    def _row(self, item: int) -> int | None:
        ids = self._items["id"]
        row = int(np.searchsorted(ids, item))
        return row if row < len(ids) and ids[row] == item else None

    @staticmethod
    def _fill(row: np.void, spec: ItemSpec) -> None:
        row["id"], row["handle"], row["client"] = spec.id, spec.handle, spec.client_handle
        row["mode"], row["timestamps"] = spec.mode, spec.timestamps
        timed = spec.trigger is Trigger.STATUS_VALUE_TIMESTAMP and spec.deadband >= 0
        row["trigger"] = Trigger.STATUS_VALUE if timed else spec.trigger
        row["deadband"], row["sampling"] = spec.deadband, spec.sampling_ns
        row["size"], row["oldest"] = spec.queue_size, spec.discard_oldest

    def _count(self, rows: NDArray[np.void], sign: int) -> None:
        wants = np.full(len(rows), Want.CHANGE, np.uint8)
        wants |= np.where(rows["trigger"] == Trigger.STATUS_VALUE_TIMESTAMP, Want.EACH, 0).astype(np.uint8)
        wants |= np.where(rows["size"] > 1, Want.QUEUE, 0).astype(np.uint8)
        self._projection.watch(rows["handle"], wants, sign)
        self._index()

    def _index(self) -> None:
        queued = np.flatnonzero(self._items["size"] > 1)
        handles = self._items["handle"][queued]
        by_handle = np.argsort(handles, kind="stable")
        self._order, self._sorted_handles = queued[by_handle], handles[by_handle]
        if len(queued):
            self._projection.enlist(self)
        else:
            self._projection.dismiss(self)
            self._inbox, self._inbox_rows = [], 0

    def _restart(self, rows: Rows) -> None:
        """Let items report their present value."""
        items = self._items
        rows = rows[items["mode"][rows] != Mode.DISABLED]
        items["seen"][rows] = self._projection.round
        items["due"][rows] = 0
        items["fresh"][rows[items["size"][rows] == 1]] = True
        queued = rows[items["size"][rows] > 1]
        if len(queued):
            self._absorb()
            self._enqueue(queued, self._projection.sample(items["handle"][queued]), slice(None))

    def _waits(self, now_ns: int) -> bool:
        held = self._items["due"]
        return bool(((held > 0) & (held <= now_ns)).any())

    # the way of the queue

    def _absorb(self) -> None:
        """Bring the readings handed over into the queue, oldest first."""
        inbox, self._inbox, self._inbox_rows = self._inbox, [], 0
        if not inbox:
            return
        merged = merge(inbox)
        once = len(np.unique(merged.handles)) == len(merged.handles)
        for samples in [merged] if once else inbox:
            self._admit(samples)
        self._queue = trimmed(self._queue, self._items)

    def _admit(self, samples: Samples) -> None:
        """Queue what passes of readings of distinct points."""
        left = np.searchsorted(self._sorted_handles, samples.handles, "left")
        counts = np.searchsorted(self._sorted_handles, samples.handles, "right") - left
        which = np.repeat(np.arange(len(counts)), counts)
        within = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        rows = self._order[left[which] + within]
        items = self._items[rows]
        value, status = samples.values[which], samples.status[which]
        chosen = (items["mode"] != Mode.DISABLED) & (items["seen"] < samples.rounds[which])
        chosen &= items["due"] <= samples.server_ns[which]
        last = items["last_value"]
        same = (items["deadband"] < 0) & ((value == last) | (np.isnan(value) & np.isnan(last)))
        moved = passes(items, value, status) & ~(same & (status == items["last_status"]))
        chosen &= moved | (items["trigger"] == Trigger.STATUS_VALUE_TIMESTAMP)
        if chosen.any():
            self._enqueue(rows[chosen], samples, which[chosen])

    def _enqueue(self, rows: Rows, samples: Samples, which: slice | NDArray[np.int64]) -> None:
        entries = np.empty(len(rows), ENTRY)
        entries["id"] = self._items["id"][rows]
        entries["value"], entries["status"] = samples.values[which], samples.status[which]
        entries["source"], entries["server"] = samples.source_ns[which], samples.server_ns[which]
        self._items["last_value"][rows], self._items["last_status"][rows] = entries["value"], entries["status"]
        self._items["fired"][rows] = True
        sampling = self._items["sampling"][rows]
        self._items["due"][rows] = np.where(sampling > 0, entries["server"] + sampling, 0)
        self._queue = np.concatenate([self._queue, entries])

    # out

    def _ready_entries(self) -> Rows:
        if not len(self._queue):
            return np.empty(0, np.int64)
        rows = np.searchsorted(self._items["id"], self._queue["id"])
        return np.flatnonzero(self._reports()[rows])

    def _ready_rows(self) -> Rows:
        return np.flatnonzero(self._items["dirty"] & self._reports())

    def _reports(self) -> NDArray[np.bool_]:
        reports: NDArray[np.bool_] = (self._items["mode"] == Mode.REPORTING) | self._items["released"]
        return reports

    def _write_queued(self, entries: Rows) -> bytes:
        queue = self._queue[entries]
        rows = np.searchsorted(self._items["id"], queue["id"])
        return self._write(
            rows,
            Columns(self._items["type"][rows], queue["value"], queue["status"], queue["source"], queue["server"], {}),
        )

    def _write_latest(self, rows: Rows) -> bytes:
        live = self._projection.live
        handles: Handles = self._items["handle"][rows]
        types = self._items["type"][rows]
        is_text = (types == DataType.STRING) | (types == DataType.LOCALIZED_TEXT)
        texts = {
            int(position): live.texts[handle]
            for position in np.flatnonzero(is_text)
            if (handle := int(handles[position])) in live.texts
        }
        columns = Columns(
            types, live.value[handles], live.status[handles], live.source_ns[handles], live.server_ns[handles], texts
        )
        self._items["dirty"][rows] = self._items["released"][rows] = False
        self._items["seen"][rows] = self._projection.round
        self._items["last_value"][rows], self._items["last_status"][rows] = columns.values, columns.status
        return self._write(rows, columns)

    def _write(self, rows: Rows, columns: Columns) -> bytes:
        if not len(rows):
            return b""
        clients: NDArray[np.uint32] = self._items["client"][rows]
        wanted = self._items["timestamps"][rows]
        first = int(wanted[0])
        if (wanted == first).all():
            return encode(columns, Timestamps(first), clients).buffer
        parts: list[bytes] = []
        for kind in np.unique(wanted).tolist():
            pick = np.flatnonzero(wanted == kind)
            parts.append(encode(_subset(columns, pick), Timestamps(kind), clients[pick]).buffer)
        return b"".join(parts)


def _subset(columns: Columns, pick: NDArray[np.int64]) -> Columns:
    texts = {place: columns.texts[at] for place, at in enumerate(pick.tolist()) if at in columns.texts}
    return Columns(
        columns.types[pick],
        columns.values[pick],
        columns.status[pick],
        columns.source_ns[pick],
        columns.server_ns[pick],
        texts,
    )
