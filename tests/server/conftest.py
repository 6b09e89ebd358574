"""A small site in files: its settings, its plant, and whatever a test adds to them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from address_space.model import SystemClock
from config.settings import HubSettings, load_settings
from drivers.profiles import load_library
from drivers.simulators import Fleet
from server.app import Blueprint, draw, site_profiles
from server.opcua import OpcUaOptions
from server.opcua.certificates import host_names, own_certificate
from server.simulation import fleet_of
from tests.ports import free_port


class Site:
    """A folder with `hub.toml` and `plant.yaml`; every port was free when it was made."""

    def __init__(self, folder: Path, pki: Path) -> None:
        self.folder = folder
        shutil.copytree(pki, folder / "data" / "pki")
        self.port = free_port()
        self.ports: dict[str, int] = {}

    def write(
        self,
        meters: Mapping[str, Sequence[str]],
        *,
        profile: str = "eastron/sdm630",
        options: str = "timeout_ms: 4000",
        plant: str = "",
        history: str = "commit_interval_s = 0.05",
    ) -> Site:
        """Write the files: meters by channel, with addresses 1, 2, …; `plant` goes to the end of plant.yaml."""
        self.ports = {channel: self.ports.get(channel) or free_port() for channel in meters}
        lines = ["name: Site", "hierarchy: [{id: f1, kind: feeder, name: Feeder}]", "channels:"]
        lines += [
            f"  {channel}: {{driver: modbus, options: {{host: 127.0.0.1, port: {port}, {options}}}}}"
            for channel, port in self.ports.items()
        ]
        lines.append("metering_units:")
        lines += [
            f"  - {{id: {meter}, name: Meter {meter}, parent: f1, profile: {profile}, channel: {channel}, "
            f'address: "{address}"}}'
            for channel, ids in meters.items()
            for address, meter in enumerate(ids, 1)
        ]
        (self.folder / "plant.yaml").write_text("\n".join([*lines, plant, ""]))
        (self.folder / "hub.toml").write_text(
            f"""
plant = "."
data_dir = "{self.folder / "data"}"
[opcua]
host = "127.0.0.1"
port = {self.port}
allow_none_security = true
allow_anonymous = true
[history]
{history}
[polling]
backoff_max_s = 1
[polling.periods]
fast = 0.2
normal = 0.2
slow = 0.2
"""
        )
        return self

    def settings(self) -> HubSettings:
        return load_settings(self.folder / "hub.toml")

    def draw(self) -> Blueprint:
        return draw(self.settings())

    def fleet(self, *channels: str) -> Fleet:
        """Its meters, simulated at the ports where the hub looks for them."""
        blueprint = self.draw()
        return fleet_of(blueprint, load_library(*site_profiles(blueprint.settings.plant)), SystemClock(), channels)


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for all hubs of the tests: making a key takes seconds."""
    folder = tmp_path_factory.mktemp("pki")
    options = OpcUaOptions(folder)
    own_certificate(folder, options.application_uri, host_names(options.hostname), SystemClock().now_ns())
    return folder


@pytest.fixture
def site(tmp_path: Path, pki: Path) -> Site:
    return Site(tmp_path, pki)
