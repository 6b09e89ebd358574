"""The soak itself: for seconds instead of hours, so that it cannot rot, and what it finds when something is missed."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from tests.scale.soak import soak
from tests.scale.soak_ledger import GRACE_MS, MS, Findings, Kept, Ledger, Told
from tests.scale.soak_outcome import Hardness

pytestmark = pytest.mark.scale

NOW_MS = 1_800_000_000_000
STEP_MS = 1_000
FIRST_MS = NOW_MS - GRACE_MS - 60 * STEP_MS


def kept(number: int, value: float | None = None) -> Kept:
    """Sample `number` as the history has it; values repeat now and then, as those of meters do."""
    return Kept(FIRST_MS + number * STEP_MS, float(number // 2) if value is None else value, 0)


def told(number: int, value: float | None = None) -> Told:
    """The same sample as a subscriber is sent it."""
    recorded = kept(number, value)
    return Told((recorded.slot_ms + 300) * MS, recorded.value, recorded.status)


def found(numbers: list[Told], history: list[Kept]) -> Findings:
    """What a ledger says that was told all this and settles twice."""
    findings = Findings()
    ledger = Ledger("m0000.ActivePower", findings)
    for one in numbers:
        ledger.tell(one)
    middle = len(history) // 2
    ledger.settle(history[:middle], history[middle].slot_ms, history[middle].slot_ms)
    ledger.settle(history, NOW_MS, NOW_MS)
    return findings


def test_what_was_told_and_recorded_alike_is_in_order() -> None:
    findings = found([told(number) for number in range(5, 40)], [kept(number) for number in range(40)])
    assert (findings.compared, findings.wrong) == (35, 0)


@pytest.mark.parametrize("lost", [[20], [20, 21], [33], [39], [36, 37, 38, 39]])
def test_a_change_that_was_not_told_is_missed(lost: list[int]) -> None:
    findings = found([told(number) for number in range(40) if number not in lost], [kept(n) for n in range(40)])
    assert (findings.missed, findings.wrong) == (len(lost), len(lost))


@pytest.mark.parametrize("lost", [[20], [20, 21], [39]])
def test_a_change_that_was_not_recorded_is_noticed(lost: list[int]) -> None:
    findings = found([told(n) for n in range(40)], [kept(number) for number in range(40) if number not in lost])
    assert (findings.unrecorded, findings.wrong) == (len(lost), len(lost))


def test_another_value_is_different() -> None:
    findings = found([told(n, 7.5 if n == 20 else None) for n in range(40)], [kept(n) for n in range(40)])
    assert (findings.different, findings.compared, findings.wrong) == (1, 39, 1)


def test_a_sample_that_comes_twice_or_late_is_reordered() -> None:
    samples = [told(number) for number in range(40)]
    samples[20], samples[21] = samples[21], samples[20]
    assert found(samples, [kept(number) for number in range(40)]).reordered == 1


def test_the_first_sample_told_is_the_latest_of_equal_ones_recorded_before_it() -> None:
    findings = Findings()
    ledger = Ledger("m0000.VoltageL1", findings)
    history = [kept(0, 226.0), kept(1, 226.1), kept(2, 226.1), *(kept(number) for number in range(3, 40))]
    ledger.tell(told(2, 226.1))
    ledger.settle(history[:3], history[2].slot_ms + STEP_MS, history[2].slot_ms + STEP_MS)
    for number in range(3, 40):
        ledger.tell(told(number))
    ledger.settle(history, NOW_MS, NOW_MS)
    assert (findings.compared, findings.wrong) == (38, 0)


@pytest.mark.parametrize("behind", [1, 2, 30])
def test_what_comes_late_over_a_broken_line_is_not_missed(behind: int) -> None:
    findings = Findings()
    ledger = Ledger("m0000.ActivePower", findings)
    for number in range(40 - behind):
        ledger.tell(told(number))
    ledger.settle([kept(number) for number in range(40)], NOW_MS, told(40 - behind).source_ns / MS)
    for number in range(40 - behind, 40):
        ledger.tell(told(number))
    ledger.settle([kept(number) for number in range(40)], NOW_MS, NOW_MS)
    assert (findings.compared, findings.wrong) == (40, 0)


def test_a_short_soak_misses_nothing(tmp_path: Path) -> None:
    hardness = Hardness(
        minutes=0.3,
        meters=20,
        buses=4,
        fault_every_s=1.0,
        plug_every_s=8.0,
        cut_every_s=4.0,
        audit_every_s=5.0,
        sample_s=2.0,
        crowd=1,
        leave_s=0.0,
    )
    logging.disable(logging.CRITICAL)
    try:
        outcome = asyncio.run(soak(hardness, tmp_path))
    finally:
        logging.disable(logging.NOTSET)
    assert outcome.findings.wrong == 0, outcome.findings.examples
    assert outcome.findings.compared > 500
    assert outcome.findings.counters_audited > 50
    assert outcome.cuts >= 2
    assert outcome.reconnects["cut"] >= 1
    assert sum(outcome.played["faults"].values()) >= 5
    assert {who.partition(":")[0] for who in outcome.tally.failed} <= {"cut"}
    assert outcome.log.keys() <= {"INFO", "WARNING"}
    assert outcome.as_text()
