"""The plant of the soak: ten buses of meters whose counters are exact, so that the books can be compared to the Wh."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PROFILE = "soak/meter"
ENERGY, REACTIVE = "ActiveEnergyImport", "ReactiveEnergyImport"
COUNTERS = (ENERGY, REACTIVE)
GAUGES = ("ActivePower", "VoltageL1", "CurrentL1")
WATCHED = (*COUNTERS, *GAUGES)
GAUGE_S, COUNTER_S = 1.0, 2.0
_PROFILE = f"""profile: {PROFILE}
vendor: Soak
model: Meter
protocol: modbus
source: [{{document: made for the soak}}]
modbus: {{fc: 3, order: ABCD}}
points:
  ActiveEnergyImport: {{at: 0, type: uint32, unit: Wh, poll_s: {COUNTER_S}, counter: {{max: 4294967296}}}}
  ReactiveEnergyImport: {{at: 2, type: uint64, unit: varh, poll_s: {COUNTER_S}}}
  ActivePower: {{at: 6, type: float32, unit: W, poll_s: {GAUGE_S}}}
  VoltageL1: {{at: 8, type: uint16, unit: V, scale: 0.1, poll_s: {GAUGE_S}}}
  VoltageL2: {{at: 9, type: uint16, unit: V, scale: 0.1, poll_s: {GAUGE_S}}}
  VoltageL3: {{at: 10, type: uint16, unit: V, scale: 0.1, poll_s: {GAUGE_S}}}
  CurrentL1: {{at: 12, type: float32, unit: A, poll_s: {GAUGE_S}}}
  CurrentL2: {{at: 14, type: float32, unit: A, poll_s: {GAUGE_S}}}
  CurrentL3: {{at: 16, type: float32, unit: A, poll_s: {GAUGE_S}}}
  Frequency: {{at: 18, type: uint16, unit: Hz, scale: 0.01, poll_s: {GAUGE_S}}}
"""


@dataclass(frozen=True, slots=True)
class SoakPlant:
    """What the soak runs on.

    meters       how many, dealt out evenly over the buses
    meter_ports  ports of the buses
    port         port of the OPC UA server
    """

    meters: int
    meter_ports: Sequence[int]
    port: int

    @property
    def units(self) -> list[str]:
        """Ids of all meters."""
        return [f"m{number:04d}" for number in range(self.meters)]

    def points(self) -> Iterator[str]:
        """Names of the watched points of all meters."""
        return (f"{unit}.{name}" for unit in self.units for name in WATCHED)

    def write(self, folder: Path) -> Path:
        """Write hub.toml, plant.yaml, a meter list and the profile; returns the path of hub.toml."""
        buses = len(self.meter_ports)
        (folder / "meters").mkdir(parents=True)
        (folder / "profiles" / "soak").mkdir(parents=True)
        (folder / "profiles" / f"{PROFILE}.yaml").write_text(_PROFILE)
        feeders = "\n".join(f"      - {{id: f{bus}, kind: feeder, name: Feeder {bus}}}" for bus in range(buses))
        channels = "\n".join(
            f"  bus{bus}: {{driver: modbus, options: {{host: 127.0.0.1, port: {port}, timeout_ms: 300, gap_ms: 0}}}}"
            for bus, port in enumerate(self.meter_ports)
        )
        (folder / "plant.yaml").write_text(
            "name: Soak\ntime_zone: UTC\nmeters: meters/*.csv\nhierarchy:\n  - id: region\n    kind: region\n"
            f"    name: Region\n    children:\n{feeders}\nchannels:\n{channels}\n"
        )
        rows = (
            f"{unit},Meter {number},f{number % buses},{PROFILE},bus{number % buses},{number // buses + 1}\n"
            for number, unit in enumerate(self.units)
        )
        (folder / "meters" / "all.csv").write_text("id,name,parent,profile,channel,address\n" + "".join(rows))
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
retention_days = 1
hot_days = 1

[polling]
hold_s = 10
comm_lost_after = 2
backoff_max_s = 4

[log]
level = "info"
"""
        )
        return config
