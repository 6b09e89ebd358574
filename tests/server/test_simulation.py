"""The device side of a plant from its configuration."""

from __future__ import annotations

import pytest

from address_space.model import HubError
from drivers.simulators import Always, Between, EveryNth, Framing, Frozen, Silent, Slow, WrongLength
from server.errors import SimulationMistake
from server.simulation import FAULTS, faults_of


def mistake(entry: object) -> SimulationMistake:
    with pytest.raises(SimulationMistake) as caught:
        faults_of({"faults": [entry]}, {"m1", "m2"})
    return caught.value


def test_faults_are_found_by_meter_with_their_settings_and_schedules() -> None:
    found = faults_of(
        {
            "faults": [
                {"meter": "m1", "fault": "slow", "delay_s": 1},
                {"meter": "m1", "fault": "wrong_length", "words": 2, "every": 3},
                {"meter": "m2", "fault": "frozen", "from_s": 10},
            ]
        },
        {"m1", "m2"},
    )
    assert found["m1"] == (Slow(1.0, when=Always()), WrongLength(2, when=EveryNth(3)))
    assert found["m2"] == (Frozen(when=Between(10.0)),)


def test_no_faults_are_no_mistake() -> None:
    assert faults_of({}, {"m1"}) == {}
    assert faults_of({"faults": None}, {"m1"}) == {}


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_every_fault_can_be_had_by_its_name(fault: str) -> None:
    entry = {"meter": "m1", "fault": fault, **({"delay_s": 1.0} if fault == "slow" else {})}
    (found,) = faults_of({"faults": [entry]}, {"m1"})["m1"]
    assert type(found) is FAULTS[fault]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"meter": "m1"}, "names a meter and a fault"),
        ("silent", "names a meter and a fault"),
        ({"meter": "m3", "fault": "silent"}, "there is no meter 'm3'"),
        ({"meter": "m1", "fault": "silnt"}, "silent"),
        ({"meter": "m1", "fault": "slow"}, "slow needs 'delay_s'"),
        ({"meter": "m1", "fault": "slow", "delay_s": "x"}, "'x' is no number"),
        ({"meter": "m1", "fault": "silent", "often": 1}, "has no setting 'often'"),
        ({"meter": "m1", "fault": "silent", "every": 0}, "every counts requests"),
        ({"meter": "m1", "fault": "silent", "every": 1.5}, "no whole number"),
    ],
)
def test_an_entry_that_cannot_be_used_says_what_is_wrong_and_where(entry: object, said: str) -> None:
    error = mistake(entry)
    assert said in str(error)
    assert error.where.startswith("plant.yaml: simulation.faults[0]")
    assert error.hint


def test_faults_that_are_no_list_and_a_seed_that_is_no_number_are_mistakes(site) -> None:
    with pytest.raises(SimulationMistake, match="list"):
        faults_of({"faults": {"meter": "m1"}}, {"m1"})
    site.write({"a": ["m1"]}, plant="simulation: {seed: many}")
    with pytest.raises(SimulationMistake, match="'many' is no whole number"):
        site.fleet()


async def test_meters_listen_where_the_hub_will_look_for_them(site) -> None:
    site.write({"a": ["m1", "m2"], "b": ["m3"]}, plant="simulation: {faults: [{meter: m3, fault: silent}]}")
    async with site.fleet() as fleet:
        assert sorted(server.port for server in fleet.servers.values()) == sorted(site.ports.values())
        assert fleet.meter("m3").faults == (Silent(),)
        assert fleet.meter("m1").faults == ()


def test_only_the_channels_that_were_named_are_played(site) -> None:
    site.write({"north": ["m1", "m2"], "south": ["m3"]})
    assert sorted(site.fleet("north").meters) == ["m1", "m2"]
    with pytest.raises(SimulationMistake, match=r"'nort'.*'north'"):
        site.fleet("nort")


def test_channels_to_one_port_share_it(site) -> None:
    site.ports = dict.fromkeys(("a", "b"), 15_999)
    site.write({"a": ["m1"]}, plant="")
    text = (site.folder / "plant.yaml").read_text()
    second = "  b: {driver: modbus, options: {host: 127.0.0.1, port: 15999}}\nmetering_units:"
    unit = '  - {id: m2, parent: f1, profile: eastron/sdm630, channel: b, address: "2"}\n'
    (site.folder / "plant.yaml").write_text(text.replace("metering_units:", second) + unit)
    fleet = site.fleet()
    assert len(fleet.servers) == 1
    assert sorted(fleet.meters) == ["m1", "m2"]
    assert next(iter(fleet.servers)).framing is Framing.TCP
    same = (site.folder / "plant.yaml").read_text().replace('address: "2"', 'address: "1"')
    (site.folder / "plant.yaml").write_text(same)
    with pytest.raises(HubError, match="address 1"):
        site.fleet()
    other = same.replace("port: 15999}}\nmetering", "port: 15999, framer: rtu}}\nmetering")
    (site.folder / "plant.yaml").write_text(other)
    with pytest.raises(SimulationMistake, match="different framers"):
        site.fleet()
