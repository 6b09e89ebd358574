"""A meter of no known make: its registers lie where no profile looks, in a word order of its own."""

from __future__ import annotations

from drivers.codec import NumberType, Order, arrange, crc16_modbus, encode, to_words
from drivers.simulators.faults import FaultState
from drivers.simulators.pdu import Refusal, Refused, Table, answer

FIRST = 0x0450
ORDER = Order.CDAB
VOLTAGES = (229.4, 231.25, 230.5)
HERTZ = 49.98
ENERGY_WH = 7_654_320
WH_A_SECOND = 3
NAME = b"ODD-METER 7\0"


class OddMeter:
    """Three voltages, a frequency × 100, an energy in Wh that grows, and a name; counts what is written to it.

    From 0x0450: voltages as floats, 50 × 100 in one register, the energy in two; the name at 0x0460.
    """

    def __init__(self) -> None:
        self.fault_state = FaultState()
        self.writes = 0
        self.reads = 0
        self._born_ns: int | None = None
        self._second = 0

    def bank(self, now_ns: int) -> OddMeter:
        """As `drivers.simulators.modbus.Unit`."""
        self._born_ns = self._born_ns if self._born_ns is not None else now_ns
        self._second = (now_ns - self._born_ns) // 200_000_000
        return self

    @property
    def energy_wh(self) -> int:
        """What it has counted."""
        return ENERGY_WH + WH_A_SECOND * self._second

    def words(self) -> dict[int, int]:
        """All its registers now."""
        sway = (self._second % 5) / 50
        values = [(NumberType.FLOAT32, volts + sway) for volts in VOLTAGES]
        values += [(NumberType.UINT16, round(HERTZ * 100)), (NumberType.UINT32, self.energy_wh)]
        found: dict[int, int] = {}
        at = FIRST
        for kind, value in values:
            for word in to_words(arrange(encode(kind, value), ORDER if kind.words > 1 else Order.ABCD)):
                found[at] = word
                at += 1
        return found | {0x0460 + step: word for step, word in enumerate(to_words(NAME))}

    def read_words(self, table: Table, first: int, count: int) -> bytes:
        """Holding registers; all others are refused."""
        self.reads += 1
        words = self.words()
        if table is not Table.HOLDING or any(place not in words for place in range(first, first + count)):
            raise Refused(Refusal.ILLEGAL_ADDRESS)
        return b"".join(words[place].to_bytes(2, "big") for place in range(first, first + count))

    def read_bits(self, table: Table, first: int, count: int) -> list[bool]:
        """It has none."""
        raise Refused(Refusal.ILLEGAL_FUNCTION)

    def write_words(self, first: int, words: bytes) -> None:
        """Nobody should."""
        self.writes += 1

    def write_bits(self, first: int, bits: list[bool]) -> None:
        """Nobody should."""
        self.writes += 1


class OddStation:
    """The same on a serial bus."""

    def __init__(self, unit: int) -> None:
        self.unit = unit
        self.meter = OddMeter()
        self.fault_state = FaultState()

    def answer(self, request: bytes, now_ns: int) -> bytes | None:
        """As `Station.answer`."""
        if request[0] != self.unit:
            return None
        body = request[:1] + answer(self.meter.bank(now_ns), request[1:-2])
        return body + crc16_modbus(body)
