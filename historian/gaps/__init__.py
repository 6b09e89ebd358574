"""The gap ledger: what was expected against what was stored."""

from historian.gaps.ledger import GapLedger
from historian.gaps.orders import Hitch, Order, OrderedUnit, OrdersState, OrderState, UnitState, Wish
from historian.gaps.report import Cause, Completeness, Gap, LedgerState, Mark, UnitDay
from historian.gaps.tracks import Expected, Plan, SlotSource, Track, periodic, scheduled

__all__ = [
    "Cause",
    "Completeness",
    "Expected",
    "Gap",
    "GapLedger",
    "Hitch",
    "LedgerState",
    "Mark",
    "Order",
    "OrderState",
    "OrderedUnit",
    "OrdersState",
    "Plan",
    "SlotSource",
    "Track",
    "UnitDay",
    "UnitState",
    "Wish",
    "periodic",
    "scheduled",
]
