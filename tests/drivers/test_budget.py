"""Bus time reckoned by hand, and what the budget says would help."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from address_space.model.clock import NS
from address_space.model.ids import UnitHandle
from drivers.api import Device, Line, Pace, ReadPlan, Request
from drivers.budget import FITS, Patience, Wire, channel_budget
from drivers.poller import PollClass, PolledDevice
from drivers.schedule import Timetable
from drivers.slots import Schedule, every
from drivers.transport import Parity, SerialSettings

SLOW_LINE = Wire(SerialSettings(9600))  # 10 bits: 1.0417 ms a character
LINE = Line(gap_s=0.0, timeout_s=1.0, quiet_s=0.5)
PACE = Pace(answer_s=0.05, gap_s=0.02)
FAST = PollClass(10.0, (0, 1))
SLOW = PollClass(60.0, (10, 11))


def plan(device, offsets):
    """Ten offsets are one request of 8 bytes, answered with 5 and 20 for each of its variables."""
    keys = sorted({offset // 10 for offset in offsets})
    return ReadPlan(
        tuple(offsets),
        tuple(
            Request(key, f"block {key}", 8, 5 + 20 * sum(1 for offset in offsets if offset // 10 == key))
            for key in keys
        ),
    )


def budget(count=1, classes=(FAST,), *, wire=SLOW_LINE, line=LINE, pace=PACE, patience=None):
    devices = [PolledDevice(Device(UnitHandle(n), n, f"m{n}", "make", str(n)), classes) for n in range(count)]
    return channel_budget("bus", devices, plan, lambda _: pace, wire, line, patience)


def test_the_time_of_an_exchange_is_bytes_answer_and_gap():
    one = budget()
    assert one.cycle_s == pytest.approx(0.02 + 0.05 + 53 * 10 / 9600)
    assert one.utilisation == pytest.approx(one.cycle_s / 10)


def test_silence_in_characters_counts_where_it_is_longer_than_the_gap():
    rtu = replace(PACE, silence_characters=3.5)
    assert budget(pace=rtu).cycle_s == budget().cycle_s
    slow = Wire(SerialSettings(1200, Parity.EVEN))
    assert budget(pace=rtu, wire=slow).cycle_s == pytest.approx(3.5 * 11 / 1200 + 0.05 + 53 * 11 / 1200)


def test_a_network_adds_its_way_and_no_line_no_bytes():
    assert budget(wire=Wire(None, 0.3)).cycle_s == pytest.approx(0.02 + 0.05 + 0.3)


def test_a_slower_class_that_falls_together_with_a_faster_one_costs_only_what_it_adds():
    one = budget(classes=(FAST, SLOW))
    exchange_s = 0.07 + 53 * 10 / 9600
    assert one.cycle_s == pytest.approx(2 * exchange_s)
    assert one.utilisation == pytest.approx(exchange_s / 10 + exchange_s / 60)
    together = budget(classes=(PollClass(10.0, (0,)), PollClass(60.0, (1,))))
    assert together.utilisation == pytest.approx((0.07 + 33 * 10 / 9600) / 10 + 20 * 10 / 9600 / 60)


def test_a_scheduled_class_is_read_by_itself():
    schedule = Schedule("s", every(60, UTC))
    apart = budget(classes=(PollClass(10.0, (0,)), PollClass(60.0, (1,), schedule)))
    assert apart.utilisation == pytest.approx((0.07 + 33 * 10 / 9600) * (1 / 10 + 1 / 60))


def test_devices_of_several_makes_add_up():
    devices = [
        PolledDevice(Device(UnitHandle(n), n, f"m{n}", make, str(n)), (FAST,) if make == "a" else (SLOW,))
        for n, make in enumerate("aab")
    ]
    both = channel_budget("bus", devices, plan, lambda _: PACE, SLOW_LINE, LINE)
    exchange_s = 0.07 + 53 * 10 / 9600
    assert both.cycle_s == pytest.approx(3 * exchange_s)
    assert both.utilisation == pytest.approx(exchange_s * (2 / 10 + 1 / 60))
    assert [(load.make, load.devices) for load in both.loads] == [("a", 2), ("b", 1)]


@pytest.mark.parametrize(("count", "dead"), [(1, 1), (2, 1), (20, 1), (21, 2), (100, 5)])
def test_one_device_or_five_percent_are_taken_for_dead(count, dead):
    assert budget(count).dead == dead


def test_dead_devices_cost_their_timeouts_within_their_share():
    calm = budget(20)
    attempt_s = 1.0 + 0.5 + 12 * 10 / 9600
    assert calm.worst_cycle_s == pytest.approx(calm.cycle_s * 19 / 20 + 2 * attempt_s)
    assert calm.worst_utilisation == pytest.approx(max(calm.utilisation, calm.utilisation * 19 / 20 + attempt_s / 60))
    impatient = budget(20, patience=Patience(backoff_max_s=1.0))
    assert impatient.worst_utilisation == pytest.approx(calm.utilisation * 19 / 20 + 0.25)


def test_what_fits_needs_no_advice():
    assert budget(20).met
    assert budget(20).advice == ()


def test_what_does_not_fit_is_told_with_what_would_help():
    full = budget(100, (FAST, SLOW))
    assert not full.met
    text = "\n".join(full.advice)
    assert "read what is read every 10 s every 30 s" in text
    assert "run the line at 115200 baud" in text
    assert "split the bus into 2 (" in text


def _percent(advice: str) -> float:
    return float(advice.rpartition("(")[2].partition("%")[0]) / 100


def test_each_advice_keeps_what_it_promises():
    full = budget(100, (FAST, SLOW))
    longer = budget(100, (PollClass(30.0, FAST.offsets), SLOW))
    faster = budget(100, (FAST, SLOW), wire=Wire(SerialSettings(115_200)))
    said = {line.split()[0]: _percent(line) for line in full.advice}
    assert said["read"] == pytest.approx(longer.worst_utilisation, abs=0.006)
    assert said["run"] == pytest.approx(faster.worst_utilisation, abs=0.006)
    assert said["split"] == pytest.approx(budget(50, (FAST, SLOW)).worst_utilisation, abs=0.05)


def test_many_requests_are_advised_to_be_blocks_and_fewer():
    many = PollClass(10.0, tuple(range(0, 80, 10)))
    text = "\n".join(budget(20, (many,)).advice)
    assert "read in blocks, one request for each class" in text
    assert "of the 8 requests of make at 10 s" in text


def test_a_line_without_a_speed_is_not_advised_to_be_faster():
    assert not any("baud" in advice for advice in budget(300, wire=Wire(None, 0.1)).advice)


def test_nothing_polled_is_no_load():
    empty = channel_budget("bus", [], plan, lambda _: PACE, SLOW_LINE, LINE)
    assert (empty.utilisation, empty.cycle_s, empty.met) == (0.0, 0.0, True)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 300),
    st.lists(st.sampled_from([1.0, 5.0, 7.0, 10.0, 60.0, 900.0]), min_size=1, max_size=4, unique=True),
    st.sampled_from([1200, 2400, 9600, 115_200]),
)
def test_any_bus_has_a_budget_that_holds_together(count, periods, baud):
    classes = tuple(PollClass(period, (10 * n, 10 * n + 1)) for n, period in enumerate(sorted(periods)))
    found = budget(count, classes, wire=Wire(SerialSettings(baud)))
    assert found.utilisation == pytest.approx(sum(load.share for load in found.loads))
    assert found.worst_utilisation >= found.utilisation > 0
    assert found.met or found.advice
    assert sorted(found.loads, key=lambda load: -load.share) == list(found.loads)
    whole = budget(count, (PollClass(classes[0].period_s, tuple(o for each in classes for o in each.offsets)),))
    assert found.dead == whole.dead


def test_the_budget_agrees_with_the_timetable_about_what_is_read_together():
    classes = (PollClass(10.0, (0,)), PollClass(60.0, (1,)))
    device = PolledDevice(Device(UnitHandle(0), 0, "m0", "make", "0"), classes)
    table = Timetable([device], "bus", 1)
    now_ns = 1_800_000_000 * NS
    table.take_all(0, now_ns)
    masks = []
    while now_ns < 1_800_003_600 * NS:
        now_ns = table.next_ns(0, now_ns)
        masks.append(table.take(0, now_ns).classes)
    own_s = sum((0.07 + (13 + 20 * mask.bit_count()) * 10 / 9600) for mask in masks)
    assert own_s / 3600 == pytest.approx(budget(classes=classes).utilisation, rel=0.01)
    assert FITS < 1
