"""Monitored items over the live table: who is told what, and when."""

from __future__ import annotations

import numpy as np
import pytest
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary

from address_space.model.hierarchy import MeteringUnit
from address_space.model.ids import NodeUid
from address_space.model.live import LiveTable
from address_space.model.plant import Plant
from address_space.model.point import PointSpec, Template
from address_space.model.quantity import Quantity
from address_space.nodes.monitored import MonitoredItems
from address_space.nodes.monitored_rows import OVERFLOW, ItemSpec, Mode, Trigger
from address_space.nodes.projection import Projection
from address_space.nodes.wire import Timestamps

_NS = 1_000_000_000
_NOW = 1_800_000_000 * _NS
_TEMPLATE = Template("t", [PointSpec(Quantity.ACTIVE_POWER), PointSpec(Quantity.ACTIVE_ENERGY_IMPORT)])
_UNCERTAIN = 0x408F_0000


class Bench:
    """A plant of three units, a projection over it and one table of items."""

    def __init__(self) -> None:
        plant = Plant([], [MeteringUnit(NodeUid(f"m{n}"), "meter", None, _TEMPLATE) for n in range(3)])
        self.live = LiveTable(plant, _NOW)
        self.live.value[:] = 0.0
        self.live.status[:] = 0
        self.projection = Projection(self.live)
        self.items: MonitoredItems = self.projection.items()
        self.now = _NOW
        self.ids = iter(range(1, 1000))

    def monitor(self, handle: int, **wanted: object) -> int:
        item = next(self.ids)
        self.items.add([ItemSpec(item, handle, item, **wanted)])  # type: ignore[arg-type]
        return item

    def read(self, handle: int, value: float, status: int = 0, text: str = "") -> None:
        self.now += _NS
        handles = np.array([handle])
        texts = {handle: text} if text else None
        changed = self.live.apply(handles, np.array([value]), np.array([status], np.uint32), self.now, self.now, texts)
        self.projection.touch(handles, changed)

    def told(self, limit: int = 1000) -> list[tuple[int, object, int]]:
        """Client handle, value and status of what is published now."""
        self.items.collect(self.now)
        written, count = self.items.take(limit)
        buffer = Buffer(written)
        found = [struct_from_binary(ua.MonitoredItemNotification, buffer) for _ in range(count)]
        assert len(buffer) == 0
        return [(one.ClientHandle, one.Value.Value.Value, one.Value.StatusCode.value) for one in found]

    def values(self) -> list[object]:
        return [value for _, value, _ in self.told()]


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("queue", [1, 10])
def test_a_new_item_reports_its_present_value_first_and_then_only_changes(bench: Bench, queue: int) -> None:
    bench.live.value[0] = 5.0
    item = bench.monitor(0, queue_size=queue)
    assert bench.told() == [(item, 5.0, 0)]
    assert bench.told() == []
    bench.read(0, 5.0)
    assert bench.told() == []
    bench.read(0, 6.0)
    assert bench.told() == [(item, 6.0, 0)]


def test_changes_within_one_publishing_interval_are_one_notification_for_queue_size_one(bench: Bench) -> None:
    bench.monitor(0)
    bench.told()
    for value in (1.0, 2.0, 3.0):
        bench.read(0, value)
    assert bench.values() == [3.0]


def test_a_value_that_changed_and_came_back_is_still_reported(bench: Bench) -> None:
    bench.monitor(0)
    bench.told()
    bench.read(0, 1.0)
    bench.read(0, 0.0)
    assert bench.values() == [0.0]


def test_a_queue_keeps_every_reading_that_changed(bench: Bench) -> None:
    bench.monitor(0, queue_size=5)
    bench.told()
    for value in (1.0, 1.0, 2.0, 1.0):
        bench.read(0, value)
    assert bench.values() == [1.0, 2.0, 1.0]


def test_a_full_queue_loses_its_oldest_and_marks_the_next(bench: Bench) -> None:
    bench.monitor(0, queue_size=2)
    bench.told()
    for value in (1.0, 2.0, 3.0, 4.0):
        bench.read(0, value)
    assert [(value, status) for _, value, status in bench.told()] == [(3.0, OVERFLOW), (4.0, 0)]


