"""Changes of states: only those between two good readings of one meter."""

from __future__ import annotations

import numpy as np
import pytest

from address_space.model import GOOD, MeteringUnit, NodeUid, Plant, PointSpec, Quantity, Reason, Template, UnitHandle
from address_space.model.state_watch import StateChange, StateWatch

RELAY, TAMPER, OPENED = Quantity.SWITCH_STATE, Quantity.TAMPER, Quantity.COVER_OPEN_COUNT
POINTS = (Quantity.ACTIVE_POWER, TAMPER, Quantity.ACTIVE_ENERGY_IMPORT, RELAY, OPENED)


class Bench:
    """Two templates with states at different places, and one without; three units of each."""

    def __init__(self) -> None:
        templates = [
            Template("a", [PointSpec(quantity) for quantity in POINTS]),
            Template("b", [PointSpec(quantity) for quantity in reversed(POINTS)]),
            Template("c", [PointSpec(Quantity.ACTIVE_POWER)]),
        ]
        units = [
            MeteringUnit(NodeUid(f"{template.name}{n}"), "", None, template) for template in templates for n in range(3)
        ]
        self.plant = Plant([], units)
        self.watch = StateWatch(self.plant)

    def read(self, *values: tuple[str, Quantity, float], status: int = GOOD) -> list[StateChange]:
        """Readings arrive in one group; every one of them differs from what was shown."""
        handles = []
        for uid, quantity, _ in values:
            unit = self.plant.unit_of[NodeUid(uid)]
            offset = self.plant.units[unit].template.offset(quantity)
            assert offset is not None
            handles.append(self.plant.first_handle(unit) + offset)
        given = np.array(handles, np.int64)
        shown = np.array([value for _, _, value in values])
        codes = np.full(given.size, status, np.uint32)
        return self.watch.changes(given, self.plant.cells(given), shown, codes, np.ones(given.size, np.bool_))

    def unit(self, uid: str) -> UnitHandle:
        return self.plant.unit_of[NodeUid(uid)]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_first_reading_is_no_change(bench: Bench) -> None:
    assert bench.read(("a0", TAMPER, 1.0), ("b2", RELAY, 2.0)) == []


def test_every_change_is_told_with_its_unit_and_both_values(bench: Bench) -> None:
    bench.read(*((uid, RELAY, 2.0) for uid in ("a0", "a1", "a2", "b0", "b1", "b2")), ("b1", TAMPER, 0.0))
    told = bench.read(("b1", RELAY, 1.0), ("b1", TAMPER, 1.0), ("a2", RELAY, 4.0), ("a1", RELAY, 2.0))
    assert told == [
        StateChange(bench.unit("b1"), RELAY, 2, 1),
        StateChange(bench.unit("b1"), TAMPER, 0, 1),
        StateChange(bench.unit("a2"), RELAY, 2, 4),
    ]


@pytest.mark.parametrize(
    "reason", [Reason.SUBSTITUTED, Reason.RESTORED, Reason.TIMEOUT, Reason.HELD, Reason.RANGE_EXCEEDED]
)
def test_what_is_no_good_reading_is_no_change_and_not_remembered(bench: Bench, reason: Reason) -> None:
    bench.read(("a0", TAMPER, 0.0))
    assert bench.read(("a0", TAMPER, 1.0), status=reason.status) == []
    assert bench.read(("a0", TAMPER, 0.0)) == []


def test_a_change_while_the_meter_was_silent_is_seen_when_it_answers_again(bench: Bench) -> None:
    bench.read(("a0", RELAY, 2.0))
    bench.read(("a0", RELAY, np.nan), status=Reason.TIMEOUT.status)
    assert bench.read(("a0", RELAY, 1.0)) == [StateChange(bench.unit("a0"), RELAY, 2, 1)]


def test_only_growth_of_a_count_is_a_change(bench: Bench) -> None:
    bench.read(("a0", OPENED, 7.0))
    assert bench.read(("a0", OPENED, 9.0)) == [StateChange(bench.unit("a0"), OPENED, 7, 9)]
    assert bench.read(("a0", OPENED, 0.0)) == []
    assert bench.read(("a0", OPENED, 1.0)) == [StateChange(bench.unit("a0"), OPENED, 0, 1)]


def test_measured_values_are_no_states(bench: Bench) -> None:
    bench.read(("a0", Quantity.ACTIVE_POWER, 1.0))
    assert bench.read(("a0", Quantity.ACTIVE_POWER, 2.0), ("a0", Quantity.ACTIVE_ENERGY_IMPORT, 3.0)) == []


def test_a_plant_without_states_has_nothing_to_watch(bench: Bench) -> None:
    template = Template("c", [PointSpec(Quantity.ACTIVE_POWER)])
    assert StateWatch(Plant([], [MeteringUnit(NodeUid("c0"), "", None, template)])).idle
    assert StateWatch(Plant([], [])).idle
    assert not bench.watch.idle
