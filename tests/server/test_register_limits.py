"""What the history believes of registers behind instrument transformers, from a whole configuration."""

from __future__ import annotations

from pathlib import Path

from address_space.model.quantity import Kind
from config.settings import load_settings
from historian.rollups import Ratings
from server.app import draw

DEMO = Path(__file__).parents[2] / "config" / "plants" / "demo" / "hub.toml"


def test_a_register_behind_transformers_starts_again_where_its_variable_says() -> None:
    plant = draw(load_settings(DEMO)).assembly.plant
    ratings = Ratings(plant)
    compared = 0
    for unit in plant.units:
        counters = [point for point in unit.template.points if point.quantity.kind is Kind.COUNTER and point.rollover]
        if unit.ratio == (1.0, 1.0) or not counters:
            continue
        found = ratings.bounds([unit.id], tuple(point.quantity.path for point in counters))
        assert found.rollover[0].tolist() == [point.rollover * point.quantity.per_unit for point in counters]
        compared += 1
    assert compared
