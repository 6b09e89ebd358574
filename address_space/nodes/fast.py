"""Reads in bulk: the node list of a ReadRequest to handles, and the live table to bytes.

Clients poll the same list again and again, so what a list means is remembered by its bytes; permission is not part
of what is remembered and is asked on every request.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct, error

import numpy as np
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import nodeid_from_binary, struct_from_binary
from numpy.typing import NDArray

from address_space.model.live import LiveTable
from address_space.model.plant import Plant
from address_space.model.quantity import DataType
from address_space.model.value import Handles
from address_space.nodes.wire import TYPE_OF_QUANTITY, Columns, Encoded, Form, Timestamps, TypeCodes, encode, encode_one

PLANT_NAMESPACE = 2
"""Index of `urn:joulehub:plant`; never moves (docs/opcua.md)."""

NO_HANDLE = -1
FEW = 24
"""Points up to which `few_values` is the quicker way."""

Resolve = Callable[[str], int]
"""Handle of a string identifier of the plant's namespace, NO_HANDLE where it names no point."""

_STRING_ID = 3
_NUMBERED = {0: 2, 1: 4, 2: 7}
"""Bytes of numeric node ids by their encoding."""
_VALUE = int(ua.AttributeIds.Value)
_COUNT = Struct("<i")
_HEAD = Struct("<BHi")
# attribute id, IndexRange null, DataEncoding with namespace 0 and null name
_PLAIN_TAIL = Struct("<IiHi")
_VALUE_TAIL = _PLAIN_TAIL.pack(_VALUE, -1, 0, -1)
_NO_RANGE_NO_ENCODING = _VALUE_TAIL[4:]
_NO_ENCODING = ua.QualifiedName(None, 0)
_CACHE_BYTES = 32 * 1024 * 1024
_NO_POSITIONS: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class PointList:
    """Points in an order, with what writing them needs: shape (n,) each. `texts` are (position, handle)."""

    handles: Handles
    types: TypeCodes
    texts: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.handles)


@dataclass(slots=True, eq=False)
class ReadList:
    """A node list understood: `positions` of the points among `count` entries, and the entries that are none.

    `told` is what the points were when they were last written, with the bytes that were written; `forms` are rows
    to be filled in, where all points are Doubles.
    """

    count: int
    points: PointList
    positions: NDArray[np.int64]
    others: tuple[tuple[int, ua.ReadValueId], ...]
    told: tuple[tuple[object, ...], Encoded] | None = None
    forms: dict[Timestamps, Form] | None = None


def points_of(plant: Plant, handles: Handles) -> PointList:
    """`handles` with their types."""
    types = TYPE_OF_QUANTITY[plant.codes(handles)] if len(handles) else np.empty(0, np.uint8)
    is_text = (types == DataType.STRING) | (types == DataType.LOCALIZED_TEXT)
    if not is_text.any():
        return PointList(handles, types, _NO_POSITIONS)
    found = np.flatnonzero(is_text)
    return PointList(handles, types, tuple(zip(found.tolist(), handles[found].tolist(), strict=True)))


def columns_of(live: LiveTable, points: PointList) -> Columns:
    """The present values of `points`."""
    handles = points.handles
    texts = {position: live.texts[handle] for position, handle in points.texts if handle in live.texts}
    return Columns(
        points.types, live.value[handles], live.status[handles], live.source_ns[handles], live.server_ns[handles], texts
    )


def few_values(live: LiveTable, points: PointList, timestamps: Timestamps) -> list[bytes]:
    """DataValues of the present values of a few `points`, one by one: arrays pay only for more than `FEW`."""
    texts = dict(points.texts)
    value, status, source, server = live.value.item, live.status.item, live.source_ns.item, live.server_ns.item
    try:
        return [
            encode_one(
                kind,
                value(handle),
                status(handle),
                source(handle),
                server(handle),
                live.texts.get(handle) if texts and position in texts else None,
                timestamps,
            )
            for position, (handle, kind) in enumerate(zip(points.handles.tolist(), points.types.tolist(), strict=True))
        ]
    except (error, OverflowError):
        return encode(columns_of(live, points), timestamps).pieces()


def present_values(live: LiveTable, asked: ReadList, timestamps: Timestamps) -> Encoded:
    """DataValues of the present values of a list; where nothing has changed since they were last written, as then."""
    columns = columns_of(live, asked.points)
    if asked.points.texts:
        return encode(columns, timestamps)
    now = (
        timestamps,
        columns.values.tobytes(),
        columns.status.tobytes(),
        columns.source_ns.tobytes(),
        columns.server_ns.tobytes(),
    )
    if asked.told is None or asked.told[0] != now:
        asked.told = (now, _written(asked, columns, timestamps))
    return asked.told[1]


def _written(asked: ReadList, columns: Columns, timestamps: Timestamps) -> Encoded:
    forms = asked.forms
    if forms is None:
        return encode(columns, timestamps)
    form = forms.get(timestamps)
    if form is None:
        form = forms[timestamps] = Form(len(columns), timestamps)
    return form.fill(columns) or encode(columns, timestamps)


