"""Which meter is read when: hub, plant, channel and groups laid over one another."""

from __future__ import annotations

import pytest

from address_space.model import NodeUid
from config.errors import ConfigErrors
from drivers.slots import Late
from server.budgets import budgets

SCHEDULES = """
time_zone: Europe/Berlin
schedules:
  half-hour: {every: 30min, offset: 30s, late: catch_up}
  billing: {cron: "0 0 1 * *", within: 6h}
"""


def classes(assembly, unit: str) -> dict[float, tuple[str, int]]:
    """Period, schedule and number of points of a unit's poll classes."""
    handle = assembly.plant.unit_of[NodeUid(unit)]
    (found,) = (polled for bus in assembly.buses for polled in bus.devices if polled.device.unit == handle)
    return {each.period_s: (each.schedule.name if each.schedule else "", len(each.offsets)) for each in found.classes}


def drawn(site, plant: str, hub: str = ""):
    site.write({"a": ["m1", "m2"], "b": ["m3"]}, plant=plant)
    hub_file = site.folder / "hub.toml"
    hub_file.write_text(hub_file.read_text().partition("[polling.periods]")[0] + hub)
    return site.draw().assembly


def periods(assembly, unit: str) -> set[float]:
    return set(classes(assembly, unit))


def test_what_is_more_particular_wins(site):
    plain = drawn(site, "", "[polling.periods]\nfast = 7\n")
    assert 7 in periods(plain, "m1")
    plant = drawn(site, "polling: {fast: 8s}\n", "[polling.periods]\nfast = 7\nslow = 77\n")
    assert {8, 77} <= periods(plant, "m1")
    group = "poll_groups: {g: {where: {channel: b, node: f1}, polling: {fast: 9s}}}\n"
    grouped = drawn(site, "polling: {fast: 8s}\n" + group)
    assert (8 in periods(grouped, "m1"), 9 in periods(grouped, "m3")) == (True, True)


def test_of_two_groups_the_later_wins_and_the_named_one_over_all(site):
    groups = """
poll_groups:
  named: {polling: {fast: 3s}}
  first: {where: {medium: electricity}, polling: {fast: 4s, slow: 44s}}
  second: {where: {profile: eastron/*}, polling: {fast: 5s}}
"""
    site.write({"a": ["m1", "m2"]}, plant=groups)
    text = (site.folder / "plant.yaml").read_text()
    (site.folder / "plant.yaml").write_text(text.replace("id: m2,", "id: m2, poll_group: named,"))
    assembly = site.draw().assembly
    assert {5, 44} <= periods(assembly, "m1")
    assert {3, 44} <= periods(assembly, "m2")


def test_a_class_with_a_schedule_is_read_by_it_and_clients_are_told_its_period(site):
    assembly = drawn(site, SCHEDULES + "polling: {slow: half-hour, config: billing}\n")
    found = classes(assembly, "m1")
    assert found[1800.0][0] == "half-hour"
    (schedule,) = {
        each.schedule for bus in assembly.buses for polled in bus.devices for each in polled.classes if each.schedule
    }
    assert (schedule.offset_ns, schedule.late, schedule.within_ns) == (30 * 10**9, Late.CATCH_UP, 1800 * 10**9)
    template = assembly.plant.units[0].template
    assert 1800.0 in {point.poll_s for point in template.points}


def test_meters_with_the_same_rates_share_their_template(site):
    assembly = drawn(site, SCHEDULES + "poll_groups: {g: {where: {channel: b}, polling: {slow: half-hour}}}\n")
    first, second, third = (unit.template for unit in assembly.plant.units)
    assert first is second
    assert third is not first
    assert third.name != first.name


@pytest.mark.parametrize(
    ("schedule", "mistake"),
    [
        ("{every: 7min}", "420 s do not divide a day"),
        ("{every: 5months}", "5 months do not divide a year"),
        ("{every: 0.5s}", "is no whole number of seconds"),
        ('{cron: "61 * * * *"}', "'61 * * * *' is no cron expression: wrong minute"),
        ('{cron: "0 0 30 2 *"}', "wrong day-of-month"),
        ("{every: 15min, offset: 20min}", "the offset of 1200 s is no shorter than the time between two slots"),
    ],
)
def test_schedules_that_cannot_be_kept_are_told_at_their_place(site, schedule, mistake):
    with pytest.raises(ConfigErrors) as caught:
        drawn(site, f"schedules:\n  x: {schedule}\n")
    (problem,) = caught.value.problems
    assert mistake in problem.what
    assert problem.line > 1
    assert problem.hint


def test_a_hub_of_many_channels_has_a_budget_for_each_that_has_meters(site):
    site.write({"a": ["m1", "m2"], "b": ["m3"], "c": []})
    blueprint = site.draw()
    found = {budget.channel: budget for budget in budgets(blueprint.assembly, blueprint.settings.polling)}
    assert set(found) == {"a", "b"}
    assert found["a"].cycle_s == pytest.approx(2 * found["b"].cycle_s)
    assert "no serial line behind it" in found["a"].wire.assumed


def test_the_budget_takes_the_speed_of_a_line_from_its_options(site):
    options = "framer: rtu, baud: 2400, parity: even"
    site.write({"a": ["m1"]}, options=options)
    slow = budgets(site.draw().assembly, site.settings().polling)[0]
    site.write({"a": ["m1"]}, options="framer: rtu, baud: 9600, parity: even")
    fast = budgets(site.draw().assembly, site.settings().polling)[0]
    assert str(slow.wire) == "2400 8E1"
    assert slow.cycle_s > 2 * fast.cycle_s
    site.write({"a": ["m1"]}, options="framer: rtu")
    assumed = budgets(site.draw().assembly, site.settings().polling)[0]
    assert "9600 8N1 behind it: give baud to be sure" in assumed.wire.assumed
