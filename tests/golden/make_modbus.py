"""Compute golden frames of Modbus profiles from the register facts in `meters.json`.

    python tests/golden/make_modbus.py [PROFILE …]

Only the ranges that are asked for come from the hub. Words, checksums and expected values are computed here, with
`struct` and the facts alone, so that neither a profile nor the decoder can confirm its own mistake.
"""

from __future__ import annotations

import json
import struct
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

from drivers.modbus import compile_profile
from drivers.modbus.plan import plan_reads
from drivers.profiles import load_library

HERE = Path(__file__).parent
FORMATS = {
    "uint16": "H",
    "int16": "h",
    "uint32": "I",
    "int32": "i",
    "uint64": "Q",
    "int64": "q",
    "float32": "f",
    "float64": "d",
}
BASE = {"kWh": 1000, "kvarh": 1000, "kVAh": 1000}
"""Base units (Wh, varh, VAh) in one unit of the facts; 1 of every other."""
UNUSED = 0xA5A5
"""What registers hold that no fact tells of: whoever reads them by mistake shows nonsense."""
UNIT = 1


def nominal(point: str, index: int) -> Fraction:
    """A plausible value in the unit of the facts, different for each point."""
    step = Fraction(index % 10)
    for prefix, first, rise in (
        ("VoltageL1L2", "398.1", "0.3"),
        ("VoltageL2L3", "398.1", "0.3"),
        ("VoltageL3L1", "398.1", "0.3"),
        ("Voltage", "229.7", "0.4"),
        ("CurrentN", "0.31", "0.01"),
        ("Current", "5.2", "0.13"),
        ("Frequency", "49.9", "0.02"),
        ("PowerFactor", "0.91", "0.007"),
        ("PhaseAngle", "12.5", "0.5"),
        ("Thd", "2.1", "0.2"),
        ("ActivePower", "1210", "20"),
        ("ReactivePower", "310", "10"),
        ("ApparentPower", "1250", "20"),
        ("ActiveEnergyExport", "312.34", "17.01"),
        ("ReactiveEnergy", "1204.5", "31.02"),
        ("", "8123.45", "41.03"),
    ):
        if point.startswith(prefix):
            return Fraction(first) + step * Fraction(rise)
    raise ValueError(point)


def words_of(fact: dict[str, Any], raw: float) -> list[int]:
    """Registers that hold the raw number."""
    data = struct.pack(">" + FORMATS[fact["type"]], raw)
    words = [data[index] << 8 | data[index + 1] for index in range(0, len(data), 2)]
    return words[::-1] if fact.get("order") == "CDAB" else words


def raw_and_value(fact: dict[str, Any], index: int, ratio: tuple[int, int]) -> tuple[float, float]:
    """Raw number of the register, and what it means in base units."""
    if "map" in fact:
        raw, shown = list(fact["map"].items())[index % len(fact["map"])]
        return int(raw), shown
    scale = Fraction(repr(fact["scale"])) if isinstance(fact["scale"], float) else Fraction(fact["scale"])
    factor = {"ct": ratio[0], "pt": ratio[1], "ptct": ratio[0] * ratio[1]}.get(fact.get("ratio", ""), 1)
    counts = nominal(fact["point"], index) / scale
    size = scale * factor * BASE.get(fact["unit"], 1)
    if fact["type"].startswith("float"):
        (stored,) = struct.unpack(">" + FORMATS[fact["type"]], struct.pack(">" + FORMATS[fact["type"]], float(counts)))
        if fact.get("transform") == "four_quadrant_pf":
            (stored,) = struct.unpack(">f", struct.pack(">f", 2 - stored))
            return stored, 2 - stored
        value: float | Fraction = stored * float(size) if "Energy" not in fact["point"] else Fraction(stored) * size
        return stored, round(value) if "Energy" in fact["point"] else float(value)
    whole = round(counts)
    exact = whole * size
    return whole, round(exact) if "Energy" in fact["point"] else float(exact)


def frame(body: bytes) -> str:
    """The bytes of an RTU frame with its checksum (polynomial 0xA001, low byte first)."""
    check = 0xFFFF
    for byte in body:
        check ^= byte
        for _ in range(8):
            check = check >> 1 ^ (0xA001 if check & 1 else 0)
    return (body + struct.pack("<H", check)).hex()


def frames_of(
    make: Any, facts: list[dict[str, Any]], ratio: tuple[int, int], no_data: dict[str, str] | None = None
) -> dict[str, Any]:
    """Exchanges of one make, and what they mean. `no_data` holds by type the pattern that says so, in hexadecimal;
    the last point of each such type answers it."""
    silent = {kind: [fact["point"] for fact in facts if fact["type"] == kind][-1] for kind in no_data or {}}
    image: dict[tuple[int, int], int] = {}
    expected: dict[str, float] = {}
    absent: dict[str, str] = {}
    for index, fact in enumerate(facts):
        if fact.get("absent"):
            absent[fact["point"]] = "NOT_SUPPORTED"
            continue
        if no_data and fact["point"] in silent.values():
            pattern = bytes.fromhex(no_data[fact["type"]])
            for offset in range(0, len(pattern), 2):
                image[(fact["fc"], fact["at"] + offset // 2)] = pattern[offset] << 8 | pattern[offset + 1]
            absent[fact["point"]] = "NOT_SUPPORTED"
            continue
        raw, expected[fact["point"]] = raw_and_value(fact, index, ratio)
        for offset, word in enumerate(words_of(fact, raw)):
            image[(fact["fc"], fact["at"] + offset)] = word
    exchanges = []
    for read in plan_reads(make, range(len(make.points))):
        words = [image.get((read.fc, read.address + offset), UNUSED) for offset in range(read.words)]
        request = struct.pack(">BBHH", UNIT, read.fc, read.address, read.words)
        answer = struct.pack(f">BBB{len(words)}H", UNIT, read.fc, 2 * len(words), *words)
        exchanges.append({"request": frame(request), "response": frame(answer)})
    return {"exchanges": exchanges, "expected": expected, "reasons": absent}


def case_of(name: str, meter: dict[str, Any]) -> dict[str, Any]:
    """The golden case of one profile."""
    compiled = compile_profile(load_library().get(name))
    facts = [fact for fact in meter["registers"] if "point" in fact]
    ratio = (40 if any("ct" in fact.get("ratio", "") for fact in facts) else 1,
             10 if any(fact.get("ratio", "").startswith("pt") for fact in facts) else 1)  # fmt: skip
    case: dict[str, Any] = {
        "profile": name,
        "origin": "computed from the register table, not captured",
        "ratio": list(ratio),
        **frames_of(compiled.makes[0], facts, ratio, meter.get("no_data")),
    }
    variants = {}
    for make in compiled.makes[1:]:
        own = {fact["point"]: fact for fact in meter["variants"][make.name]}
        variants[make.name] = frames_of(make, [own.get(fact["point"], fact) for fact in facts], ratio)
    return {**case, "variants": variants} if variants else case


def main(names: list[str]) -> None:
    """Write the golden files of the named profiles, or of all in the facts."""
    meters = {meter["profile"]: meter for meter in json.loads((HERE / "meters.json").read_text("utf-8"))["meters"]}
    for name in names or sorted(meters):
        file = HERE / "modbus" / f"{name.replace('/', '-')}.json"
        file.write_text(json.dumps(case_of(name, meters[name]), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
