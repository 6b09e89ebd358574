"""The benchmarks themselves: with tiny sizes, so that they cannot rot; figures are compared as ratios only."""

from __future__ import annotations

from contextlib import nullcontext
from typing import NoReturn

import pytest

from tests.scale import bulk_read, bus, dial_in, history_reads, recording, rollups, spooling, updates
from tests.scale.contenders import NODE, OURS, STOCK, Contender, Lineup, Model, Running, hub, running, stock
from tests.scale.measure import Figure
from tests.scale.size import Size
from tests.scale.table import Better, Row, table

pytestmark = pytest.mark.scale


def quiet(_: str) -> None:
    """Nobody looks at the progress of a test."""


def by_name(rows: list[Row], part: str) -> Row:
    return next(row for row in rows if part in row.what)


def test_a_bulk_read_is_at_least_five_times_cheaper_than_with_stock_asyncua() -> None:
    lineup = Lineup([Contender(OURS, hub), Contender(STOCK, stock), Contender(NODE, None, "not installed")])
    rows = bulk_read.run(Size.TINY, quiet, lineup)
    assert (by_name(rows, "Read, 1,000 nodes a request").ratio or 0.0) > 5.0
    assert lineup.problems == []
    assert lineup.absent == {NODE: "not installed"}


def test_grouped_updates_are_at_least_five_times_cheaper_than_with_stock_asyncua() -> None:
    assert (by_name(updates.run(Size.TINY, quiet), "groups").ratio or 0.0) > 5.0


@pytest.mark.filterwarnings("ignore:The default datetime:DeprecationWarning")
def test_recording_is_at_least_a_hundred_times_faster_than_with_stock_asyncua() -> None:
    rows = recording.run(Size.TINY, quiet)
    assert (by_name(rows, "Recorded").ratio or 0.0) > 100.0
    assert (by_name(rows, "packed day").ours.value) < by_name(rows, "hot day").ours.value


def test_noting_what_rollups_wait_for_costs_next_to_nothing_beside_computing_them() -> None:
    rows = rollups.run(Size.TINY, quiet)
    assert by_name(rows, "noting").ours.value < by_name(rows, "computing").ours.value / 3


def test_the_spool_takes_lines_faster_than_readings_become_such() -> None:
    rows = spooling.run(Size.TINY, quiet)
    assert by_name(rows, "into the spool").ours.value > by_name(rows, "accepted a second").ours.value


@pytest.mark.filterwarnings("ignore:The default datetime:DeprecationWarning")
def test_history_is_read_at_least_five_times_cheaper_than_with_stock_asyncua() -> None:
    rows = history_reads.run(Size.TINY, quiet)
    assert (by_name(rows, "HistoryRead raw").ratio or 0.0) > 5.0


def test_gateways_that_dial_in_are_all_polled_and_cost_less_than_a_core() -> None:
    rows = dial_in.run(Size.TINY, quiet)
    assert by_name(rows, "Share of a core").met
    assert "5 gateways × 10 meters" in rows[0].what


def test_a_ratio_says_how_many_times_better_whichever_way_is_good() -> None:
    less = Row("b", "cost", "µs", Figure.once(2.0), Figure.once(10.0), 3.0)
    more = Row("b", "rate", "/s", Figure.once(10.0), Figure.once(2.0), 20.0, Better.MORE)
    assert (less.ratio, less.met) == (5.0, True)
    assert (more.ratio, more.met) == (5.0, False)


def test_a_bound_to_a_peer_is_kept_or_not_and_nothing_is_said_of_one_that_was_not_measured() -> None:
    peers = {"a": Figure.once(4.0), "b": Figure.once(3.0)}
    row = Row("b", "cost", "µs", Figure.once(5.0), peers=peers, bounds={"a": 1.0, "b": 2.0, "c": 1.0})
    assert row.met_beside == {"a": False, "b": True}
    assert row.as_data()["met_beside"] == row.met_beside


def test_a_server_that_fails_does_not_take_the_others_with_it() -> None:
    def broken(model: Model) -> NoReturn:
        raise RuntimeError(f"no place for {model.units} units")

    lineup = Lineup([Contender(OURS, lambda _: nullcontext(Running("", 0))), Contender("frail", broken)])
    assert lineup.measure(lambda _: Model(7), lambda name, _: name) == {OURS: OURS}
    assert lineup.problems == ["frail: RuntimeError: no place for 7 units"]


def test_a_running_server_is_named_with_its_url_and_process() -> None:
    assert running("open62541=opc.tcp://127.0.0.1:4841,77").name == "open62541"
    for wrong in ("opc.tcp://127.0.0.1:4841,77", "a=opc.tcp://127.0.0.1:4841", "a=http://127.0.0.1,7", ""):
        with pytest.raises(ValueError, match="NAME=opc"):
            running(wrong)


def test_a_figure_is_the_median_with_its_extremes() -> None:
    assert Figure.of([3.0, 1.0, 2.0]) == Figure(2.0, 1.0, 3.0)
    with pytest.raises(ValueError, match="nothing was measured"):
        Figure.of([])


def test_every_row_finds_its_place_in_the_table() -> None:
    rows = [Row("a", "one", "s", Figure.once(1.0)), Row("b", "two", "B", Figure(1.0, 0.5, 2.0), Figure.once(3.0), 4.0)]
    assert table(rows).row_count == len(rows)


async def test_a_serial_bus_is_used_to_nine_tenths_of_what_it_allows_and_the_budget_foretells_its_round() -> None:
    measured = await bus.measure(next(bus.protocols()), 3.0)
    assert 0.9 <= measured.allowed <= 1.02
    assert measured.budget_cycle_s == pytest.approx(measured.cycle_s, rel=0.1)
