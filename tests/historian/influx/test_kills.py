"""A few of the kills that `python -m tests.scale --only kills` does by the hundred."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scale.influxd import MISSING, installed
from tests.scale.kills import OUTAGE_EVERY, kill_again_and_again


@pytest.mark.skipif(not installed(), reason=MISSING)
def test_what_was_accepted_is_stored_exactly_once_after_kills_of_hub_and_influxdb(tmp_path: Path) -> None:
    outcome = kill_again_and_again(tmp_path, OUTAGE_EVERY + 2, seed=3)
    assert outcome.outages
    assert outcome.accepted > 200
    assert (outcome.lost, outcome.twice, outcome.mixed, outcome.holes, outcome.dead) == (0, 0, 0, 0, 0)
