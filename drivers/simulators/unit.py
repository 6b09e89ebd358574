"""One meter on a Modbus bus: its registers at each second, what was written to it, and its faults."""

from __future__ import annotations

from datetime import timedelta, timezone

from address_space.model.clock import NS
from drivers.modbus.log_period import MS_NS
from drivers.simulators.faults import FaultState
from drivers.simulators.image import Layout, Segment
from drivers.simulators.meter import Meter, Values
from drivers.simulators.modbus_event_log import EventJournal
from drivers.simulators.modbus_log import Logbook, LogKeeper
from drivers.simulators.pdu import Refusal, Refused, Table
from drivers.simulators.record_shelf import RecordShelf


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
        self._zone = timezone(timedelta(hours=meter.installation.utc_offset_h))
        self._now_ns = 0
        self.clock_off_ns = 0
        """How far its clock is ahead."""
        self.log_keeper = LogKeeper(self._values_at, self._zone, layout.ratio)
        self.journals = {table.name: EventJournal(table, self._zone) for table in layout.event_logs}
        """Its logs of events, by name."""
        self.shelves = (
            *(RecordShelf(log, Logbook(log, self.log_keeper)) for log in layout.logs),
            *(RecordShelf(table, self.journals[table.name]) for table in layout.event_logs),
        )

    @property
    def clock_off_s(self) -> float:
        """How far its clock is ahead."""
        return self.clock_off_ns / NS

    @clock_off_s.setter
    def clock_off_s(self, seconds: float) -> None:
        self.clock_off_ns = round(seconds * NS)

    def values(self, second: int) -> Values:
        """What it has really measured by a second, whatever it says."""
        return self.meter.values(second)

    def bank(self, now_ns: int) -> ModbusUnit:
        """The registers at a moment."""
        self._now_ns = now_ns
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
        for shelf in self.shelves:
            told = shelf.read_words(table, first, count, self._own_ms)
            if told is not None:
                return told
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

    def read_file(self, file: int, number: int, words: int) -> bytes:
        """Records of the logs that lie in files."""
        if not self.shelves:
            raise Refused(Refusal.ILLEGAL_FUNCTION)
        for shelf in self.shelves:
            told = shelf.read_file(file, number, words, self._own_ms)
            if told is not None:
                return told
        raise Refused(Refusal.ILLEGAL_ADDRESS)

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
        clock = self.layout.clock
        if clock is not None and first == clock.address and len(places) == clock.format.size:
            shown_ns = clock.decode(words, self._zone)
            if shown_ns is None:
                raise Refused(Refusal.ILLEGAL_VALUE)
            self.clock_off_ns = shown_ns - self._now_ns

    def write_bits(self, first: int, bits: list[bool]) -> None:
        """Coils that a command of the profile writes; others are refused."""
        places = [(int(Table.COILS), first + step) for step in range(len(bits))]
        if not self.layout.bits.issuperset(places):
            raise Refused(Refusal.ILLEGAL_ADDRESS)
        self._written.update(zip(places, map(int, bits), strict=True))

    def written(self, address: int) -> int | None:
        """What was written to a holding register; None where nothing was."""
        return self._written.get((int(Table.HOLDING), address))

    @property
    def _own_ms(self) -> int:
        return (self._now_ns + self.clock_off_ns) // MS_NS

    def _values_at(self, own_ms: int) -> Values:
        return self.meter.values((own_ms * MS_NS - self.clock_off_ns) // NS)

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
        self._tell_time(segment, image)
        for (fc, address), word in (*self._written.items(), *self._forced.items()):
            at = 2 * (address - segment.first)
            if fc == segment.fc and 0 <= at < len(image) and not self._is_clock(fc, address):
                image[at : at + 2] = word.to_bytes(2, "big")
        self._images[index] = bytes(image)
        return self._images[index]

    def _tell_time(self, segment: Segment, image: bytearray) -> None:
        clock = self.layout.clock
        if (
            clock is None
            or clock.fc != segment.fc
            or not segment.first <= clock.address < segment.first + segment.count
        ):
            return
        at = 2 * (clock.address - segment.first)
        words = clock.encode(self._now_ns // NS * NS + self.clock_off_ns, self._zone)
        image[at : at + 2 * len(words)] = b"".join(word.to_bytes(2, "big") for word in words)

    def _is_clock(self, fc: int, address: int) -> bool:
        clock = self.layout.clock
        return clock is not None and clock.fc == fc and 0 <= address - clock.address < clock.format.size
