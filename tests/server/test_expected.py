"""What the history expects of units, out of the plant's files."""

from __future__ import annotations

from address_space.model import NodeUid
from historian.schema import Measurement
from server.expected import expected

PLANT = """\
schedules:
  quarter: {every: 15min, within: 10min}
polling: {slow: quarter}
"""


def test_classes_become_tracks_by_measurement_and_schedules_tell_their_own_slots(site) -> None:
    site.write({"a": ["m1", "m2"]}, plant=PLANT)
    plan = expected(site.draw().assembly)
    assert plan.keys() == {NodeUid("m1"), NodeUid("m2")}
    assert plan[NodeUid("m1")] is plan[NodeUid("m2")]
    tracks = {each.track.key: each for each in plan[NodeUid("m1")]}
    energy = next(each for (measurement, _), each in tracks.items() if measurement == Measurement.ENERGY.value)
    assert "ActiveEnergyImport" in energy.fields
    assert energy.track.period_ms == 0
    assert energy.track.name == "quarter (every 900 s)"
    assert energy.track.grace_ms == 660_000
    assert energy.track.slots(20_000).tolist() == list(range(20_000 * 86_400_000, 20_001 * 86_400_000, 900_000))
    inst = [each for (measurement, _), each in tracks.items() if measurement == Measurement.INST.value]
    assert {each.track.period_ms for each in inst} == {60_000}


def test_units_out_of_service_and_variables_that_are_not_recorded_are_not_expected(site) -> None:
    site.write({"a": ["m1", "m2"]}, history="enabled = false")
    assert all(not each for each in expected(site.draw().assembly).values())
    site.write({"a": ["m1", "m2"]})
    path = site.folder / "plant.yaml"
    path.write_text(path.read_text().replace("{id: m2,", "{id: m2, enabled: false,"))
    assert expected(site.draw().assembly).keys() == {NodeUid("m1")}
