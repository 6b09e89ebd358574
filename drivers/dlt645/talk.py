"""What is asked of one meter: identifiers, its clock, writes. Version, preamble and gap as its profile has them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from drivers.dlt645 import clock as meter_clock
from drivers.dlt645.frame import Frame
from drivers.dlt645.layout import CompiledProfile
from drivers.dlt645.wire import READ, Asked, Wire
from drivers.errors import BadFrame


@dataclass(frozen=True, slots=True)
class Talk:
    """One meter on a line. `zone`: where its clock runs; `lenient`: it may answer with AA for its address."""

    wire: Wire
    profile: CompiledProfile
    address: str
    name: str
    zone: tzinfo = UTC
    lenient: bool = False

    async def read(self, di: int) -> bytes:
        """Data of an identifier, without it. Raises DriverError."""
        version = self.profile.version
        prefix = self.profile.di_bytes(di)
        asked = Asked(self.address, READ[version], prefix, prefix, lenient=self.lenient)
        label = self.profile.di_text(di)
        return await self.wire.read(asked, version, label, preamble=self.profile.preamble, gap_s=self.profile.gap_s)

    async def clock(self) -> datetime:
        """The meter's local time. Raises DriverError."""
        version = self.profile.version
        date = await self.read(meter_clock.DATE_DI[version])
        time = await self.read(meter_clock.TIME_DI[version])
        if meter_clock.is_new_day(time):
            date = await self.read(meter_clock.DATE_DI[version])
        return meter_clock.joined(date, time, self.name)

    async def ask(self, control: int, data: bytes, label: str, prefix: bytes = b"") -> bytes:
        """Data of the answer to anything else. Raises DriverError."""
        asked = Asked(self.address, control, data, prefix, lenient=self.lenient)
        answer = await self.wire.exchange(asked, label, preamble=self.profile.preamble, gap_s=self.profile.gap_s)
        if answer.more:
            raise BadFrame("the meter announces more where nothing more can come", where=f"{self.name}, {label}")
        return answer.data

    async def tell(self, address: str, control: int, data: bytes) -> None:
        """Send what nobody answers. Raises ChannelDown."""
        frame = Frame(address, control, data)
        await self.wire.tell(frame, preamble=self.profile.preamble, gap_s=self.profile.gap_s)
