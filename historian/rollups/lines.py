"""Hours and days of counters as rows for other databases: measurements `energy_1h` and `energy_1d`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from address_space.model.ids import NodeUid
from address_space.model.quality import Reason
from historian.api import HistoryWriter, Readings
from historian.calendar import Width
from historian.rollups.figures import Figure
from historian.rollups.judged import GLITCH_STATUS
from historian.rollups.limits import per_unit
from historian.rollups.work import Written
from historian.schema import Measurement, QualityFlag

CONSUMED = "Delta"
"""What the field of a bucket's consumption is called behind the register's name."""
_MEASUREMENT = {Width.HOUR: Measurement.ENERGY_1H, Width.DAY: Measurement.ENERGY_1D}
_REGISTER = {Width.HOUR: Figure.FIRST, Width.DAY: Figure.LAST}


class RollupLines:
    """Writes rollups at the beginning of their bucket: the register, and what the bucket consumed."""

    def __init__(self, writer: HistoryWriter) -> None:
        self._writer = writer

    async def write(self, written: Sequence[Written], uids: Mapping[int, NodeUid]) -> None:
        """Store all or raise HistoryError; the same bucket again overwrites it."""
        readings: list[Readings] = []
        for part in written:
            series = await self._writer.series([uids[unit] for unit in part.units.tolist()])
            fields = part.figures.fields
            scale = np.array([per_unit(field) for field in fields], np.float64)[:, None]
            register = part.figures.of(_REGISTER[part.width])
            consumed = part.figures.of(Figure.DELTA) / scale
            values = np.concatenate([register, consumed], axis=1)
            units, width, buckets = values.shape
            rows = values.transpose(0, 2, 1).reshape(units * buckets, width)
            kept = ~np.isnan(rows).all(axis=1)
            readings.append(
                Readings(
                    _MEASUREMENT[part.width],
                    (*fields, *(field + CONSUMED for field in fields)),
                    np.repeat(series, buckets)[kept],
                    np.tile(part.start_ms, units)[kept],
                    rows[kept],
                    _status(part)[kept],
                )
            )
        await self._writer.write(readings)


def _status(part: Written) -> NDArray[np.uint32]:
    """Codes that fold into the bits of a line: of each field one that is estimated, one that is suspect."""
    bits = part.figures.of(Figure.QUALITY).astype(np.int64)
    estimated = np.where(bits & int(QualityFlag.ESTIMATED), Reason.SUBSTITUTED.status, 0)
    suspect = np.where(bits & int(QualityFlag.SUSPECT), GLITCH_STATUS, 0)
    codes = np.concatenate([estimated, suspect], axis=1)
    return codes.transpose(0, 2, 1).reshape(-1, codes.shape[1]).astype(np.uint32)
