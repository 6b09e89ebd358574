"""Random and mutated bytes through the decoder, as `python -m tests.scale --only codecs` does by the million."""

from __future__ import annotations

from tests.scale import codecs
from tests.scale.codecs import fuzz_dlt645
from tests.scale.size import Size


def test_no_bytes_harm_the_decoder() -> None:
    outcome = fuzz_dlt645(6_000, seed=5)
    assert outcome.strings == 6_000
    assert outcome.frames > 300
    assert outcome.flaws > 1_000
    assert outcome.longest_kept < 267


def test_the_cost_of_a_frame_is_measured() -> None:
    rows = codecs.run(Size.TINY, lambda _: None)
    assert all(0 < row.ours.value < 1000 for row in rows)
    assert {row.what for row in rows} >= {"DL/T 645 frame encoded", "DL/T 645 frame decoded"}