def test_a_full_queue_that_keeps_the_oldest_replaces_and_marks_its_newest(bench: Bench) -> None:
    bench.monitor(0, queue_size=2, discard_oldest=False)
    bench.told()
    for value in (1.0, 2.0, 3.0, 4.0):
        bench.read(0, value)
    assert [(value, status) for _, value, status in bench.told()] == [(1.0, 0), (4.0, OVERFLOW)]


def test_overflow_is_marked_also_when_it_builds_up_over_several_publishing_intervals(bench: Bench) -> None:
    bench.monitor(0, queue_size=2)
    bench.told()
    for value in (1.0, 2.0, 3.0):
        bench.read(0, value)
        bench.items.collect(bench.now)
    assert [(value, status) for _, value, status in bench.told()] == [(2.0, OVERFLOW), (3.0, 0)]


def test_queue_size_one_never_marks_overflow(bench: Bench) -> None:
    bench.monitor(0)
    for value in (1.0, 2.0):
        bench.read(0, value)
    assert bench.told() == [(1, 2.0, 0)]


@pytest.mark.parametrize("queue", [1, 50])
def test_a_deadband_compares_with_the_value_last_reported(bench: Bench, queue: int) -> None:
    bench.monitor(0, deadband=2.5, queue_size=queue)
    reported = bench.values()
    for step in range(1, 14):
        bench.read(0, float(step))
        reported += bench.values()
    assert reported == [0.0, 3.0, 6.0, 9.0, 12.0]


def test_a_change_of_exactly_the_deadband_is_not_reported(bench: Bench) -> None:
    bench.monitor(0, deadband=2.0)
    bench.told()
    bench.read(0, 2.0)
    assert bench.told() == []


@pytest.mark.parametrize("queue", [1, 5])
def test_a_change_of_status_passes_every_deadband(bench: Bench, queue: int) -> None:
    bench.monitor(0, deadband=100.0, queue_size=queue)
    bench.told()
    bench.read(0, 0.0, _UNCERTAIN)
    assert [status for _, _, status in bench.told()] == [_UNCERTAIN]


@pytest.mark.parametrize("queue", [1, 5])
def test_the_status_trigger_ignores_values(bench: Bench, queue: int) -> None:
    bench.monitor(0, trigger=Trigger.STATUS, queue_size=queue)
    bench.told()
    bench.read(0, 7.0)
    assert bench.told() == []
    bench.read(0, 8.0, _UNCERTAIN)
    assert bench.values() == [8.0]


@pytest.mark.parametrize("queue", [1, 5])
def test_the_timestamp_trigger_reports_each_reading_and_does_not_wake_other_items(bench: Bench, queue: int) -> None:
    timed = bench.monitor(0, trigger=Trigger.STATUS_VALUE_TIMESTAMP, queue_size=queue)
    plain = bench.monitor(0, queue_size=queue)
    assert {client for client, _, _ in bench.told()} == {timed, plain}
    bench.read(0, 0.0)
    assert [client for client, _, _ in bench.told()] == [timed]


def test_points_nobody_monitors_leave_no_trace(bench: Bench) -> None:
    bench.monitor(0)
    before = bench.projection.round
    bench.read(1, 5.0)
    assert bench.projection.round == before
    assert np.flatnonzero(bench.projection.monitored).tolist() == [0]


def test_a_point_stays_monitored_until_its_last_item_goes(bench: Bench) -> None:
    first, second = bench.monitor(0), bench.monitor(0, queue_size=3)
    other = bench.projection.items()
    other.add([ItemSpec(900, 0, 900)])
    assert bench.items.remove([first, 77]) == [True, False]
    bench.items.remove([second])
    assert bench.projection.monitored[0]
    other.clear()
    assert not bench.projection.monitored.any()


def test_a_disabled_item_is_silent_and_starts_with_the_present_value_when_enabled(bench: Bench) -> None:
    item = bench.monitor(0, mode=Mode.DISABLED)
    queued = bench.monitor(1, mode=Mode.DISABLED, queue_size=4)
    bench.read(0, 1.0)
    bench.read(1, 2.0)
    assert bench.told() == []
    assert bench.items.set_mode(Mode.REPORTING, [item, queued, 99]) == [True, True, False]
    assert sorted(bench.told()) == [(item, 1.0, 0), (queued, 2.0, 0)]


def test_a_sampling_item_queues_and_reports_once_it_may(bench: Bench) -> None:
    item = bench.monitor(0, mode=Mode.SAMPLING, queue_size=4)
    bench.read(0, 1.0)
    assert bench.told() == []
    bench.items.set_mode(Mode.REPORTING, [item])
    assert bench.values() == [0.0, 1.0]


