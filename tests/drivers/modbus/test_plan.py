"""Which requests are sent for which points."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus import compile_profile, plan_reads
from drivers.modbus.layout import Limits
from drivers.modbus.plan import Read, merge
from drivers.profiles import load_library


def planned(compiled: Any, settings: str, *points: str) -> list[str]:
    quantities = ["VoltageL1", "VoltageL2", "VoltageL3", "CurrentL1", "CurrentL2"]
    lines = [
        f"  {name}: {{{point}, unit: {name[0].replace('C', 'A')}}}"
        for name, point in zip(quantities, points, strict=False)
    ]
    profile = compiled(f"modbus: {{{settings}}}\npoints:\n" + "\n".join(lines))
    return [str(read) for read in plan_reads(profile.makes[0], range(len(points)))]


U16 = "type: uint16"


def test_neighbours_share_a_request(compiled: Any) -> None:
    assert planned(compiled, "fc: 3", f"at: 0, {U16}", f"at: 1, {U16}") == ["FC3 0x0000 x 2"]


def test_a_gap_is_read_along_up_to_the_limit(compiled: Any) -> None:
    points = (f"at: 0, {U16}", f"at: 5, {U16}", f"at: 11, {U16}")
    assert planned(compiled, "max_gap: 4", *points) == ["FC3 0x0000 x 6", "FC3 0x000B x 1"]


def test_a_forbidden_gap_is_never_read(compiled: Any) -> None:
    points = (f"at: 0, {U16}", f"at: 2, {U16}")
    assert planned(compiled, "gaps: forbidden", *points) == ["FC3 0x0000 x 1", "FC3 0x0002 x 1"]


def test_the_devices_word_limit_holds_and_no_value_is_split(compiled: Any) -> None:
    points = tuple(f"at: {2 * index}, type: int32" for index in range(5))
    assert planned(compiled, "max_words: 5", *points) == ["FC3 0x0000 x 4", "FC3 0x0004 x 4", "FC3 0x0008 x 2"]


def test_function_codes_do_not_mix(compiled: Any) -> None:
    assert planned(compiled, "fc: 3", f"at: 0, {U16}", f"at: 1, {U16}, fc: 4") == ["FC3 0x0000 x 1", "FC4 0x0001 x 1"]


def test_one_value_per_read(compiled: Any) -> None:
    points = (f"at: 0, {U16}", f"at: 1, {U16}")
    assert len(planned(compiled, "one_value_per_read: true", *points)) == 2


def test_a_block_is_read_whole(compiled: Any) -> None:
    points = (f"at: 4, {U16}", f"at: 40, {U16}")
    settings = "max_words: 10, blocks: [{at: 0, words: 20}]"
    assert planned(compiled, settings, *points) == ["FC3 0x0000 x 20", "FC3 0x0028 x 1"]


def test_an_atomic_group_comes_from_one_request(compiled: Any) -> None:
    points = (f"at: 0, {U16}, atomic: a", f"at: 30, {U16}, atomic: a")
    assert planned(compiled, "max_gap: 2", *points) == ["FC3 0x0000 x 31"]


@pytest.mark.parametrize(("base", "at"), [(1, 1), (40001, 40001), (30001, 30001), (0, 0)])
def test_addresses_count_from_the_base(base: int, at: int, compiled: Any) -> None:
    assert planned(compiled, f"base: {base}", f"at: {at}, {U16}") == ["FC3 0x0000 x 1"]


spans = st.lists(
    st.builds(Read, st.sampled_from([3, 4]), st.integers(0, 300), st.integers(1, 4)), min_size=1, max_size=30
)


@given(spans, st.integers(4, 60), st.integers(0, 10))
def test_every_span_is_whole_in_some_request_within_the_limits(wanted: list[Read], words: int, gap: int) -> None:
    reads = merge(wanted, Limits(words, gap))
    for span in wanted:
        assert any(read.fc == span.fc and read.address <= span.address and span.end <= read.end for read in reads)
    assert all(read.words <= words for read in reads)


def test_em24_is_never_asked_for_more_than_eleven_words() -> None:
    profile = compile_profile(load_library().get("carlo-gavazzi/em24"))
    assert max(read.words for read in plan_reads(profile.makes[0], range(len(profile.points)))) <= 11
