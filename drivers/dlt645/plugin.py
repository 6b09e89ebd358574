"""What the DL/T 645 folder registers under the entry-point group `joulehub.drivers`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Final

from address_space.model.state import Protocol
from drivers.api import Action, Line, Pace
from drivers.dlt645.compile import compile_profile
from drivers.dlt645.driver import Dlt645Driver
from drivers.dlt645.frame import ANY, BROADCAST
from drivers.dlt645.layout import CompiledProfile
from drivers.dlt645.options import Options
from drivers.dlt645.orders import filled_in
from drivers.dlt645.wire import LONGEST_SILENCE_S
from drivers.errors import ProfileError
from drivers.plugin import ProtocolPlugin
from drivers.transport import Lines

USUAL_ANSWER_S: Final = 0.1
_NUMBER: Final = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class Dlt645Plugin(ProtocolPlugin):
    """`drivers.api.DriverPlugin`."""

    name: ClassVar = "dlt645"
    options: ClassVar = Options

    def compile(self, profile: Any) -> CompiledProfile:
        """Compile a profile; raises ProfileError."""
        return compile_profile(profile)

    def factors(self, compiled: CompiledProfile, ratio: tuple[float, float]) -> tuple[float, ...]:
        """Transformer factors of the points."""
        ct, pt = (Fraction(repr(float(each))) for each in ratio)
        return tuple(float(point.ratio.pick(ct, pt)) if point is not None else 1.0 for point in compiled.points)

    def check_address(self, address: str, compiled: CompiledProfile) -> str:  # noqa: ARG002 - as the contract has it
        """Empty for a meter's number of up to 12 digits, and for AA in all places, where one meter is on the line."""
        if address.upper() == ANY:
            return ""
        if not (_NUMBER.fullmatch(address) and address.isascii()):
            return f"{address!r} is no meter's number: use 1 to 12 digits, or {ANY} where one meter is on the line"
        if address.zfill(12) == BROADCAST:
            return f"{BROADCAST} speaks to all meters at once, and none answers: use the meter's own number"
        return ""

    def protocol(self, options: Options, compiled: CompiledProfile) -> Protocol:  # noqa: ARG002 - as the contract has it
        """What clients are told."""
        return Protocol.DLT645_2007 if compiled.version == "2007" else Protocol.DLT645_1997

    def capacities(self, compiled: CompiledProfile) -> tuple[float, ...]:
        """At what value counters start from 0 again, by their digits."""
        return tuple(point.capacity if point is not None else 0.0 for point in compiled.points)

    def pace(self, options: Options, compiled: CompiledProfile) -> Pace:
        """Meters take 20 to 500 ms to answer (DL/T 645-2007 clause 5.3), most of them about 100."""
        return Pace(USUAL_ANSWER_S, compiled.gap_s if options.gap_s is None else options.gap_s)

    def line(self, options: Options) -> Line:
        """Timing of the channel; a meter that missed its time may still begin, so that the line rests a little."""
        return Line(options.gap_s or 0.0, options.timeout_s, min(LONGEST_SILENCE_S, options.timeout_s / 2))

    def command(self, compiled: CompiledProfile, name: str, arguments: Mapping[str, Any]) -> tuple[Action, ...]:
        """Steps of a command of the profile; raises ProfileError."""
        command = compiled.profile.command(name)
        if command is None:
            known = ", ".join(each.name for each in compiled.profile.commands) or "none"
            raise ProfileError(f"the profile {compiled.name} has no command {name!r}", hint=f"its commands: {known}")
        return filled_in(command, compiled.commands[name], compiled.version, arguments)

    def create(self, channel: str, options: Options, lines: Lines) -> Dlt645Driver:
        """A driver for one channel."""
        return Dlt645Driver(channel, options, lines.link(channel, options), self.clock)
