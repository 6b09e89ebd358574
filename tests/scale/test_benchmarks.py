"""The benchmarks themselves: with tiny sizes, so that they cannot rot; figures are compared as ratios only."""

from __future__ import annotations

import pytest

from tests.scale import bulk_read, recording, updates
from tests.scale.measure import Figure
from tests.scale.size import Size
from tests.scale.table import Better, Row, table

pytestmark = pytest.mark.scale


def quiet(_: str) -> None:
    """Nobody looks at the progress of a test."""


def by_name(rows: list[Row], part: str) -> Row:
    return next(row for row in rows if part in row.what)


def test_a_bulk_read_is_at_least_five_times_cheaper_than_with_stock_asyncua() -> None:
    rows = bulk_read.run(Size.TINY, quiet)
    assert (by_name(rows, "1,000 nodes a request, both").ratio or 0.0) > 5.0


def test_grouped_updates_are_at_least_five_times_cheaper_than_with_stock_asyncua() -> None:
    assert (by_name(updates.run(Size.TINY, quiet), "groups").ratio or 0.0) > 5.0


@pytest.mark.filterwarnings("ignore:The default datetime:DeprecationWarning")
def test_recording_is_at_least_a_hundred_times_faster_than_with_stock_asyncua() -> None:
    rows = recording.run(Size.TINY, quiet)
    assert (by_name(rows, "Recorded").ratio or 0.0) > 100.0
    assert (by_name(rows, "packed day").ours.value) < by_name(rows, "hot day").ours.value


def test_a_ratio_says_how_many_times_better_whichever_way_is_good() -> None:
    less = Row("b", "cost", "µs", Figure.once(2.0), Figure.once(10.0), 3.0)
    more = Row("b", "rate", "/s", Figure.once(10.0), Figure.once(2.0), 20.0, Better.MORE)
    assert (less.ratio, less.met) == (5.0, True)
    assert (more.ratio, more.met) == (5.0, False)


def test_a_figure_is_the_median_with_its_extremes() -> None:
    assert Figure.of([3.0, 1.0, 2.0]) == Figure(2.0, 1.0, 3.0)
    with pytest.raises(ValueError, match="nothing was measured"):
        Figure.of([])


def test_every_row_finds_its_place_in_the_table() -> None:
    rows = [Row("a", "one", "s", Figure.once(1.0)), Row("b", "two", "B", Figure(1.0, 0.5, 2.0), Figure.once(3.0), 4.0)]
    assert table(rows).row_count == len(rows)
