"""Foreign clients in Go and Java: built once, run as processes that tell in lines of JSON what they see."""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
BUILD_S = 300.0
OLDEST_GO = (1, 23)


def build_gopcua(folder: Path) -> list[str]:
    """Command of the gopcua client; skips, by name and with the remedy, where there is no Go."""
    if shutil.which("go") is None or _go_version() < OLDEST_GO:
        pytest.skip(
            "the gopcua client needs Go 1.23 or newer on the PATH; Debian 13's golang-go is new enough, 12's is not"
        )
    program = folder / "gopcua"
    _build(["go", "build", "-o", str(program), "."], HERE / "go")
    return [str(program)]


def build_milo(folder: Path) -> list[str]:
    """Command of the Eclipse Milo client; skips, by name and with the remedy, where there is no Java or Maven."""
    if shutil.which("java") is None or shutil.which("mvn") is None:
        pytest.skip("the Eclipse Milo client needs Java 17 and Maven; on Debian: apt-get install openjdk-17-jdk maven")
    shutil.copytree(HERE / "milo", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("target"))
    _build(["mvn", "--quiet", "--batch-mode", "compile"], folder)
    target = folder / "target"
    return ["java", "-cp", f"{target / 'classes'}:{target / 'lib'}/*", "joulehub.Watch"]


def _go_version() -> tuple[int, ...]:
    said = subprocess.run(
        ["go", "env", "GOVERSION"],
        capture_output=True,
        text=True,
        env={**os.environ, "GOTOOLCHAIN": "local"},
        check=True,
    )
    return tuple(int(part) for part in re.findall(r"\d+", said.stdout)[:2])


def _build(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=BUILD_S, check=False)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"


class Watcher:
    """One client that monitors `items` values below `start`, and every poll of `watched`."""

    def __init__(self, command: Sequence[str], url: str, start: str, items: int, watched: str) -> None:
        self._process = subprocess.Popen(
            [*command, url, start, str(items), watched],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.values: list[dict[str, Any]] = []
        self.heard: list[dict[str, Any]] = []
        self._told = threading.Condition()
        self._events: queue.Queue[dict[str, Any]] = queue.Queue()
        self._reader = threading.Thread(target=self._read, name="watcher", daemon=True)
        self._reader.start()

    def wait(self, event: str, within_s: float) -> dict[str, Any]:
        """The next event of that name; others that come before it are in `heard`."""
        while True:
            try:
                found = self._events.get(timeout=within_s)
            except queue.Empty:
                raise AssertionError(f"no '{event}' within {within_s:g} s; heard {self.heard[-20:]}") from None
            self.heard.append(found)
            assert found["event"] not in ("failed", "ended", "transfer failed", "data lost"), found
            if found["event"] == event:
                return found

    def wait_a_value(self, within_s: float) -> None:
        """Return once the watched node has told one more value."""
        count = len(self.values)
        with self._told:
            assert self._told.wait_for(lambda: len(self.values) > count, within_s), f"silent; heard {self.heard[-20:]}"

    def say(self, command: str) -> None:
        """Send a command: `again` counts the values seen anew, `end` ends."""
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """End it, politely first."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if self._process.poll() is None:
            self._process.stdin.close()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join(5)
        self._process.stdin.close()
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            found = json.loads(line)
            if found["event"] == "value":
                with self._told:
                    self.values.append(found)
                    self._told.notify_all()
            else:
                self._events.put(found)
        self._events.put({"event": "ended"})
