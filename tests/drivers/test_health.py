"""Statistics that a person can trust."""

from __future__ import annotations

import pytest

from address_space.model.clock import NS
from address_space.model.ids import UnitHandle
from address_space.model.quality import Reason
from drivers.health import KINDS, MEMORY, DeviceHealth, DeviceState, Tally


def test_a_device_goes_from_unknown_over_online_and_degraded_to_offline_and_back():
    health = DeviceHealth(1)
    states = [health.state(0)]
    health.answered(0, 1, 20.0)
    states.append(health.state(0))
    for _ in range(3):
        health.failed(0, Reason.TIMEOUT, lost_after=3)
        states.append(health.state(0))
    health.answered(0, 2, 20.0)
    states.append(health.state(0))
    for _ in range(MEMORY):
        health.answered(0, 3, 20.0)
    states.append(health.state(0))
    assert [state.name for state in states] == [
        "UNKNOWN",
        "ONLINE",
        "DEGRADED",
        "DEGRADED",
        "OFFLINE",
        "DEGRADED",
        "ONLINE",
    ]


def test_the_success_rate_is_exact_at_first_and_forgets_later():
    health = DeviceHealth(1)
    for success in (True, True, False, True):
        if success:
            health.answered(0, 1, 1.0)
        else:
            health.failed(0, Reason.TIMEOUT, lost_after=3)
    assert health.snapshot(0, UnitHandle(5)).success_rate == pytest.approx(0.75)
    for _ in range(10 * MEMORY):
        health.answered(0, 1, 1.0)
    assert health.success_rate[0] == pytest.approx(1.0, abs=1e-3)


def test_a_lost_line_is_news_only_once_and_only_an_answer_ends_it():
    health = DeviceHealth(2)
    assert health.cut_off(0)
    assert not health.cut_off(0)
    assert health.state(0) is DeviceState.OFFLINE
    health.failed(0, Reason.TIMEOUT, lost_after=3)
    assert health.state(0) is DeviceState.OFFLINE
    assert health.cut_off(0)
    health.answered(0, 7, 1.0)
    assert health.state(0) is DeviceState.ONLINE or health.state(0) is DeviceState.DEGRADED
    assert not health.lost[0]
    assert health.state(1) is DeviceState.UNKNOWN


def test_errors_are_counted_by_kind_and_unknown_kinds_as_device_errors():
    health = DeviceHealth(1)
    for reason in (Reason.TIMEOUT, Reason.TIMEOUT, Reason.BAD_FRAME, Reason.NOT_SUPPORTED):
        health.error(0, reason)
    errors = health.snapshot(0, UnitHandle(0)).errors
    assert set(errors) == set(KINDS)
    assert errors[Reason.TIMEOUT] == 2
    assert errors[Reason.BAD_FRAME] == 1
    assert errors[Reason.DEVICE_ERROR] == 1


def test_a_refusal_is_an_answer_without_a_good_reading():
    health = DeviceHealth(1)
    health.answered(0, 5, 30.0)
    health.answered(0, 9, 30.0, Reason.NOT_SUPPORTED)
    snapshot = health.snapshot(0, UnitHandle(0))
    assert (snapshot.last_good_ns, snapshot.reason, snapshot.failures_in_row) == (5, Reason.NOT_SUPPORTED, 0)
    assert snapshot.success_rate == pytest.approx(0.5)


def test_the_round_trip_follows_smoothly():
    health = DeviceHealth(1)
    health.answered(0, 1, 100.0)
    assert health.round_trip_ms[0] == pytest.approx(100.0)
    health.answered(0, 1, 200.0)
    assert health.round_trip_ms[0] == pytest.approx(120.0)


def test_counts_cover_every_device():
    health = DeviceHealth(5)
    for row in range(4):
        health.answered(row, 1, 1.0)
    for _ in range(3):
        health.failed(0, Reason.TIMEOUT, lost_after=3)
    assert health.count() == {
        DeviceState.UNKNOWN: 1,
        DeviceState.ONLINE: 3,
        DeviceState.DEGRADED: 0,
        DeviceState.OFFLINE: 1,
    }


def test_utilisation_looks_at_the_last_seconds_only():
    tally = Tally()
    assert tally.utilisation(5 * NS) == 0.0
    for second in range(1000, 1100):
        tally.busy(NS // 2, second * NS)
    assert tally.utilisation(1100 * NS) == pytest.approx(0.5, abs=0.05)
    for second in range(1100, 1200):
        tally.busy(NS // 10, second * NS)
    assert tally.utilisation(1200 * NS) == pytest.approx(0.1, abs=0.02)


def test_columns_stay_small_per_device():
    health = DeviceHealth(10_000)
    columns = [column for column in vars(health).values() if hasattr(column, "nbytes")]
    assert sum(column.nbytes for column in columns) / 10_000 <= 70


def test_a_line_that_goes_down_takes_along_a_device_whose_last_polling_broke_it() -> None:
    health = DeviceHealth(2)
    health.failed(0, Reason.NOT_CONNECTED, lost_after=3)
    assert not health.lost[0]
    assert health.cut_off(0)
    assert health.lost[0]
    assert not health.cut_off(0)
