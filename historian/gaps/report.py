"""What the gap ledger tells: gaps, and how complete a unit's readings are."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from address_space.model.ids import NodeUid
from historian.schema import Measurement


class Mark(IntEnum):
    """What a bit of a slot says; the number is its name in storage, frozen."""

    STORED = 0
    """A good reading is in the history."""
    FILLED = 1
    """If it is, it came from the meter's own memory or was told later, and not from polling."""
    LACKING = 2
    """The meter's memory was asked and has nothing for it."""


class Code(IntEnum):
    """What is known of a slot of a unit."""

    NOT_EXPECTED = 0
    POLLED = 1
    FILLED = 2
    """Stored, from the meter's memory or told later."""
    NOT_READ = 3
    HUB_DOWN = 4
    LACKING = 5


class Cause(IntEnum):
    """Why a slot is missing."""

    NOT_READ = Code.NOT_READ
    """The hub ran, and the meter gave no good reading."""
    HUB_DOWN = Code.HUB_DOWN
    """The hub did not run all the time in which the slot could have been read."""
    LACKING = Code.LACKING
    """As either, and the meter's own memory has nothing for it: it stays missing."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Slots of one track of a unit that follow one another and are missing for one cause.

    first_ms, last_ms  the first and the last missing slot
    missing            how many slots were expected from the one to the other; none of them is stored
    """

    point: NodeUid
    measurement: Measurement
    track: str
    first_ms: int
    last_ms: int
    missing: int
    cause: Cause


@dataclass(frozen=True, slots=True)
class Completeness:
    """Slots of a unit (or of several) in one bucket of time; `filled` of the stored ones came from a meter's memory."""

    point: NodeUid | None
    start_ms: int
    end_ms: int
    expected: int
    stored: int
    filled: int

    @property
    def share(self) -> float:
        """Stored of expected, 0 to 1; 1 where nothing was expected."""
        return self.stored / self.expected if self.expected else 1.0


@dataclass(frozen=True, slots=True)
class UnitDay:
    """Slots of a unit in the 24 hours before the ledger's last look at them.

    last_gap_ms  the first slot of the newest gap in them, 0 where there is none; of one that is longer than the hub
                 has been watching it, the first slot of the 24 hours
    """

    expected: int
    stored: int
    filled: int
    last_gap_ms: int

    @property
    def missing(self) -> int:
        """Slots that were expected and are not stored."""
        return self.expected - self.stored


@dataclass(frozen=True, slots=True)
class LedgerState:
    """How the ledger does, and the slots of all units in the 24 hours before its last look at them.

    trouble  why it cannot be kept on the disk, empty while all is well
    """

    units: int = 0
    memory_bytes: int = 0
    expected: int = 0
    stored: int = 0
    filled: int = 0
    trouble: str = ""
