"""What the CJ/T 188 folder registers under the entry-point group `joulehub.drivers`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from address_space.model.state import Protocol
from drivers.api import Action, Line, Pace, WriteRequest
from drivers.cjt188.compile import compile_profile
from drivers.cjt188.driver import Cjt188Driver, full_address
from drivers.cjt188.frame import ANY
from drivers.cjt188.options import Options
from drivers.cjt188.profile import CompiledProfile
from drivers.errors import ProfileError
from drivers.plugin import ProtocolPlugin
from drivers.transport import Lines

LEAST_QUIET_S = 0.5
USUAL_ANSWER_S = 0.3


@dataclass(frozen=True, slots=True)
class Cjt188Plugin(ProtocolPlugin):
    """`drivers.api.DriverPlugin`."""

    name: ClassVar = "cjt188"
    options: ClassVar = Options

    def compile(self, profile: Any) -> CompiledProfile:
        """Compile a profile; raises ProfileError."""
        return compile_profile(profile)

    def factors(self, compiled: CompiledProfile, ratio: tuple[float, float]) -> tuple[float, ...]:  # noqa: ARG002
        """No instrument transformers stand before such a meter."""
        return (1.0,) * len(compiled.points)

    def check_address(self, address: str, compiled: CompiledProfile) -> str:  # noqa: ARG002 - as the contract has it
        """Empty for up to 14 decimal digits, and for 14 letters A, which any one meter on a line answers to."""
        text = address.strip()
        digits = text.isascii() and text.isdecimal() and len(text) <= 14
        if digits or full_address(address) == ANY:
            return ""
        return f"{address!r} is no CJ/T 188 address: use the 14 digits of the meter ({ANY} for the only one on a line)"

    def protocol(self, options: Options, compiled: CompiledProfile) -> Protocol:  # noqa: ARG002 - as the contract has it
        """What clients are told."""
        return Protocol.CJT188

    def line(self, options: Options) -> Line:
        """Timing of the channel. After a missing answer half the timeout passes before the next request, so that a
        late one goes by."""
        timeout_s = options.timeout_s + options.wake_up_ms / 1000
        return Line(options.gap_s or 0.0, timeout_s, max(options.timeout_s / 2, LEAST_QUIET_S))

    def pace(self, options: Options, compiled: CompiledProfile) -> Pace:
        """Meters answer within half a second to two, most of them soon."""
        return Pace(USUAL_ANSWER_S, max(options.gap_s or 0.0, compiled.gap_s))

    def command(self, compiled: CompiledProfile, name: str, arguments: Mapping[str, Any]) -> tuple[Action, ...]:
        """Steps of a command of the profile, with its arguments; raises ProfileError."""
        steps = compiled.commands.get(name)
        if steps is None:
            known = ", ".join(sorted(compiled.commands)) or "none"
            raise ProfileError(f"{compiled.name} has no command {name!r}", hint=f"its commands: {known}")
        wanted = {step.argument for step in steps if step.argument}
        missing = wanted - set(arguments)
        if missing:
            raise ProfileError(f"{name} needs {', '.join(sorted(missing))}", where=compiled.name)
        return tuple(
            replace(step.action, write=WriteRequest(step.action.write.key, arguments[step.argument]))
            if step.argument and step.action.write is not None
            else step.action
            for step in steps
        )

    def create(self, channel: str, options: Options, lines: Lines) -> Cjt188Driver:
        """A driver for one channel."""
        return Cjt188Driver(channel, options, lines.link(channel, options), self.clock)
