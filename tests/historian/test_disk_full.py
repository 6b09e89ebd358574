"""A disk that is really full: nothing accepted is lost, and all goes on when there is room again."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest

from address_space.model import NS, HierarchyNode, ManualClock, MeteringUnit, NodeKind, NodeUid, Quantity
from address_space.model.plant import Plant
from address_space.model.point import PointSpec, Template
from address_space.model.value import Batch
from historian.errors import StoreFull
from historian.forwarder import Answer, Forwarder, Reply
from historian.influx import LineWriter, Tags
from historian.recorder import Recorder
from historian.schema import Measurement
from historian.spool import Parcel, Spool, SpoolOptions
from historian.sqlite import SqliteStore
from historian.tee import Tee
from tests.historian.heap import Heap
from tests.historian.influx.answers import points

SIZE_MB = 48
BALLAST_MB = 21
SPOOL = SpoolOptions()
NOISE_BYTES = 250_000
T0 = 1_800_000_000
SITE = NodeUid("site")
REGISTER, POWER = Quantity.ACTIVE_ENERGY_IMPORT, Quantity.ACTIVE_POWER


class Disk:
    """A file system of a few megabytes, half of which somebody else's file takes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"
        self._ballast.write_bytes(bytes(BALLAST_MB << 20))

    def make_room(self) -> None:
        self._ballast.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small tmpfs cannot be mounted: the tests do not run as root, or in a container that forbids it")
    yield Disk(place)
    subprocess.run(["umount", "--lazy", str(place)], capture_output=True, check=False)


class Shelf:
    """A sink that keeps every point once, and counts what came again."""

    name = "influx"

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str, int], dict[str, float]] = {}
        self.again = 0

    async def post(self, lines: bytes) -> Reply:
        for point in points(lines):
            key = (point.measurement, point.tags["point"], point.time)
            self.again += key in self.kept
            self.kept[key] = dict(point.fields)
        return Reply(Answer.STORED)


def plant() -> Plant:
    template = Template("t", [PointSpec(REGISTER), PointSpec(POWER)])
    return Plant([HierarchyNode(SITE, NodeKind.SITE, "Site")], [MeteringUnit(NodeUid("m1"), "One", SITE, template)])


def reading(site: Plant, slot: int) -> Batch:
    handles = site.first_handle(0) + np.arange(2, dtype=np.int64)  # type: ignore[arg-type]
    values = np.random.default_rng(slot).random(2) * 1e6
    at_ns = (T0 + slot) * NS
    return Batch(0, handles, values, np.zeros(2, np.uint32), at_ns, at_ns, at_ns)  # type: ignore[arg-type]


async def offer_until_full(recorder: Recorder, site: Plant) -> int:
    """How many slots were offered when the disk was full."""
    for offered in range(2000, 400_000, 2000):
        for slot in range(offered - 2000, offered):
            recorder.offer(reading(site, slot))
        try:
            await recorder.flush()
        except StoreFull:
            return offered
    raise AssertionError("the disk is never full")


async def append_until_full(spool: Spool) -> int:
    """How many parcels were accepted when the disk was full."""
    for number in range(1000):
        try:
            await spool.append([parcel(number)])
        except StoreFull:
            return number
    raise AssertionError("the disk is never full")


async def test_store_and_spool_on_a_full_disk_lose_nothing_that_was_accepted(disk: Disk) -> None:
    site, clock, shelf = plant(), ManualClock(T0 * NS), Shelf()
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(SqliteStore(disk.folder / "history", clock))
        spool = await stack.enter_async_context(Spool(disk.folder / "spool", clock, SPOOL))
        writer = Tee([store, LineWriter(spool, ["influx"], lambda _: Tags("electricity"))])
        recorder = await stack.enter_async_context(Recorder(writer, site, clock))
        offered = await offer_until_full(recorder, site)
        before = recorder.counters
        assert recorder.fault is not None
        assert "free space" in str(recorder.fault)
        assert (before.lost, before.dropped_energy, before.dropped_inst) == (0, 0, 0)
        assert before.accepted == offered * 2
        assert before.pending > 0
        committed = before.committed // 2
        assert len((await store.read_raw(NodeUid("m1"), REGISTER, 0, 2**45, 10**6)).values) >= committed, (
            "read all the same"
        )
        disk.make_room()
        await recorder.flush()
        assert recorder.fault is None
        assert recorder.counters.committed == offered * 2
        await Forwarder(spool, shelf, clock).drain()
        stored = await store.read_raw(NodeUid("m1"), REGISTER, 0, 2**45, 10**6)
    assert stored.time_ms.tolist() == [(T0 + slot) * 1000 for slot in range(offered)]
    assert len(shelf.kept) == 2 * offered, "registers and powers, each slot"
    expected = {(T0 + slot) * 1000: float(reading(site, slot).values[0]) / 1000 for slot in (0, offered - 1)}
    for time_ms, value in expected.items():
        assert shelf.kept["energy", "m1", time_ms]["ActiveEnergyImport"] == value


def parcel(number: int) -> Parcel:
    """One line that cannot be made much smaller."""
    noise = np.random.default_rng(number).bytes(NOISE_BYTES).hex().encode()
    return Parcel("influx", Measurement.ENERGY, b"energy,point=m%d noise=%s" % (number, noise), 1, T0, T0)


async def test_a_spool_that_fills_the_disk_empties_itself_into_influxdb_without_help(disk: Disk) -> None:
    """To take something out of a file is to write; room for that was kept back."""
    heap, clock = Heap(), ManualClock(T0 * NS)
    disk.make_room()
    async with Spool(disk.folder / "spool", clock, SPOOL) as spool:
        accepted = await append_until_full(spool)
        assert accepted > 10
        assert (await spool.state()).parcels == accepted
        await Forwarder(spool, heap, clock).drain()
        assert (await spool.state()).parcels == 0
        assert await append_until_full(spool) > accepted // 2, "it goes on as before"
        await Forwarder(spool, heap, clock).drain()
    assert len(heap.kept) >= accepted


async def test_what_a_full_disk_took_is_there_after_a_crash(disk: Disk) -> None:
    """The spool is opened again without having been closed, as after `kill -9`, on the disk that is still full."""
    clock = ManualClock(T0 * NS)
    first = Spool(disk.folder / "spool", clock, SPOOL)
    await first.open()
    accepted = await append_until_full(first)
    copy = disk.folder.parent / "after"
    shutil.copytree(disk.folder / "spool", copy)
    await first.close()
    async with Spool(copy, clock) as again:
        assert (await again.state()).parcels == accepted
        assert [one.parcel for one in await again.oldest("influx", 3)] == [parcel(0), parcel(1), parcel(2)]
