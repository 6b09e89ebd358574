"""Load records and frozen values: what to ask, and a list of readings out of the answers, for filling gaps later.

DL/T 645-2007 annexes A.6 and B. Records of other makes differ in small things, so what is told of a record is
taken where it can be, and nothing of a broken one is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from address_space.model.quantity import Quantity
from drivers.codec import sum8
from drivers.dlt645.formats import MINUTE, Value, moment
from drivers.dlt645.identifiers import find
from drivers.dlt645.item import SEPARATOR, Block, Item

BEGIN: Final = b"\xa0\xa0"
END: Final = 0xE5
CLASSES: Final = range(1, 7)
ALL_CLASSES: Final = 0
MOST_BLOCKS: Final = 99
MOST_RECORDS: Final = 2000
"""Records taken from one answer; more are no load records."""
_OLDEST, _SINCE, _NEWEST = 0, 1, 2
_FRAME: Final = len(BEGIN) + 1 + 5 + 2
"""Bytes of a record around its values: beginning, length, time, checksum, end."""

_CLASS_ITEMS: Final[dict[int, tuple[tuple[int, ...], ...]]] = {
    1: (
        (0x02010100, 0x02010200, 0x02010300, 0x02020100, 0x02020200, 0x02020300, 0x02800002),
        (0x02010100, 0x02020100, 0x02800002),
    ),
    2: (
        (*range(0x02030000, 0x02030400, 0x100), *range(0x02040000, 0x02040400, 0x100)),
        (0x02030000, 0x02030100, 0x02040000, 0x02040100),
        (0x02030000, 0x02040000),
    ),
    3: ((0x02060000, 0x02060100, 0x02060200, 0x02060300), (0x02060000, 0x02060100), (0x02060000,)),
    4: ((0x00010000, 0x00020000, 0x00030000, 0x00040000), (0x00010000, 0x00020000)),
    5: ((0x00050000, 0x00060000, 0x00070000, 0x00080000),),
    6: ((0x02800004, 0x02800005),),
}
"""Values of each class of record by identifier; single-phase meters have the shorter rows."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One value at a time, in the unit of its identifier. `at` is as the meter's clock tells it, without a zone.

    value is None where the meter says that it has none.
    """

    at: datetime
    name: str
    quantity: Quantity | None
    unit: str
    value: Value | None


def oldest(of_class: int, blocks: int) -> bytes:
    """Data of a read (control 11) for the oldest records, `blocks` of them; class 0 is all classes."""
    return _record_di(of_class, _OLDEST) + _blocks(blocks)


def since(of_class: int, blocks: int, at: datetime) -> bytes:
    """Data of a read for `blocks` records from the meter's time `at` on."""
    return _record_di(of_class, _SINCE) + _blocks(blocks) + MINUTE.encode(at)


def newest(of_class: int) -> bytes:
    """Data of a read for the latest record."""
    return _record_di(of_class, _NEWEST)


def frozen(mode: int, what: int, nth: int) -> int:
    """Identifier of frozen values: what froze them (6 is daily), which (0 its time, 1 active import), how far back."""
    for value in (mode, what, nth):
        if not 0 <= value <= 0xFF:
            raise ValueError(f"{value} is no byte of an identifier")
    return 0x05 << 24 | mode << 16 | what << 8 | nth


def samples(of_class: int, body: bytes) -> list[Sample]:
    """Everything that the records in an answer tell; `body` is its data without identifier and sequence number."""
    found: list[Sample] = []
    for count, (at, parts) in enumerate(_records(body)):
        if count == MOST_RECORDS:
            break
        found += _samples_of(at, of_class, parts)
    return found


def frozen_samples(at: datetime, di: int, body: bytes) -> list[Sample]:
    """Values of a freeze answer, which was made `at` the time that its identifier with 00 tells."""
    entry = find(di)
    if isinstance(entry, Item):
        return [Sample(at, entry.name, entry.quantity, entry.unit, entry.decode(body))] if entry.fits(body) else []
    if entry is None:
        return []
    return list(_from_block(at, entry, body))


def frozen_time(body: bytes) -> datetime | None:
    """When a freeze was made; None where the meter has none of that age."""
    return moment(MINUTE.layout, body)


def times(body: bytes) -> list[datetime]:
    """Times of the sound records in an answer."""
    return [at for at, _ in _records(body)]


def quantities_of(of_class: int) -> frozenset[Quantity]:
    """The hub's quantities that records of a class may tell."""
    items = (find(di) for row in _CLASS_ITEMS[of_class] for di in row)
    return frozenset(item.quantity for item in items if isinstance(item, Item) and item.quantity is not None)


def frozen_quantities(di: int) -> frozenset[Quantity]:
    """The hub's quantities that frozen values of this identifier may tell."""
    entry = find(di)
    items = entry.items if isinstance(entry, Block) else (entry,) if entry is not None else ()
    return frozenset(item.quantity for item in items if item.quantity is not None)


def _record_di(of_class: int, which: int) -> bytes:
    if of_class != ALL_CLASSES and of_class not in CLASSES:
        raise ValueError(f"load records have the classes 1 to 6, not {of_class}")
    return bytes((which, 0, of_class, 0x06))


def _blocks(blocks: int) -> bytes:
    if not 1 <= blocks <= MOST_BLOCKS:
        raise ValueError(f"{blocks} records at once are not possible: 1 to {MOST_BLOCKS}")
    return bytes((int(str(blocks), 16),))


def _records(body: bytes) -> Iterator[tuple[datetime, bytes]]:
    """Time and values of each sound record."""
    at = body.find(BEGIN)
    while at >= 0:
        end = _end(body, at)
        when = moment(MINUTE.layout, body[at + 3 : at + 8])
        if end and when is not None:
            yield when, body[at + 8 : end - 2]
        at = body.find(BEGIN, end or at + 1)


def _end(body: bytes, at: int) -> int:
    """Where the record at `at` ends, 0 where it is broken. Makes count different parts in its length byte."""
    length = body[at + 2] if len(body) > at + 2 else 0
    for end in (at + 3 + length + 2, at + 3 + length, at + length, at + 8 + length + 2):
        if at + _FRAME <= end <= len(body) and body[end - 1] == END and sum8(body[at : end - 2]) == body[end - 2]:
            return end
    return 0


def _samples_of(at: datetime, of_class: int, values: bytes) -> Iterable[Sample]:
    parts = values.split(bytes((SEPARATOR,)))
    for number, part in _classified(of_class, parts):
        yield from _of_class(at, number, part)


def _classified(of_class: int, parts: Sequence[bytes]) -> Iterable[tuple[int, bytes]]:
    """Classes of the parts of a record. Where one class was asked for it may stand alone, or be in its own place."""
    filled = [(number, part) for number, part in enumerate(parts, 1) if part]
    if of_class == ALL_CLASSES:
        return [(number, part) for number, part in filled if number in CLASSES]
    if len(filled) == 1 and filled[0][0] == 1:
        return [(of_class, filled[0][1])]
    return [(number, part) for number, part in filled if number == of_class]


def _of_class(at: datetime, of_class: int, part: bytes) -> Iterator[Sample]:
    for row in _CLASS_ITEMS[of_class]:
        items = [item for item in map(find, row) if isinstance(item, Item)]
        if sum(item.size for item in items) == len(part):
            block = Block(0, "", "", tuple(items))
            yield from _from_block(at, block, part)
            return


def _from_block(at: datetime, block: Block, body: bytes) -> Iterator[Sample]:
    for item, part in block.split(body):
        yield Sample(at, item.name, item.quantity, item.unit, item.decode(part))
