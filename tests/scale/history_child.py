"""A server with a year of one register in its history, ours or of stock asyncua, in a process of its own."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from asyncua import Server, ua
from asyncua.server.history_sql import HistorySQLite
from asyncua.ua.ua_binary import variant_to_binary

from address_space.model import NS, LiveTable, ManualClock, Plant, Quantity, SystemClock
from historian.api import Readings
from historian.schema import Measurement, field_of
from historian.sqlite import SqliteStore
from server.opcua import HubServer, OpcUaOptions
from tests.scale.commands import arguments, obey, say
from tests.scale.plants import plant_of

REGISTER = Quantity.ACTIVE_ENERGY_IMPORT
BEGIN = datetime(2026, 1, 1, microsecond=1, tzinfo=UTC)
"""With a microsecond, as sqlite3 misreads aware times of whole seconds."""
BEGIN_MS = 1_767_225_600_000
SLOT_S = 900
_A_WRITE = 5_000


async def ours(port: int, slots: int) -> None:
    """The hub's server over its embedded store, of which all but the last week is packed."""
    plant = plant_of(1)
    written = ManualClock(BEGIN_MS * 1_000_000 + slots * SLOT_S * NS)
    with tempfile.TemporaryDirectory(prefix="joulehub-bench-") as folder:
        async with SqliteStore(Path(folder) / "history", written) as store:
            await _fill(store, plant, slots)
            await store.maintain()
            clock = SystemClock()
            options = OpcUaOptions(Path(folder), host="127.0.0.1", port=port, allow_none=True, allow_anonymous=True)
            server = HubServer(plant, LiveTable(plant, clock.now_ns()), options, store, clock)
            await server.start()
            try:
                node = f"ns=2;s={plant.units[0].id}.{REGISTER.path}"
                say({"url": f"opc.tcp://127.0.0.1:{server.port}{options.path}", "node": node})
                await obey({})
            finally:
                await server.stop()


async def _fill(store: SqliteStore, plant: Plant, slots: int) -> None:
    (series,) = (await store.series([plant.units[0].id])).tolist()
    register = np.cumsum(np.random.default_rng(7).integers(0, 900, slots)).astype(np.float64)
    times = BEGIN_MS + np.arange(slots, dtype=np.int64) * SLOT_S * 1000
    for first in range(0, slots, _A_WRITE):
        part = slice(first, min(first + _A_WRITE, slots))
        count = part.stop - part.start
        values, status = register[part].reshape(-1, 1), np.zeros((count, 1), np.uint32)
        points = np.full(count, series, np.int64)
        await store.write([Readings(Measurement.ENERGY, (field_of(REGISTER),), points, times[part], values, status)])


async def stock(port: int, slots: int) -> None:
    """asyncua's server over its own SQLite history, whose table is filled directly."""
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    with tempfile.TemporaryDirectory(prefix="joulehub-bench-") as folder:
        storage = HistorySQLite(str(Path(folder) / "history.db"))
        server.iserver.history_manager.set_storage(storage)
        await server.iserver.history_manager.init()
        namespace = await server.register_namespace("urn:bench")
        node = await server.nodes.objects.add_variable(ua.NodeId(1, namespace), "Register", 0.0)
        async with server:
            await server.historize_node_data_change(node, period=None, count=0)
            table = storage._get_table_name(node.nodeid)
            await storage._db.execute(f'DELETE FROM "{table}"')  # noqa: S608
            await storage._db.executemany(
                f"INSERT INTO \"{table}\" VALUES (NULL, ?, ?, 0, ?, 'Double', ?)",  # noqa: S608
                [_row(BEGIN + timedelta(seconds=SLOT_S * slot), float(slot)) for slot in range(slots)],
            )
            await storage._db.commit()
            say({"url": f"opc.tcp://127.0.0.1:{port}", "node": node.nodeid.to_string()})
            await obey({})


def _row(at: datetime, value: float) -> tuple[datetime, datetime, str, bytes]:
    return at, at, str(value), variant_to_binary(ua.Variant(value, ua.VariantType.Double))


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    given = arguments()
    asyncio.run((ours if given["ours"] else stock)(given["port"], given["slots"]))