def test_disabling_throws_away_what_waits(bench: Bench) -> None:
    item = bench.monitor(0, queue_size=4)
    latest = bench.monitor(1)
    bench.items.set_mode(Mode.DISABLED, [item, latest])
    assert bench.told() == []


@pytest.mark.parametrize("queue", [1, 5])
def test_a_sampling_interval_longer_than_the_poll_skips_polls(bench: Bench, queue: int) -> None:
    bench.monitor(0, sampling_ns=5 * _NS, queue_size=queue)
    reported = []
    for step in range(1, 13):
        bench.read(0, float(step))
        reported += bench.values()
    # one a second is read, one in five seconds is reported
    assert len(reported) == 3


def test_a_change_while_the_sampling_interval_runs_is_reported_at_its_end(bench: Bench) -> None:
    bench.monitor(0, sampling_ns=5 * _NS)
    bench.told()
    bench.read(0, 1.0)
    assert bench.told() == []
    bench.now += 6 * _NS
    assert bench.values() == [1.0]


def test_notifications_beyond_the_limit_wait_for_the_next_message(bench: Bench) -> None:
    for handle in range(4):
        bench.monitor(handle, queue_size=1 + handle % 2)
    assert len(bench.told(limit=3)) == 3
    assert bench.items.waiting == 1
    assert len(bench.told(limit=3)) == 1


def test_each_item_gets_the_timestamps_it_asked_for(bench: Bench) -> None:
    bench.monitor(0, timestamps=Timestamps.SOURCE)
    bench.monitor(1, timestamps=Timestamps.NEITHER)
    bench.items.collect(bench.now)
    written, count = bench.items.take(10)
    buffer = Buffer(written)
    found = {}
    for _ in range(count):
        one = struct_from_binary(ua.MonitoredItemNotification, buffer)
        found[one.ClientHandle] = (one.Value.SourceTimestamp is not None, one.Value.ServerTimestamp is not None)
    assert found == {1: (True, False), 2: (False, False)}


def test_a_changed_text_is_reported_and_never_queues(bench: Bench) -> None:
    handle = bench.live.plant.size - 1
    bench.monitor(handle, queue_size=9)
    bench.told()
    bench.read(handle, float("nan"), text="no answer")
    bench.read(handle, float("nan"), text="broken frame")
    assert [value.Text for value in bench.values()] == ["broken frame"]  # type: ignore[attr-defined]


def test_modifying_an_item_keeps_what_it_monitors_and_applies_the_new_queue(bench: Bench) -> None:
    item = bench.monitor(0, queue_size=5)
    bench.told()
    for value in (1.0, 2.0, 3.0):
        bench.read(0, value)
    assert bench.items.modify(ItemSpec(item, 0, 77, queue_size=2))
    assert bench.told() == [(77, 2.0, OVERFLOW), (77, 3.0, 0)]
    assert not bench.items.modify(ItemSpec(999, 0, 1))


def test_modifying_down_to_queue_size_one_still_reports_the_newest(bench: Bench) -> None:
    item = bench.monitor(0, queue_size=5)
    bench.told()
    bench.read(0, 1.0)
    bench.items.modify(ItemSpec(item, 0, item))
    assert bench.values() == [1.0]
    bench.read(0, 2.0)
    assert bench.values() == [2.0]


def test_refresh_reports_everything_once_more(bench: Bench) -> None:
    bench.monitor(0)
    bench.monitor(1, queue_size=3)
    assert len(bench.told()) == 2
    bench.items.refresh()
    assert len(bench.told()) == 2
    assert bench.told() == []


def test_two_items_of_one_subscription_on_the_same_point_both_report(bench: Bench) -> None:
    first, second = bench.monitor(0, queue_size=4), bench.monitor(0, queue_size=4)
    bench.told()
    bench.read(0, 1.0)
    assert sorted(bench.told()) == [(first, 1.0, 0), (second, 1.0, 0)]


def test_removing_an_item_drops_only_its_own_queue(bench: Bench) -> None:
    first, second = bench.monitor(0, queue_size=4), bench.monitor(1, queue_size=4)
    bench.read(0, 1.0)
    bench.read(1, 1.0)
    bench.items.remove([first])
    assert [client for client, _, _ in bench.told()] == [second, second]
