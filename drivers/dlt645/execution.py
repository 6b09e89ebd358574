"""Steps of commands at one meter: each write goes out once, and what a meter shows afterwards is told as it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Final

from address_space.model.clock import NS, Clock
from drivers.api import Confirmation, WriteOutcome
from drivers.dlt645 import clock as meter_clock
from drivers.dlt645 import relay
from drivers.dlt645.clock import ClockWithin, SetClock
from drivers.dlt645.formats import DATE, TIME, Kind
from drivers.dlt645.frame import ANY, BROADCAST
from drivers.dlt645.options import FACTORY_PASSWORD, Options, checked_digits, operator_of, password_of
from drivers.dlt645.orders import Clear, Freeze, Given, ReadData, Transport, WriteData
from drivers.dlt645.relay import Credentials, Supply, Switch
from drivers.dlt645.talk import Talk
from drivers.errors import BadFrame, ChannelDown, DeviceRefused, DriverError, ProfileError
from drivers.profiles import Effect

WRITE: Final = {"2007": 0x14, "1997": 0x04}
FREEZE: Final = 0x16
AUTHENTICATE: Final = 0x03
Measure = Callable[[int], Awaitable[float]]
"""Reads one variable, by its offset, in base units; NaN where there is no value."""


class Execution:
    """One meter, with what a write needs beside its address."""

    def __init__(self, talk: Talk, options: Options, clock: Clock, measure: Measure) -> None:
        self._talk = talk
        self._options = options
        self._clock = clock
        self._measure = measure

    async def write(self, key: Any, given: Given) -> WriteOutcome:
        """Write once. Raises ProfileError where nothing was sent, ChannelDown where the line was lost."""
        if isinstance(key, SetClock) and key.everyone:
            return await self._broadcast(given)
        if self._talk.address == ANY:
            raise ProfileError(
                "a meter is written and switched by its own number only",
                where=self._talk.name,
                hint="find the number with `joulehub probe` and use it as the address",
            )
        match key:
            case Switch():
                return await self._switch(key, given)
            case SetClock():
                return await self._set_clock(given)
            case Freeze():
                return await self._once(FREEZE, key.moment, "freeze")
            case Clear():
                return await self._once(key.control, self._credentials(given).head("2007") + key.data, "clear")
            case Transport():
                return await self._transport(key, given)
            case WriteData():
                return await self._once(*self._writing(key.di, key.format.encode(given.value), given))
        raise ProfileError(f"not something to write: {key}", where=self._talk.name)

    async def confirm(self, key: Any) -> Confirmation:
        """Look once what a command has done. Raises DriverError."""
        match key:
            case Supply():
                word = await self._talk.read(relay.STATUS_WORD_3)
                return relay.looked(key.look, int.from_bytes(word[:2], "little"))
            case ClockWithin():
                return await self._compare_clock(key)
            case ReadData():
                return await self._look_at(key)
            case Effect():
                return await self._look_whether(key)
        raise ProfileError(f"cannot be read back: {key}", where=self._talk.name)

    # supply

    async def _switch(self, key: Switch, given: Given) -> WriteOutcome:
        settings = self._talk.profile.relay
        credentials = self._credentials(given)
        until = None
        if "until" in settings.payload:
            until = await self._meter_time() + timedelta(seconds=settings.valid_s)
        data = relay.payload(settings, key.code, credentials, until)
        return await self._once(relay.CONTROL, data, f"relay {key.action}")

    async def _meter_time(self) -> datetime:
        """Now by the clock that decides how long a command is valid. Raises ProfileError: nothing was sent yet."""
        if self._talk.profile.relay.by_meter:
            try:
                return await self._talk.clock()
            except ChannelDown:
                raise
            except DriverError as error:
                if not isinstance(error, DeviceRefused):
                    raise ProfileError(
                        f"not sent, the meter's clock cannot be read: {error}",
                        where=self._talk.name,
                        hint="set the meter's clock, or say relay: {clock: hub} in its profile",
                    ) from error
        return self._hub_time(self._clock.now_ns())

    # clock

    async def _set_clock(self, given: Given) -> WriteOutcome:
        started_ns = self._clock.monotonic_ns()
        wanted_ns = meter_clock.given_ns(given.value, self._clock.now_ns(), self._talk.zone)
        profile = self._talk.profile
        local = self._hub_time(wanted_ns)
        if profile.adjusts_clock:
            await self._talk.tell(self._talk.address, meter_clock.ADJUST, meter_clock.adjusting(local))
            return WriteOutcome(acknowledged=None, detail="a time broadcast is not answered")
        date = self._writing(meter_clock.DATE_DI[profile.version], DATE.encode(local), given)
        outcome = await self._once(*date)
        if not outcome.acknowledged:
            return outcome
        local = self._hub_time(wanted_ns + self._clock.monotonic_ns() - started_ns)
        return await self._once(*self._writing(meter_clock.TIME_DI[profile.version], TIME.encode(local), given))

    async def _broadcast(self, given: Given) -> WriteOutcome:
        wanted_ns = meter_clock.given_ns(given.value, self._clock.now_ns(), self._talk.zone)
        await self._talk.tell(BROADCAST, meter_clock.ADJUST, meter_clock.adjusting(self._hub_time(wanted_ns)))
        return WriteOutcome(acknowledged=None, detail="a time broadcast is not answered")

    async def _compare_clock(self, key: ClockWithin) -> Confirmation:
        try:
            local = await self._talk.clock()
        except BadFrame as error:
            if key.seconds is None:
                return Confirmation(reached=True, state=error.what)
            raise
        drift_s = (meter_clock.instant_ns(local, self._talk.zone) - self._clock.now_ns()) / NS
        reached = key.seconds is None or abs(drift_s) <= key.seconds
        return Confirmation(reached, f"clock at {local.isoformat(' ')}", drift_s=drift_s)

    def _hub_time(self, now_ns: int) -> datetime:
        return meter_clock.local_time(now_ns, self._talk.zone)

    # data

    async def _transport(self, key: Transport, given: Given) -> WriteOutcome:
        di = self._talk.profile.di_bytes(key.di)
        operator = bytes.fromhex(self._operator(given))[::-1]
        label = f"control code 03, {key.di:08X}"
        return await self._once(AUTHENTICATE, di + operator + bytes(given.value), label)

    def _writing(self, di: int, data: bytes, given: Given) -> tuple[int, bytes, str]:
        """Control code, data and label of a write of an identifier."""
        profile = self._talk.profile
        head = profile.di_bytes(di) + self._credentials(given).head(profile.version)
        return WRITE[profile.version], head + data, f"write {profile.di_text(di)}"

    async def _look_at(self, key: ReadData) -> Confirmation:
        data = await self._talk.read(key.di)
        shown = key.format.decode(data[: key.format.size]) if key.format is not None else None
        told = f"{self._talk.profile.di_text(key.di)} is {data.hex().upper()}"
        if shown is not None:
            told = f"{told} ({shown})"
        if key.equals is None or key.format is None:
            return Confirmation(reached=True, state=told)
        whole = key.format.whole(data[: key.format.size]) if key.format.kind in (Kind.NUMBER, Kind.BITS) else None
        wanted = round(key.equals * 10**key.format.decimals)
        return Confirmation(whole == wanted, told)

    async def _look_whether(self, effect: Effect) -> Confirmation:
        offset = self._talk.profile.profile.offset(effect.quantity)
        if offset is None:
            raise ProfileError(f"the profile has no {effect.quantity.path}", where=self._talk.name)
        value = await self._measure(offset)
        return Confirmation(effect.holds(value), f"{effect.quantity.path} is {value:g}")

    # sending

    async def _once(self, control: int, data: bytes, label: str) -> WriteOutcome:
        try:
            answer = await self._talk.ask(control, data, label)
        except DeviceRefused as error:
            return WriteOutcome(acknowledged=False, detail=str(error))
        except ChannelDown:
            raise
        except DriverError as error:
            return WriteOutcome(acknowledged=None, detail=str(error))
        return WriteOutcome(acknowledged=True, detail=f"answered {answer.hex().upper()}" if answer else "")

    def _credentials(self, given: Given) -> Credentials:
        """Password of the command, of the meter, of its level, or the factory's; raises ProfileError."""
        level = self._talk.profile.level
        if given.password is not None:
            size = len(FACTORY_PASSWORD)
            password = checked_digits(str(given.password), size, "password", self._talk.name)
        else:
            password = password_of(self._options, self._talk.address, level)
        return Credentials(level, password, self._operator(given))

    def _operator(self, given: Given) -> str:
        if given.operator is not None:
            return checked_digits(str(given.operator), 8, "operator code", self._talk.name)
        return operator_of(self._options)
