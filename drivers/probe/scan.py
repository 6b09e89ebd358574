"""Who is on a bus: units of Modbus, meters of DL/T 645 and CJ/T 188, and what each says of itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from drivers.cjt188.frame import ANY as ANY_CJT188
from drivers.cjt188.identifiers import READING
from drivers.cjt188.requests import read, who_is_there
from drivers.codec.frame68 import address_of
from drivers.dlt645 import frame as dlt645
from drivers.dlt645.formats import Format, digits, text
from drivers.probe.asker import Asker
from drivers.probe.modbus_frames import IDENTIFICATION, Framing, identification, identify_pdu, read_pdu
from drivers.probe.questions import ANY_TYPE, ENERGY_1997, ENERGY_2007, READ_ADDRESS

Progress = Callable[[int, int], None]

BYTES: Final = 6
PAIRS: Final = 100
"""Values of one byte of an address."""
_GATEWAY: Final = frozenset({10, 11})
_OBJECTS: Final = {0: "vendor", 1: "product", 2: "revision", 3: "url", 4: "name", 5: "model", 6: "application"}
"""Of the basic and regular device identification (Application Protocol 1.1b3, 6.21)."""
MOST_OBJECTS: Final = 16
_TOLD: Final[tuple[tuple[str, int, Format], ...]] = (
    ("type", 0x0400040B, text(10)),
    ("meter number", 0x04000402, digits(6)),
    ("edition", 0x0400040D, text(16)),
    ("firmware", 0x04800001, text(32)),
)
CJT188_KINDS: Final = {
    0x10: "cold water",
    0x11: "hot water",
    0x12: "drinking water",
    0x13: "reclaimed water",
    0x20: "heat",
    0x21: "heat and cooling",
    0x30: "gas",
    0x40: "electricity",
}


@dataclass(frozen=True, slots=True)
class FoundDevice:
    """One device. `edition` of DL/T 645; `kind` is the type that a CJ/T 188 meter calls itself; `told` is what
    it says of itself, by name."""

    protocol: str
    address: str
    told: tuple[tuple[str, str], ...] = ()
    edition: str = ""
    kind: int = 0
    framing: str = ""


@dataclass(frozen=True, slots=True)
class Unclear:
    """Something came that was no frame: several devices at once, or a bad line."""

    protocol: str
    asked: str
    garbled: int


async def scan_modbus(
    asker: Asker, framing: Framing, units: Sequence[int], progress: Progress
) -> AsyncIterator[FoundDevice | Unclear]:
    """Every unit that answers, a refusal included. Raises ChannelDown."""
    for number, unit in enumerate(units):
        progress(number, len(units))
        answered = await asker.modbus(framing, unit, read_pdu(3, 0, 1))
        if not answered.heard:
            if answered.garbled:
                yield Unclear("modbus", f"unit {unit}", answered.garbled)
            continue
        if answered.heard[0].exception not in _GATEWAY:
            told = await identify_modbus(asker, framing, unit)
            yield FoundDevice("modbus", str(unit), told, framing=framing.value)
    progress(len(units), len(units))


async def identify_modbus(asker: Asker, framing: Framing, unit: int) -> tuple[tuple[str, str], ...]:
    """What a unit says of itself by function 43; nothing where it does not know that."""
    objects: dict[int, str] = {}
    first = 0
    for _ in range(MOST_OBJECTS):
        answered = await asker.modbus(framing, unit, identify_pdu(first))
        if not answered.heard or answered.heard[0].pdu[0] != IDENTIFICATION:
            break
        more, following = identification(answered.heard[0].pdu)
        objects |= more
        if following <= first:
            break
        first = following
    return tuple((_OBJECTS.get(number, f"object {number}"), said) for number, said in sorted(objects.items()) if said)


async def scan_dlt645(
    asker: Asker, edition: str, meters: Iterable[str], progress: Progress, *, one: bool = False, several: bool = False
) -> AsyncIterator[FoundDevice | Unclear]:
    """The meters of these numbers that answer, and the `one` that is there; or `several`, whoever they are, found by
    wildcards. Raises ChannelDown."""
    if not several:
        known = [*([dlt645.ANY] if one else []), *(meter.zfill(12) for meter in meters)]
        for number, meter in enumerate(known):
            progress(number, len(known))
            found, garbled = await _who(asker, edition, meter)
            if garbled and not found:
                yield Unclear("dlt645", meter, garbled)
            for address in found:
                yield FoundDevice("dlt645", address, await identify_dlt645(asker, edition, address), edition)
        progress(len(known), len(known))
        return
    async for each in _search(asker, edition, progress):
        if isinstance(each, Unclear):
            yield each
        else:
            yield FoundDevice("dlt645", each, await identify_dlt645(asker, edition, each), edition)


async def _search(asker: Asker, edition: str, progress: Progress) -> AsyncIterator[str | Unclear]:
    """Numbers of all meters that understand AA for a byte. Where several answer at once, what is heard is garbage, or
    the answer of the loudest: the bytes are then asked one after the other, the lowest first."""
    seen: set[str] = set()
    waiting = [""]
    done = 0
    while waiting:
        tail = waiting.pop()
        pattern = "AA" * (BYTES - len(tail) // 2) + tail
        progress(done, done + len(waiting) + 1)
        done += 1
        found, garbled = await _who(asker, edition, pattern)
        fresh = [address for address in found if address not in seen and "A" not in address]
        for address in fresh:
            seen.add(address)
            yield address
        if not garbled and len(found) <= 1:
            continue
        if len(tail) == 2 * BYTES:
            if not found:
                yield Unclear("dlt645", tail, garbled)
            continue
        waiting += [f"{pair:02d}{tail}" for pair in reversed(range(PAIRS))]
    progress(done, done)


async def _who(asker: Asker, edition: str, address: str) -> tuple[list[str], int]:
    """Who answers to an address, and how many bytes belonged to no frame."""
    if edition == "2007" and address == dlt645.ANY:
        question = dlt645.Frame(address, READ_ADDRESS)
    else:
        control, data = ENERGY_2007 if edition == "2007" else ENERGY_1997
        question = dlt645.Frame(address, control, data)
    said = await asker.dlt645(question, everybody="A" in address)
    found = [
        address_of(frame.data) if frame.function == READ_ADDRESS and len(frame.data) == BYTES else frame.address
        for frame in said.dlt645
        if dlt645.matches(address, frame.address) or frame.address == dlt645.ANY
    ]
    return list(dict.fromkeys(found)), said.garbled


async def identify_dlt645(asker: Asker, edition: str, address: str) -> tuple[tuple[str, str], ...]:
    """What a meter says of itself; a meter of 1997 tells nothing."""
    told: list[tuple[str, str]] = []
    for name, di, form in _TOLD if edition == "2007" else ():
        said = await asker.dlt645(dlt645.Frame(address, 0x11, di.to_bytes(4, "little")))
        for frame in said.dlt645:
            body = frame.data[4:]
            shown = form.decode(body[: form.size]) if not frame.error and len(body) >= form.size else None
            if shown:
                told.append((name, str(shown)))
    return tuple(told)


async def scan_cjt188(
    asker: Asker, meters: Sequence[str], progress: Progress, *, one_meter: bool
) -> AsyncIterator[FoundDevice | Unclear]:
    """The meters of these numbers that answer, and with `one_meter` the one that is there. Raises ChannelDown."""
    asked = [*([ANY_CJT188] if one_meter else []), *(meter.zfill(14) for meter in meters)]
    seen: set[str] = set()
    for number, meter in enumerate(asked):
        progress(number, len(asked))
        frame = who_is_there() if meter == ANY_CJT188 else read(READING).frame(ANY_TYPE, meter, number & 0xFF)
        said = await asker.cjt188(frame)
        for answer in said.cjt188:
            if answer.address not in seen and answer.address != ANY_CJT188:
                seen.add(answer.address)
                kind = CJT188_KINDS.get(answer.type, f"type {answer.type:02X}")
                yield FoundDevice("cjt188", answer.address, (("kind", kind),), kind=answer.type)
        if not said.cjt188 and said.garbled:
            yield Unclear("cjt188", meter, said.garbled)
    progress(len(asked), len(asked))