class ReadLists:
    """Node lists of ReadRequests, understood once each; the least recently used are forgotten beyond `limit_bytes`."""

    def __init__(self, plant: Plant, resolve: Resolve, limit_bytes: int = _CACHE_BYTES) -> None:
        self._plant = plant
        self._resolve = resolve
        self._limit = limit_bytes
        self._held = 0
        self._lists: OrderedDict[bytes, ReadList] = OrderedDict()
        self._latest: dict[int, tuple[bytes, ReadList]] = {}
        """Of each length the list that came last: comparing is cheaper than looking up."""

    def __len__(self) -> int:
        return len(self._lists)

    @property
    def held_bytes(self) -> int:
        """Estimate of what the remembered lists occupy."""
        return self._held

    def clear(self, plant: Plant | None = None) -> None:
        """Forget everything, because the plant changed."""
        self._plant = plant or self._plant
        self._lists.clear()
        self._latest.clear()
        self._held = 0

    def understand(self, nodes: bytes) -> ReadList:
        """What the encoded array of ReadValueId `nodes` asks for; raises BadDecodingError where it cannot be read."""
        latest = self._latest.get(len(nodes))
        if latest is not None and latest[0] == nodes:
            return latest[1]
        known = self._lists.get(nodes)
        if known is not None:
            self._lists.move_to_end(nodes)
            self._latest[len(nodes)] = (nodes, known)
            return known
        understood = self._decode(nodes)
        self._remember(nodes, understood)
        return understood

    def _remember(self, nodes: bytes, understood: ReadList) -> None:
        size = _weight(nodes, understood)
        if size > self._limit // 4:
            return
        self._lists[nodes] = understood
        self._held += size
        while self._held > self._limit:
            forgotten, old = self._lists.popitem(last=False)
            self._held -= _weight(forgotten, old)
            self._latest.pop(len(forgotten), None)

    def _decode(self, nodes: bytes) -> ReadList:
        try:
            (count,) = _COUNT.unpack_from(nodes)
            positions, handles, others = self._entries(nodes, max(count, 0))
        except (error, ValueError, IndexError, ua.UaError) as broken:
            raise ua.UaStatusCodeError(ua.StatusCodes.BadDecodingError) from broken
        points = points_of(self._plant, np.array(handles, np.int64))
        alike = bool((points.types == DataType.DOUBLE).all())
        return ReadList(
            max(count, 0), points, np.array(positions, np.int64), tuple(others), forms={} if alike and handles else None
        )

    def _entries(self, nodes: bytes, count: int) -> tuple[list[int], list[int], list[tuple[int, ua.ReadValueId]]]:
        positions: list[int] = []
        handles: list[int] = []
        others: list[tuple[int, ua.ReadValueId]] = []
        offset = _COUNT.size
        tail_size = len(_VALUE_TAIL)
        numbered: dict[bytes, ua.ReadValueId] = {}
        for position in range(count):
            whole = len(nodes) - offset >= _HEAD.size
            kind, namespace, length = _HEAD.unpack_from(nodes, offset) if whole else (0, 0, 0)
            end = offset + _HEAD.size + length
            tail = nodes[end : end + tail_size]
            if kind == _STRING_ID and namespace == PLANT_NAMESPACE and length > 0 and tail[4:] == _NO_RANGE_NO_ENCODING:
                identifier = nodes[offset + _HEAD.size : end].decode("utf-8", "replace")
                handle = self._resolve(identifier) if tail == _VALUE_TAIL else NO_HANDLE
                offset = end + tail_size
                if handle >= 0:
                    positions.append(position)
                    handles.append(handle)
                else:
                    node = ua.NodeId(identifier, namespace, ua.NodeIdType.String)
                    others.append(
                        (position, ua.ReadValueId(node, int.from_bytes(tail[:4], "little"), None, _NO_ENCODING))
                    )
                continue
            size = _NUMBERED.get(kind, 0) if whole else 0
            entry = nodes[offset : offset + size + tail_size]
            if size and len(entry) == size + tail_size and entry[size + 4 :] == _NO_RANGE_NO_ENCODING:
                node_id = numbered.get(entry)
                if node_id is None:
                    node_id = numbered[entry] = _numbered(entry, size)
                others.append((position, node_id))
                offset += len(entry)
                continue
            buffer = Buffer(nodes, offset)
            others.append((position, struct_from_binary(ua.ReadValueId, buffer)))
            offset = buffer.cur_pos
        return positions, handles, others


def _numbered(entry: bytes, size: int) -> ua.ReadValueId:
    """A ReadValueId of a numeric node id with neither range nor encoding (Part 6 5.2.2.9)."""
    node = nodeid_from_binary(Buffer(entry))
    return ua.ReadValueId(node, int.from_bytes(entry[size : size + 4], "little"), None, _NO_ENCODING)


def _weight(nodes: bytes, understood: ReadList) -> int:
    return len(nodes) + 150 * len(understood.points) + 1_000 * len(understood.others) + 500
