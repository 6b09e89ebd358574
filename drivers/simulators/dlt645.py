"""A DL/T 645 meter on a simulated bus, 2007 or 1997: reads, clock, parameters, supply relay, purse, refusals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from address_space.model.clock import NS
from address_space.model.quantity import Quantity
from drivers.codec import from_bcd
from drivers.codec.frame68 import address_bytes, address_of
from drivers.dlt645 import formats, identifiers, identifiers_1997
from drivers.dlt645.frame import ANY, BROADCAST, DIGITS, Decoder, Frame, encode, matches
from drivers.dlt645.item import Item
from drivers.simulators.dlt645_image import Image
from drivers.simulators.dlt645_supply import Purse, Relay
from drivers.simulators.faults import FaultState
from drivers.simulators.meter import Installation, Meter, Values
from drivers.simulators.switched import SwitchedMeter

OTHER, NO_SUCH_DATA, UNAUTHORISED = 0x01, 0x02, 0x04
TRIP, PERMIT_CLOSE = 0x1A, 0x1B
_SERR_COUNT = (1 << 5).to_bytes(2, "little")
_SERR_OTHER = b"\x01\x00"
_DATE, _TIME, _DATE_TIME = 0x04000101, 0x04000102, 0x0400010C
_RECHARGE = (0x070101FF, 0x070102FF)
CLOCK_STEP_S: Final = 300
"""By how much a broadcast may set the clock (DL/T 645-2007 7.2)."""
_FUNCTIONS: Final = {
    "2007": frozenset({0x03, 0x08, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x19, 0x1B, 0x1C}),
    "1997": frozenset({0x01, 0x02, 0x04, 0x08, 0x0A, 0x0C, 0x10}),
}
"""What it understands by version; it stays silent at everything else."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How a meter of some make behaves, within the standard and beside it.

    passwords      six digits by level; a level that is not here is not let in
    most_data      bytes of data in one answer, identifier and sequence included; the rest is to be asked for
    wildcard_back  answers to the wildcard address with it, not with its own
    absent         identifiers it does not know
    has_blocks     whether it answers block identifiers
    clock_off_s    how far its clock is ahead
    sealed         whether it takes sealed purchases (control code 03), as if their codes were right
    """

    version: str = "2007"
    passwords: Mapping[int, str] = field(default_factory=lambda: {2: "000000", 4: "000000"})
    most_data: int = 200
    preamble: int = 4
    wildcard_back: bool = False
    absent: frozenset[int] = frozenset()
    has_blocks: bool = True
    clock_off_s: int = 0
    sealed: bool = False


class Dlt645Station:
    """One meter behind a simulated bus; `address` is twelve digits. `purse` makes it a prepaid one."""

    def __init__(
        self,
        installation: Installation,
        address: str,
        manners: Manners | None = None,
        *,
        purse: Purse | None = None,
        grid_seed: int = 1,
    ) -> None:
        self.address = address
        self.manners = manners or Manners()
        self.fault_state = FaultState()
        self.supply = SwitchedMeter(Meter(installation, grid_seed))
        self.relay = Relay(self.supply)
        self.purse = purse
        self.clock_off_s: float = self.manners.clock_off_s
        self.refused = 0
        """Requests that it answered with an error."""
        self.image = Image(installation, self._values, absent=self.manners.absent, has_blocks=self.manners.has_blocks)
        self._is_2007 = self.manners.version == "2007"
        self._rest: tuple[bytes, bytes] = (b"", b"")
        self._frozen: int | None = None
        self._counts = {"programming": 0, "freeze": 0}
        self._own_from_start()

    @property
    def wire_address(self) -> bytes:
        """The address as frames hold it, for `SimulatedBus.attach`."""
        return address_bytes(self.address, DIGITS)

    def answer(self, request: bytes, now_ns: int) -> bytes | None:
        """As `Station.answer`."""
        frame = _first(request)
        if frame is None or frame.from_meter or not matches(frame.address, self.address):
            return None
        if frame.function not in _FUNCTIONS[self.manners.version]:
            return None
        second = now_ns // NS
        self._frozen = self.fault_state.frozen_second(now_ns) if self.fault_state.faults else None
        self.relay.stuck = self.fault_state.sticks(now_ns)
        self._settle(second)
        control, data = self._do(frame, second)
        if control & 0x40:
            self.refused += 1
        if frame.function in (0x08, 0x16) and (frame.address == BROADCAST or frame.function == 0x08):
            return None
        if frame.address == BROADCAST and self._is_2007:
            return None
        back = frame.address if self.manners.wildcard_back and frame.address in (ANY, BROADCAST) else self.address
        return encode(Frame(back, control, data), self.manners.preamble)

    def refuse(self, request: bytes, code: int) -> bytes:
        """As `Refuser.refuse`."""
        frame = _first(request)
        control = (frame.function if frame is not None else 0x11) | 0xC0
        return encode(Frame(self.address, control, bytes((code & 0xFF,))), self.manners.preamble)

    def values(self, second: int) -> Values:
        """What it has really measured by a second, whatever it says."""
        return self.supply.values(second)

    def _values(self, second: int) -> Values:
        return self.supply.values(second if self._frozen is None else min(second, self._frozen))

    def _local(self, second: int) -> int:
        return second + round(self.clock_off_s)

    def _do(self, frame: Frame, second: int) -> tuple[int, bytes]:
        function, data = frame.function, frame.data
        if function == 0x08:
            self._set_clock(data, second, most_s=CLOCK_STEP_S)
            return 0x88, b""
        return self._do_2007(function, data, second) if self._is_2007 else self._do_1997(function, data, second)

    def _do_2007(self, function: int, data: bytes, second: int) -> tuple[int, bytes]:
        match function:
            case 0x11:
                return self._read(data, second)
            case 0x12:
                return self._read_next(function, data, 4)
            case 0x13:
                return 0x93, self.wire_address
            case 0x14:
                return self._write(data, second)
            case 0x15:
                self.address = address_of(data) if len(data) == 6 else self.address
                return 0x95, b""
            case 0x16:
                self._counts["freeze"] += 1
                return 0x96, b""
            case 0x17:
                return 0x97, data[:1]
            case 0x19 | 0x1B:
                return (function | 0x80, b"") if self._let_in(data) else (function | 0xC0, bytes((UNAUTHORISED,)))
            case 0x1C:
                return self._switch(data, second)
        return self._sealed(data, second)

    def _do_1997(self, function: int, data: bytes, second: int) -> tuple[int, bytes]:
        match function:
            case 0x01:
                di = int.from_bytes(data[:2], "little")
                body = self.image.body_1997(di, self._told_second(di, second)) if len(data) == 2 else None
                return self._in_parts(0x81, data[:2], body)
            case 0x02:
                return self._read_next(function, data, 2)
            case 0x04:
                return self._write_1997(data, second)
            case 0x0A:
                self.address = address_of(data) if len(data) == 6 else self.address
                return 0x8A, b""
            case 0x0C:
                return 0x8C, data[:1]
            case 0x10:
                return 0x90, b""
        return function | 0xC0, bytes((OTHER,))

    def _read(self, data: bytes, second: int) -> tuple[int, bytes]:
        di = int.from_bytes(data[:4], "little")
        if len(data) < 4:
            return 0xD1, bytes((OTHER,))
        body = self._records(di, data[4:], second) if di >> 24 == 0x06 else None
        if body is None:
            body = self.image.body(di, self._told_second(di, second))
        return self._in_parts(0x91, data[:4], body)

    def _told_second(self, di: int, second: int) -> int:
        """The clock's own items tell the meter's time, all others what is true."""
        return self._local(second) if di in (_DATE, _TIME, _DATE_TIME, 0xC010, 0xC011) else second

    def _records(self, di: int, asked: bytes, second: int) -> bytes:
        of_class, which = di >> 16 & 0xFF, di & 0xFF
        count = from_bcd(asked[0]) or 1 if asked else 1
        if which == 2:
            return self.image.records(of_class, second, None, 1)
        first = formats.moment(formats.MINUTE.layout, asked[1:]) if which == 1 else None
        if which == 0:
            first = self.image.local(second - 30 * 86_400)
        return self.image.records(of_class, second, first, count)

    def _in_parts(self, control: int, di: bytes, body: bytes | None) -> tuple[int, bytes]:
        """One answer, or the first of several."""
        if body is None:
            return (control & 0x1F) | 0xC0, bytes((NO_SUCH_DATA,))
        room = self.manners.most_data - len(di) - 1
        self._rest = (di, body[room:])
        return (control | 0x20 if len(body) > room else control), di + body[:room]

    def _read_next(self, function: int, data: bytes, size: int) -> tuple[int, bytes]:
        di, rest = self._rest
        if data[:size] != di or not rest:
            return function | 0xC0, bytes((NO_SUCH_DATA,))
        room = self.manners.most_data - size - 1
        self._rest = (di, rest[room:])
        more = 0x20 if len(rest) > room else 0
        return function | 0x80 | more, di + rest[:room] + data[size : size + 1]

    def _let_in(self, credentials: bytes) -> bool:
        password = self.manners.passwords.get(credentials[0]) if len(credentials) >= 8 else None
        return password is not None and credentials[1:4] == bytes.fromhex(password)[::-1]

    def _write(self, data: bytes, second: int) -> tuple[int, bytes]:
        if not self._let_in(data[4:]):
            return 0xD4, bytes((UNAUTHORISED,))
        di, value = int.from_bytes(data[:4], "little"), data[12:]
        entry = identifiers.find(di)
        if not isinstance(entry, Item) or di >> 24 != 0x04 or di in self.manners.absent:
            return 0xD4, bytes((NO_SUCH_DATA,))
        if not entry.fits(value):
            return 0xD4, bytes((OTHER,))
        return (0x94, b"") if self._keep(di, entry.name, value, second) else (0xD4, bytes((OTHER,)))

    def _write_1997(self, data: bytes, second: int) -> tuple[int, bytes]:
        password = self.manners.passwords.get(data[2]) if len(data) >= 6 else None
        if password is None or data[3:6] != bytes.fromhex(password)[::-1]:
            return 0xC4, bytes((UNAUTHORISED,))
        di, value = int.from_bytes(data[:2], "little"), data[6:]
        entry = identifiers_1997.find(di)
        if not isinstance(entry, Item) or di >> 12 != 0xC:
            return 0xC4, bytes((NO_SUCH_DATA,))
        return (0x84, b"") if self._keep(di, entry.name, value, second) else (0xC4, bytes((OTHER,)))

    def _keep(self, di: int, name: str, value: bytes, second: int) -> bool:
        self._counts["programming"] += 1
        self.image.own[0x03300000] = formats.COUNT.encode(self._counts["programming"])
        now = formats.CLOCK.encode(self.image.local(self._local(second)))
        match name:
            case "time":
                return self._set_clock(value + now[3:], second)
            case "date":
                return self._set_clock(now[:3] + value[1:], second)
            case "datetime":
                return self._set_clock(value[:3] + value[4:], second)
        self.image.own[di] = value
        return True

    def _set_clock(self, data: bytes, second: int, most_s: float = float("inf")) -> bool:
        at = formats.moment(formats.CLOCK.layout, data) if len(data) == 6 else None
        if at is None:
            return False
        off = self.image.second(at) - second
        if abs(off - self.clock_off_s) <= most_s:
            self.clock_off_s = off
        return True

    def _switch(self, data: bytes, second: int) -> tuple[int, bytes]:
        if not self._let_in(data):
            return 0xDC, bytes((UNAUTHORISED,))
        until = formats.moment(formats.CLOCK.layout, data[10:16])
        now: datetime = self.image.local(self._local(second))
        if len(data) != 16 or until is None or until < now or not self.relay.obey(data[8], second):
            return 0xDC, bytes((OTHER,))
        self._settle(second)
        return 0x9C, b""

    def _sealed(self, data: bytes, second: int) -> tuple[int, bytes]:
        di, sealed = int.from_bytes(data[:4], "little"), data[8:]
        if not self.manners.sealed or self.purse is None or di not in _RECHARGE or len(sealed) != 22:
            return 0xC3, _SERR_OTHER
        amount, number = int.from_bytes(sealed[:4], "little"), int.from_bytes(sealed[4:8], "little")
        if not self.purse.recharge(amount, number):
            return 0xC3, _SERR_COUNT
        if self.purse.money > 0 and self.relay.told_to_open:
            self.relay.obey(PERMIT_CLOSE, second)
        return 0x83, data[:4]

    def _own_from_start(self) -> None:
        number = formats.digits(6).encode(self.address)
        own = self.image.own
        if not self._is_2007:
            own |= {0xC032: number, 0xC033: number, 0xC034: number, 0xC020: b"\0", 0xC021: b"\0"}
            own |= {0xC030: formats.number(3).encode(1600), 0xC313: b"\x04", 0xB212: b"\0\0"}
            return
        own |= {0x04000401: number, 0x04000402: number, 0x0400040E: bytes(6), 0x04000204: b"\x04"}
        own |= {
            0x04000403: formats.text(32).encode(f"ASSET{self.address}"),
            0x0400040D: formats.text(16).encode("V2.0"),
        }
        own |= {0x04000409: formats.number(3).encode(1600), 0x0400040B: formats.text(10).encode("SIM645")}
        own |= {0x04000103: b"\x15", 0x04000104: b"\x01", 0x04000703: b"\x20"}
        own |= {0x02800007: b"\x50\x02", 0x02800008: b"\x60\x03", 0x02800009: b"\x00\x06", 0x0280000A: bytes(4)}
        own |= {di: bytes(3) for di in (0x03110000, 0x03300000, 0x03300100, 0x03300400, 0x03300D00, 0x03300E00)}
        own |= {0x03010000 | event << 16: bytes(18) for event in (0, 1, 2, 3)}
        for book in (1, 2):
            own |= {0x04050000 | book << 8 | tariff: formats.PRICE.encode(0.5283) for tariff in range(1, 5)}

    def _settle(self, second: int) -> None:
        """Bring up to date what changes with use: the purse, the relay, the status words."""
        if not self._is_2007:
            return
        own = self.image.own
        if self.purse is not None:
            imported = self._values(second)[Quantity.ACTIVE_ENERGY_IMPORT.code]
            self.purse.pay(int(imported or 0))
            if self.purse.money <= 0 and not self.relay.keeps_power and not self.relay.told_to_open:
                self.relay.obey(TRIP, second)
            own[0x00900200] = formats.MONEY.encode(max(self.purse.money, 0) / 100)
            own[0x00900201] = formats.MONEY.encode(max(-self.purse.money, 0) / 100)
            own[0x03330201] = formats.number(2).encode(self.purse.purchases % 10_000)
        low = self.purse is not None and self.purse.money <= self.purse.alarm_at
        word = self.relay.word(prepaid=self.purse is not None, about_to_trip=low, programming=False)
        own |= {0x04000501 + at: bytes(2) for at in range(7) if at != 2}
        own[0x04000503] = word.to_bytes(2, "little")
        own[0x1D000001] = formats.COUNT.encode(self.relay.trips)
        own[0x1E000001] = formats.COUNT.encode(self.relay.closes)


def _first(request: bytes) -> Frame | None:
    return next((each for each in Decoder().feed(request) if isinstance(each, Frame)), None)
