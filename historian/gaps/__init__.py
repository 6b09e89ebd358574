"""The gap ledger: what was expected against what was stored."""

from historian.gaps.ledger import GapLedger
from historian.gaps.report import Cause, Completeness, Gap, LedgerState, Mark, UnitDay
from historian.gaps.tracks import Expected, Plan, SlotSource, Track, periodic, scheduled

__all__ = [
    "Cause",
    "Completeness",
    "Expected",
    "Gap",
    "GapLedger",
    "LedgerState",
    "Mark",
    "Plan",
    "SlotSource",
    "Track",
    "UnitDay",
    "periodic",
    "scheduled",
]
