"""What is known of one quantity: kind, data type, unit, names in every language. The quantities stand in `quantity`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import NamedTuple

from address_space.model.state import Phase
from address_space.model.units import Unit

LOCALES = ("en", "ru", "uz", "zh")


class Kind(Enum):
    """How values of a quantity behave in time, and so how they are stored, held and compared."""

    COUNTER = "counter"
    """Only grows; exact integers in base units; the last value stays usable for a while without communication."""
    GAUGE = "gauge"
    """An instant; worthless once communication is lost."""
    STATE = "state"
    """One of a few; holds until it changes."""
    TEXT = "text"


class DataType(IntEnum):
    """OPC UA built-in type of the value on the wire; the number is the type's id in namespace 0 (Part 6 5.1.2)."""

    BOOLEAN = 1
    UINT16 = 5
    INT32 = 6
    UINT32 = 7
    DOUBLE = 11
    STRING = 12
    DATETIME = 13
    LOCALIZED_TEXT = 21


class Names(NamedTuple):
    """One text in every language of the hub."""

    en: str
    ru: str
    uz: str
    zh: str

    def suffixed(self, suffix: str) -> Names:
        """The same names with a language-neutral suffix."""
        return Names(*(f"{name} {suffix}" for name in self))

    def in_locale(self, locale: str) -> str:
        """The text for `locale` (a language tag or its prefix); English where there is none."""
        language = locale.partition("-")[0].lower()
        return self[LOCALES.index(language)] if language in LOCALES else self.en


@dataclass(frozen=True, slots=True)
class QuantityDef:
    """All that is known of one quantity. `path` is its browse path below the unit and the tail of its point id.

    `eu_range` is the default EURange in the shown unit; a site's ratings narrow or widen it.
    """

    path: str
    kind: Kind
    data_type: DataType
    unit: Unit | None
    decimals: int
    names: Names
    obis: str = ""
    measurement_id: int = 0
    eu_range: tuple[float, float] = (0.0, 0.0)
    phase: Phase = Phase.TOTAL
    enumeration: str = ""
