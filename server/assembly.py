"""From configuration to a plant that can be polled: profiles become templates, meters become units and devices.

Only here do configuration, profiles and drivers meet; every mistake that shows only then is reported like those
the configuration finds itself, at its own file, line and column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from address_space.model import Identification, Medium, MeteringUnit, Plant, PointSpec, Protocol, Quantity, Template
from address_space.model.clock import NS
from address_space.model.ids import NodeUid, UnitHandle
from config.errors import ConfigErrors, Problem
from config.plant import ChannelConfig, MeterConfig, PlantConfig
from config.sections import PollingSettings
from drivers.api import Counting, Device, DriverPlugin, EarlierRatio
from drivers.errors import ProfileError
from drivers.poller import PollClass, PolledDevice
from drivers.profiles import Profile, ProfileLibrary
from drivers.slots import Schedule
from drivers.transport import LineOptions, clashes
from historian.counters import RatioChange
from server.rates import RateBook, Rates
from server.ratio_changes import RatioChanges, changes_at, steps

OVERRANGE = 1.2
"""Ratings are exceeded in service: EURange reaches this far beyond them."""


@dataclass(frozen=True, slots=True)
class Bus:
    """One channel with its options decoded and the devices on it."""

    config: ChannelConfig
    plugin: DriverPlugin
    options: Any
    devices: tuple[PolledDevice, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a compiled profile comes from."""

    plugin: DriverPlugin
    profile: Profile


@dataclass(frozen=True, slots=True)
class Assembly:
    """A plant and the buses that feed it. `origins` tells of each compiled profile, by its identity, `changes` when
    transformers changed."""

    plant: Plant
    buses: tuple[Bus, ...]
    origins: Mapping[int, Origin]
    changes: RatioChanges = field(default_factory=RatioChanges)


@dataclass(frozen=True, slots=True)
class _Make:
    """What units of one profile, protocol and rating share."""

    template: Template
    compiled: Any
    protocol: Protocol
    medium: Medium
    identification: Identification
    classes: tuple[PollClass, ...]
    ratio: tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Line:
    """A channel with its options decoded; they are None where they are wrong."""

    config: ChannelConfig
    plugin: DriverPlugin
    options: Any


def assemble(
    config: PlantConfig,
    library: ProfileLibrary,
    drivers: Mapping[str, DriverPlugin],
    polling: PollingSettings,
    *,
    recorded: bool = True,
) -> Assembly:
    """Build the plant; raises ConfigErrors with every mistake found. Not `recorded`: no variable claims a history."""
    return _Assembler(config, library, drivers, polling, recorded=recorded).assemble()


