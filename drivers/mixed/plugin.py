"""What the folder of mixed buses registers under the entry-point group `joulehub.drivers`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from address_space.model.clock import Clock, SystemClock
from address_space.model.state import Protocol
from drivers.api import Action, Counting, DriverPlugin, Line, Pace, Paced
from drivers.errors import ProfileError
from drivers.mixed.driver import MixedDriver, Part
from drivers.mixed.options import Options
from drivers.mixed.parts import NAME, MixedProfile, installed
from drivers.mixed.views import SharedLine, Views
from drivers.transport import Lines

USUAL_PACE = Pace(0.1)
"""Of devices whose driver does not say."""


@dataclass(frozen=True, slots=True)
class MixedPlugin:
    """`drivers.api.DriverPlugin`; knows no protocol itself."""

    clock: Clock = field(default_factory=SystemClock)

    @property
    def name(self) -> str:
        """Name in `plant.yaml`."""
        return NAME

    @property
    def speaks(self) -> frozenset[str]:
        """All that the drivers speak that can share a bus."""
        return frozenset(protocol for plugin in installed().values() for protocol in plugin.speaks)

    @property
    def options(self) -> type[Options]:
        """Options of a channel."""
        return Options

    def compile(self, profile: Any) -> MixedProfile:
        """Compile with the driver that speaks the profile's protocol; raises ProfileError."""
        for name, plugin in installed().items():
            if profile.protocol in plugin.speaks:
                return MixedProfile(name, plugin.compile(profile))
        raise ProfileError(
            f"no installed driver for a serial bus speaks {profile.protocol}",
            where=profile.name,
            hint=f"there are drivers for {', '.join(sorted(self.speaks))}",
        )

    def factors(self, compiled: MixedProfile, ratio: tuple[float, float]) -> Sequence[float]:
        """As the protocol's driver says."""
        return _plugin(compiled).factors(compiled.compiled, ratio)

    def check_address(self, address: str, compiled: MixedProfile) -> str:
        """As the protocol's driver says."""
        return _plugin(compiled).check_address(address, compiled.compiled)

    def protocol(self, options: Options, compiled: MixedProfile) -> Protocol:
        """What clients are told."""
        return _plugin(compiled).protocol(options.part(compiled.part), compiled.compiled)

    def capacities(self, compiled: MixedProfile) -> Sequence[float]:
        """As the protocol's driver says; none where it does not know them."""
        plugin = _plugin(compiled)
        if isinstance(plugin, Counting):
            return plugin.capacities(compiled.compiled)
        return (0.0,) * len(plugin.factors(compiled.compiled, (1.0, 1.0)))

    def pace(self, options: Options, compiled: MixedProfile) -> Pace:
        """As the protocol's driver says."""
        plugin = _plugin(compiled)
        return plugin.pace(options.part(compiled.part), compiled.compiled) if isinstance(plugin, Paced) else USUAL_PACE

    def command(self, compiled: MixedProfile, name: str, arguments: Mapping[str, Any]) -> tuple[Action, ...]:
        """As the protocol's driver says; raises ProfileError."""
        return _plugin(compiled).command(compiled.compiled, name, arguments)

    def line(self, options: Options) -> Line:
        """Patience for the slowest protocol. Gaps differ, so that the driver keeps them."""
        lines = [plugin.line(options.part(name)) for name, plugin in installed().items()]
        return Line(options.gap_s or 0.0, max(line.timeout_s for line in lines), max(line.quiet_s for line in lines))

    def create(self, channel: str, options: Options, lines: Lines) -> MixedDriver:
        """A driver for one channel."""
        link = lines.link(channel, options)
        views = Views(SharedLine(link, options.serial), self.clock)
        parts = {name: _part(plugin, channel, options.part(name), views) for name, plugin in installed().items()}
        return MixedDriver(channel, link, parts, self.clock)


def _part(plugin: DriverPlugin, channel: str, options: Any, views: Views) -> Part:
    return Part(plugin.create(channel, options, views), plugin.line(options).gap_s)


def _plugin(compiled: MixedProfile) -> DriverPlugin:
    return installed()[compiled.part]
