"""The protocols that may share a bus: those of all installed drivers whose line can be a serial one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any

from drivers.api import DriverPlugin
from drivers.registry import GROUP, load_drivers
from drivers.transport import LineOptions

NAME = "mixed"


@dataclass(frozen=True, slots=True, eq=False)
class MixedProfile:
    """A profile compiled by the driver `part`, for devices that share their bus with others."""

    part: str
    compiled: Any

    @property
    def name(self) -> str:
        """Name of the profile."""
        return str(getattr(self.compiled, "name", self.compiled))


@cache
def installed() -> Mapping[str, DriverPlugin]:
    """Every installed driver that can share a bus, by its name. Raises BrokenPlugin."""
    others = [entry for entry in entry_points(group=GROUP) if entry.name != NAME]
    return MappingProxyType(
        {name: plugin for name, plugin in load_drivers(others).items() if issubclass(plugin.options, LineOptions)}
    )
