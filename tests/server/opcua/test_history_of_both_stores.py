"""HistoryRead says the same whichever store keeps the readings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from asyncua import ua

from address_space.model.clock import ManualClock, SystemClock, to_datetime
from address_space.model.ids import NodeUid
from address_space.model.quantity import Quantity
from historian.aggregates import Aggregate, Configuration, Counting
from historian.api import HistoryReader, HistoryWriter, Readings
from historian.counters import Limits
from historian.forwarder import Forwarder
from historian.influx import InfluxQl, InfluxReader, InfluxServer, InfluxSink, LineWriter, ServerOptions, Tags
from historian.influx.query import quoted
from historian.schema import Measurement, field_of
from historian.spool import Spool
from historian.sqlite import SqliteStore
from server.opcua.history_at_time import AtTimeAsk
from server.opcua.history_processed import ProcessedAsk
from server.opcua.history_raw import raw_ask
from server.opcua.history_source import Source
from server.opcua.history_variable import Answer, Variable
from tests.scale.influxd import MISSING, Influxd, installed

BEGIN_S = 1_780_272_000
SLOTS = 96
METER = NodeUid("m1")
REGISTER, POWER = Quantity.ACTIVE_ENERGY_IMPORT, Quantity.ACTIVE_POWER
COUNTING = Counting(Limits(rollover=1e9), (), REGISTER.per_unit)
COUNTER = Variable(METER, REGISTER, stepped=True, counting=COUNTING)
GAUGE = Variable(METER, POWER, stepped=False)
HOUR_NS = 3600 * 10**9


async def fill(writer: HistoryWriter) -> None:
    """A day of quarter hours; every tenth reading is not there, and the tenth of them is estimated."""
    (series,) = (await writer.series([METER])).tolist()
    slots = np.flatnonzero(np.arange(SLOTS) % 10 != 9)
    times = (BEGIN_S + slots * 900) * 1000
    status = np.zeros((len(slots), 1), np.uint32)
    status[10] = ua.StatusCodes.UncertainSubstituteValue
    for measurement, quantity, values in (
        (Measurement.ENERGY, REGISTER, np.cumsum(np.arange(SLOTS) * 10.0)[slots]),
        (Measurement.INST, POWER, np.sin(slots / 7.0) * 5000.0),
    ):
        points = np.full(len(slots), series)
        values = values.reshape(-1, 1)
        await writer.write([Readings(measurement, (field_of(quantity),), points, times, values, status)])


@pytest.fixture
async def readers(tmp_path: Path) -> AsyncIterator[list[HistoryReader]]:
    if not installed():
        pytest.skip(MISSING)
    daemon = Influxd(tmp_path / "influxd")
    daemon.start()
    try:
        options = ServerOptions(daemon.url, "both")
        InfluxQl(InfluxServer(options), "both").ask(f"CREATE DATABASE {quoted('both')}")
        async with SqliteStore(tmp_path / "store", ManualClock(BEGIN_S * 10**9)) as store:
            await fill(store)
            sink = InfluxSink("influx", options)
            async with Spool(tmp_path / "spool", SystemClock()) as spool:
                await fill(LineWriter(spool, ["influx"], lambda _: Tags("electricity", "")))
                await Forwarder(spool, sink, SystemClock()).drain()
            await sink.close()
            influx = InfluxReader(options)
            yield [store, influx]
            await influx.close()
    finally:
        daemon.kill()


def same(one: Answer, other: Answer) -> None:
    assert one.time_ns.tolist() == other.time_ns.tolist()
    np.testing.assert_allclose(one.values, other.values, rtol=1e-12)
    assert one.codes.tolist() == other.codes.tolist()
    assert len(one.values)


async def test_raw_processed_and_at_times(readers: list[HistoryReader]) -> None:
    start, end = BEGIN_S * 10**9 + HOUR_NS // 2, BEGIN_S * 10**9 + 20 * HOUR_NS
    asks = [
        ProcessedAsk(variable, aggregate, Configuration(), *span, HOUR_NS)
        for variable in (COUNTER, GAUGE)
        for aggregate in Aggregate
        for span in ((start, end), (end, start))
    ]
    details = ua.ReadRawModifiedDetails(False, to_datetime(start), to_datetime(end), 0, True)
    moments = tuple(range(start, end, HOUR_NS // 7))
    asks += [AtTimeAsk(GAUGE, moments, simple=simple) for simple in (True, False)]
    asks += [raw_ask(variable, details) for variable in (COUNTER, GAUGE)]
    for ask in asks:
        same(*[await ask.page(Source(reader), 1000) for reader in readers])
