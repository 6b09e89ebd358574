"""Plants of any size: as files that a hub starts from, and as the model that parts of it are measured with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from address_space.model import (
    GOOD,
    Batch,
    HierarchyNode,
    MeteringUnit,
    NodeKind,
    NodeUid,
    Plant,
    PointSpec,
    Quantity,
    Template,
    UnitHandle,
)

VARIABLES = 20
PROFILE = "bench/meter20"
NUMBERED = 100
FIRST_NUMBER = 1_000_001
"""The peers have so many variables more, with numeric ids from this one on."""
_METERS_A_CHANNEL = 200
QUANTITIES = (
    *(f"{name}L{phase}" for name in ("Voltage", "Current", "ActivePower", "ApparentPower") for phase in (1, 2, 3)),
    *(f"{name}L{phase}" for name in ("ReactivePower", "PowerFactor") for phase in (1, 2, 3)),
    "ActiveEnergyImport",
    "ActiveEnergyExport",
)
_UNITS = {"Volt": "V", "Curr": "A", "Acti": "W", "Appa": "VA", "Reac": "var", "Powe": '"1"'}


@dataclass(frozen=True, slots=True)
class PlantFiles:
    """What a plant of the benchmarks is.

    meters         how many metering points, 20 variables each
    meter_ports    ports of the channels, which are dealt out 200 meters each; where there are fewer ports than
                   channels, channels share them
    port           port of the OPC UA server
    meters_a_node  metering points below one feeder
    polled         whether the meters are enabled
    history        whether readings are recorded
    poll_s         poll period of every variable
    modems_at      port of the hub that the channels' gateways dial in to; 0 where the hub connects to them
    """

    meters: int
    port: int
    meter_ports: Sequence[int] = (9,)
    meters_a_node: int = 1000
    meters_a_channel: int = _METERS_A_CHANNEL
    polled: bool = True
    history: bool = True
    poll_s: float = 60.0
    modems_at: int = 0

    def write(self, folder: Path) -> Path:
        """Write hub.toml, plant.yaml, a meter list and a profile; returns the path of hub.toml."""
        (folder / "meters").mkdir(parents=True)
        (folder / "profiles" / "bench").mkdir(parents=True)
        (folder / "profiles" / f"{PROFILE}.yaml").write_text(self._profile())
        (folder / "plant.yaml").write_text(self._plant())
        enabled = "true" if self.polled else "false"
        with (folder / "meters" / "all.csv").open("w") as sheet:
            sheet.write("id,name,parent,profile,channel,address,enabled\n")
            sheet.writelines(
                f"m{number:07d},Meter {number},f{number // self.meters_a_node:05d},{PROFILE},"
                f"c{number // self.meters_a_channel:05d},{number % self.meters_a_channel + 1},{enabled}\n"
                for number in range(self.meters)
            )
        config = folder / "hub.toml"
        config.write_text(
            f"""plant = "."
data_dir = "{folder / "data"}"

[opcua]
host = "127.0.0.1"
port = {self.port}
allow_none_security = true
allow_anonymous = true

[history]
enabled = {"true" if self.history else "false"}

[log]
level = "error"
"""
        )
        return config

    def _plant(self) -> str:
        feeders = range(-(-self.meters // self.meters_a_node))
        channels = range(-(-self.meters // self.meters_a_channel))
        lines = ["name: Bench", "time_zone: UTC", "meters: meters/*.csv", "hierarchy:"]
        lines += ["  - id: region", "    kind: region", "    name: Region", "    children:"]
        lines += [f"      - {{id: f{number:05d}, kind: feeder, name: Feeder {number}}}" for number in feeders]
        lines.append("channels:")
        for number in channels:
            port = self.meter_ports[number % len(self.meter_ports)]
            options = f"host: 127.0.0.1, port: {port}"
            if self.modems_at:
                options = (
                    f"transport: dial_in, listen_host: 127.0.0.1, listen_port: {self.modems_at}, "
                    f"modem: gateway{number:05d}, heartbeat: HEARTBEAT, "
                    "timeout_ms: 5000, connect_timeout_ms: 9000"
                )
            lines.append(f"  c{number:05d}: {{driver: modbus, options: {{{options}}}}}")
        return "\n".join(lines) + "\n"

    def _profile(self) -> str:
        head = f"""profile: {PROFILE}
vendor: Bench
model: Twenty
protocol: modbus
source:
  - {{document: benchmark}}
modbus: {{fc: 4, order: ABCD, max_words: 80, max_gap: 20}}
points:
"""
        points = []
        for index, name in enumerate(QUANTITIES):
            unit = "kWh" if name.startswith("ActiveEnergy") else _UNITS[name[:4]]
            points.append(f"  {name}: {{at: {index * 2}, type: float32, unit: {unit}, poll_s: {self.poll_s}}}\n")
        return head + "".join(points)


def unit_id(number: int) -> str:
    """Id of a metering unit of these plants."""
    return f"m{number:07d}"


def node_id(number: int) -> str:
    """String identifier of one variable out of the plant's 20 a unit."""
    return f"{unit_id(number // VARIABLES)}.{QUANTITIES[number % VARIABLES]}"


def plant_of(units: int) -> Plant:
    """The same plant without files."""
    by_path = {quantity.path: quantity for quantity in Quantity}
    template = Template("bench", [PointSpec(by_path[name]) for name in QUANTITIES])
    feeder = NodeUid("f00000")
    return Plant(
        [HierarchyNode(feeder, NodeKind.FEEDER, "Feeder")],
        [MeteringUnit(NodeUid(unit_id(number)), f"Meter {number}", feeder, template) for number in range(units)],
    )


def readings(plant: Plant, units: int, at_ns: int, seed: int) -> list[Batch]:
    """One full reading of each of the first `units`, all values Good and different for different seeds."""
    random = np.random.default_rng(seed)
    status = np.full(VARIABLES, GOOD, np.uint32)
    batches = []
    for number in range(units):
        unit = UnitHandle(number)
        handles = plant.first_handle(unit) + np.arange(VARIABLES, dtype=np.int64)
        values = np.round(random.uniform(0.1, 0.9, VARIABLES), 4)
        batches.append(Batch(unit, handles, values, status, at_ns, at_ns, at_ns))
    return batches
