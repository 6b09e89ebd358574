"""Everything that a DL/T 645 or CJ/T 188 meter answers of what is usually asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final

from drivers.cjt188 import identifiers as water
from drivers.cjt188.contents import contents_of
from drivers.cjt188.identifiers import DiOrder, is_di, name_of
from drivers.cjt188.requests import ADDRESS_OF_ANY, read
from drivers.dlt645 import frame as dlt645
from drivers.dlt645 import identifiers, identifiers_1997
from drivers.dlt645.telling import tell
from drivers.probe.asker import Asker
from drivers.probe.questions import ANY_TYPE

Progress = Callable[[int, int], None]

DLT645_2007: Final = (
    *(kind << 16 for kind in range(0x0B)),
    0x0000FF00,
    0x0001FF00,
    0x0002FF00,
    0x00010001,
    0x01010000,
    0x01020000,
    *(0x02000000 | variable << 16 | 0xFF00 for variable in (1, 2, 3, 4, 5, 6, 7, 8, 9, 0x0C)),
    *(0x02800000 | other for other in range(1, 0x0C)),
    0x00900100,
    0x00900101,
    0x00900200,
    0x00900201,
    0x03110000,
    0x03300000,
    0x03300D00,
    0x03300E00,
    0x04000101,
    0x04000102,
    0x04000204,
    0x04000401,
    0x04000402,
    0x04000409,
    0x0400040A,
    0x0400040B,
    0x0400040D,
    0x040005FF,
    0x05060001,
    0x05060101,
)
DLT645_1997: Final = (
    *(0x9010, 0x9011, 0x9012, 0x9013, 0x9014, 0x901F, 0x9020, 0x9110, 0x9120, 0xA010),
    *(0xB611, 0xB612, 0xB613, 0xB621, 0xB622, 0xB623, 0xB630, 0xB631, 0xB632, 0xB633),
    *(0xB640, 0xB650, 0xC010, 0xC011, 0xC020, 0xC021, 0xC030, 0xC032),
)
CJT188: Final = (
    water.READING,
    water.FULL_RECORD,
    water.CLOCK,
    water.ADDRESS,
    water.PURCHASE,
    *(0x8102, 0x8103, 0x8104, 0xD120, 0xD121, 0xD300, 0xD400),
)


@dataclass(frozen=True, slots=True)
class Answered:
    """One identifier. `value` None with `refused` false is data that the meter marks as not available."""

    di: str
    name: str
    value: Any
    unit: str
    refused: str = ""
    note: str = ""


async def walk_dlt645(asker: Asker, edition: str, address: str, progress: Progress) -> AsyncIterator[Answered]:
    """Identifiers that the meter answers or refuses with a reason; silence is passed over. Raises ChannelDown."""
    asked = DLT645_2007 if edition == "2007" else DLT645_1997
    size, control = (4, 0x11) if edition == "2007" else (2, 0x01)
    for number, di in enumerate(asked):
        progress(number, len(asked))
        prefix = di.to_bytes(size, "little")
        said = await asker.dlt645(dlt645.Frame(address.zfill(12), control, prefix))
        for frame in said.dlt645:
            if frame.error:
                reason = tell(frame).to_dict().get("err") or ["no reason"]
                yield Answered(f"{di:0{2 * size}X}", _name(di, edition), None, "", refused=", ".join(reason))
            elif frame.data.startswith(prefix):
                told = tell(frame).to_dict()
                note = "more follows" if frame.more else ""
                name = str(told.get("quantity") or _name(di, edition))
                yield Answered(f"{di:0{2 * size}X}", name, told.get("value"), str(told.get("unit") or ""), note=note)
    progress(len(asked), len(asked))


async def walk_cjt188(
    asker: Asker, address: str, progress: Progress, order: DiOrder = DiOrder.LE
) -> AsyncIterator[Answered]:
    """Identifiers that the meter answers or refuses; silence is passed over. Raises ChannelDown."""
    for number, di in enumerate(CJT188):
        progress(number, len(CJT188))
        question = read(di) if di != water.ADDRESS else ADDRESS_OF_ANY
        said = await asker.cjt188(question.frame(ANY_TYPE, address.zfill(14), number & 0xFF, order))
        for frame in said.cjt188:
            name = name_of(di) or "unknown"
            if frame.error:
                yield Answered(f"{di:04X}", name, None, "", refused=f"status {frame.data[1:].hex().upper()}")
            elif is_di(frame.data[:2], di) or di == water.ADDRESS:
                told = contents_of(frame)
                value = told.decoded or told.value
                yield Answered(f"{di:04X}", name, value, told.unit or "")
    progress(len(CJT188), len(CJT188))


def _name(di: int, edition: str) -> str:
    entry = identifiers.find(di) if edition == "2007" else identifiers_1997.find(di)
    return entry.name if entry is not None else "unknown"