class _Assembler:
    def __init__(
        self,
        config: PlantConfig,
        library: ProfileLibrary,
        drivers: Mapping[str, DriverPlugin],
        polling: PollingSettings,
        *,
        recorded: bool,
    ) -> None:
        self._config = config
        self._library = library
        self._drivers = drivers
        self._hold_s = polling.hold_s
        self._recorded = recorded
        self._problems: list[Problem] = []
        self._rates = RateBook(config, polling.periods.given(), self._problems)
        self._lines: dict[str, _Line] = {}
        self._makes: dict[tuple[object, ...], _Make] = {}
        self._compiled: dict[tuple[str, str], Any] = {}
        self._attributes: dict[tuple[tuple[str, str | float], ...], Mapping[str, str | float]] = {}
        self._identifications: dict[tuple[int, int], Identification] = {}

    def assemble(self) -> Assembly:
        self._lines = {channel.id: self._line(channel) for channel in self._config.channels}
        self._problems.extend(self._clashes())
        made: list[tuple[MeterConfig, _Make]] = []
        for meter in self._config.meters:
            make = self._make(meter)
            if make is not None:
                made.append((meter, make))
        if self._problems:
            raise ConfigErrors(self._problems)
        plant = Plant(self._config.nodes, [self._unit(meter, make) for meter, make in made])
        zone = ZoneInfo(self._config.time_zone)
        devices: dict[str, list[PolledDevice]] = {channel: [] for channel in self._lines}
        for meter, make in made:
            if meter.enabled:
                unit = plant.unit_of[meter.id]
                devices[meter.channel].append(PolledDevice(_device(plant, unit, meter, make, zone), make.classes))
        buses = tuple(
            Bus(line.config, line.plugin, line.options, tuple(devices[name])) for name, line in self._lines.items()
        )
        origins = {
            id(compiled): Origin(self._drivers[driver], self._library.get(profile))
            for (profile, driver), compiled in self._compiled.items()
        }
        return Assembly(plant, buses, origins, self._changes(made, zone))

    def _changes(self, made: Sequence[tuple[MeterConfig, _Make]], zone: tzinfo) -> RatioChanges:
        """When the transformers of which meter changed, and by how much each of its registers."""
        found: dict[NodeUid, dict[str, list[RatioChange]]] = {}
        for meter, make in made:
            if meter.earlier is not None:
                plugin = self._lines[meter.channel].plugin
                factors = steps(plugin, make.compiled, meter.earlier.ratio, meter.ratio)
                quantities = [point.quantity for point in self._library.get(meter.profile).points]
                found[meter.id] = changes_at(meter.earlier.until_s(zone), quantities, factors)
        return RatioChanges(found)

    def _line(self, channel: ChannelConfig) -> _Line:
        plugin = self._drivers[channel.driver]
        try:
            options = channel.decode(plugin.options)
        except ConfigErrors as error:
            self._problems.extend(error.problems)
            return _Line(channel, plugin, None)
        return _Line(channel, plugin, options)

    def _clashes(self) -> list[Problem]:
        """Channels that cannot stand side by side."""
        lines = {name: line.options for name, line in self._lines.items() if isinstance(line.options, LineOptions)}
        return [
            Problem.at(self._lines[each.channel].config.locate(("options", each.key)), each.what, each.hint)
            for each in clashes(lines)
        ]

    def _make(self, meter: MeterConfig) -> _Make | None:
        """What the meter is; None, with the mistake noted, where it cannot be."""
        line = self._lines[meter.channel]
        profile = self._library.get(meter.profile)
        if profile.protocol not in line.plugin.speaks:
            self._problems.append(self._misplaced(meter, line))
            return None
        compiled = self._compile(meter, line)
        if compiled is None or line.options is None:
            return None
        wrong = line.plugin.check_address(meter.address, compiled)
        if wrong:
            self._problems.append(meter.problem("address", wrong))
        protocol = line.plugin.protocol(line.options, compiled)
        rates = self._rates.of(meter, profile.medium)
        key = (profile.name, line.plugin.name, protocol, rates.id, *_ratings(meter))
        if key not in self._makes:
            self._makes[key] = self._new_make(meter, line, compiled, protocol, rates)
        return self._makes[key]

    def _misplaced(self, meter: MeterConfig, line: _Line) -> Problem:
        speaks = self._library.get(meter.profile).protocol
        what = f"the profile {meter.profile!r} speaks {speaks}, the channel {meter.channel!r} {line.plugin.name}"
        return meter.problem("profile", what, f"put the meter on a channel whose driver speaks {speaks}")

    def _compile(self, meter: MeterConfig, line: _Line) -> Any:
        """The compiled profile; None, with the mistake noted once for all meters of the profile, where it is wrong."""
        profile = self._library.get(meter.profile)
        key = (profile.name, line.plugin.name)
        if key not in self._compiled:
            try:
                self._compiled[key] = line.plugin.compile(profile)
            except ProfileError as error:
                self._compiled[key] = None
                what = f"the profile {profile.name!r} cannot be used: {' | '.join(map(str, error.mistakes))}"
                self._problems.append(meter.problem("profile", what))
        return self._compiled[key]

    def _new_make(self, meter: MeterConfig, line: _Line, compiled: Any, protocol: Protocol, rates: Rates) -> _Make:
        profile = self._library.get(meter.profile)
        factors = line.plugin.factors(compiled, meter.ratio)
        capacities = line.plugin.capacities(compiled) if isinstance(line.plugin, Counting) else (0.0,) * len(factors)
        specs = [
            self._rated(spec, meter, factor, capacity)
            for spec, factor, capacity in zip(profile.point_specs(rates.periods_s), factors, capacities, strict=True)
        ]
        name = "|".join(str(part) for part in (protocol.name, profile.name, *_ratings(meter), *rates.label))
        template = Template(name, specs, default_hold_s=self._hold_s)
        return _Make(
            template,
            compiled,
            protocol,
            profile.medium,
            Identification(manufacturer=profile.vendor, model=profile.model, device_class="Meter"),
            poll_classes(template, [rates.schedules.get(point.poll_class) for point in profile.points]),
            meter.ratio,
        )

    def _rated(self, spec: PointSpec, meter: MeterConfig, factor: float, capacity: float) -> PointSpec:
        """The point of a profile as a point of such a meter."""
        return replace(
            spec,
            eu_range=_rated_range(spec, meter),
            rollover=(spec.rollover or capacity) * factor,
            record=spec.record and self._recorded,
        )

    def _unit(self, meter: MeterConfig, make: _Make) -> MeteringUnit:
        return MeteringUnit(
            id=meter.id,
            name=meter.name or meter.id,
            parent=meter.parent,
            template=make.template,
            medium=make.medium,
            protocol=make.protocol,
            channel=meter.channel,
            address=meter.address,
            serial_number=meter.serial_number,
            asset_id=meter.asset_id,
            ratio=make.ratio,
            enabled=meter.enabled,
            identification=self._identification(make, meter.year_of_construction),
            attributes=self._shared_attributes(meter),
        )

    def _shared_attributes(self, meter: MeterConfig) -> Mapping[str, str | float]:
        """Attributes, one mapping for all units that have the same."""
        given = meter.attributes
        return self._attributes.setdefault(tuple(given.items()), given)

    def _identification(self, make: _Make, year: int) -> Identification:
        """Name plate, one object for all units that share it."""
        key = (id(make), year)
        if key not in self._identifications:
            self._identifications[key] = replace(make.identification, year_of_construction=year)
        return self._identifications[key]


