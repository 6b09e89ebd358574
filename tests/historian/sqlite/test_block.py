import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from historian.errors import DamagedHistory
from historian.sqlite import block, rowstatus, varint
from historian.sqlite.block import DayBlock

STATUS = st.sampled_from([0, 0x40940000, 0x80310000, 0x808B0000])
NUMBER = st.one_of(
    st.integers(-(2**53), 2**53).map(float),
    st.integers(-(10**7), 10**7).map(lambda n: n / 100),
    st.floats(allow_nan=False, width=32),
    st.floats(allow_nan=False),
)


@st.composite
def day_blocks(draw: st.DrawFn) -> DayBlock:
    rows = draw(st.integers(0, 12))
    columns = tuple(draw(st.lists(st.integers(0, 70), max_size=4, unique=True)))
    steps = draw(st.one_of(st.just([900_000] * rows), st.lists(st.integers(1, 10**7), min_size=rows, max_size=rows)))
    time_ms = 1_800_000_000_000 + np.cumsum(np.array(steps, np.int64))
    shape = (rows, len(columns))
    present = draw(hnp.arrays(np.bool_, shape))
    status = np.where(present, draw(hnp.arrays(np.uint32, shape, elements=STATUS)), 0).astype(np.uint32)
    values = draw(hnp.arrays(np.float64, shape, elements=NUMBER))
    empty = ~present | draw(hnp.arrays(np.bool_, shape))
    values[empty] = np.nan
    return DayBlock(time_ms, columns, values, status, present)


@given(day_blocks())
def test_a_packed_day_comes_back_bit_for_bit(day: DayBlock) -> None:
    found = block.unpack(block.pack(day))
    kept = day.present.any(axis=0)
    assert found.columns == tuple(np.array(day.columns, np.int64)[kept].tolist())
    assert found.time_ms.tolist() == day.time_ms.tolist()
    assert (found.present == day.present[:, kept]).all()
    assert (found.status == day.status[:, kept]).all()
    same = found.values.view(np.int64) == np.ascontiguousarray(day.values[:, kept]).view(np.int64)
    assert (same | (np.isnan(found.values) & np.isnan(day.values[:, kept]))).all()


@given(day_blocks())
def test_one_column_is_cut_out_as_it_is_in_the_whole(day: DayBlock) -> None:
    packed = block.pack(day)
    for place, column in enumerate(day.columns):
        cut = block.cut_column(packed, column)
        if not day.present[:, place].any():
            assert cut is None
            continue
        assert cut is not None
        values, status, present = block.decode([cut, cut])
        assert np.array_equal(values, np.tile(day.values[:, place], 2), equal_nan=True)
        assert status.tolist() == day.status[:, place].tolist() * 2
        assert present.tolist() == day.present[:, place].tolist() * 2


@given(st.binary(max_size=200))
def test_any_bytes_are_a_day_or_damage(data: bytes) -> None:
    for packed in (data, zlib.compress(data), zlib.compress(b"\x01\x02\x00\x00\x00" + data)):
        try:
            found = block.unpack(packed)
        except DamagedHistory:
            continue
        assert found.values.shape == (len(found.time_ms), len(found.columns))


def test_a_wrong_check_sum_is_damage() -> None:
    with pytest.raises(DamagedHistory, match="check sum"):
        block.checked(b"abc", block.check_sum(b"abd", 7), 7)


def test_a_packed_day_in_another_row_than_its_own_is_damage() -> None:
    assert block.checked(b"abc", block.check_sum(b"abc", 7), 7) == b"abc"
    with pytest.raises(DamagedHistory, match="check sum"):
        block.checked(b"abc", block.check_sum(b"abc", 7), 39)


def test_a_packed_day_from_before_the_row_was_part_of_the_check_sum_is_read() -> None:
    assert block.checked(b"abc", zlib.crc32(b"abc"), 7) == b"abc"


@given(hnp.arrays(np.int64, st.integers(0, 40)))
def test_numbers_come_back_from_varints(numbers: np.ndarray) -> None:
    data, lengths = varint.encode(numbers)
    assert lengths.sum() == len(data)
    assert varint.decode(data, len(numbers)).tolist() == numbers.tolist()
    with pytest.raises(DamagedHistory):
        varint.decode(data, len(numbers) + 1)


def test_realistic_registers_and_gauges_take_less_than_two_bytes_a_value() -> None:
    random = np.random.default_rng(7)
    registers = np.cumsum(random.integers(0, 600, (96, 9)), axis=0) + 12_345_678.0
    gauges = np.round(random.normal(230, 1.5, (96, 11)), 1)
    values = np.concatenate([registers, gauges], axis=1)
    times = np.arange(96) * 900_000
    day = DayBlock(times, tuple(range(20)), values, np.zeros((96, 20), np.uint32), np.ones((96, 20), np.bool_))
    assert len(block.pack(day)) < 2 * values.size


GROUPS = st.dictionaries(st.integers(0, 2**32 - 1), st.integers(1, 2**80), max_size=4)


@given(GROUPS)
def test_status_groups_of_a_row_come_back(groups: dict[int, int]) -> None:
    blob = rowstatus.encode(list(groups.items()))
    assert dict(rowstatus.decode(blob) if blob else ()) == groups


@given(st.binary(min_size=1, max_size=60))
def test_any_bytes_are_a_row_status_or_damage(data: bytes) -> None:
    try:
        groups = rowstatus.decode(data)
    except DamagedHistory:
        return
    assert all(0 <= status < 2**32 for status, _ in groups)
