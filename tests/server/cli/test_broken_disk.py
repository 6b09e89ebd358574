"""A hub whose data folder refuses everything: it serves on, says so, and writes again when that is mended."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from server.cli import main
from tests.server.conftest import Site

PATIENCE_S = 80.0
TRIES = 4
"""A file that is made immutable in the very moment of a commit ends the hub (historian/sqlite/shared_index.py)."""


class Ended(Exception):  # what happened, not a mistake
    """The hub was ended by SIGBUS."""


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system whose files can be made immutable."""
    image, place = tmp_path / "disk", tmp_path / "mounted"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(128 << 20)
    for command in (["mkfs.ext4", "-q", str(image)], ["mount", "-o", "loop", str(image), str(place)]):
        if shutil.which(command[0]) is None or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("a file system in a file cannot be mounted: not root, or a container that forbids it")
    yield place / "data"
    subprocess.run(["umount", "--lazy", str(place)], capture_output=True, check=False)


def wait_until(demo: subprocess.Popen[bytes], log: Path, wanted: Callable[[str], bool]) -> str:
    """What the demonstration has said once that is wanted; raises Ended."""
    deadline = time.monotonic() + PATIENCE_S
    while not wanted(said := log.read_text(encoding="utf-8")):
        if demo.poll() == -signal.SIGBUS:
            raise Ended
        assert demo.poll() is None, said
        assert time.monotonic() < deadline, said
        time.sleep(0.1)
    return said


def outlive(site: Site, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Run a hub while its data folder turns immutable and back; raises Ended."""
    log = site.folder / "demo.log"
    command = ["demo", "--plant", str(site.folder), "--data", str(data), "--plain"]

    def immutable(flag: str) -> None:
        os.sync()
        subprocess.run(["chattr", "-R", flag, str(data / "history")], check=True)

    with (
        log.open("wb") as out,
        subprocess.Popen([sys.executable, "-m", "server.cli", *command], stdout=out, stderr=out) as demo,
    ):
        try:
            wait_until(demo, log, lambda said: " online" in said and "; 0 values stored" not in said.splitlines()[-1])
            immutable("+i")
            said = wait_until(demo, log, lambda said: "history cannot be written, readings wait" in said)
            told = next(line for line in said.splitlines() if "history cannot be written, readings wait" in line)
            assert "-shm: operation not permitted" in told
            assert "mend the disk" in told
            for reader in range(3):
                assert main(["read", "m1", "--url", f"opc.tcp://127.0.0.1:{site.port}", "--json"]) == 0, reader
                assert json.loads(capsys.readouterr().out)
            immutable("-i")
            wait_until(demo, log, lambda said: "history can be written again" in said)
            demo.send_signal(signal.SIGTERM)
            assert demo.wait(PATIENCE_S) == 0
        finally:
            subprocess.run(["chattr", "-R", "-i", str(data / "history")], check=False)
            demo.kill()
    assert "none lost" in log.read_text(encoding="utf-8")


def test_a_hub_outlives_a_data_folder_that_turns_immutable_under_it_and_writes_again(
    site: Site, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.write({"a": ["m1", "m2"]})
    for _ in range(TRIES - 1):
        with suppress(Ended):
            return outlive(site, data, capsys)
    return outlive(site, data, capsys)
