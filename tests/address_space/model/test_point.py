"""Templates: columns per variable."""

from __future__ import annotations

import numpy as np
import pytest

from address_space.model.clock import NS
from address_space.model.errors import DuplicateId
from address_space.model.point import DEFAULT_HOLD_S, PointSpec, Template
from address_space.model.quantity import SYSTEM, Quantity

POINTS = (
    PointSpec(Quantity.ACTIVE_ENERGY_IMPORT, poll_s=60),
    PointSpec(Quantity.VOLTAGE_L1, poll_s=2.5, eu_range=(180, 260)),
    PointSpec(Quantity.ACTIVE_TARIFF, poll_s=900),
    PointSpec(Quantity.CURRENT_L1, hold_s=30),
    PointSpec(Quantity.VOLUME, hold_s=0),
)


@pytest.fixture
def template() -> Template:
    return Template("meter", POINTS)


def test_measured_variables_come_first_and_the_hubs_own_after(template: Template) -> None:
    assert template.quantities == tuple(point.quantity for point in POINTS) + SYSTEM
    assert (template.measured, template.width) == (5, 5 + len(SYSTEM))


def test_a_variable_is_found_by_quantity_and_by_path(template: Template) -> None:
    for offset, quantity in enumerate(template.quantities):
        assert template.offset(quantity) == template.offsets[quantity.path] == offset
    assert template.offset(Quantity.HEAT_ENERGY) is None


def test_columns_say_for_every_variable_what_its_quantity_says(template: Template) -> None:
    assert template.codes.tolist() == [quantity.code for quantity in template.quantities]
    assert template.divisors.tolist() == [quantity.per_unit for quantity in template.quantities]
    assert template.divisors[:3].tolist() == [1000, 1, 1]


def test_poll_periods_are_in_nanoseconds(template: Template) -> None:
    assert template.poll_ns.tolist() == [60 * NS, 2_500_000_000, 900 * NS, 60 * NS, 60 * NS]


def test_counters_and_states_are_held_gauges_are_not_unless_told(template: Template) -> None:
    assert template.hold_ns.tolist() == [DEFAULT_HOLD_S * NS, 0, DEFAULT_HOLD_S * NS, 30 * NS, 0]


def test_the_default_hold_time_belongs_to_the_template() -> None:
    assert Template("meter", POINTS, default_hold_s=60).hold_ns.tolist() == [60 * NS, 0, 60 * NS, 30 * NS, 0]


def test_a_range_is_the_points_own_or_the_quantitys_and_none_is_unbounded(template: Template) -> None:
    assert template.eu_low.tolist() == [0, 180, -np.inf, 0, 0]
    assert template.eu_high.tolist() == [1e9, 260, np.inf, 100, 1e8]


def test_a_quantity_stands_once_in_a_template() -> None:
    with pytest.raises(DuplicateId, match=r"VoltageL1 .* meter"):
        Template("meter", [*POINTS, PointSpec(Quantity.VOLTAGE_L1)])


def test_what_the_hub_tells_itself_cannot_be_measured() -> None:
    with pytest.raises(DuplicateId, match=r"Communication\.Online"):
        Template("meter", [PointSpec(Quantity.ONLINE)])


def test_a_template_without_measured_variables_still_tells_of_communication() -> None:
    empty = Template("empty", ())
    assert (empty.measured, empty.width) == (0, len(SYSTEM))
    assert empty.hold_ns.shape == empty.poll_ns.shape == empty.eu_low.shape == (0,)
