"""A site of DL/T 645 meters, from its files to plant and buses."""

from __future__ import annotations

import pytest

from address_space.model import NodeUid, Protocol, Quantity
from config.errors import ConfigErrors

PLANT = """\
name: Market
time_zone: Asia/Tashkent
hierarchy: [{{id: f1, kind: feeder}}]
channels:
  bus1: {{driver: {driver}, options: {options}}}
metering_units:
  - {{id: stall1, parent: f1, profile: generic/dlt645-2007-prepaid-relay, channel: bus1, address: "{address}"}}
  - {{id: feeder, parent: f1, profile: generic/dlt645-2007-three-phase, channel: bus1, address: "42", ct: 40}}
  - {{id: old, parent: f1, profile: generic/dlt645-1997, channel: bus1, address: "000000063295"}}
"""
OPTIONS = "{host: 127.0.0.1, port: 4001, passwords: {2: env:BUS1}}"


def plant(site, *, driver: str = "dlt645", options: str = OPTIONS, address: str = "202611220017"):
    site.write({})
    text = PLANT.format(driver=driver, options=options, address=address)
    (site.folder / "plant.yaml").write_text(text, encoding="utf-8")
    return site


def unit_of(assembly, name):
    return assembly.plant.units[assembly.plant.unit_of[NodeUid(name)]]


@pytest.mark.parametrize(("driver", "options"), [("dlt645", OPTIONS), ("mixed", "{host: 127.0.0.1, port: 4001}")])
def test_meters_of_both_editions_stand_on_one_bus(site, driver, options):
    assembly = plant(site, driver=driver, options=options).draw().assembly
    protocols = [unit_of(assembly, name).protocol for name in ("stall1", "feeder", "old")]
    assert protocols == [Protocol.DLT645_2007, Protocol.DLT645_2007, Protocol.DLT645_1997]
    assert len(assembly.buses[0].devices) == 3


@pytest.mark.parametrize(("driver", "options"), [("dlt645", OPTIONS), ("mixed", "{host: 127.0.0.1, port: 4001}")])
def test_counters_roll_over_where_their_digits_end_times_the_ratio(site, driver, options):
    assembly = plant(site, driver=driver, options=options).draw().assembly
    for name, rollover in (("stall1", 1e6), ("feeder", 40e6), ("old", 1e6)):
        template = unit_of(assembly, name).template
        assert template.points[template.offset(Quantity.ACTIVE_ENERGY_IMPORT)].rollover == rollover


@pytest.mark.parametrize(
    ("change", "line", "said"),
    [
        ({"address": "999999999999"}, 7, "speaks to all meters at once"),
        ({"address": "20261122001x"}, 7, "no meter's number"),
        ({"options": "{host: h, port: 1, passwords: {2: '000000'}}"}, 5, "env:NAME or file:PATH"),
    ],
)
def test_a_mistake_is_told_at_its_place(site, change, line, said):
    with pytest.raises(ConfigErrors) as caught:
        plant(site, **change).draw()
    (problem,) = caught.value.problems
    assert said in str(problem)
    assert problem.line == line
    assert "000000" not in str(problem)
