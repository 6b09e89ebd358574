"""Finding records: whatever the log looks like, every record is told with its own time and none is lost."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drivers.errors import BadFrame
from drivers.modbus.log_reader import Known
from drivers.modbus.log_search import Search
from tests.drivers.modbus.log_rig import (
    DAY_MS,
    QUARTER_MS,
    Memory,
    everything,
    look,
    numbers,
    pointing,
    record,
    stamped,
)

BEGUN_MS = 1_795_000_500_000 // QUARTER_MS * QUARTER_MS
WAYS = ["first", "search", pointing("total"), pointing("next"), pointing("newest", 1), pointing("next", 1)]
LOGS = {
    (way, count, most): stamped(way, count, most=most) for way in WAYS for count in (1, 7, 40) for most in (1, 3, 8)
}


@st.composite
def histories(draw: st.DrawFn) -> list[int]:
    """Times of records: mostly every quarter of an hour, with hours in which the meter had no power."""
    steps = draw(st.lists(st.sampled_from([1, 1, 1, 1, 1, 2, 9, 200]), max_size=90))
    times, at_ms = [], BEGUN_MS
    for step in steps:
        at_ms += step * QUARTER_MS
        times.append(at_ms)
    return times


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(LOGS)), histories(), st.integers(0, 100), st.integers(1, 60), st.booleans())
def test_every_record_that_there_is_is_told_and_nothing_else(
    which: tuple[str, int, int], times: list[int], first: int, length: int, refuses: bool
) -> None:
    log = LOGS[which]
    memory = Memory(log, numbers(times), refuses=refuses)
    now_ms = (times[-1] if times else BEGUN_MS) + 60_000
    start_ms = BEGUN_MS + first * QUARTER_MS
    end_ms = start_ms + length * QUARTER_MS + 1
    held = dict(zip(times, range(1, len(times) + 1), strict=True))
    kept = {time_ms: held[time_ms] for time_ms in times[-log.count :] if start_ms <= time_ms < end_ms}
    if refuses and not times:  # it cannot be told from a device that has no log
        return
    assert everything(memory, start_ms, end_ms, now_ms) == kept


FILLED = {(way, count): stamped(way, count, most=3, extra="ring: false") for way in WAYS[1:] for count in (1, 7, 40)}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(FILLED)), histories(), st.integers(0, 100), st.booleans())
def test_a_log_that_stops_when_it_is_full_tells_its_first_records(
    which: tuple[str, int], times: list[int], first: int, refuses: bool
) -> None:
    log = FILLED[which]
    memory = Memory(log, numbers(times), refuses=refuses and bool(times))
    start_ms = BEGUN_MS + first * QUARTER_MS
    end_ms = start_ms + 60 * QUARTER_MS
    kept = {time: number for number, time in enumerate(times[: log.count], 1) if start_ms <= time < end_ms}
    assert everything(memory, start_ms, end_ms, (times[-1] if times else BEGUN_MS) + 60_000) == kept


@pytest.mark.parametrize("way", ["first", "search", pointing("total"), pointing("next")])
def test_a_long_log_is_searched_with_few_requests(way: str) -> None:
    log = stamped(way, 2880, most=1)
    times = [BEGUN_MS + number * QUARTER_MS for number in range(5000)]
    memory = Memory(log, numbers(times))
    first = times[-1] - 5 * DAY_MS
    found = everything(memory, first, first + 24 * QUARTER_MS, times[-1] + 60_000)
    assert sorted(found) == list(range(first, first + 24 * QUARTER_MS, QUARTER_MS))
    assert len(memory.asked) <= 24 + 5


@pytest.mark.parametrize("way", ["first", "search", pointing("total")])
def test_days_without_power_cost_a_search_and_no_more(way: str) -> None:
    log = stamped(way, 2880, most=1)
    times = [BEGUN_MS + (number + 700 * (number > 2000)) * QUARTER_MS for number in range(5000)]
    memory = Memory(log, numbers(times))
    first = BEGUN_MS + 1990 * QUARTER_MS
    wanted = [time for time in times[-2880:] if first + 130 * QUARTER_MS <= time < first + 800 * QUARTER_MS]
    assert sorted(everything(memory, first + 130 * QUARTER_MS, first + 800 * QUARTER_MS, times[-1])) == wanted
    assert len(memory.asked) <= len(wanted) + 40


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(WAYS), st.integers(1, 4), st.integers(8, 30), st.integers(0, 25), st.integers(1, 12))
def test_a_ring_that_goes_on_while_it_is_read_never_tells_a_wrong_time(
    way: str, most: int, count: int, first: int, every: int
) -> None:
    log = stamped(way, count, most=most)
    memory = Memory(log, numbers([BEGUN_MS + number * QUARTER_MS for number in range(40)]))

    def going_on() -> Iterator[None]:
        for step in range(1, 2000):
            if step % every == 0:
                number = len(memory.made)
                memory.made.append(record(BEGUN_MS + number * QUARTER_MS, number + 1))
            yield

    start_ms = BEGUN_MS + first * QUARTER_MS
    found = everything(memory, start_ms, BEGUN_MS + 40 * QUARTER_MS, BEGUN_MS + 40 * QUARTER_MS, going_on())
    assert all(found[time_ms] == (time_ms - BEGUN_MS) // QUARTER_MS + 1 for time_ms in found)


@pytest.mark.parametrize("way", [pointing("total"), pointing("next"), pointing("newest")])
@pytest.mark.parametrize("most", [1, 4])
def test_a_record_made_since_the_pointer_was_read_is_found(way: str, most: int) -> None:
    log = stamped(way, 100, most=most)
    times = [BEGUN_MS + number * QUARTER_MS for number in range(30)]
    memory, known = Memory(log, numbers(times)), Known()
    assert look(memory, known, times[-1], times[-1] + 1, times[-1]).records
    memory.made += [record(times[-1] + step * QUARTER_MS, 30 + step) for step in (1, 2, 3)]
    later = times[-1] + 3 * QUARTER_MS
    page = look(memory, known, later, later + 1, later + 60_000)
    assert [time_ms for time_ms, _ in page.records] == [later]


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(WAYS), st.integers(1, 6), st.integers(0, 29))
def test_one_broken_record_hides_no_other(way: str, most: int, lost: int) -> None:
    log = stamped(way, 30, most=most)
    times = [BEGUN_MS + number * QUARTER_MS for number in range(45)]
    memory = Memory(log, numbers(times), lost={lost})
    if way == "search" and lost == 0 and most == 1:
        return  # the first record is what all others are compared with
    broken = 44 - lost if log.moves else lost if lost >= 15 else lost + 30
    found = everything(memory, times[0], times[-1] + 1, times[-1] + 60_000)
    assert sorted(found) == [time for number, time in enumerate(times) if number >= 15 and number != broken]


def test_a_clock_that_was_set_back_stops_nothing() -> None:
    log = stamped(pointing("total"), 50, most=4)
    times = [BEGUN_MS + number * QUARTER_MS for number in range(30)]
    back = [*times[:20], *(time - 6 * QUARTER_MS for time in times[20:])]
    memory = Memory(log, numbers(back))
    found = everything(memory, times[0], times[-1] + 1, times[-1] + 60_000)
    assert all(back[number - 1] == time for time, number in found.items())
    assert len(found) > 10


@pytest.mark.parametrize("most", [1, 4])
def test_records_made_while_the_clock_had_lost_its_time_hide_no_others(most: int) -> None:
    log = stamped(pointing("total"), 50, most=most)
    times = [BEGUN_MS + number * QUARTER_MS for number in range(30)]
    memory = Memory(log, numbers(times))
    for number in range(20, 27):
        memory.made[number] = record(946_684_800_000 + number * QUARTER_MS, number + 1)
    found = everything(memory, times[0], times[-1] + 1, times[-1] + 60_000)
    assert found == {time: number for number, time in enumerate(times, 1) if not 21 <= number <= 27}


def test_a_pointer_beyond_the_log_is_told_with_what_to_do() -> None:
    log = stamped(pointing("newest"), 10)
    memory = Memory(stamped(pointing("newest"), 100), numbers([BEGUN_MS + n * QUARTER_MS for n in range(50)]))
    memory.log = log
    steps = memory.answer
    with pytest.raises(BadFrame, match="has 10 records and its pointer tells 49"):
        _look_with(log, lambda ask: (49).to_bytes(4, "big"))
    assert steps


def _look_with(log, answer) -> None:
    class Fixed(Memory):
        def answer(self, ask):
            return answer(ask)

    look(Fixed(log, []), Known(), BEGUN_MS, BEGUN_MS + 1, BEGUN_MS)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(WAYS), st.integers(1, 4), st.integers(20, 70), st.integers(0, 8), st.integers(0, 40))
@example("search", 1, 51, 0, 0)
def test_a_search_that_breaks_off_misleads_no_later_one(way: str, most: int, made: int, after: int, first: int) -> None:
    memory = Memory(stamped(way, 50, most=most), numbers([BEGUN_MS + number * QUARTER_MS for number in range(made)]))
    now_ms = BEGUN_MS + made * QUARTER_MS
    start_ms, known = BEGUN_MS + first * QUARTER_MS, Known()
    steps = Search(memory.log, known, (start_ms, now_ms), UTC, lambda: now_ms, None, "meter").steps()
    with contextlib.suppress(StopIteration):
        ask = next(steps)
        for _ in range(after):
            ask = steps.send(memory.answer(ask))
    steps.close()
    found = everything(memory, start_ms, now_ms, now_ms, known=known)
    assert sorted(found) == [BEGUN_MS + number * QUARTER_MS for number in range(max(first, made - 50), made)]


def test_a_log_that_the_device_refuses_is_not_there() -> None:
    for way in WAYS:
        log = stamped(way, 10)

        class Refusing(Memory):
            def answer(self, ask):
                return None

        assert look(Refusing(log, []), Known(), BEGUN_MS, BEGUN_MS + 1, BEGUN_MS).refused
