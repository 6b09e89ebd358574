"""Options of a bus with several protocols in `plant.yaml`."""

from __future__ import annotations

from typing import Any

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from drivers.mixed.parts import installed
from drivers.transport.options import BELONGS_TO, LineOptions

OF_THE_LINE = frozenset({"transport", "echo", "connect_timeout_ms", *BELONGS_TO})
"""Keys that say where the line is: the channel has them, its protocols do not."""


class Options(LineOptions):
    """One bus, or one modem with a bus behind it."""

    protocols: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="for each driver its own options, and the serial settings and patience that differ from the "
        "channel's; a driver that is not named takes the channel's, and its own where the channel says nothing",
    )

    _parts: dict[str, LineOptions] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _fit_their_drivers(self) -> Options:
        for name in self.protocols:
            if name not in installed():
                raise ValueError(f"protocols.{name}: there is no such driver; there are {', '.join(installed())}")
        self._parts.update((name, self._part(name)) for name in installed())
        return self

    def part(self, name: str) -> LineOptions:
        """What the driver `name` is told: whatever the channel's transport is, that its line is a serial one."""
        return self._parts[name]

    def _part(self, name: str) -> LineOptions:
        section = self.protocols.get(name, {})
        foreign = sorted(section.keys() & OF_THE_LINE)
        if foreign:
            raise ValueError(f"protocols.{name}.{foreign[0]}: where the line is, only the channel itself says")
        model: type[LineOptions] = installed()[name].options
        shared = {
            key: getattr(self, key)
            for key in self.model_fields_set & LineOptions.model_fields.keys()
            if key not in OF_THE_LINE
        }
        try:
            return model.model_validate({**shared, **section, "transport": "serial", "device": "bus"})
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(("protocols", name, *map(str, first["loc"])))
            raise ValueError(f"{place}: {first['msg'].removeprefix('Value error, ')}") from error
