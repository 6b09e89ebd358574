"""Units of measure: UNECE Recommendation 20 codes as OPC UA uses them, and the exact base unit behind each."""

from __future__ import annotations

from dataclasses import dataclass

UNECE_NAMESPACE = "http://www.opcfoundation.org/UA/units/un/cefact"


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit of measure.

    `per_unit` is how many base units one unit holds (1 kWh = 1000 Wh): values are kept exact in base units
    and shown divided by it.
    """

    code: str
    symbol: str
    base: str
    per_unit: int = 1

    @property
    def unit_id(self) -> int:
        """EUInformation.unitId: the ASCII bytes of the code, big-endian (OPC 10000-8 5.6.3)."""
        return int.from_bytes(self.code.encode("ascii"), "big")


def _table(*rows: Unit) -> dict[str, Unit]:
    return {row.code: row for row in rows}


UNITS = _table(
    Unit("KWH", "kW·h", "Wh", 1000),
    Unit("K3", "kvar·h", "varh", 1000),
    Unit("C79", "kVAh", "VAh", 1000),
    Unit("VLT", "V", "V"),
    Unit("KVT", "kV", "V", 1000),
    Unit("AMP", "A", "A"),
    Unit("KWT", "kW", "W", 1000),
    Unit("KVR", "kvar", "var", 1000),
    Unit("KVA", "kV·A", "VA", 1000),
    Unit("HTZ", "Hz", "Hz"),
    Unit("DD", "°", "°"),
    Unit("P1", "%", "%"),
    Unit("C62", "1", "1"),
    Unit("MTQ", "m³", "l", 1000),
    Unit("MQH", "m³/h", "l/h", 1000),
    Unit("GV", "GJ", "kJ", 1_000_000),
    Unit("TNE", "t", "kg", 1000),
    Unit("E18", "t/h", "kg/h", 1000),
    Unit("CEL", "°C", "°C"),
    Unit("BAR", "bar", "bar"),
    Unit("DBM", "dBm", "dBm"),
    Unit("SEC", "s", "s"),
    Unit("HUR", "h", "s", 3600),
    Unit("C26", "ms", "ms"),
)
"""Units of the quantities by code. Traps: `GJ` is gram per millilitre, gigajoule is `GV`; VA is `D46`, not `VA`."""
