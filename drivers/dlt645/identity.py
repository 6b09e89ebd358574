"""How a meter identifies itself, as far as it does."""

from __future__ import annotations

from typing import Final

from drivers.codec.frame68 import address_of
from drivers.dlt645.formats import digits, text
from drivers.dlt645.frame import ANY
from drivers.dlt645.talk import Talk
from drivers.errors import DeviceRefused, NoAnswer

READ_ADDRESS: Final = 0x13
_TOLD_2007: Final = (
    ("address", 0x04000401, digits(6)),
    ("type", 0x0400040B, text(10)),
    ("firmware", 0x04800001, text(32)),
)
_TOLD_1997: Final = (("meter number", 0xC032, digits(6)),)


async def identify(talk: Talk) -> str:
    """Address, type and firmware of a meter. Raises DriverError where it says nothing at all.

    A meter may refuse each of them; only silence at the first ends it.
    """
    said: list[str] = []
    if talk.address == ANY and talk.profile.version == "2007":
        said.append(f"address {address_of(await talk.ask(READ_ADDRESS, b'', 'read address'))}")
    heard = bool(said)
    for name, di, form in _TOLD_2007 if talk.profile.version == "2007" else _TOLD_1997:
        try:
            shown = form.decode((await talk.read(di))[: form.size])
        except DeviceRefused:
            heard = True
            continue
        except NoAnswer:
            if not heard:
                raise
            break
        heard = True
        if shown:
            said.append(f"{name} {shown}")
    return ", ".join(said) or f"address {talk.address}"
