"""The bus-time budget of every channel of a plant, from its configuration alone."""

from __future__ import annotations

from typing import Any

from address_space.model.clock import SystemClock
from config.sections import PollingSettings
from drivers.api import Device, Pace, Paced
from drivers.budget import ChannelBudget, Patience, Wire, channel_budget
from drivers.poller import PollPolicy
from drivers.transport import LineOptions, Lines
from server.assembly import Assembly, Bus

NETWORK_S = {"tcp": 0.02, "udp": 0.2, "dial_in": 0.8}
"""Assumed time there and back: a local network, NB-IoT, GPRS."""
USUAL_PACE = Pace(answer_s=0.1)
"""Of devices whose driver does not say: DL/T 645-2007 allows 20 to 500 ms."""


def budgets(assembly: Assembly, polling: PollingSettings) -> list[ChannelBudget]:
    """One budget a channel that has anything to poll, fullest first. Raises DriverError."""
    policy = PollPolicy()
    patience = Patience(policy.retries, polling.backoff_max_s, policy.dead_share)
    lines = Lines(SystemClock())
    found = [_budget(bus, lines, patience) for bus in assembly.buses if bus.devices]
    return sorted(found, key=lambda budget: -budget.worst_utilisation)


def _budget(bus: Bus, lines: Lines, patience: Patience) -> ChannelBudget:
    driver = bus.plugin.create(bus.config.id, bus.options, lines)
    paces: dict[int, Pace] = {}

    def pace(device: Device) -> Pace:
        key = id(device.profile)
        if key not in paces:
            plugin = bus.plugin
            paces[key] = plugin.pace(bus.options, device.profile) if isinstance(plugin, Paced) else USUAL_PACE
        return paces[key]

    wire = wire_of(bus.options, bus=any(pace(polled.device).bus for polled in bus.devices))
    return channel_budget(bus.config.id, bus.devices, driver.plan, pace, wire, bus.plugin.line(bus.options), patience)


def wire_of(options: Any, *, bus: bool) -> Wire:
    """The line as far as its options tell; `bus` says whether a serial bus is taken to lie behind a network."""
    if not isinstance(options, LineOptions):
        return Wire(None)
    if options.transport == "serial":
        return Wire(options.serial)
    network_s = NETWORK_S[options.transport]
    assumed = f"{network_s * 1000:g} ms there and back by {options.transport}"
    if "baud" in options.model_fields_set:
        return Wire(options.serial, network_s, assumed)
    if bus:
        return Wire(options.serial, network_s, f"{assumed}, {options.serial} behind it: give baud to be sure")
    return Wire(None, network_s, f"{assumed}, no serial line behind it: give baud where there is one")
