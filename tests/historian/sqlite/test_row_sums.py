"""Check sums and numbers of stored rows."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from historian.errors import DamagedHistory
from historian.schema import Measurement
from historian.sqlite import rownumbers
from historian.sqlite.rowsum import row_sums

T0 = 1_798_761_600_000
"""2027-01-01T00:00Z in ms."""


def test_every_bit_of_every_word_counts_in_the_sum() -> None:
    chance = np.random.default_rng(1)
    columns, bits = tuple(range(60)), 1 << np.arange(64, dtype=np.uint64)
    values = np.abs(chance.normal(0, 1e6, (60, 1)))
    for column in columns:
        flipped = np.repeat(values, 64, axis=1)
        flipped[column] = (flipped[column].view(np.uint64) ^ bits).view(np.float64)
        flipped[column, ~np.isfinite(flipped[column])] = np.nan
        every = np.hstack([values, flipped])
        sums = row_sums(Measurement.INST, np.ones(65, np.int64), np.full(65, T0), [None] * 65, every, columns)
        assert (sums[1:] != sums[0]).all()
    still = np.repeat(values, 65, axis=1)
    for series, time in (
        (np.append(5, 5 ^ bits.view(np.int64)), np.full(65, T0)),
        (np.full(65, 5), np.append(T0, T0 ^ bits.view(np.int64))),
    ):
        sums = row_sums(Measurement.INST, series, time, [None] * 65, still, columns)
        assert (sums[1:] != sums[0]).all()


def test_a_row_has_its_sum_whatever_is_beside_it_and_none_that_another_one_has() -> None:
    one, time = np.array([1]), np.array([T0])

    def summed(numbers: list[float], measurement: Measurement = Measurement.ENERGY, blob: bytes | None = None) -> int:
        cells = np.array(numbers)[:, None]
        return int(row_sums(measurement, one, time, [blob], cells, tuple(range(len(numbers))))[0])

    assert summed([5.0, 7.0]) == summed([5.0, 7.0, np.nan, np.nan])
    assert summed([np.nan]) == summed([-np.nan])
    different = [summed([5.0, 7.0]), summed([7.0, 5.0]), summed([5.0, 7.0, 0.0]), summed([5.0, 7.0], Measurement.INST)]
    different += [summed([5.0, 7.0], blob=b"\1\0\0\0\1\1"), summed([np.nan, 5.0, 7.0])]
    assert len(set(different)) == len(different)


NUMBERS = [0.0, -0.0, 1.5, -7.0, 2.0**31 - 1, 2.0**31, -(2.0**31), 1e300, float("inf"), float("nan")]


@given(st.lists(st.lists(st.sampled_from(NUMBERS), min_size=3, max_size=3), max_size=5))
def test_numbers_of_rows_come_back_bit_for_bit(rows: list[list[float]]) -> None:
    values = np.array(rows).reshape(-1, 3)
    blobs = rownumbers.encode((9, 2, 0), values)
    assert all(rownumbers.fits(blob) for blob in blobs)
    blobs += rownumbers.encode((1,), values[:, :1])
    found = rownumbers.decode(blobs)
    for column, cells in ((9, values[:, 0]), (2, values[:, 1]), (0, values[:, 2])):
        if rows:
            assert found[column, : len(rows)].tobytes() == cells.tobytes()
            assert np.isnan(found[column, len(rows) :]).all()


@given(st.lists(st.binary(max_size=30), max_size=4))
def test_any_bytes_are_numbers_or_damage(blobs: list[bytes]) -> None:
    try:
        found = rownumbers.decode(blobs)
    except DamagedHistory:
        assert not all(map(rownumbers.fits, blobs))
    else:
        assert all(map(rownumbers.fits, blobs))
        assert found.shape[1] == len(blobs)
