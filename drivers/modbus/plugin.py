"""What the Modbus folder registers under the entry-point group `joulehub.drivers`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

from address_space.model.state import Protocol
from drivers.api import Action, Line, Pace
from drivers.errors import ProfileError
from drivers.modbus.compile import compile_profile
from drivers.modbus.driver import ModbusDriver
from drivers.modbus.layout import CompiledProfile, RatioRegister, RatioSource
from drivers.modbus.options import Options
from drivers.modbus.wire import LEAST_QUIET_S
from drivers.plugin import ProtocolPlugin
from drivers.transport import Lines

USUAL_ANSWER_S = 0.03
"""Time a device takes to answer; manuals say 10 to 50 ms."""


@dataclass(frozen=True, slots=True)
class ModbusPlugin(ProtocolPlugin):
    """`drivers.api.DriverPlugin`."""

    name: ClassVar = "modbus"
    options: ClassVar = Options

    def compile(self, profile: Any) -> CompiledProfile:
        """Compile a profile; raises ProfileError."""
        return compile_profile(profile)

    def factors(self, compiled: CompiledProfile, ratio: tuple[float, float]) -> tuple[float, ...]:
        """Transformer factors of the points of the profile itself; a ratio read from the device counts where it is
        also configured."""
        make = compiled.makes[0]
        ct, pt = (_known_ratio(source, given) for source, given in zip((make.ct, make.pt), ratio, strict=True))
        return tuple(float(point.ratio.pick(ct, pt)) if point else 1.0 for point in make.points)

    def check_address(self, address: str, compiled: CompiledProfile) -> str:  # noqa: ARG002 - as the contract has it
        """Empty for 1 to 247, and for 0 and 255, which meters with their own Ethernet port use."""
        if address.isdecimal() and address.isascii() and (int(address) <= 247 or int(address) == 255):
            return ""
        return f"{address!r} is no Modbus unit address: use 1 to 247 (0 or 255 for some meters with Ethernet)"

    def protocol(self, options: Options, compiled: CompiledProfile) -> Protocol:  # noqa: ARG002 - as the contract has it
        """What clients are told."""
        return Protocol.MODBUS_RTU if options.framing != "tcp" else Protocol.MODBUS_TCP

    def line(self, options: Options) -> Line:
        """Timing of the channel; frames without transaction numbers need silence after a missing answer."""
        timeout_s = options.timeout_ms / 1000
        quiet_s = max(timeout_s / 2, LEAST_QUIET_S) if options.framing != "tcp" else 0.0
        return Line(options.gap_s or 0.0, timeout_s, quiet_s)

    def pace(self, options: Options, compiled: CompiledProfile) -> Pace:
        """Pace of a device; Modbus over Serial Line 2.5.1.1 asks for 3.5 characters of silence between frames."""
        gap_s = compiled.makes[0].gap_s if options.gap_s is None else options.gap_s
        if options.framing == "tcp":
            return Pace(USUAL_ANSWER_S, gap_s, bus=False)
        return Pace(USUAL_ANSWER_S, gap_s, silence_characters=3.5 if options.framing == "rtu" else 0.0)

    def command(self, compiled: CompiledProfile, name: str, arguments: Mapping[str, Any]) -> tuple[Action, ...]:
        """Steps of a command of the profile, compiled with it."""
        found = compiled.commands.get(name)
        if found is None:
            known = ", ".join(compiled.commands) or "none at all"
            raise ProfileError(f"no command {name!r}", where=compiled.name, hint=f"the profile has {known}")
        return found.actions(arguments, self.clock.now_ns())

    def create(self, channel: str, options: Options, lines: Lines) -> ModbusDriver:
        """A driver for one channel."""
        return ModbusDriver(channel, options, lines.link(channel, options), self.clock)


def _known_ratio(source: RatioSource, given: float) -> Fraction:
    """The ratio as far as it is known before the device is asked; 0 where it is not."""
    if isinstance(source, Fraction):
        return source
    if isinstance(source, RatioRegister) and given == 1:
        return Fraction(0)
    return Fraction(str(given))
