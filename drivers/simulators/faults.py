"""What can go wrong with a simulated unit, and when. Everything is deterministic: no fault throws dice.

A fault's schedule counts seconds from the moment the fault was set, and requests to the unit from 1.
"""

from __future__ import annotations

from dataclasses import dataclass

SERVER_DEVICE_FAILURE = 4


@dataclass(frozen=True, slots=True)
class Always:
    """From now on."""

    def holds(self, elapsed_s: float, request: int) -> bool:
        """Whether the fault shows at this moment and request."""
        return elapsed_s >= 0 and request > 0


@dataclass(frozen=True, slots=True)
class Between:
    """From `from_s` until before `until_s`."""

    from_s: float
    until_s: float = float("inf")

    def holds(self, elapsed_s: float, request: int) -> bool:
        """Whether the fault shows at this moment and request."""
        return request > 0 and self.from_s <= elapsed_s < self.until_s


@dataclass(frozen=True, slots=True)
class EveryNth:
    """At each `n`-th request to the unit; the others go well."""

    n: int

    def holds(self, elapsed_s: float, request: int) -> bool:
        """Whether the fault shows at this moment and request."""
        return elapsed_s >= 0 and request % self.n == 0


Schedule = Always | Between | EveryNth


@dataclass(frozen=True, slots=True)
class Silent:
    """No answer at all."""

    when: Schedule = Always()


@dataclass(frozen=True, slots=True)
class Slow:
    """The right answer, `delay_s` later."""

    delay_s: float
    when: Schedule = Always()


@dataclass(frozen=True, slots=True)
class WrongLength:
    """A well-framed answer with `words` registers more or fewer than were asked for."""

    words: int = -1
    when: Schedule = Always()


@dataclass(frozen=True, slots=True)
class WrongCheck:
    """RTU: the checksum does not fit. TCP: the transaction is not the one that was asked."""

    when: Schedule = Always()


@dataclass(frozen=True, slots=True)
class WrongUnit:
    """The answer says that it comes from the unit `shift` further on."""

    shift: int = 1
    when: Schedule = Always()


@dataclass(frozen=True, slots=True)
class ExceptionAnswer:
    """An exception of the protocol instead of data."""

    code: int = SERVER_DEVICE_FAILURE
    when: Schedule = Always()


@dataclass(frozen=True, slots=True)
class Dropped:
    """The connection is closed after the first `sent` bytes of the answer."""

    sent: int = 5
    when: Schedule = Always()


@dataclass(frozen=True, slots=True)
class Garbage:
    """`size` bytes of noise instead of the answer."""

    size: int = 16
    when: Schedule = Always()


@dataclass(frozen=True, slots=True)
class Late:
    """The answer is held back until the connection's next request to the unit, and sent just before that one's own."""

    when: Schedule = Always()


@dataclass(frozen=True, slots=True)
class Frozen:
    """Values and counters stop at the second the fault sets in; the energy used meanwhile shows when it ends."""

    when: Schedule = Always()


@dataclass(frozen=True, slots=True)
class Rollover:
    """Import counters stand near the end of their register and pass it `in_s` seconds after the fault was set."""

    in_s: float = 60.0
    when: Schedule = Always()


@dataclass(frozen=True, slots=True)
class NoiseBefore:
    """`size` bytes of noise come right before the answer."""

    size: int = 8
    when: Schedule = Always()


@dataclass(frozen=True, slots=True)
class LongPreamble:
    """The answer begins with so many bytes of `fill` (FE wakes a receiver, 00 is an idle line badly biased)."""

    count: int = 13
    fill: int = 0xFE
    when: Schedule = Always()


@dataclass(frozen=True, slots=True)
class Echo:
    """The request comes back before the answer, as on a two-wire adapter that hears itself."""

    when: Schedule = Always()


