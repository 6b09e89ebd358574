"""From configuration to a plant that can be polled: profiles become templates, meters become units and devices.

Only here do configuration, profiles and drivers meet; every mistake that shows only then is reported like those
the configuration finds itself, at its own file, line and column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from address_space.model import Identification, Medium, MeteringUnit, Plant, PointSpec, Protocol, Quantity, Template
from address_space.model.ids import UnitHandle
from config.errors import ConfigErrors, Problem
from config.plant import ChannelConfig, MeterConfig, PlantConfig
from config.sections import PollingSettings
from drivers.api import Device, DriverPlugin
from drivers.errors import ProfileError
from drivers.poller import PollClass, PolledDevice
from drivers.profiles import PollClass as ProfileClass
from drivers.profiles import Profile, ProfileLibrary

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
class Assembly:
    """A plant and the buses that feed it."""

    plant: Plant
    buses: tuple[Bus, ...]


@dataclass(frozen=True, slots=True)
class _Make:
    """What units of one profile, protocol and rating share."""

    template: Template
    compiled: Any
    protocol: Protocol
    medium: Medium
    identification: Identification
    classes: tuple[PollClass, ...]


def assemble(
    config: PlantConfig, library: ProfileLibrary, drivers: Mapping[str, DriverPlugin], polling: PollingSettings
) -> Assembly:
    """Build the plant; raises ConfigErrors with every mistake found."""
    return _Assembler(config, library, drivers, polling).assemble()


class _Assembler:
    def __init__(
        self,
        config: PlantConfig,
        library: ProfileLibrary,
        drivers: Mapping[str, DriverPlugin],
        polling: PollingSettings,
    ) -> None:
        self._config = config
        self._library = library
        self._drivers = drivers
        self._hold_s = polling.hold_s
        periods = polling.periods.model_dump()
        self._periods = {kind: periods[kind.value] for kind in ProfileClass if periods[kind.value]}
        self._problems: list[Problem] = []
        self._makes: dict[tuple[object, ...], _Make] = {}
        self._compiled: dict[tuple[str, str], Any] = {}
        self._identifications: dict[tuple[int, int], Identification] = {}

    def assemble(self) -> Assembly:
        channels = {channel.id: channel for channel in self._config.channels}
        options = {channel.id: self._options(channel) for channel in self._config.channels}
        units: list[MeteringUnit] = []
        made: list[tuple[MeterConfig, _Make]] = []
        for meter in self._config.meters:
            channel = channels[meter.channel]
            make = self._make(meter, channel, options[channel.id])
            if make is not None:
                made.append((meter, make))
                units.append(self._unit(meter, make))
        if self._problems:
            raise ConfigErrors(self._problems)
        plant = Plant(self._config.nodes, units)
        devices: dict[str, list[PolledDevice]] = {channel: [] for channel in channels}
        for meter, make in made:
            if meter.enabled:
                unit = plant.unit_of[meter.id]
                devices[meter.channel].append(PolledDevice(_device(plant, unit, meter, make), make.classes))
        buses = tuple(
            Bus(channel, self._drivers[channel.driver], options[name], tuple(devices[name]))
            for name, channel in channels.items()
        )
        return Assembly(plant, buses)

    def _options(self, channel: ChannelConfig) -> Any:
        try:
            return channel.decode(self._drivers[channel.driver].options)
        except ConfigErrors as error:
            self._problems.extend(error.problems)
            return None

    def _make(self, meter: MeterConfig, channel: ChannelConfig, options: Any) -> _Make | None:
        plugin = self._drivers[channel.driver]
        wrong = plugin.check_address(meter.address)
        if wrong:
            self._problems.append(meter.problem("address", wrong))
            return None
        key = (meter.profile, meter.channel, meter.ct, meter.pt, meter.rated_current_a, meter.rated_power_kw)
        make = self._makes.get(key)
        if make is None and options is not None:
            profile = self._library.get(meter.profile)
            if profile.protocol != plugin.name:
                hint = f"put the meter on a channel with driver {profile.protocol}"
                what = (
                    f"the profile {meter.profile!r} speaks {profile.protocol}, the channel {channel.id!r} {plugin.name}"
                )
                self._problems.append(meter.problem("profile", what, hint))
                return None
            try:
                make = self._makes[key] = self._shared(meter, profile, plugin, options)
            except ProfileError as error:
                self._problems.append(meter.problem("profile", error.what, error.hint))
        return make

    def _shared(self, meter: MeterConfig, profile: Profile, plugin: DriverPlugin, options: Any) -> _Make:
        protocol = plugin.protocol(options)
        ratings = (meter.profile, meter.ct, meter.pt, meter.rated_current_a, meter.rated_power_kw)
        for known, make in self._makes.items():
            if (known[0], *known[2:]) == ratings and make.protocol is protocol:
                return make
        compiled_key = (plugin.name, profile.name)
        if compiled_key not in self._compiled:
            self._compiled[compiled_key] = plugin.compile(profile)
        specs = [_rated(spec, meter) for spec in profile.point_specs(self._periods)]
        name = "|".join(str(part) for part in (protocol.name, *ratings))
        template = Template(name, specs, default_hold_s=self._hold_s)
        return _Make(
            template,
            self._compiled[compiled_key],
            protocol,
            profile.medium,
            Identification(manufacturer=profile.vendor, model=profile.model, device_class="Meter"),
            poll_classes(template),
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
            ratio=meter.ratio,
            enabled=meter.enabled,
            identification=self._identification(make, meter.year_of_construction),
            attributes=meter.attributes,
        )

    def _identification(self, make: _Make, year: int) -> Identification:
        """Name plate, one object for all units that share it."""
        key = (id(make), year)
        if key not in self._identifications:
            self._identifications[key] = replace(make.identification, year_of_construction=year)
        return self._identifications[key]


def poll_classes(template: Template) -> tuple[PollClass, ...]:
    """The measured variables of a template by poll period, fastest first."""
    periods: dict[float, list[int]] = {}
    for offset, point in enumerate(template.points):
        periods.setdefault(point.poll_s, []).append(offset)
    return tuple(PollClass(period, tuple(offsets)) for period, offsets in sorted(periods.items()))


def _device(plant: Plant, unit: UnitHandle, meter: MeterConfig, make: _Make) -> Device:
    return Device(unit, plant.first_handle(unit), meter.id, make.compiled, meter.address, (meter.ct, meter.pt))


_CURRENTS = frozenset(quantity for quantity in Quantity if quantity.path.startswith("Current"))
_POWERS = frozenset(
    quantity
    for quantity in Quantity
    if quantity.path.startswith(("ActivePower", "ReactivePower", "ApparentPower", "DemandImport"))
)
_VOLTAGES = frozenset(quantity for quantity in Quantity if quantity.path.startswith("Voltage"))


def _rated(spec: PointSpec, meter: MeterConfig) -> PointSpec:
    """The point with its EURange scaled to the meter's transformers and ratings."""
    low, high = spec.range
    if spec.quantity in _CURRENTS:
        factor = meter.ct
        limit = meter.rated_current_a * OVERRANGE
    elif spec.quantity in _VOLTAGES:
        factor, limit = meter.pt, 0.0
    elif spec.quantity in _POWERS:
        factor = meter.ct * meter.pt
        limit = meter.rated_power_kw * OVERRANGE
    else:
        return spec
    if limit:
        return replace(spec, eu_range=(-limit if low < 0 else 0.0, limit))
    return spec if factor == 1 else replace(spec, eu_range=(low * factor, high * factor))
