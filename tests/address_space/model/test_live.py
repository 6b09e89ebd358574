"""The live table against the status table of docs/opcua.md, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from address_space.model.clock import NS
from address_space.model.hierarchy import MeteringUnit
from address_space.model.ids import NodeUid, PointHandle, PointId, UnitHandle
from address_space.model.live import FUTURE_TOLERANCE_NS, STALE_AFTER_PERIODS, LiveTable
from address_space.model.plant import Plant
from address_space.model.point import PointSpec, Template
from address_space.model.quality import GOOD, Quality, Reason, reason_of
from address_space.model.quantity import Quantity
from address_space.model.value import PointValue

START = 1_800_000_000 * NS
POLL_S = 10
HOLD_S = 900
ENERGY, POWER, TARIFF = "ActiveEnergyImport", "ActivePower", "ActiveTariff"

METER = Template(
    "meter",
    [
        PointSpec(Quantity.ACTIVE_ENERGY_IMPORT, poll_s=POLL_S),
        PointSpec(Quantity.ACTIVE_POWER, poll_s=POLL_S),
        PointSpec(Quantity.ACTIVE_TARIFF, poll_s=POLL_S),
    ],
)
PUSHED = Template("pushed", [PointSpec(Quantity.VOLUME, poll_s=0)])
UNITS = [MeteringUnit(NodeUid(uid), uid, None, METER) for uid in ("m1", "m2")]
PLANT = Plant([], [*UNITS, replace(UNITS[0], id=NodeUid("w1"), template=PUSHED)])
M1, M2 = UnitHandle(0), UnitHandle(1)


class Watched:
    """A live table with the words of these tests; `at` is seconds since the table was made."""

    def __init__(self) -> None:
        self.table = LiveTable(PLANT, START)

    def handle(self, variable: str, unit: str = "m1") -> PointHandle:
        found = PLANT.handle(PointId(f"{unit}.{variable}"))
        assert found is not None
        return found

    def apply(
        self,
        at: float,
        values: Mapping[str, float],
        reason: Reason = Reason.FRESH,
        *,
        source: float | None = None,
        unit: str = "m1",
        texts: Mapping[int, str] | None = None,
    ) -> list[bool]:
        handles = np.array([self.handle(variable, unit) for variable in values])
        status = np.full(len(values), reason.status, np.uint32)
        given = np.array(list(values.values()), np.float64)
        taken = ns(at if source is None else source)
        return self.table.apply(handles, given, status, taken, ns(at), texts).tolist()

    def read_all(self, at: float, *, unit: str = "m1") -> None:
        self.apply(at, {ENERGY: 1234.5, POWER: 3.3, TARIFF: 2}, unit=unit)

    def lose(self, at: float, reason: Reason = Reason.TIMEOUT) -> set[str]:
        return self.named(self.table.lose(M1, reason, ns(at)))

    def age(self, at: float) -> set[str]:
        return self.named(self.table.age(ns(at)))

    def named(self, handles: np.ndarray) -> set[str]:
        return {PLANT.point(PointHandle(handle)).id for handle in handles.tolist()}

    def point(self, variable: str, unit: str = "m1") -> PointValue:
        return self.table.read(self.handle(variable, unit))

    def reason(self, variable: str, unit: str = "m1") -> Reason | None:
        return reason_of(self.point(variable, unit).status)

    def reasons(self) -> list[Reason | None]:
        return [self.reason(variable) for variable in (ENERGY, POWER, TARIFF)]

    def restore(self, at: float, values: Mapping[str, float]) -> None:
        handles = np.array([self.handle(variable) for variable in values])
        given = np.array(list(values.values()), np.float64)
        self.table.restore(handles, given, np.full(len(values), ns(at), np.int64), {})


def ns(at: float) -> int:
    return START + round(at * NS)


def named(*variables: str) -> set[str]:
    return {f"m1.{variable}" for variable in variables}


@pytest.fixture
def live() -> Watched:
    return Watched()


# a new table


def test_a_point_never_polled_waits_for_its_first_value_since_the_start(live: Watched) -> None:
    assert live.point(ENERGY) == PointValue(live.handle(ENERGY), None, Reason.NEVER_READ.status, START, START)


def test_a_point_costs_no_more_than_its_columns(live: Watched) -> None:
    columns = (live.table.value, live.table.status, live.table.source_ns, live.table.server_ns)
    assert sum(column.itemsize for column in columns) == 28
    assert {column.size for column in columns} == {PLANT.size}


# apply


def test_a_reading_is_shown_with_its_own_time_and_the_time_it_was_verified(live: Watched) -> None:
    live.apply(5, {ENERGY: 1234.5}, source=4)
    assert live.point(ENERGY) == PointValue(live.handle(ENERGY), 1234.5, GOOD, ns(4), ns(5))


def test_only_a_difference_in_value_or_status_is_a_change(live: Watched) -> None:
    values = {ENERGY: 10.0, POWER: 1.0}
    assert live.apply(1, values) == [True, True]
    assert live.apply(2, values) == [False, False]
    assert live.apply(3, {ENERGY: 10.0, POWER: 1.5}) == [False, True]
    assert live.apply(4, {ENERGY: 10.0, POWER: 1.5}, Reason.RANGE_EXCEEDED) == [True, True]


def test_an_equal_value_read_again_moves_its_times(live: Watched) -> None:
    live.apply(1, {ENERGY: 10.0})
    live.apply(2, {ENERGY: 10.0})
    assert (live.point(ENERGY).source_ns, live.point(ENERGY).server_ns) == (ns(2), ns(2))


@pytest.mark.parametrize("nan", [np.nan, -np.nan, float(np.uint64(0x7FF8_0000_0000_0001).view(np.float64))])
def test_no_value_after_no_value_is_no_change(live: Watched, nan: float) -> None:
    assert live.apply(1, {ENERGY: np.nan}, Reason.BAD_FRAME) == [True]
    assert live.apply(2, {ENERGY: nan}, Reason.BAD_FRAME) == [False]
    assert live.apply(3, {ENERGY: nan}, Reason.DEVICE_ERROR) == [True]


def test_a_value_after_no_value_is_a_change_and_so_is_the_reverse(live: Watched) -> None:
    live.apply(1, {ENERGY: np.nan}, Reason.SUBSTITUTED)
    assert live.apply(2, {ENERGY: 0.0}, Reason.SUBSTITUTED) == [True]
    assert live.apply(3, {ENERGY: np.nan}, Reason.SUBSTITUTED) == [True]


def test_zero_is_zero_whatever_its_sign(live: Watched) -> None:
    live.apply(1, {POWER: 0.0})
    assert live.apply(2, {POWER: -0.0}) == [False]


def test_texts_stand_beside_the_numbers_and_change_by_themselves(live: Watched) -> None:
    error = "Communication.LastError"
    handle = live.handle(error)
    assert live.apply(1, {error: np.nan}, texts={handle: "no answer"}) == [True]
    assert live.apply(2, {error: np.nan}, texts={handle: "no answer"}) == [False]
    assert live.apply(3, {error: np.nan}, texts={handle: "wrong checksum"}) == [True]
    assert live.apply(4, {error: np.nan}) == [False]
    assert live.point(error).value == "wrong checksum"


def test_values_are_read_in_the_type_of_their_quantity(live: Watched) -> None:
    live.apply(1, {ENERGY: 2.0, TARIFF: 2.0, "Communication.Online": 1.0, "Communication.LastSuccess": 5.5})
    read = [live.point(name).value for name in (ENERGY, TARIFF, "Communication.Online", "Communication.LastSuccess")]
    assert read == [2.0, 2, True, 5.5]
    assert [type(value) for value in read] == [float, int, bool, float]


def test_a_bad_text_is_not_shown(live: Watched) -> None:
    error = "Communication.LastError"
    live.apply(1, {error: np.nan}, texts={live.handle(error): "no answer"})
    live.apply(2, {error: np.nan}, Reason.OUT_OF_SERVICE)
    assert live.point(error).value is None


def test_source_time_never_goes_back(live: Watched) -> None:
    live.apply(10, {ENERGY: 1.0}, source=9)
    live.apply(11, {ENERGY: 2.0}, source=5)
    assert (live.point(ENERGY).value, live.point(ENERGY).source_ns) == (2.0, ns(9))


def test_a_device_clock_that_runs_ahead_is_not_believed(live: Watched) -> None:
    live.apply(10, {ENERGY: 1.0}, source=3600)
    assert live.point(ENERGY).source_ns == ns(10) + FUTURE_TOLERANCE_NS


def test_each_value_of_a_group_keeps_its_own_source_time(live: Watched) -> None:
    handles = np.array([live.handle(POWER), live.handle(POWER, "m2")])
    live.table.apply(handles, np.ones(2), np.zeros(2, np.uint32), np.array([ns(1), ns(2)]), ns(3))
    assert [live.point(POWER, unit).source_ns for unit in ("m1", "m2")] == [ns(1), ns(2)]


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(-50, 150)), min_size=1, max_size=20))
def test_source_time_is_monotonic_and_never_in_the_future_while_the_clock_runs_on(
    readings: list[tuple[float, float]],
) -> None:
    live = Watched()
    last = START
    now = 0.0
    for step, source in readings:
        now += step
        live.apply(now, {ENERGY: 1.0}, source=source)
        seen = live.point(ENERGY).source_ns
        assert last <= seen <= ns(now) + FUTURE_TOLERANCE_NS
        last = seen


# age


def test_a_value_turns_stale_after_three_periods_and_not_before(live: Watched) -> None:
    live.read_all(0)
    assert live.age(STALE_AFTER_PERIODS * POLL_S) == set()
    assert live.age(STALE_AFTER_PERIODS * POLL_S + 0.001) == named(ENERGY, POWER, TARIFF)
    assert live.reasons() == [Reason.STALE] * 3


def test_a_stale_value_keeps_value_and_source_time_and_tells_when_that_was_found(live: Watched) -> None:
    live.read_all(1)
    live.age(40)
    assert live.point(ENERGY) == PointValue(live.handle(ENERGY), 1234.5, Reason.STALE.status, ns(1), ns(40))
    assert live.age(400) == set()


def test_a_stale_value_heals_with_the_next_reading(live: Watched) -> None:
    live.read_all(0)
    live.age(40)
    assert live.apply(41, {ENERGY: 1234.5}) == [True]
    assert live.reasons() == [Reason.FRESH, Reason.STALE, Reason.STALE]


def test_a_value_out_of_range_turns_stale_like_any_other(live: Watched) -> None:
    live.apply(0, {POWER: 99.0}, Reason.RANGE_EXCEEDED)
    assert live.age(40) == named(POWER)


def test_a_device_time_behind_the_hub_does_not_make_a_fresh_reading_stale(live: Watched) -> None:
    live.apply(100, {ENERGY: 1.0}, source=1)
    assert live.age(101) == set()


def test_a_value_entered_by_hand_does_not_turn_stale(live: Watched) -> None:
    live.apply(0, {ENERGY: 99.0}, Reason.SUBSTITUTED)
    assert live.age(100_000) == set()


def test_what_is_not_polled_is_never_late(live: Watched) -> None:
    live.apply(0, {"Volume": 5.0}, unit="w1")
    assert live.age(100_000) == set()


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason.quality is Quality.BAD])
def test_nothing_bad_ever_turns_uncertain_by_age(live: Watched, reason: Reason) -> None:
    live.apply(0, {ENERGY: np.nan, POWER: np.nan, TARIFF: np.nan}, reason)
    assert live.age(100_000) == set()
    assert live.reasons() == [reason] * 3


def test_the_hubs_own_variables_do_not_age(live: Watched) -> None:
    live.apply(0, {"Communication.Online": 1.0, "Quality": 1.0})
    assert live.age(100_000) == set()


# loss of communication


def test_on_loss_counters_and_states_are_held_and_gauges_are_bad_at_once(live: Watched) -> None:
    live.read_all(0)
    assert live.lose(25) == named(ENERGY, POWER, TARIFF)
    assert live.reasons() == [Reason.HELD, Reason.TIMEOUT, Reason.HELD]


def test_a_held_value_keeps_the_time_of_its_sample_and_a_bad_one_tells_when_it_was_lost(live: Watched) -> None:
    live.read_all(0)
    live.lose(25)
    energy, power = live.point(ENERGY), live.point(POWER)
    assert (energy.value, energy.source_ns, energy.server_ns) == (1234.5, ns(0), ns(25))
    assert (power.value, power.source_ns, power.server_ns) == (None, ns(25), ns(25))


def test_a_held_value_turns_bad_when_its_sample_is_older_than_the_hold_time(live: Watched) -> None:
    live.read_all(0)
    live.lose(25)
    assert live.age(HOLD_S) == set()
    assert live.age(HOLD_S + 0.5) == named(ENERGY, TARIFF)
    assert live.reasons() == [Reason.TIMEOUT] * 3
    energy = live.point(ENERGY)
    assert (energy.value, energy.source_ns, energy.server_ns) == (None, ns(HOLD_S + 0.5), ns(HOLD_S + 0.5))


@pytest.mark.parametrize("reason", [Reason.TIMEOUT, Reason.BAD_FRAME, Reason.NOT_CONNECTED, Reason.DEVICE_ERROR])
def test_the_end_of_the_hold_tells_the_reason_of_the_loss(live: Watched, reason: Reason) -> None:
    live.read_all(0)
    live.lose(25, reason)
    live.age(HOLD_S + 1)
    assert live.reasons() == [reason] * 3


def test_a_stale_value_is_held_on_loss_as_long_as_its_sample_allows(live: Watched) -> None:
    live.read_all(0)
    live.age(40)
    live.lose(60)
    assert live.reasons() == [Reason.HELD, Reason.TIMEOUT, Reason.HELD]
    live.age(HOLD_S + 1)
    assert live.reasons() == [Reason.TIMEOUT] * 3


def test_a_value_exactly_as_old_as_its_hold_time_is_still_held(live: Watched) -> None:
    live.read_all(0)
    live.lose(HOLD_S)
    assert live.reasons() == [Reason.HELD, Reason.TIMEOUT, Reason.HELD]


def test_a_value_older_than_its_hold_time_is_bad_at_once(live: Watched) -> None:
    live.read_all(0)
    live.age(40)
    live.lose(HOLD_S + 1)
    assert live.reasons() == [Reason.TIMEOUT] * 3


def test_a_held_value_never_turns_stale(live: Watched) -> None:
    live.read_all(0)
    live.lose(5)
    assert live.age(500) == set()
    assert live.reasons()[0] is Reason.HELD


def test_a_point_never_read_tells_on_loss_that_nobody_answers(live: Watched) -> None:
    assert live.lose(30, Reason.NOT_CONNECTED) == named(ENERGY, POWER, TARIFF)
    assert live.reasons() == [Reason.NOT_CONNECTED] * 3
    assert live.point(ENERGY).source_ns == ns(30)


def test_losing_twice_for_the_same_reason_changes_nothing_but_is_verified(live: Watched) -> None:
    live.read_all(0)
    live.lose(25)
    assert live.lose(35) == set()
    energy, power = live.point(ENERGY), live.point(POWER)
    assert (energy.value, energy.source_ns, energy.server_ns) == (1234.5, ns(0), ns(35))
    assert (power.source_ns, power.server_ns) == (ns(25), ns(35))


def test_losing_again_does_not_prolong_the_hold(live: Watched) -> None:
    live.read_all(0)
    live.lose(25)
    live.lose(HOLD_S - 1)
    assert live.lose(HOLD_S + 1) == named(ENERGY, TARIFF)
    assert live.age(HOLD_S + 2) == set()


def test_a_later_reason_of_loss_replaces_the_earlier(live: Watched) -> None:
    live.read_all(0)
    live.lose(25, Reason.TIMEOUT)
    assert live.lose(30, Reason.NOT_CONNECTED) == named(POWER)
    assert live.reasons() == [Reason.HELD, Reason.NOT_CONNECTED, Reason.HELD]
    assert live.point(POWER).source_ns == ns(30)
    live.age(HOLD_S + 1)
    assert live.reasons() == [Reason.NOT_CONNECTED] * 3


def test_what_the_device_said_of_a_point_gives_way_to_the_loss(live: Watched) -> None:
    live.apply(0, {ENERGY: np.nan}, Reason.NOT_SUPPORTED)
    live.lose(25)
    assert live.reason(ENERGY) is Reason.TIMEOUT


def test_loss_touches_no_other_unit_and_none_of_the_hubs_own_variables(live: Watched) -> None:
    live.read_all(0)
    live.read_all(0, unit="m2")
    live.apply(0, {"Communication.Online": 1.0})
    live.lose(25)
    assert live.reason(POWER, "m2") is Reason.FRESH
    assert live.reason("Communication.Online") is Reason.FRESH


def test_losing_a_device_clock_ahead_of_the_hub_does_not_turn_source_time_back(live: Watched) -> None:
    live.apply(10, {POWER: 1.0}, source=10.8)
    live.lose(10.1)
    assert live.point(POWER).source_ns == ns(10.8)


# out of service


@pytest.mark.parametrize("reason", [Reason.OUT_OF_SERVICE, Reason.MISCONFIGURED])
def test_a_unit_that_is_not_expected_to_answer_holds_nothing(live: Watched, reason: Reason) -> None:
    live.read_all(0)
    assert live.lose(5, reason) == named(ENERGY, POWER, TARIFF)
    assert live.reasons() == [reason] * 3
    assert live.point(ENERGY).value is None


def test_a_unit_out_of_service_stays_so_whatever_comes_late(live: Watched) -> None:
    live.lose(5, Reason.OUT_OF_SERVICE)
    assert live.lose(6, Reason.TIMEOUT) == set()
    assert live.age(100_000) == set()
    assert live.reasons() == [Reason.OUT_OF_SERVICE] * 3


# coming back


def test_a_unit_that_answers_again_heals_with_its_readings(live: Watched) -> None:
    live.read_all(0)
    live.lose(25)
    live.table.found(M1)
    assert live.apply(60, {ENERGY: 1234.5, POWER: 3.3, TARIFF: 2}) == [True, True, True]
    assert live.reasons() == [Reason.FRESH] * 3
    assert live.table.lost[M1] == 0
    assert live.age(65) == set()


def test_a_held_value_not_read_since_the_unit_came_back_ends_stale_and_not_lost(live: Watched) -> None:
    live.read_all(0)
    live.lose(25)
    live.table.found(M1)
    live.apply(HOLD_S, {POWER: 3.3})
    assert live.age(HOLD_S + 1) == named(ENERGY, TARIFF)
    assert live.reasons() == [Reason.STALE, Reason.FRESH, Reason.STALE]
    assert live.point(ENERGY).value == 1234.5


def test_a_unit_lost_found_and_lost_again_starts_over(live: Watched) -> None:
    live.read_all(0)
    live.lose(25, Reason.NOT_CONNECTED)
    live.table.found(M1)
    live.read_all(100)
    live.lose(130, Reason.TIMEOUT)
    live.age(100 + HOLD_S)
    assert live.reasons() == [Reason.HELD, Reason.TIMEOUT, Reason.HELD]
    live.age(101 + HOLD_S)
    assert live.reasons() == [Reason.TIMEOUT] * 3


# after a restart


def test_a_restored_value_is_uncertain_with_its_original_time(live: Watched) -> None:
    live.restore(-60, {ENERGY: 1000.0})
    assert live.point(ENERGY) == PointValue(live.handle(ENERGY), 1000.0, Reason.RESTORED.status, ns(-60), START)


def test_a_restored_value_turns_good_with_the_first_reading(live: Watched) -> None:
    live.restore(-60, {ENERGY: 1000.0})
    assert live.apply(5, {ENERGY: 1000.0}) == [True]
    assert live.reason(ENERGY) is Reason.FRESH


def test_a_restored_value_stays_so_until_it_is_read_and_is_lost_like_any_other(live: Watched) -> None:
    live.restore(-60, {ENERGY: 1000.0, POWER: 3.0})
    assert live.age(31) == set()
    assert live.reasons()[:2] == [Reason.RESTORED, Reason.RESTORED]
    live.lose(40)
    assert live.reasons()[:2] == [Reason.HELD, Reason.TIMEOUT]
    assert live.age(HOLD_S - 59) == named(ENERGY)
    assert live.reason(ENERGY) is Reason.TIMEOUT


def test_a_restored_value_older_than_its_hold_time_is_not_held_on_loss(live: Watched) -> None:
    live.restore(-HOLD_S - 1, {ENERGY: 1000.0})
    live.lose(5)
    assert live.reason(ENERGY) is Reason.TIMEOUT


def test_restoring_does_not_overwrite_what_was_read_or_lost_meanwhile(live: Watched) -> None:
    live.apply(1, {ENERGY: 1001.0})
    live.apply(1, {POWER: np.nan}, Reason.TIMEOUT)
    live.restore(-60, {ENERGY: 1000.0, POWER: 3.0, TARIFF: 2})
    assert live.reasons() == [Reason.FRESH, Reason.TIMEOUT, Reason.RESTORED]
    assert live.point(ENERGY).value == 1001.0


def test_a_value_the_store_does_not_have_stays_unread(live: Watched) -> None:
    live.restore(-60, {ENERGY: np.nan})
    assert live.reason(ENERGY) is Reason.NEVER_READ


def test_a_stored_time_in_the_future_is_not_believed(live: Watched) -> None:
    live.restore(3600, {ENERGY: 1000.0})
    assert live.point(ENERGY).source_ns == START


def test_texts_are_restored_too(live: Watched) -> None:
    handle = live.handle("Communication.LastError")
    live.table.restore(np.array([handle]), np.array([np.nan]), np.array([ns(-60)]), {handle: "no answer"})
    assert live.point("Communication.LastError").value == "no answer"


# the wall clock set back


def test_when_the_clock_is_set_back_times_are_not_left_in_the_future(live: Watched) -> None:
    live.read_all(0)
    live.read_all(0, unit="m2")
    live.apply(-3600, {ENERGY: 1235.0})
    assert live.point(ENERGY).source_ns == live.point(ENERGY).server_ns == ns(-3600)
    assert live.point(ENERGY, "m2").source_ns == live.point(ENERGY, "m2").server_ns == ns(-3600)


def test_the_clock_may_be_set_back_to_a_time_the_table_has_seen_before(live: Watched) -> None:
    live.read_all(3600)
    live.age(10)
    assert live.point(ENERGY).source_ns == live.point(ENERGY).server_ns == ns(10)


def test_after_the_clock_was_set_back_a_device_slightly_ahead_is_believed_again(live: Watched) -> None:
    live.read_all(0)
    live.age(-3600)
    live.apply(-3599, {ENERGY: 1235.0}, source=-3598.5)
    live.age(-3599)
    assert live.point(ENERGY).source_ns == ns(-3598.5)


def test_values_age_as_usual_after_the_clock_was_set_back(live: Watched) -> None:
    live.read_all(0)
    assert live.age(-3600) == set()
    assert live.age(-3600 + STALE_AFTER_PERIODS * POLL_S) == set()
    assert live.age(-3600 + STALE_AFTER_PERIODS * POLL_S + 1) == named(ENERGY, POWER, TARIFF)


def test_a_hold_ends_in_its_time_after_the_clock_was_set_back(live: Watched) -> None:
    live.read_all(0)
    live.lose(25)
    live.age(-3600)
    live.age(-3600 + HOLD_S)
    assert live.reason(ENERGY) is Reason.HELD
    live.age(-3600 + HOLD_S + 1)
    assert live.reason(ENERGY) is Reason.TIMEOUT


def test_a_clock_drawn_back_by_less_than_a_second_does_not_turn_source_time_back(live: Watched) -> None:
    live.read_all(10)
    live.apply(9.5, {ENERGY: 1235.0})
    assert live.point(ENERGY).source_ns == ns(10)


# everything together

steps = st.lists(
    st.one_of(
        st.tuples(st.just("apply"), st.sampled_from([Reason.FRESH, Reason.RANGE_EXCEEDED, Reason.BAD_FRAME])),
        st.tuples(st.just("lose"), st.sampled_from([Reason.TIMEOUT, Reason.NOT_CONNECTED, Reason.OUT_OF_SERVICE])),
        st.tuples(st.just("found"), st.none()),
        st.tuples(st.just("age"), st.none()),
    ),
    max_size=25,
)


@given(steps, st.data())
def test_whatever_happens_bad_has_no_value_uncertain_has_one_and_every_change_is_told(
    happened: list[tuple[str, Reason | None]], data: st.DataObject
) -> None:
    live = Watched()
    now = 0.0
    for step, reason in happened:
        now += data.draw(st.sampled_from([0.0, 1.0, 29.0, 31.0, 899.0, 1000.0]))
        before = live.table.status.copy(), live.table.value.copy()
        told: set[str] = set()
        if step == "apply" and reason is not None:
            value = np.nan if reason.quality is Quality.BAD else now
            changed = live.apply(now, {ENERGY: value, POWER: value}, reason)
            told = {f"m1.{name}" for name, one in zip((ENERGY, POWER), changed, strict=True) if one}
        elif step == "lose" and reason is not None:
            told = live.lose(now, reason)
        elif step == "found":
            live.table.found(M1)
        else:
            told = live.age(now)
        status, value_of = live.table.status, live.table.value
        differs = (status != before[0]) | ~((value_of == before[1]) | (np.isnan(value_of) & np.isnan(before[1])))
        assert told == live.named(np.flatnonzero(differs))
        assert not (np.isnan(value_of) & (status < 0x8000_0000)).any()
        assert np.isnan(value_of[status >= 0x8000_0000]).all()
        assert (live.table.source_ns <= ns(now) + FUTURE_TOLERANCE_NS).all()
        assert (live.table.server_ns <= ns(now)).all()
