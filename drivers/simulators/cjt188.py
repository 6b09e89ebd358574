"""A CJ/T 188 meter on a simulated bus: water, hot water, gas or heat, with its manners and perhaps a valve."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Final

from address_space.model.clock import NS
from address_space.model.quantity import ALL, Quantity
from address_space.model.state import Medium, ValveState
from drivers.cjt188.frame import DIGITS, HEAD, SHORTEST, START, Frame, encode, examine
from drivers.cjt188.identifiers import (
    ADDRESS,
    CLOCK,
    PURCHASE,
    READING,
    WRITE_ADDRESS,
    WRITE_BASE,
    WRITE_CLOCK,
    WRITE_PURCHASE,
    WRITE_VALVE,
    DiOrder,
    di_bytes,
    read_di,
)
from drivers.codec.frame68 import address_bytes, matches
from drivers.simulators.faults import FaultState
from drivers.simulators.flow import Flow, Pipe
from drivers.simulators.meter import Values
from drivers.simulators.valve import MotorValve
from drivers.simulators.wire import Span, Wire, sum_sealed

M3, M3_H, KWH, KW = 0x2C, 0x35, 0x05, 0x17
ML_PER_COUNT: Final = 10_000
"""Millilitres in a hundredth of a cubic metre, the last digit of a register."""
MWH_PER_COUNT: Final = 10_000
INSTALLED_S: Final = 1_704_067_200
"""2024-01-01: operating hours count from there."""


class Kind(Enum):
    """What a meter measures; the value is its type on the wire."""

    COLD_WATER = 0x10
    HOT_WATER = 0x11
    HEAT = 0x20
    GAS = 0x30

    @classmethod
    def of(cls, medium: Medium) -> Kind:
        """What measures a medium."""
        return {Medium.HOT_WATER: cls.HOT_WATER, Medium.GAS: cls.GAS, Medium.HEAT: cls.HEAT}.get(medium, cls.COLD_WATER)


class ClockManner(Enum):
    """What a meter's clock is worth."""

    RIGHT = "right"
    ZERO = "zero"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Manners:
    """How a make behaves.

    di_order      order it answers in; None: as it was asked
    accepts       orders of requests it understands
    echoes_ser    whether the serial number of the request comes back; otherwise its own count does
    answer_type   type it calls itself, None for that of its kind
    shows_motion  whether D1 D0 are 10 while the motor runs; otherwise they keep the state before
    preamble      bytes FE before an answer
    """

    di_order: DiOrder | None = None
    accepts: tuple[DiOrder, ...] = (DiOrder.LE, DiOrder.BE)
    echoes_ser: bool = True
    answer_type: int | None = None
    shows_motion: bool = False
    preamble: int = 2
    clock: ClockManner = ClockManner.RIGHT
    utc_offset_h: int = 5


class _Refused(Exception):
    """The meter answers with an error."""


