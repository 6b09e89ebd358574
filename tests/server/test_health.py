"""ServiceLevel from the share of meters that answer."""

from __future__ import annotations

import pytest

from server.health import service_level


@pytest.mark.parametrize(
    ("online", "enabled", "level"), [(0, 0, 255), (5, 5, 255), (0, 5, 1), (1, 1000, 100), (1, 2, 149), (999, 1000, 198)]
)
def test_the_level_says_how_many_meters_answer(online: int, enabled: int, level: int) -> None:
    assert service_level(online, enabled) == level


def test_the_level_never_falls_as_more_meters_answer() -> None:
    levels = [service_level(online, 300) for online in range(301)]
    assert levels == sorted(levels)
    assert levels[0] < levels[1] < levels[-2] < levels[-1]
