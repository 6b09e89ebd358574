"""Batches and single values."""

from __future__ import annotations

import numpy as np

from address_space.model.ids import PointHandle, UnitHandle
from address_space.model.quality import GOOD, Quality, Reason
from address_space.model.value import EXACT_LIMIT, Batch, PointValue


def batch(*status: int) -> Batch:
    handles = np.arange(len(status))
    return Batch(UnitHandle(0), handles, np.zeros(len(status)), np.array(status, np.uint32), 1, 2, 3)


def test_a_batch_is_all_good_only_if_every_value_is() -> None:
    assert batch(GOOD, GOOD).all_good is True
    assert batch(GOOD, Reason.RANGE_EXCEEDED.status).all_good is False
    assert batch().all_good is True


def test_batches_do_not_share_their_texts_by_writing() -> None:
    assert batch(GOOD).texts == {}


def test_a_value_knows_its_quality() -> None:
    assert PointValue(PointHandle(0), None, Reason.TIMEOUT.status, 0).quality is Quality.BAD
    assert PointValue(PointHandle(0), 1.0, Reason.HELD.status, 0).quality is Quality.UNCERTAIN


def test_counters_are_exact_up_to_the_limit_and_not_beyond() -> None:
    assert int(np.float64(EXACT_LIMIT)) == EXACT_LIMIT
    assert int(np.float64(EXACT_LIMIT + 1)) != EXACT_LIMIT + 1
