"""All profiles of the library tried on one device that was found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from address_space.model.clock import Clock
from drivers.api import DriverPlugin
from drivers.cjt188.driver import Cjt188Driver
from drivers.dlt645.driver import Dlt645Driver
from drivers.errors import ProfileError
from drivers.modbus.driver import ModbusDriver
from drivers.probe.fit import Fit, Reader, fit, ranked
from drivers.probe.options import cjt188_options, dlt645_options, modbus_options
from drivers.probe.scan import FoundDevice
from drivers.profiles import Profile, ProfileLibrary
from drivers.transport import Link

Progress = Callable[[int, int], None]


def candidates(
    device: FoundDevice, library: ProfileLibrary, plugins: Mapping[str, DriverPlugin]
) -> list[tuple[Profile, Any]]:
    """Profiles of the device's protocol and edition, each compiled; those that cannot be compiled are left out."""
    found: list[tuple[Profile, Any]] = []
    plugin = plugins.get(device.protocol)
    for name in library.names if plugin is not None else ():
        profile = library.get(name)
        if profile.protocol != device.protocol or plugin is None:
            continue
        try:
            compiled = plugin.compile(profile)
        except ProfileError:
            continue
        if device.edition and compiled.version != device.edition:
            continue
        if device.kind and compiled.type >> 4 != device.kind >> 4:
            continue
        found.append((profile, compiled))
    return found


async def fitting(
    device: FoundDevice,
    chosen: list[tuple[Profile, Any]],
    link: Link,
    clock: Clock,
    timeout_s: float,
    progress: Progress,
) -> list[Fit]:
    """How well each fits, the best first. Raises ChannelDown."""
    reader = _reader(device, link, clock, timeout_s)
    fits: list[Fit] = []
    for number, (profile, compiled) in enumerate(chosen):
        progress(number, len(chosen))
        fits.append(await fit(reader, profile, compiled, device.address, number))
    progress(len(chosen), len(chosen))
    return ranked(fits)


def _reader(device: FoundDevice, link: Link, clock: Clock, timeout_s: float) -> Reader:
    if device.protocol == "dlt645":
        return Dlt645Driver("probe", dlt645_options(timeout_s), link, clock)
    if device.protocol == "cjt188":
        return Cjt188Driver("probe", cjt188_options(timeout_s), link, clock)
    framer = "tcp" if device.framing == "tcp" else "ascii" if device.framing == "ascii" else "rtu"
    return ModbusDriver("probe", modbus_options(framer, timeout_s), link, clock)  # type: ignore[arg-type]
