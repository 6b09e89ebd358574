"""Figures of buckets of local time, computed from the stored readings and kept beside them."""

from historian.rollups.afresh import Afresh
from historian.rollups.judged import GLITCH_STATUS, JudgedReader
from historian.rollups.kept import KeptRollups
from historian.rollups.limits import Ratings
from historian.rollups.lines import RollupLines
from historian.rollups.options import Anomaly, RollupOptions, RollupState, UnitAnomalies
from historian.rollups.rollups import Rollups

__all__ = [
    "GLITCH_STATUS",
    "Afresh",
    "Anomaly",
    "JudgedReader",
    "KeptRollups",
    "Ratings",
    "RollupLines",
    "RollupOptions",
    "RollupState",
    "Rollups",
    "UnitAnomalies",
]
