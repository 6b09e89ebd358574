"""Which meter is read when: rates of hub, plant, channel and groups laid over one another, schedules made real."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from address_space.model import Medium
from address_space.model.clock import NS
from address_space.model.ids import NodeUid
from config.errors import Problem
from config.plant import MeterConfig, PlantConfig
from config.polling import PollGroupConfig, ScheduleConfig
from drivers.errors import ScheduleError
from drivers.profiles import PollClass
from drivers.slots import LONGEST_WITHIN_S, Late, Schedule, Slots, cron, every, every_months


@dataclass(frozen=True, slots=True, eq=False)
class Rates:
    """Rates of a set of meters, by class of their profiles; classes that are not in it stay as the profile says.

    `periods_s` has the classes with a schedule as well. `label` tells sets apart that are not the plant's own.
    """

    id: int
    periods_s: Mapping[PollClass, float]
    schedules: Mapping[PollClass, Schedule] = field(default_factory=dict)
    label: tuple[str, ...] = ()


class RateBook:
    """Finds the rates of each meter; the same for all that share them."""

    def __init__(self, config: PlantConfig, periods_s: Mapping[str, float], problems: list[Problem]) -> None:
        self._schedules: dict[str, Schedule] = {}
        for given in config.schedules:
            try:
                self._schedules[given.id] = _schedule(given, ZoneInfo(config.time_zone))
            except ScheduleError as error:
                problems.append(Problem.at(given.location, error.what, error.hint))
        self._everywhere: dict[str, float | str] = {**periods_s, **config.polling}
        self._channels = {channel.id: channel.polling for channel in config.channels}
        self._groups = {group.id: group for group in config.poll_groups}
        self._above = {node.id: node.parent for node in config.nodes}
        self._found: dict[tuple[object, ...], Rates] = {}
        self._made: dict[tuple[tuple[str, float | str], ...], Rates] = {}
        self._make({})

    def of(self, meter: MeterConfig, medium: Medium) -> Rates:
        """Rates of a meter whose profile measures this."""
        if not self._groups:
            key: tuple[object, ...] = (meter.channel,)
        else:
            key = (meter.channel, medium, meter.profile, meter.parent, meter.poll_group)
        found = self._found.get(key)
        if found is None:
            given = dict(self._channels[meter.channel])
            for group in self._groups.values():
                if not group.named and self._belongs(meter, medium, group):
                    given.update(group.rates)
            if meter.poll_group:
                given.update(self._groups[meter.poll_group].rates)
            found = self._found[key] = self._make(given)
        return found

    def _belongs(self, meter: MeterConfig, medium: Medium, group: PollGroupConfig) -> bool:
        return (
            (not group.media or medium.name.lower() in group.media)
            and (not group.channels or meter.channel in group.channels)
            and (not group.profiles or any(fnmatchcase(meter.profile, pattern) for pattern in group.profiles))
            and (not group.nodes or self._below(meter.parent, group.nodes))
        )

    def _below(self, node: NodeUid | None, nodes: frozenset[str]) -> bool:
        while node is not None:
            if node in nodes:
                return True
            node = self._above.get(node)
        return False

    def _make(self, own: Mapping[str, float | str]) -> Rates:
        rates = {**self._everywhere, **own}
        key = tuple(sorted(rates.items()))
        if key not in self._made:
            schedules = {
                PollClass(name): self._schedules[rate]
                for name, rate in rates.items()
                if isinstance(rate, str) and rate in self._schedules
            }
            periods_s = {PollClass(name): rate for name, rate in rates.items() if not isinstance(rate, str)}
            periods_s |= {name: schedule.period_s for name, schedule in schedules.items()}
            label = tuple(f"{name}={rate}" for name, rate in key) if self._made else ()
            self._made[key] = Rates(len(self._made), periods_s, schedules, label)
        return self._made[key]


def _schedule(given: ScheduleConfig, zone: ZoneInfo) -> Schedule:
    slots = _slots(given, zone)
    if given.offset_s >= slots.shortest_s:
        raise ScheduleError(
            f"the offset of {given.offset_s:g} s is no shorter than the time between two slots",
            hint="read sooner after the slot, or write the time itself as cron",
        )
    within_s = min(float(slots.shortest_s), LONGEST_WITHIN_S) if given.within_s is None else given.within_s
    late = Late.CATCH_UP if given.catch_up else Late.DROP
    return Schedule(given.id, slots, round(given.offset_s * NS), late, round(within_s * NS))


def _slots(given: ScheduleConfig, zone: ZoneInfo) -> Slots:
    if given.cron:
        return cron(given.cron, zone)
    if given.every_months:
        return every_months(given.every_months, zone)
    if given.every_s % 1:
        raise ScheduleError(f"{given.every_s:g} s is no whole number of seconds", hint="write `every: 15min`")
    return every(int(given.every_s), zone)
