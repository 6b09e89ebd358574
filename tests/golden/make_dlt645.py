"""Compute golden frames of DL/T 645 profiles from what a meter shows.

    python tests/golden/make_dlt645.py [PROFILE …]

Only which identifiers are asked for comes from the hub. Digits, frames and expected values are made here, so that
neither a profile nor the codec can confirm its own mistake.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from drivers.dlt645 import compile_profile
from drivers.dlt645.answers import build_plan
from drivers.profiles import load_library

HERE = Path(__file__).parent
ADDRESS = "202611220017"
TARIFFS = ("", "T1", "T2", "T3", "T4")
LINES = ("L1L2", "L2L3", "L3L1")
PHASES = ("L1", "L2", "L3")
TOTAL_AND_PHASES = ("", *PHASES)

# Quantity: identifier of 2007, digits, whether signed, what the meter shows, base units in its unit.
SHOWN: dict[str, tuple[int, str, bool, str, int]] = {
    "ActiveEnergyTotal": (0x00000000, "XXXXXX.XX", True, "-12.34", 1000),
    "ActiveEnergyExport": (0x00020000, "XXXXXX.XX", False, "1.02", 1000),
    "ReactiveEnergyImport": (0x00030000, "XXXXXX.XX", True, "345.67", 1000),
    "ReactiveEnergyExport": (0x00040000, "XXXXXX.XX", True, "-8.90", 1000),
    "ActiveEnergyImportL1": (0x00150000, "XXXXXX.XX", False, "3292.18", 1000),
    "ActiveEnergyImportL2": (0x00290000, "XXXXXX.XX", False, "3293.00", 1000),
    "ActiveEnergyImportL3": (0x003D0000, "XXXXXX.XX", False, "3291.36", 1000),
    "Prepayment.MeterCreditEnergy": (0x00900100, "XXXXXX.XX", False, "12.50", 1000),
    "Prepayment.MeterOverdraftEnergy": (0x00900101, "XXXXXX.XX", False, "0.00", 1000),
    "Prepayment.MeterCredit": (0x00900200, "XXXXXX.XX", False, "198.56", 1),
    "Prepayment.MeterOverdraft": (0x00900201, "XXXXXX.XX", False, "0.00", 1),
    "Voltage": (0x02010100, "XXX.X", False, "230.1", 1),
    "VoltageL1": (0x02010100, "XXX.X", False, "230.1", 1),
    "VoltageL2": (0x02010200, "XXX.X", False, "229.8", 1),
    "VoltageL3": (0x02010300, "XXX.X", False, "231.4", 1),
    "Current": (0x02020100, "XXX.XXX", True, "5.678", 1),
    "CurrentL1": (0x02020100, "XXX.XXX", True, "5.678", 1),
    "CurrentL2": (0x02020200, "XXX.XXX", True, "4.321", 1),
    "CurrentL3": (0x02020300, "XXX.XXX", True, "-0.456", 1),
    "CurrentN": (0x02800001, "XXX.XXX", True, "0.012", 1),
    "Frequency": (0x02800002, "XX.XX", False, "49.98", 1),
    "DemandImport15min": (0x02800004, "XX.XXXX", True, "2.2222", 1000),
    "Temperature": (0x02800007, "XXX.X", True, "-5.5", 1),
    "BatteryVoltage": (0x02800008, "XX.XX", False, "3.61", 1),
    "Status.PowerDownCount": (0x03110000, "XXXXXX", False, "17", 1),
    "Status.ProgrammingCount": (0x03300000, "XXXXXX", False, "3", 1),
    "Status.CoverOpenCount": (0x03300D00, "XXXXXX", False, "1", 1),
    "Status.TerminalCoverOpenCount": (0x03300E00, "XXXXXX", False, "2", 1),
    "Prepayment.PurchaseCount": (0x03330201, "XXXX", False, "42", 1),
}
SHOWN |= {
    f"ActiveEnergyImport{tariff}": (0x00010000 | place << 8, "XXXXXX.XX", False, shown, 1000)
    for place, (tariff, shown) in enumerate(
        zip(TARIFFS, ("9876.54", "1234.56", "3456.78", "4321.09", "864.11"), strict=True)
    )
}
for name, group, digits, base, row in (
    ("ActivePower", 0x0203, "XX.XXXX", 1000, ("2.3456", "1.3004", "0.9930", "0.0522")),
    ("ReactivePower", 0x0204, "XX.XXXX", 1000, ("-0.2345", "-0.1000", "-0.1000", "-0.0345")),
    ("ApparentPower", 0x0205, "XX.XXXX", 1000, ("2.3573", "1.3065", "0.9980", "0.1055")),
    ("PowerFactor", 0x0206, "X.XXX", 1, ("0.995", "0.994", "1.000", "-0.495")),
):
    for place, (phase, shown) in enumerate(zip(TOTAL_AND_PHASES, row, strict=True)):
        SHOWN[name + phase] = (group << 16 | place << 8, digits, True, shown, base)
for name, group, digits, names, row in (
    ("ThdVoltage", 0x0208, "XX.XX", PHASES, ("1.23", "1.34", "1.45")),
    ("ThdCurrent", 0x0209, "XX.XX", PHASES, ("5.67", "6.78", "7.89")),
    ("Voltage", 0x020C, "XXX.X", LINES, ("398.5", "399.1", "400.2")),
):
    for place, (phase, shown) in enumerate(zip(names, row, strict=True), 1):
        SHOWN[name + phase] = (group << 16 | place << 8, digits, False, shown, 1)

STATUS_WORDS = (0x0014, 0x0000, 0x10D8, 0x0002, 0x0021, 0x0000, 0x0000)
"""1 clock battery low, reverse; 3 programming, open, told to open, low credit, keeps power; phase A undervoltage;
phase B voltage loss and overload."""
STATES = {
    "Status.ClockBatteryLow": 1,
    "Status.BatteryLow": 0,
    "Status.ReverseFlow": 1,
    "Status.ProgrammingAllowed": 1,
    "Status.Undervoltage": 1,
    "Status.Overvoltage": 0,
    "Status.CurrentLoss": 0,
    "Status.Overcurrent": 0,
    "Status.PhaseFailure": 0,
    "Switch.State": 1,
    "Switch.Commanded": 1,
    "Switch.KeepPowerActive": 1,
    "Status.LowCredit": 1,
}
OF_PHASE_B = ("Status.VoltageLoss", "Status.Overload")

# The same for 1997; identifiers of two bytes.
SHOWN_1997: dict[str, tuple[int, str, bool, str, int]] = {
    "ActiveEnergyExport": (0x9020, "XXXXXX.XX", False, "0.50", 1000),
    "ReactiveEnergyImport": (0x9110, "XXXXXX.XX", False, "1234.50", 1000),
    "ReactiveEnergyExport": (0x9120, "XXXXXX.XX", False, "67.89", 1000),
}
for name, first, start, digits, signed, base, names, row in (
    (
        "ActiveEnergyImport",
        0x9010,
        0,
        "XXXXXX.XX",
        False,
        1000,
        TARIFFS,
        ("98765.43", "11111.11", "22222.22", "1.10", "65431.00"),
    ),
    ("Voltage", 0xB610, 1, "XXXX", False, 1, PHASES, ("221", "222", "223")),
    ("Current", 0xB620, 1, "XX.XX", False, 1, PHASES, ("5.01", "4.02", "3.03")),
    ("ActivePower", 0xB630, 0, "XX.XXXX", True, 1000, TOTAL_AND_PHASES, ("2.6543", "1.1072", "0.8924", "0.6547")),
    ("ReactivePower", 0xB640, 0, "XX.XX", True, 1000, TOTAL_AND_PHASES, ("0.31", "0.11", "0.10", "-0.10")),
    ("PowerFactor", 0xB650, 0, "X.XXX", True, 1, TOTAL_AND_PHASES, ("0.993", "0.991", "0.994", "0.995")),
):
    for place, (phase, shown) in enumerate(zip(names, row, strict=True), start):
        SHOWN_1997[name + phase] = (first + place, digits, signed, shown, base)


def frame(control: int, data: bytes, preamble: int) -> str:
    """A whole frame as hexadecimal: 33H added, sum of all bytes at the end."""
    body = b"\x68" + bytes.fromhex(ADDRESS)[::-1] + b"\x68" + bytes([control, len(data)])
    body += bytes((byte + 0x33) % 256 for byte in data)
    return (b"\xfe" * preamble + body + bytes([sum(body) % 256, 0x16])).hex().upper()


def digits_of(pattern: str, shown: str, *, signed: bool) -> bytes:
    """Decimal digits, two a byte, low byte first; the top bit is the sign."""
    decimals = len(pattern.partition(".")[2])
    whole, _, fraction = shown.lstrip("-").partition(".")
    data = bytearray(bytes.fromhex((whole + fraction.ljust(decimals, "0")).zfill(len(pattern.replace(".", ""))))[::-1])
    if shown.startswith("-"):
        assert signed, shown
        data[-1] |= 0x80
    return bytes(data)


def held(version: str) -> dict[int, bytes]:
    """Data of every identifier and block that the meter has."""
    facts = SHOWN if version == "2007" else SHOWN_1997
    single = {di: digits_of(pattern, shown, signed=signed) for di, pattern, signed, shown, _ in facts.values()}
    if version == "1997":
        rows = {0x901F: range(0x9010, 0x9015)} | {
            0xB60F | group << 4: range(0xB600 | group << 4 | first, 0xB604 | group << 4)
            for group, first in ((1, 1), (2, 1), (3, 0), (4, 0), (5, 0))
        }
    else:
        rows = {0x0001FF00: range(0x00010000, 0x00010500, 0x100)} | {
            group << 16 | 0xFF00: range(group << 16 | first << 8, group << 16 | 0x400, 0x100)
            for group, first in ((0x201, 1), (0x202, 1), (0x203, 0), (0x204, 0), (0x205, 0), (0x206, 0), (0x208, 1))
        }
        rows |= {
            group << 16 | 0xFF00: range(group << 16 | 0x100, group << 16 | 0x400, 0x100) for group in (0x209, 0x20C)
        }
        single |= {0x04000501 + place: word.to_bytes(2, "little") for place, word in enumerate(STATUS_WORDS)}
        rows[0x040005FF] = range(0x04000501, 0x04000508)
    return single | {block: b"".join(single[di] for di in row) for block, row in rows.items()}


def expected(version: str, points: list[str], *, three_phase: bool) -> dict[str, float]:
    """Base units by quantity."""
    facts = SHOWN if version == "2007" else SHOWN_1997
    states = STATES | dict.fromkeys(OF_PHASE_B, int(three_phase))
    return {
        name: states[name] if name in states else round(float(facts[name][3]) * facts[name][4], 6) for name in points
    }


def main(wanted: list[str]) -> None:
    """Write the golden file of each profile."""
    library = load_library()
    for name in library.names:
        profile = library.get(name)
        if profile.protocol != "dlt645" or (wanted and name not in wanted):
            continue
        compiled = compile_profile(profile)
        size, read = (4, 0x11) if compiled.version == "2007" else (2, 0x01)
        data = held(compiled.version)
        points = [point.name for point in profile.points]
        exchanges = []
        for request in build_plan(compiled, tuple(range(len(points)))).requests:
            di = request.key.di.to_bytes(size, "little")
            answer = frame(read | 0x80, di + data[request.key.di], 2)
            exchanges.append({"request": frame(read, di, 4), "response": answer})
        case = {
            "profile": name,
            "origin": "computed by tests/golden/make_dlt645.py from what a meter would show, not captured",
            "address": ADDRESS,
            "ratio": [1, 1],
            "exchanges": exchanges,
            "expected": expected(compiled.version, points, three_phase="VoltageL3" in points),
        }
        file = HERE / "dlt645" / f"{name.replace('/', '-')}.json"
        file.write_text(json.dumps(case, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
