"""The examples of OPC 10000-13 Annex A: five historians and what each aggregate makes of them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from historian.aggregates import Aggregate, Configuration, Raw, calculate, intervals

NS = 1_000_000_000
NOON_NS = 1_800_014_400 * NS
NAN = float("nan")
BAD, UNCERTAIN = 0x80000000, 0x40000000

FIRST = [
    (0, NAN, 0x809B0000),
    (10, 10, 0),
    (20, 20, 0),
    (30, 30, 0),
    (40, 40, BAD),
    (50, 50, 0),
    (60, 60, 0),
    (70, 70, UNCERTAIN),
    (80, 80, 0),
    (90, 90, 0),
]
_TIMES = (0, 2, 25, 28, 39, 42, 48, 52, 72, 77, 83, 86, 90)
_STATUS = (0x809B0000, 0, 0, 0, 0, BAD, 0, 0, 0, UNCERTAIN, 0, 0, 0)
_LATER = {
    2: (NAN, 10, 20, 25, 30, NAN, 40, 50, 60, 70, 70, 80, 90),
    3: (NAN, 10, 20, 25, 30, NAN, 40, 50, 60, 70, 70, 80, 90),
    4: (NAN, 1, 0, 1, 1, NAN, 1, 0, 0, 1, 1, 0, 1),
    5: (NAN, 10, 20, 10, 30, NAN, 30, 50, 30, 70, 70, 80, 70),
}
CONFIGURATIONS = {
    1: (False, Configuration()),
    2: (False, Configuration(treat_uncertain_as_bad=True, sloped_extrapolation=True)),
    3: (True, Configuration(treat_uncertain_as_bad=True, percent_bad=50, percent_good=50)),
    4: (True, Configuration(treat_uncertain_as_bad=True)),
    5: (False, Configuration()),
}
_BITS = {"i": 0x402, "c": 0x401, "p": 0x404, "m": 0x410, "u": 0x40A40000, "U": UNCERTAIN}
_TOKEN = re.compile(r"(-?[0-9.]+|-|B)([icpmuU]*)(?:@([0-9]+))?")

TABLES = [
    line.split()
    for line in (Path(__file__).parent / "annex_a.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]


def rows_of(historian: int) -> list[tuple[float, float, int]]:
    return FIRST if historian == 1 else list(zip(_TIMES, _LATER[historian], _STATUS, strict=True))


def raw_of(historian: int) -> Raw:
    times, values, status = zip(*rows_of(historian), strict=True)
    return Raw(
        NOON_NS + np.array(times, np.int64) * NS,
        np.array(values, np.float64),
        np.array(status, np.uint32),
        CONFIGURATIONS[historian][1],
    )


def _named(name: str) -> Aggregate:
    return Aggregate[re.sub(r"(?<=[a-z])(?=[A-Z2])", "_", name).upper()]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: f"{table[0]}-{table[1]}")
def test_every_published_result_is_met_in_value_status_and_time(table: list[str]) -> None:
    historian, width = int(table[1]), int(table[2])
    stepped, configuration = CONFIGURATIONS[historian]
    spans, more = intervals(NOON_NS, NOON_NS + 100 * NS, width * NS, 1000)
    assert not more
    found = calculate(_named(table[0]), raw_of(historian), spans, configuration, stepped=stepped)
    for place, token in enumerate(table[3:]):
        value, flags, second = _TOKEN.fullmatch(token).groups()  # type: ignore[union-attr]
        status = {"-": 0x809B0000, "B": BAD}.get(value, 0)
        for flag in flags:
            status |= _BITS[flag]
        told = (
            round(float(found.values[place]), 3),
            hex(found.status[place]),
            (int(found.time_ns[place]) - NOON_NS) / NS,
        )
        wanted = round(float(value), 3) if value not in ("-", "B") else NAN
        assert told[1:] == (hex(status), float(second or place * width)), (place, token, told)
        assert told[0] == pytest.approx(wanted, abs=0.0011, nan_ok=True), (place, token, told)