class Cjt188Station:
    """`drivers.simulators.bus.Station`. `valve` is None for a meter without one."""

    def __init__(
        self,
        address: str,
        kind: Kind = Kind.COLD_WATER,
        *,
        pipe: Pipe | None = None,
        manners: Manners | None = None,
        has_valve: bool = False,
        motor_s: float = 12.0,
    ) -> None:
        self.address = address.zfill(14)
        self.kind = kind
        self.manners = manners or Manners()
        self.flow = Flow(pipe or Pipe(address, peak_l_h=_USUAL_PEAK_L_H[kind]))
        self.valve = MotorValve(self.flow, motor_s=motor_s) if has_valve else None
        self.battery_low = False
        self.vendor_status = 0
        self.fault_state = FaultState()
        self._ser = 0
        self.clock_off_s = 0.0
        self._base_counts = 0
        self._purchases: tuple[int, int, int] = (0, 0, 0)
        self._history: dict[int, int] = {}

    @property
    def wire_address(self) -> bytes:
        """Its address as frames hold it, for `SimulatedBus.attach`."""
        return address_bytes(self.address, DIGITS)

    def answer(self, request: bytes, now_ns: int) -> bytes | None:
        """As `Station.answer`."""
        found = request.find(START)
        frame = examine(request, found) if found >= 0 else None
        if not isinstance(frame, Frame) or frame.from_meter or not matches(frame.address, self.address):
            return None
        if len(frame.data) < 3:
            return None
        if self.valve is not None:
            self.valve.stuck = self.fault_state.sticks(now_ns)
            self.valve.at(now_ns)
        di, order = read_di(frame.data[:2])
        if order not in self.manners.accepts:
            return None
        try:
            payload = self._obey(frame, di, frame.data[3:], now_ns)
        except _Refused:
            return self._error(frame, now_ns)
        head = di_bytes(di, self.manners.di_order or order) + bytes((self._serial(frame.data[2]),))
        return self._said(frame.control | 0x80, head + payload)

    def refuse(self, request: bytes, code: int) -> bytes:
        """The error reply to a request, with `code` as the second byte of its status."""
        frame = examine(request, max(request.find(START), 0))
        control, ser = (frame.control, frame.data[2]) if isinstance(frame, Frame) else (1, 0)
        return self._said(control | 0xC0, bytes((self._serial(ser), 0, code & 0xFF)))

    def values(self, second: int) -> Values:
        """What it has really measured by a second, whatever it says, in the hub's base units."""
        values: Values = [None] * len(ALL)
        flow = self.flow
        litres = flow.litres_per_hour(second)
        values[Quantity.VOLUME.code] = flow.millilitres(second) // 1000
        values[Quantity.VOLUME_FLOW.code] = litres
        if self.kind is Kind.HEAT:
            values[Quantity.HEAT_ENERGY.code] = flow.energy_mwh(second) * 36 // 10_000
            values[Quantity.HEAT_POWER.code] = litres * 1.163 * (flow.supply_c(second) - flow.return_c(second))
            values[Quantity.SUPPLY_TEMPERATURE.code] = flow.supply_c(second)
            values[Quantity.RETURN_TEMPERATURE.code] = flow.return_c(second)
            values[Quantity.OPERATING_TIME.code] = max(second - INSTALLED_S, 0)
        return values

    def reading(self, now_ns: int) -> bytes:
        """What 901F holds."""
        second = self._second(now_ns)
        month = _month_start(second, 0, self.manners.utc_offset_h)
        tail = self._clock(now_ns) + self.status(now_ns)
        if self.kind is not Kind.HEAT:
            return _coded(self._counts(second), M3) + _coded(self._counts_at(month), M3) + tail
        flow = self.flow
        litres = flow.litres_per_hour(second)
        power_w = litres * 1.163 * (flow.supply_c(second) - flow.return_c(second))
        return b"".join(
            (
                _coded(flow.energy_mwh(month) // MWH_PER_COUNT, KWH),
                _coded(flow.energy_mwh(second) // MWH_PER_COUNT, KWH),
                _coded(round(power_w / 10), KW),
                _coded(round(litres * 10), M3_H),
                _coded(flow.millilitres(second) // ML_PER_COUNT, M3),
                _bcd(round(flow.supply_c(second) * 100), 3),
                _bcd(round(flow.return_c(second) * 100), 3),
                _bcd(max(second - INSTALLED_S, 0) // 3600, 3),
                tail,
            )
        )

    def status(self, now_ns: int) -> bytes:
        """The status word."""
        bits = 0x04 if self.battery_low else 0
        if self.valve is not None:
            moving = self.manners.shows_motion and self.valve.is_moving(now_ns)
            bits |= 0x02 if moving else _VALVE_BITS[self.valve.at(now_ns)]
        return bytes((bits, self.vendor_status))

    # what it is asked

    def _obey(self, frame: Frame, di: int, payload: bytes, now_ns: int) -> bytes:
        match frame.function:
            case 0x01:
                return self._read(di, now_ns)
            case 0x03 if di == ADDRESS:
                return b""
            case 0x04:
                return self._write(di, payload, now_ns)
            case 0x15 if di == WRITE_ADDRESS and len(payload) == 7:
                self.address = payload[::-1].hex()
                return b""
            case 0x16 if di == WRITE_BASE and len(payload) == 5:
                wanted = _number(payload[:4])
                self._base_counts += wanted - self._counts(self._second(now_ns))
                return self.status(now_ns)
        raise _Refused

    def _read(self, di: int, now_ns: int) -> bytes:
        second = self._second(now_ns)
        offset_h = self.manners.utc_offset_h
        if di == READING:
            return self.reading(now_ns)
        if di == CLOCK:
            return self._clock(now_ns)
        if 0xD120 <= di <= 0xD12B:
            return _coded(self._counts_at(_month_start(second, di - 0xD120, offset_h)), self._unit)
        if di >> 8 in (0xD3, 0xD4):
            midnight = _day_start(second, di & 0xFF, offset_h)
            flow = round(self.flow.litres_per_hour(midnight) * 10)
            frozen = _coded(self._counts_at(midnight), self._unit) + _coded(flow, M3_H)
            return _clock_bytes(midnight + offset_h * 3600) + frozen + _bcd(1850, 3) + _bcd(35, 3)
        if di == PURCHASE:
            count, last, total = self._purchases
            return _bcd(count, 1) + _bcd(last, 4) + _bcd(total, 4) + _bcd(total, 4) + self.status(now_ns)
        if di in _CONSTANTS:
            return _CONSTANTS[di]
        raise _Refused

    def _write(self, di: int, payload: bytes, now_ns: int) -> bytes:
        if di == WRITE_VALVE and len(payload) == 1 and self.valve is not None:
            before = self.status(now_ns)
            target = {0x55: ValveState.OPEN, 0x99: ValveState.CLOSED}.get(payload[0])
            if target is None:
                raise _Refused
            self.valve.move(target, now_ns)
            return before
        if di == WRITE_CLOCK and len(payload) == 7:
            try:
                local = datetime.strptime(payload[::-1].hex(), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
            except ValueError:
                raise _Refused from None
            self.clock_off_s = local.timestamp() - self.manners.utc_offset_h * 3600 - now_ns / NS
            return b""
        if di == WRITE_PURCHASE and len(payload) == 5:
            count, _, total = self._purchases
            amount = _number(payload[1:])
            if payload[0] != _bcd(count + 1, 1)[0]:
                raise _Refused
            self._purchases = (count + 1, amount, total + amount)
            return payload[:1]
        raise _Refused

    # what it says

    def _error(self, frame: Frame, now_ns: int) -> bytes:
        return self._said(frame.control | 0xC0, bytes((self._serial(frame.data[2]),)) + self.status(now_ns))

    def _said(self, control: int, data: bytes) -> bytes:
        kind = self.manners.answer_type or self.kind.value
        return encode(Frame(kind, self.address, control, data), self.manners.preamble)

    def _serial(self, asked: int) -> int:
        self._ser = self._ser + 1 & 0xFF
        return asked if self.manners.echoes_ser else self._ser

    def _clock(self, now_ns: int) -> bytes:
        if self.manners.clock is ClockManner.ZERO:
            return bytes(7)
        if self.manners.clock is ClockManner.INVALID:
            return bytes.fromhex("60202032133220")
        return _clock_bytes(int(now_ns / NS + self.clock_off_s) + self.manners.utc_offset_h * 3600)

    @property
    def _unit(self) -> int:
        return KWH if self.kind is Kind.HEAT else M3

    def _second(self, now_ns: int) -> int:
        second = now_ns // NS
        frozen = self.fault_state.frozen_second(now_ns) if self.fault_state.faults else None
        return second if frozen is None else min(second, frozen)

    def _counts(self, second: int) -> int:
        measured = self.flow.energy_mwh if self.kind is Kind.HEAT else self.flow.millilitres
        return (measured(second) // ML_PER_COUNT + self._base_counts) % 10**8

    def _counts_at(self, second: int) -> int:
        """The register at a moment that is over, kept once it was asked for."""
        if second not in self._history:
            self._history[second] = self._counts(second)
        return self._history[second]


_USUAL_PEAK_L_H: Final = {Kind.COLD_WATER: 120.0, Kind.HOT_WATER: 60.0, Kind.HEAT: 400.0, Kind.GAS: 300.0}
_VALVE_BITS: Final = {ValveState.OPEN: 0x00, ValveState.CLOSED: 0x01, ValveState.FAILURE: 0x03}
_CONSTANTS: Final = {
    0x8102: bytes(15),
    0x8103: b"\x01",
    0x8104: b"\x01",
    0x8106: b"\x00",
}


def _bcd(value: int, length: int) -> bytes:
    return bytes.fromhex(f"{value:0{2 * length}d}"[-2 * length :])[::-1]


def _number(data: bytes) -> int:
    digits = data[::-1].hex()
    if not digits.isdecimal():
        raise _Refused
    return int(digits)


def _coded(value: int, unit: int) -> bytes:
    return _bcd(value, 4) + bytes((unit,))


def _clock_bytes(local_second: int) -> bytes:
    return bytes.fromhex(datetime.fromtimestamp(local_second, UTC).strftime("%Y%m%d%H%M%S"))[::-1]


def _month_start(second: int, months_ago: int, offset_h: int) -> int:
    local = datetime.fromtimestamp(second + offset_h * 3600, UTC)
    month = local.year * 12 + local.month - 1 - months_ago
    return int(datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC).timestamp()) - offset_h * 3600


def _day_start(second: int, days_ago: int, offset_h: int) -> int:
    local = datetime.fromtimestamp(second + offset_h * 3600, UTC) - timedelta(days=days_ago)
    return int(local.replace(hour=0, minute=0, second=0).timestamp()) - offset_h * 3600


def _cut(stream: bytes) -> Span | None:
    at = stream.find(START)
    while at >= 0:
        found = examine(stream, at)
        if isinstance(found, Frame) and not found.from_meter:
            return at, at + SHORTEST + len(found.data)
        at = stream.find(START, at + 1)
    return None


CJT188: Final = Wire("cjt188", _cut, sum_sealed, slice(2, 9), length_at=HEAD - 1)
"""What a simulated bus must know of the protocol."""

__all__ = ["CJT188", "Cjt188Station", "ClockManner", "Kind", "Manners"]
