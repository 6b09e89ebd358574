"""Readings as line protocol, read back by an independent reader of the syntax."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from address_space.model.clock import ManualClock
from address_space.model.quality import Reason
from historian.api import Readings
from historian.influx.lines import LineWriter, Tags, escaped_key, lines_of, tag_set
from historian.schema import Measurement, QualityFlag
from historian.spool import Spool

FIELDS = ("ActiveEnergyImport", "ActiveEnergyExport")


def readings(values: list[list[float]], status: list[list[int]]) -> Readings:
    count = len(values)
    return Readings(
        Measurement.ENERGY,
        FIELDS,
        np.arange(count),
        1_800_000_000_000 + 1000 * np.arange(count),
        np.array(values),
        np.array(status, np.uint32),
    )


def parsed(line: str) -> tuple[str, dict[str, str], dict[str, str], int]:
    """Measurement, tags, fields and time of a line without blanks or commas in any word."""
    head, fields, time = line.split(" ")
    name, *tags = head.split(",")
    pairs = [dict(part.split("=", 1) for part in group) for group in (tags, fields.split(","))]
    return name, pairs[0], pairs[1], int(time)


def test_a_reading_is_one_wide_line_in_shown_units() -> None:
    (line,) = lines_of(readings([[12_345_678, 5]], [[0, 0]]), [",kind=electricity,point=m1,site=s1"])
    assert line == (
        "energy,kind=electricity,point=m1,site=s1 "
        "ActiveEnergyImport=12345.678,ActiveEnergyExport=0.005,q=0i 1800000000000"
    )


def test_a_value_that_is_missing_leaves_its_field_out_and_shows_in_the_quality() -> None:
    (line,) = lines_of(readings([[math.nan, 7]], [[Reason.TIMEOUT.status, 0]]), [",point=m1"])
    _, _, fields, _ = parsed(line)
    assert fields == {"ActiveEnergyExport": "0.007", "q": f"{int(QualityFlag.MISSING | QualityFlag.BAD)}i"}


def test_a_reading_without_any_value_still_tells_its_quality() -> None:
    (line,) = lines_of(readings([[math.nan, math.nan]], [[Reason.TIMEOUT.status] * 2]), [",point=m1"])
    assert parsed(line)[2] == {"q": "3i"}


@given(st.lists(st.lists(st.integers(0, 2**52), min_size=2, max_size=2), min_size=1, max_size=20))
def test_every_register_reads_back_to_the_last_watt_hour(values: list[list[int]]) -> None:
    lines = lines_of(readings([[float(v) for v in row] for row in values], [[0, 0]] * len(values)), [",point=m"] * 20)
    for number, (line, row) in enumerate(zip(lines, values, strict=True)):
        name, tags, fields, time_ms = parsed(line)
        assert (name, tags, time_ms) == ("energy", {"point": "m"}, 1_800_000_000_000 + 1000 * number)
        assert [round(float(fields[field]) * 1000) for field in FIELDS] == row


@given(st.text(min_size=1, max_size=12))
def test_any_text_is_one_word(text: str) -> None:
    word = escaped_key(text)
    assert "\n" not in word
    assert re.search(r"(?<!\\)[ ,=]", word) is None


def test_tags_stand_in_order_and_empty_ones_are_left_out() -> None:
    assert tag_set({"point": "m1", "site": "", "kind": "hot water"}) == ",kind=hot\\ water,point=m1"


async def test_readings_without_a_row_are_no_lines_and_no_mistake(tmp_path: Path) -> None:
    none = Readings(
        Measurement.ENERGY_1H,
        ("ActiveEnergyImport",),
        np.empty(0, np.int64),
        np.empty(0, np.int64),
        np.empty((0, 1)),
        np.empty((0, 1), np.uint32),
    )
    async with Spool(tmp_path, ManualClock()) as spool:
        await LineWriter(spool, ["influx"], lambda _: Tags("elec1")).write([none])
        assert (await spool.state()).parcels == 0
