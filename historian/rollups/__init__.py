"""Figures of buckets of local time, computed from the stored readings and kept beside them."""

from historian.rollups.limits import Ratings
from historian.rollups.lines import RollupLines
from historian.rollups.options import Anomaly, RollupOptions, RollupState
from historian.rollups.rollups import Rollups

__all__ = ["Anomaly", "Ratings", "RollupLines", "RollupOptions", "RollupState", "Rollups"]