@dataclass(frozen=True, slots=True)
class HalfFrame:
    """Only the first `sent` bytes of the answer, then silence; the connection stays."""

    sent: int = 9
    when: Schedule = Always()


@dataclass(frozen=True, slots=True)
class StrayAnswer:
    """Before its own answer comes the last one that another station of the bus gave, once more."""

    alone: bool = False
    """Nothing but the other station's."""
    when: Schedule = Always()


@dataclass(frozen=True, slots=True)
class Babbling:
    """Noise without end instead of the answer: `size` bytes each `every_s`, for `lasts_s`."""

    lasts_s: float = 5.0
    size: int = 16
    every_s: float = 0.05
    when: Schedule = Always()


@dataclass(frozen=True, slots=True)
class Forced:
    """Registers from `first` on the wire hold `words`, whatever the meter measures. `table` is 3 or 4, as read."""

    first: int
    words: tuple[int, ...]
    table: int = 3
    when: Schedule = Always()


@dataclass(frozen=True, slots=True)
class RelaySticks:
    """The supply relay takes commands and does not move."""

    when: Schedule = Always()


@dataclass(frozen=True, slots=True)
class ValveSticks:
    """The valve's motor stops half way."""

    when: Schedule = Always()


BusFault = NoiseBefore | LongPreamble | Echo | HalfFrame | StrayAnswer | Babbling
"""Faults of a serial line; a Modbus TCP server shows none of them."""
WireFault = Silent | Slow | WrongLength | WrongCheck | WrongUnit | ExceptionAnswer | Dropped | Garbage | Late | BusFault
ValueFault = Frozen | Rollover | Forced
StuckFault = RelaySticks | ValveSticks
Fault = WireFault | ValueFault | StuckFault


class FaultState:
    """The faults of one unit, when they were set, and how many requests the unit has seen."""

    def __init__(self) -> None:
        self.faults: tuple[Fault, ...] = ()
        self.requests = 0
        self._since_ns = 0

    def set(self, faults: tuple[Fault, ...], now_ns: int) -> None:
        """Replace all faults; their schedules begin now. `now_ns` is wall time."""
        self.faults = faults
        self._since_ns = now_ns

    def wire(self, now_ns: int) -> WireFault | None:
        """The fault that this request meets on the wire: the first whose schedule holds."""
        for fault in self.faults:
            if not isinstance(fault, ValueFault | StuckFault) and self._shows(fault, now_ns):
                return fault
        return None

    def frozen_second(self, now_ns: int) -> int | None:
        """Second at which the values stand still now, None where they move."""
        for fault in self.faults:
            if isinstance(fault, Frozen) and self._shows(fault, now_ns):
                begin = fault.when.from_s if isinstance(fault.when, Between) else 0.0
                return round(self._since_ns / 1e9 + begin)
        return None

    def rollover_second(self, now_ns: int) -> int | None:
        """Second at which the import counters pass the end of their registers, None without such a fault."""
        for fault in self.faults:
            if isinstance(fault, Rollover) and self._shows(fault, now_ns):
                return round(self._since_ns / 1e9 + fault.in_s)
        return None

    def sticks(self, now_ns: int) -> bool:
        """Whether what the meter should move does not move now."""
        return any(isinstance(fault, StuckFault) and self._shows(fault, now_ns) for fault in self.faults)

    def forced_words(self, now_ns: int) -> dict[tuple[int, int], int]:
        """Words that registers are forced to now, by table and address; of two that meet the later one holds."""
        words: dict[tuple[int, int], int] = {}
        for fault in self.faults:
            if isinstance(fault, Forced) and self._shows(fault, now_ns):
                words.update(((fault.table, fault.first + step), word) for step, word in enumerate(fault.words))
        return words

    def _shows(self, fault: Fault, now_ns: int) -> bool:
        """Whether it shows now; before the first request as it would at that one."""
        return fault.when.holds((now_ns - self._since_ns) / 1e9, max(self.requests, 1))
