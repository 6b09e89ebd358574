"""What plugins share whose driver speaks one protocol."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from address_space.model.clock import Clock, SystemClock


@dataclass(frozen=True, slots=True)
class ProtocolPlugin:
    """The part of `drivers.api.DriverPlugin` that says what it is; drivers are made with `clock`.

    name     of the driver in `plant.yaml`, and of the protocol in profiles
    options  pydantic model of a channel's options
    """

    name: ClassVar[str]
    options: ClassVar[type[Any]]
    clock: Clock = field(default_factory=SystemClock)

    @property
    def speaks(self) -> frozenset[str]:
        """This protocol alone."""
        return frozenset({self.name})
