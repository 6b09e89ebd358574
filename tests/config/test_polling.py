"""Schedules, poll rates and poll groups of plant.yaml."""

from __future__ import annotations

from typing import Any

import pytest

from config.polling import parse_duration

BASE = """
hierarchy:
  - {id: north, kind: substation, children: [{id: f1, kind: feeder}]}
channels:
  gw1: {driver: modbus, polling: {fast: 60s}}
  gw2: {driver: modbus}
metering_units:
  - {id: m1, parent: f1, profile: eastron/sdm630, channel: gw1, address: "1", poll_group: shops}
  - {id: m2, parent: f1, profile: eastron/sdm630, channel: gw1, address: "2"}
schedules:
  half-hour: {every: 30min, offset: "+00:00:30", late: catch_up, within: 10min}
  billing: {cron: "0 0 L * *"}
  quarterly: {every: 3months}
"""


def plant(folder: Any, more: str = "", base: str = BASE) -> Any:
    folder.write("plant.yaml", base + more)
    return folder


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("0.5", 0.5), ("30s", 30), ("15min", 900), ("1 h", 3600), ("1d", 86_400), ("2w", 1_209_600),
     ("250ms", 0.25), ("+00:00:30", 30), ("01:30:00", 5400)],
)  # fmt: skip
def test_durations_are_read_in_the_usual_forms(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "1x", "-5s", "1e", "15 minutes", "00:60:00", "5:3", "1.2.3s", "nan", "∞"])
def test_anything_else_is_no_duration(text):
    assert parse_duration(text) is None


def test_schedules_are_read_as_written(folder):
    half_hour, billing, quarterly = plant(folder, _GROUPS).load().schedules
    assert (half_hour.id, half_hour.every_s, half_hour.offset_s) == ("half-hour", 1800, 30)
    assert (half_hour.catch_up, half_hour.within_s) == (True, 600)
    assert (billing.cron, billing.catch_up, billing.within_s) == ("0 0 L * *", False, None)
    assert (quarterly.every_months, quarterly.every_s) == (3, 0)


def test_rates_name_a_schedule_or_a_period_and_all_stands_for_the_rest(folder):
    config = plant(folder, "polling: {fast: 5s, all: half-hour, slow: 900}\n" + _GROUPS).load()
    assert config.polling == {"fast": 5, "normal": "half-hour", "slow": 900, "config": "half-hour"}
    assert config.channels[0].polling == {"fast": 60}
    assert config.channels[1].polling == {}


_GROUPS = """
poll_groups:
  heat: {where: {medium: [heat, cooling], node: north, profile: acrel/*}, polling: {all: billing}}
  shops: {polling: {fast: 1}}
"""


def test_groups_have_conditions_or_are_named_by_their_meters(folder):
    config = plant(folder, _GROUPS).load()
    heat, shops = config.poll_groups
    assert (heat.media, heat.nodes, heat.profiles, heat.channels) == (
        {"heat", "cooling"}, {"north"}, ("acrel/*",), frozenset(),
    )  # fmt: skip
    assert (heat.named, shops.named) == (False, True)
    assert [meter.poll_group for meter in config.meters] == ["shops", ""]


def test_a_meter_list_names_groups_too(folder):
    base = BASE.replace(", poll_group: shops", "")
    folder.write("meters.csv", "id,parent,profile,channel,address,poll_group\nm9,f1,abb/b23,gw2,9,shops\n")
    config = plant(folder, _GROUPS + "meters: meters.csv\n", base).load()
    assert {meter.id: meter.poll_group for meter in config.meters}["m9"] == "shops"
    folder.write("meters.csv", "id,parent,profile,channel,address,poll_group\nm9,f1,abb/b23,gw2,9,shop\n")
    assert folder.mistakes() == ["meters.csv:2:poll_group: there is no poll group 'shop'; did you mean 'shops'?"]


@pytest.mark.parametrize(
    ("more", "mistake"),
    [
        ("polling: {fsat: 5s}", "'fsat' is no key of `polling`; did you mean 'fast'?"),
        ("polling: {fast: half-hours}", "'half-hours' is neither a schedule nor a period; did you mean 'half-hour'?"),
        ("polling: {fast: 0}", "'0' is neither a schedule nor a period"),
        ("polling: {fast: 400d}", "'400d' is neither a schedule nor a period"),
        ("polling: often", "polling must be a mapping"),
        ("poll_groups: {a: {polling: {}}}", "the poll group 'a' has no rates; write `polling: {all: 15min}`"),
        ("poll_groups: {a: {where: {nod: x}, polling: {fast: 5}}}", "'nod' is no key of `where`; did you mean 'node'?"),
        ("poll_groups: {a: {where: {node: x}, polling: {fast: 5}}}", "there is no node 'x'"),
        ("poll_groups: {a: {where: {channel: gw3}, polling: {fast: 5}}}", "there is no channel 'gw3'"),
        ("poll_groups: {a: {where: {medium: vodka}, polling: {fast: 5}}}", "there is no medium 'vodka'"),
        ("poll_groups: {a: {where: {node: []}, polling: {fast: 5}}}", "node is empty; name at least one"),
        ("poll_groups: {a b: {polling: {fast: 5}}}", "'a b' is not a valid id of a poll group"),
        ("poll_groups: {a: }", "the poll group 'a' is empty"),
    ],
)
def test_what_cannot_be_understood_is_told(folder, more, mistake):
    base = BASE.replace(", poll_group: shops", "")
    assert any(mistake in told for told in plant(folder, more, base).mistakes())


@pytest.mark.parametrize(
    ("schedule", "mistake"),
    [
        ("{}", "the schedule 'x' needs one of cron and every"),
        ('{cron: "@daily", every: 1d}', "the schedule 'x' needs one of cron and every"),
        ("{every: often}", "'often' is no time that can be waited"),
        ("{every: 1d, offset: soon}", "'soon' is no time that can be waited"),
        ("{every: 1d, late: maybe}", "'maybe' is no late; use one of catch_up, drop"),
        ("{evry: 1d}", "'evry' is no key of a schedule; did you mean 'every'?"),
        ("", "the schedule 'x' is empty"),
    ],
)
def test_a_schedule_that_cannot_be_understood_is_told(folder, schedule, mistake):
    folder.write("plant.yaml", f"schedules:\n  x: {schedule}\n")
    assert any(mistake in told for told in folder.mistakes())
