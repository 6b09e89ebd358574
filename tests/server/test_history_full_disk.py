"""A hub that starts while the disk is full: its history opens, says what is wrong, and goes on when there is room."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from address_space.model import NS, ManualClock, MeteringUnit, NodeUid, Quantity
from address_space.model.plant import Plant
from address_space.model.point import PointSpec, Template
from address_space.model.value import Batch
from config.sections import HistorySettings
from historian.errors import StoreFull
from server.history import ROOM_FILE, History

SIZE_MB = 64
T0 = 1_800_000_000
PLANT = Plant([], [MeteringUnit(NodeUid("m1"), "One", None, Template("t", [PointSpec(Quantity.ACTIVE_ENERGY_IMPORT)]))])


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small tmpfs cannot be mounted: the tests do not run as root, or in a container that forbids it")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], capture_output=True, check=False)


def filled_up(disk: Path) -> Path:
    """A file that takes all there is."""
    ballast = disk / "ballast"
    with suppress(OSError), ballast.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return ballast


def history(disk: Path, clock: ManualClock) -> History:
    settings = HistorySettings.model_validate({"influx": {"url": "http://127.0.0.1:1"}})
    return History(settings, disk / "data", PLANT, clock)


def reading(second: int) -> Batch:
    at_ns = (T0 + second) * NS
    return Batch(0, np.arange(1), np.array([float(second)]), np.zeros(1, np.uint32), at_ns, at_ns, at_ns)  # type: ignore[arg-type]


async def test_a_history_opens_again_and_again_on_a_full_disk_and_writes_when_there_is_room(disk: Path) -> None:
    clock = ManualClock(T0 * NS)
    async with history(disk, clock) as first:
        first.recorder.offer(reading(0))
        await first.recorder.flush()
    ballast = filled_up(disk)
    for start in range(1, 6):
        async with history(disk, clock) as again:
            filled_up(disk)
            for second in range(start * 10_000, start * 10_000 + 5000):
                again.recorder.offer(reading(second))
            with suppress(StoreFull):
                await again.recorder.flush()
            assert again.store is not None
            found = await again.store.read_raw(NodeUid("m1"), Quantity.ACTIVE_ENERGY_IMPORT, 0, 2**45, 10)
            assert found.time_ms[0] == T0 * 1000, "it answers all the while"
            assert (disk / "data" / "history" / ROOM_FILE).stat().st_size > 0, "and keeps room for the next start"
            if start == 5:
                os.unlink(ballast)
                await again.recorder.flush()
                assert again.recorder.fault is None