def _ratings(meter: MeterConfig) -> tuple[float, float, float, float]:
    return meter.ct, meter.pt, meter.rated_current_a, meter.rated_power_kw


def poll_classes(template: Template, schedules: Sequence[Schedule | None]) -> tuple[PollClass, ...]:
    """The measured variables of a template by poll period or schedule, fastest first."""
    found: dict[tuple[float, str], tuple[Schedule | None, list[int]]] = {}
    for offset, (point, schedule) in enumerate(zip(template.points, schedules, strict=True)):
        key = (point.poll_s, schedule.name if schedule else "")
        found.setdefault(key, (schedule, []))[1].append(offset)
    return tuple(
        PollClass(period, tuple(offsets), schedule) for (period, _), (schedule, offsets) in sorted(found.items())
    )


def _device(plant: Plant, unit: UnitHandle, meter: MeterConfig, make: _Make, zone: tzinfo) -> Device:
    was = meter.earlier
    earlier = EarlierRatio(was.until_s(zone) * NS, was.ratio) if was is not None else None
    return Device(unit, plant.first_handle(unit), meter.id, make.compiled, meter.address, make.ratio, zone, earlier)


_CURRENTS = frozenset(quantity for quantity in Quantity if quantity.path.startswith("Current"))
_POWERS = frozenset(
    quantity
    for quantity in Quantity
    if quantity.path.startswith(("ActivePower", "ReactivePower", "ApparentPower", "DemandImport"))
)
_VOLTAGES = frozenset(quantity for quantity in Quantity if quantity.path.startswith("Voltage"))


def _rated_range(spec: PointSpec, meter: MeterConfig) -> tuple[float, float] | None:
    """EURange scaled to the meter's transformers and ratings."""
    low, high = spec.range
    if spec.quantity in _CURRENTS:
        factor, limit = meter.ct, meter.rated_current_a * OVERRANGE
    elif spec.quantity in _VOLTAGES:
        factor, limit = meter.pt, 0.0
    elif spec.quantity in _POWERS:
        factor, limit = meter.ct * meter.pt, meter.rated_power_kw * OVERRANGE
    else:
        return spec.eu_range
    if limit:
        return (-limit if low < 0 else 0.0), limit
    return spec.eu_range if factor == 1 else (low * factor, high * factor)
