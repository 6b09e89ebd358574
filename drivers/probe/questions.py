"""Harmless questions of every protocol, by whose answers it is known who is on a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from drivers.cjt188.frame import encode as encode_cjt188
from drivers.cjt188.identifiers import READING
from drivers.cjt188.requests import read, who_is_there
from drivers.codec.frame68 import address_of
from drivers.dlt645 import frame as dlt645
from drivers.probe.asker import Asker
from drivers.probe.modbus_frames import Framing, read_pdu, wrapped

READ_ADDRESS: Final = 0x13
ANY_TYPE: Final = 0xAA
ENERGY_2007: Final = (0x11, bytes.fromhex("00000100"))
ENERGY_1997: Final = (0x01, bytes.fromhex("1090"))
_GATEWAY_SILENT: Final = frozenset({10, 11})
"""Exceptions that say that nobody answered behind a gateway (Application Protocol 1.1b3, 7)."""


@dataclass(frozen=True, slots=True)
class Sign:
    """Somebody answered: in which protocol, as drivers name it, in which framing of Modbus, and who."""

    protocol: str
    address: str
    what: str
    framing: str = ""
    echoed: bool = False


@dataclass(frozen=True, slots=True)
class Silence:
    """Nobody answered soundly; `garbled` bytes came nevertheless. `gateway`: one said that nobody is behind it."""

    garbled: int = 0
    gateway: bool = False


class Question(Protocol):
    """One question."""

    @property
    def label(self) -> str:
        """What is asked, for a person."""

    @property
    def size(self) -> int:
        """Bytes of the request on the wire."""

    async def put(self, asker: Asker) -> Sign | Silence:
        """Ask; raises ChannelDown."""


@dataclass(frozen=True, slots=True)
class ModbusQuestion:
    """Register 0 of a unit; a refusal is as good as a value."""

    label: str
    size: int
    framing: Framing = Framing.RTU
    unit: int = 1

    async def put(self, asker: Asker) -> Sign | Silence:
        """Ask."""
        answered = await asker.modbus(self.framing, self.unit, read_pdu(3, 0, 1))
        if not answered.heard:
            return Silence(answered.garbled)
        exception = answered.heard[0].exception
        if exception in _GATEWAY_SILENT:
            return Silence(gateway=True)
        what = f"refused register 0 with exception {exception}" if exception else "answered with register 0"
        return Sign("modbus", str(self.unit), f"unit {self.unit} {what}", self.framing.value, answered.echoed)


@dataclass(frozen=True, slots=True)
class Dlt645Question:
    """A read by control code: of the address, or of the energy."""

    label: str
    size: int
    address: str = dlt645.ANY
    control: int = READ_ADDRESS
    data: bytes = b""

    async def put(self, asker: Asker) -> Sign | Silence:
        """Ask."""
        said = await asker.dlt645(dlt645.Frame(self.address, self.control, self.data))
        if not said.dlt645:
            return Silence(said.garbled)
        frame = said.dlt645[0]
        address = frame.address
        if frame.function == READ_ADDRESS and len(frame.data) == 6:
            address = address_of(frame.data)
        edition = "1997" if self.control == ENERGY_1997[0] else "2007"
        verb = "refused" if frame.error else "answered"
        return Sign("dlt645", address, f"meter {address} {verb} (DL/T 645-{edition})", echoed=said.echoed)


@dataclass(frozen=True, slots=True)
class Cjt188Question:
    """The address, or the reading of a meter that is known."""

    label: str
    size: int
    address: str = ""

    async def put(self, asker: Asker) -> Sign | Silence:
        """Ask."""
        frame = read(READING).frame(ANY_TYPE, self.address, 0) if self.address else who_is_there()
        said = await asker.cjt188(frame)
        if not said.cjt188:
            return Silence(said.garbled)
        answer = said.cjt188[0]
        what = f"meter {answer.address} of type {answer.type:02X} answered"
        return Sign("cjt188", answer.address, what, echoed=said.echoed)


def questions(
    framings: Sequence[Framing], units: Sequence[int], meters: Sequence[str] = (), *, one_meter: bool = False
) -> list[Question]:
    """What to ask at each setting of a line, the likeliest first.

    units      of Modbus
    meters     known numbers: 12 digits are asked as DL/T 645, 14 as CJ/T 188, fewer as either
    one_meter  that nobody else is on the wire, so that wildcards may be used
    """
    asked: list[Question] = []
    for framing in framings:
        for unit in units:
            size = len(wrapped(framing, unit, read_pdu(3, 0, 1)))
            asked.append(ModbusQuestion(f"Modbus {framing.value}, unit {unit}", size, framing, unit))
    if one_meter:
        asked.append(_dlt645("DL/T 645-2007, read address", dlt645.ANY, READ_ADDRESS, b""))
        asked.append(_dlt645("DL/T 645-2007, energy", dlt645.ANY, *ENERGY_2007))
        asked.append(_dlt645("DL/T 645-1997, energy", dlt645.ANY, *ENERGY_1997))
        asked.append(Cjt188Question("CJ/T 188, read address", len(encode_cjt188(who_is_there()))))
    for meter in meters:
        if len(meter) <= 12:
            asked.append(_dlt645(f"DL/T 645-2007, meter {meter}", meter.zfill(12), *ENERGY_2007))
            asked.append(_dlt645(f"DL/T 645-1997, meter {meter}", meter.zfill(12), *ENERGY_1997))
        if len(meter) != 12:
            asked.append(Cjt188Question(f"CJ/T 188, meter {meter}", 16, meter.zfill(14)))
    return asked


def _dlt645(label: str, address: str, control: int, data: bytes) -> Dlt645Question:
    return Dlt645Question(label, len(dlt645.encode(dlt645.Frame(address, control, data))), address, control, data)
