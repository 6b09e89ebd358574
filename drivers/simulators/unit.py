"""One meter on a Modbus bus: its registers at each second, what was written to it, and its faults."""

from __future__ import annotations

from address_space.model.clock import NS
from drivers.simulators.faults import FaultState
from drivers.simulators.image import Layout
from drivers.simulators.meter import Meter, Values
from drivers.simulators.pdu import Refusal, Refused, Table


class ModbusUnit:
    """Answers from the meter's values at the second of the request; each run of registers is made once a second."""

    def __init__(self, meter: Meter, layout: Layout) -> None:
        self.meter = meter
        self.layout = layout
        self.fault_state = FaultState()
        self._second = -1
        self._values: Values | None = None
        self._images: dict[int, bytes] = {}
        self._written: dict[tuple[int, int], int] = {}
        self._roll_second: int | None = None
        self._ahead: dict[str, int] = {}
        self._forced: dict[tuple[int, int], int] = {}

    def bank(self, now_ns: int) -> ModbusUnit:
        """The registers at a moment."""
        second = now_ns // NS
        if self.fault_state.faults or self._roll_second is not None or self._forced:
            frozen = self.fault_state.frozen_second(now_ns)
            second = second if frozen is None else min(second, frozen)
            self._roll(self.fault_state.rollover_second(now_ns))
            self._force(self.fault_state.forced_words(now_ns))
        if second != self._second:
            self._second = second
            self._values = None
            self._images.clear()
        return self

    def read_words(self, table: Table, first: int, count: int) -> bytes:
        """Registers of one of the two tables."""
        layout = self.layout
        if count > layout.max_words and (table, first, count) not in layout.whole_blocks:
            raise Refused(Refusal.ILLEGAL_VALUE)
        index = layout.find(table, first, count)
        if index is None:
            raise Refused(Refusal.ILLEGAL_ADDRESS)
        image = self._images.get(index)
        if image is None:
            image = self._render(index)
        at = 2 * (first - layout.segments[index].first)
        return image[at : at + 2 * count]

    def read_bits(self, table: Table, first: int, count: int) -> list[bool]:
        """Coils or discrete inputs: those of the profile, off until written."""
        places = [(int(table), place) for place in range(first, first + count)]
        if not self.layout.bits.issuperset(places):
            raise Refused(Refusal.ILLEGAL_ADDRESS)
        return [bool(self._written.get(place, 0)) for place in places]

    def write_words(self, first: int, words: bytes) -> None:
        """Holding registers that a command of the profile writes; others are refused."""
        places = [(int(Table.HOLDING), first + step) for step in range(len(words) // 2)]
        if not self.layout.writable.issuperset(places):
            raise Refused(Refusal.ILLEGAL_ADDRESS)
        for step, place in enumerate(places):
            self._written[place] = int.from_bytes(words[2 * step : 2 * step + 2], "big")
        self._images.clear()

    def write_bits(self, first: int, bits: list[bool]) -> None:
        """Coils that a command of the profile writes; others are refused."""
        places = [(int(Table.COILS), first + step) for step in range(len(bits))]
        if not self.layout.bits.issuperset(places):
            raise Refused(Refusal.ILLEGAL_ADDRESS)
        self._written.update(zip(places, map(int, bits), strict=True))

    def _roll(self, second: int | None) -> None:
        if second != self._roll_second:
            self._roll_second = second
            self._ahead = {} if second is None else self.layout.ahead_to_roll(self.meter.values(second))
            self._images.clear()

    def _force(self, words: dict[tuple[int, int], int]) -> None:
        if words != self._forced:
            self._forced = words
            self._images.clear()

    def _render(self, index: int) -> bytes:
        if self._values is None:
            self._values = self.meter.values(self._second)
        image = self.layout.render(index, self._values, self._ahead)
        segment = self.layout.segments[index]
        for (fc, address), word in (*self._written.items(), *self._forced.items()):
            at = 2 * (address - segment.first)
            if fc == segment.fc and 0 <= at < len(image):
                image[at : at + 2] = word.to_bytes(2, "big")
        self._images[index] = bytes(image)
        return self._images[index]
