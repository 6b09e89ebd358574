"""The values in an answer of DL/T 645, or in a write, told one by one."""

from __future__ import annotations

from drivers.dlt645 import identifiers, status
from drivers.dlt645.formats import Value
from drivers.dlt645.item import Block, Entry, Item
from drivers.dlt645.records import samples
from drivers.dlt645.told import VERSION_1997, VERSION_2007, Told
from drivers.explained import Field


def tell_load_records(told: Told, di: int, body: bytes) -> None:
    """Every value of the load records in an answer."""
    found = samples(di >> 16 & 0xFF, body)
    told.quantity = f"load_record_class_{di >> 16 & 0xFF}"
    told.add(body, "load records", f"{len(found)} values")
    told.value = [
        {"time": each.at.isoformat(sep=" "), "quantity": each.name, "unit": each.unit or None, "value": each.value}
        for each in found
    ]
    for each in found:
        told.fields.append(Field("", each.name, f"{each.at:%Y-%m-%d %H:%M}  {_shown(each.value, each.unit)}"))


def tell_values(told: Told, entry: Entry | None, data: bytes) -> None:
    """Tell the values of an answer, or of a write."""
    if isinstance(entry, Item) and entry.fits(data):
        told.value = entry.decode(data)
        _one(told, entry, data)
    elif isinstance(entry, Block) and entry.fits(data):
        _row(told, entry, data)
    elif entry is not None and data:
        _misfit(told, entry, data)
    else:
        told.add(data, "data", f"{len(data)} bytes")


def _misfit(told: Told, entry: Entry, data: bytes) -> None:
    size = entry.size if isinstance(entry, Item) else entry.items[0].size
    told.add(data, "data", f"{len(data)} bytes")
    of = "" if isinstance(entry, Item) else " for each value"
    told.notes.append(f"{len(data)} bytes of data do not fit {told.di}, which has {size}{of}: a vendor's own record")
    if told.protocol == VERSION_2007 and told.di.startswith("00") and isinstance(entry, Item):
        general = identifiers.energy_in_general(entry.di)
        told.quantity, told.unit = general.name, general.unit


def _one(told: Told, item: Item, data: bytes) -> None:
    shown = _shown(told.value, item.unit)
    when = item.moment(data)
    told.add(data, item.title or item.name, f"{shown} at {when}" if when else shown)
    if item.stamped is not None:
        told.more_keys = {"time": when}
    _note_missing(told, item, data, told.value)
    _states(told, item, data)


def _row(told: Told, block: Block, data: bytes) -> None:
    parts = block.split(data)
    values: list[Value | None] = []
    for item, part in parts:
        value = item.decode(part)
        values.append(value)
        when = item.moment(part)
        shown = _shown(value, item.unit)
        told.add(part, item.title or item.name, f"{shown} at {when}" if when else shown)
        _states(told, item, part)
    if block.named:
        told.value = {item.name: value for (item, _), value in zip(parts, values, strict=True)}
    else:
        told.value = values
    if any(item.stamped for item, _ in parts):
        told.more_keys = {"times": [item.moment(part) for item, part in parts]}


def _note_missing(told: Told, item: Item, data: bytes, value: Value | None) -> None:
    if value is not None:
        return
    if not data.strip(b"\xff"):
        told.notes.append(f"{item.name}: FF, the meter has no such value")
    else:
        told.notes.append(f"{item.name}: {data.hex(' ').upper()} are no decimal digits, so it is not available")


def _states(told: Told, item: Item, data: bytes) -> None:
    """The bits of a status word, a field each."""
    word = int.from_bytes(data, "little")
    if item.di in identifiers.STATUS_WORDS:
        found = status.states(item.di & 0xFF, word)
    elif item.name in ("meter_status", "grid_status") and told.protocol == VERSION_1997:
        found = status.states_1997(item.di, word)
    else:
        return
    for state in found:
        doubt = " (as some revisions have it)" if state.by_revision else ""
        told.fields.append(Field("", state.name.replace("_", " "), state.meaning + doubt))
    told.more_keys.setdefault("states", {}).update({state.name: state.meaning for state in found})


def _shown(value: object, unit: str) -> str:
    if value is None:
        return "not available"
    return f"{value} {unit}".rstrip()
