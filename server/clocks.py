"""Setting the clocks of devices because somebody asks: the method SyncClock."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import tzinfo
from math import nan

from address_space.model import NS, Clock, Plant
from address_space.model.clock import to_datetime
from address_space.model.hierarchy import MeteringUnit
from address_space.model.ids import NodeUid, UnitHandle
from address_space.model.quality import Reason
from address_space.model.state import CommandState
from drivers.commands import Intervals, execute
from drivers.poller import Poller
from server.assembly import Assembly
from server.errors import CommandNotDone
from server.opcua import CallContext

COMMAND = "set_clock"
_MS_PER_S = 1000.0


class Clocks:
    """Gives devices the hub's time, in the zone they keep."""

    def __init__(self, assembly: Assembly, pollers: Iterable[Poller], clock: Clock, zone: tzinfo) -> None:
        self._plant: Plant = assembly.plant
        self._origins = assembly.origins
        self._pollers = {poller.channel.id: poller for poller in pollers}
        self._clock = clock
        self._zone = zone
        self._intervals = Intervals(clock)
        self._busy: set[UnitHandle] = set()

    def settable(self, uid: str) -> bool:
        """Whether a unit is in service and its profile says how its clock is set."""
        unit = self._plant.unit_of.get(NodeUid(uid))
        if unit is None:
            return False
        found: MeteringUnit = self._plant.units[unit]
        poller = self._pollers.get(found.channel) if found.enabled else None
        if poller is None:
            return False
        origin = self._origins.get(id(poller.target(unit).profile))
        return origin is not None and origin.profile.command(COMMAND) is not None

    async def sync(self, uid: str, context: CallContext, reason: str) -> tuple[float]:  # noqa: ARG002  # as bound
        """Set the clock of a unit and see that it runs; by how many milliseconds it was ahead before, NaN where it
        was not read. Raises CommandNotDone, and ProfileError where the command needs more than the time."""
        unit = self._plant.unit_of[NodeUid(uid)]
        if unit in self._busy:
            raise CommandNotDone("its clock is being set", where=uid, hint="try again in a moment")
        self._busy.add(unit)
        try:
            return (await self._set(uid, unit) * _MS_PER_S,)
        finally:
            self._busy.discard(unit)

    async def _set(self, uid: str, unit: UnitHandle) -> float:
        poller = self._pollers[self._plant.units[unit].channel]
        device = poller.target(unit)
        origin = self._origins[id(device.profile)]
        command = origin.profile.command(COMMAND)
        interval_s = command.min_interval_s if command is not None else 0.0
        wait_s = self._intervals.wait_s(unit, COMMAND, interval_s)
        if wait_s:
            raise CommandNotDone(
                "its clock was set a short while ago, and setting it wears out the device's memory",
                where=uid,
                hint=f"wait {wait_s:.0f} s",
            )
        now = to_datetime(self._clock.now_ns() // NS * NS).astimezone(self._zone)
        actions = origin.plugin.command(device.profile, COMMAND, {"time": now})
        self._intervals.note(unit, COMMAND)
        result = await execute(poller.channel, device, actions, self._clock)
        if result.state is not CommandState.CONFIRMED:
            unsure = result.state is CommandState.UNKNOWN
            raise CommandNotDone(
                f"the clock was not set: {result.detail}" if not unsure else f"nobody knows: {result.detail}",
                reason=Reason.TIMEOUT if unsure else Reason.DEVICE_ERROR,
                where=f"{uid}, {result.step}",
            )
        return nan if result.drift_s is None else result.drift_s
