"""What a simulated DL/T 645 meter would answer for an identifier: bytes from the meter's values at a second."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import acos, degrees

from address_space.model.quantity import Quantity, by_path
from drivers.codec import sum8
from drivers.dlt645 import formats, identifiers, identifiers_1997
from drivers.dlt645.formats import Format, Kind, Value
from drivers.dlt645.item import Block, Entry, Item
from drivers.simulators.meter import Installation, Values

TARIFFS = 4
DAY_S = 86_400
RECORD_S = 900
"""Load records are made each quarter of an hour."""
PEAK_S = 19 * 3600 + 900
"""Local time of day at which every day's maximum demand is said to have been."""
_RECORD_CLASSES: Mapping[int, tuple[int, ...]] = {
    1: (0x0201FF00, 0x0202FF00, 0x02800002),
    2: (0x0203FF00, 0x0204FF00),
    3: (0x0206FF00,),
    4: (0x00010000, 0x00020000, 0x00030000, 0x00040000),
    5: (0x00050000, 0x00060000, 0x00070000, 0x00080000),
    6: (0x02800004, 0x02800005),
}
_FREEZE_DAILY, _FREEZE_HOURLY = 0x06, 0x04


@dataclass(slots=True)
class Image:
    """The registers of one meter.

    values   the hub's quantities at a second, on the primary side
    own      what this meter holds beside what it measures, by identifier: numbers, counts, balances, as bytes
    absent   identifiers that this meter does not know
    """

    installation: Installation
    values: Callable[[int], Values]
    own: dict[int, bytes] = field(default_factory=dict)
    absent: frozenset[int] = frozenset()
    has_blocks: bool = True

    def local(self, second: int) -> datetime:
        """Local time of a second, naive as meters tell it."""
        zone = timedelta(hours=self.installation.utc_offset_h)
        return (datetime.fromtimestamp(second, UTC) + zone).replace(tzinfo=None)

    def second(self, local: datetime) -> int:
        """The second of a local time."""
        return int(local.replace(tzinfo=UTC).timestamp()) - self.installation.utc_offset_h * 3600

    def body(self, di: int, second: int) -> bytes | None:
        """Bytes for an identifier of 2007, None where this meter does not have it."""
        if di in self.absent:
            return None
        if di in self.own:
            return self.own[di]
        if di >> 24 == 0x05:
            return self._frozen(di, second)
        entry = identifiers.find(di)
        return None if entry is None else self._entry(entry, second)

    def body_1997(self, di: int, second: int) -> bytes | None:
        """Bytes for an identifier of 1997, None where this meter does not have it."""
        if di in self.absent:
            return None
        if di in self.own:
            return self.own[di]
        entry = identifiers_1997.find(di)
        if entry is None:
            return None
        kind = di >> 8 & 0xC
        if di >> 12 in (0x9, 0xA, 0xB) and kind and di >> 8 != 0xB6:
            now = identifiers_1997.find(di & 0xF3FF)
            return None if now is None else self._entry(now, self._settled(second, kind // 4))
        return self._entry(entry, second)

    def records(self, of_class: int, second: int, first: datetime | None, count: int) -> bytes:
        """Load records from a local time on (the newest without one), as far as there are any yet."""
        newest = second // RECORD_S * RECORD_S
        begin = newest if first is None else -(-self.second(first) // RECORD_S) * RECORD_S
        made = b""
        for at in range(begin, min(newest, begin + (count - 1) * RECORD_S) + 1, RECORD_S):
            made += self._record(of_class, at)
        return made

    def _record(self, of_class: int, at: int) -> bytes:
        parts = []
        for number, dis in _RECORD_CLASSES.items():
            asked = of_class in (0, number)
            parts.append(b"".join(self.body(di, at) or b"" for di in dis) if asked else b"")
        values = b"\xaa".join(parts) + b"\xaa"
        body = formats.MINUTE.encode(self.local(at)) + values
        record = b"\xa0\xa0" + bytes((len(body) & 0xFF,)) + body
        return record + bytes((sum8(record), 0xE5))

    def _frozen(self, di: int, second: int) -> bytes | None:
        mode, what, nth = di >> 16 & 0xFF, di >> 8 & 0xFF, di & 0xFF
        step = {_FREEZE_DAILY: DAY_S, _FREEZE_HOURLY: 3600}.get(mode)
        if step is None or not 1 <= nth <= 62:
            return None
        offset = self.installation.utc_offset_h * 3600
        at = (second + offset) // step * step - offset - (nth - 1) * step
        if what == 0:
            return formats.MINUTE.encode(self.local(at))
        sources = {0x10: (0x0203FF00, 0x0204FF00), 0x09: (0x0101FF00,), 0x0A: (0x0102FF00,)}
        dis = sources.get(what, (what << 16 | 0xFF00,) if what <= 8 else ())
        return b"".join(self.body(each, at) or b"" for each in dis) or None

    def _entry(self, entry: Entry, second: int) -> bytes | None:
        if isinstance(entry, Item):
            data = self._item(entry, second)
            known = data is not None or (entry.quantity is not None and entry.name[-2:] in ("_B", "_C", "BC", "CA"))
            return (data or b"\xff" * entry.size) if known else None
        return self._block(entry, second) if self.has_blocks else None

    def _block(self, block: Block, second: int) -> bytes | None:
        items = block.items
        if block.name.startswith(("energy", "demand", "price")) and "settle_block" not in block.name:
            items = items[: TARIFFS + 1]
        parts = [self.own.get(item.di) or self._item(item, second) for item in items]
        if not any(parts):
            return None
        return b"".join(part or b"\xff" * item.size for part, item in zip(parts, items, strict=True))

    def _item(self, item: Item, second: int) -> bytes | None:
        if item.di in self.own:
            return self.own[item.di]
        if item.format.kind is Kind.MOMENT and item.name in ("date", "time", "datetime"):
            return item.format.encode(self.local(second))
        at = second
        if item.di >> 24 in (0x00, 0x01) and item.di > 0xFFFF and item.di & 0xFF:
            at = self._settled(second, item.di & 0xFF)
            now = identifiers.find(item.di & 0xFFFFFF00)
            item = now if isinstance(now, Item) else item
        if item.name.startswith("demand_") and item.name not in ("demand_period", "demand_slide"):
            return self._demand(item, at)
        value = self._value(item, at)
        if value is None:
            return None
        return _fitted(item.format, value)

    def _settled(self, second: int, back: int) -> int:
        """The beginning of the local month `back` ago; now for 0."""
        if back == 0:
            return second
        now = self.local(second)
        months = now.year * 12 + now.month - back
        return self.second(datetime(months // 12, months % 12 + 1, 1))  # noqa: DTZ001 - local time of the meter

    def _demand(self, item: Item, second: int) -> bytes | None:
        local = self.local(second)
        peak = self.second(local.replace(hour=0, minute=0, second=0)) + PEAK_S
        peak -= DAY_S if peak > second else 0
        if item.format.kind is Kind.MOMENT:
            return item.format.encode(self.local(peak))
        watts = self.values(peak)[Quantity.DEMAND_IMPORT.code] if "import" in item.name else 0.0
        if watts is None or "reactive" in item.name:
            watts = 0.0
        ct, pt = self.installation.ratio
        data = _fitted(item.format, watts / 1000 / (ct * pt))
        return data if item.stamped is None else data + item.stamped.encode(self.local(peak))

    def _value(self, item: Item, second: int) -> Value | None:
        values = self.values(second)
        quantity = item.quantity
        if quantity is not None:
            value = values[quantity.code]
            return None if value is None else value / quantity.per_unit / self._ratio(item.unit)
        if item.name.startswith("energy_reactive_q"):
            value = values[Quantity.REACTIVE_ENERGY_IMPORT.code] or 0
            return value / 1000 / self._ratio("kvarh") if item.name.startswith("energy_reactive_q1") else 0
        if item.name.startswith("energy_"):
            return 0
        return self._derived(item, values)

    def _derived(self, item: Item, values: Values) -> Value | None:
        """What follows from the hub's quantities, or is the same for every such meter."""
        last = item.name.rsplit("_", 1)[-1]
        phase = {"A": "L1", "B": "L2", "C": "L3"}.get(last, "")
        if item.name.startswith("phase_angle"):
            factor = _of(values, f"PowerFactor{phase}")
            return None if factor is None else degrees(acos(max(-1.0, min(1.0, factor))))
        if item.name.startswith("harmonic_"):
            kind, order = ("Voltage" if "voltage" in item.name else "Current"), int(last)
            total = _of(values, f"Thd{kind}L{'ABC'.index(item.name.split('_')[2]) + 1}")
            return None if total is None else (100.0 if order == 1 else total / order)
        if item.name in ("active_power_mean_1min", "reactive_demand", "apparent_demand"):
            path = {"a": "ActivePower", "r": "ReactivePower"}.get(item.name[0], "")
            path = "ApparentPower" if item.name.startswith("apparent") else path
            value = _of(values, path)
            return None if value is None else value / 1000 / self._ratio(item.unit)
        return None

    def _ratio(self, unit: str) -> float:
        """By what a secondary reading is smaller than what flows."""
        ct, pt = self.installation.ratio
        return {"A": ct, "V": pt}.get(unit, ct * pt if unit.startswith("k") else 1.0)


def _of(values: Values, path: str) -> float | None:
    quantity = by_path(path)
    return None if quantity is None else values[quantity.code]


def _fitted(chosen: Format, value: Value) -> bytes:
    """The value, or the largest that the format can say, as a register that overflows shows it."""
    if chosen.kind is Kind.NUMBER and isinstance(value, float | int):
        digits = 2 * chosen.size - chosen.decimals
        largest = 10 ** (2 * chosen.size) - 1 if not chosen.signed else 8 * 10 ** (2 * chosen.size - 1) - 1
        if chosen.size == 4 and not chosen.signed:
            value = value % 10**digits
        limit = largest / 10**chosen.decimals
        value = max(-limit if chosen.signed else 0, min(limit, value))
        if chosen.size == 4 and chosen.decimals:
            value = int(value * 10**chosen.decimals + 1e-6) / 10**chosen.decimals
    return chosen.encode(value)
