"""A real InfluxDB 1.x for the tests, where the machine has one."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

MISSING = "influxd is not installed: `apt-get install influxdb` as root, as .ci/run does"
_CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  index-version = "tsi1"
[http]
  bind-address = "127.0.0.1:{http}"
  log-enabled = false
  max-body-size = 3000000
[logging]
  level = "error"
"""


class Influxd:
    """One server over its own folder; it may be killed and started again, at the same port."""

    def __init__(self, folder: Path, ports: tuple[int, int]) -> None:
        self.url = f"http://127.0.0.1:{ports[0]}"
        self._config = folder / "influxdb.conf"
        self._config.write_text(_CONFIG.format(folder=folder, http=ports[0], rpc=ports[1]))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [shutil.which("influxd") or "influxd", "-config", str(self._config)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                urllib3.request("GET", f"{self.url}/ping", timeout=1, retries=False)
            except urllib3.exceptions.HTTPError:
                time.sleep(0.05)
            else:
                return
        raise TimeoutError("influxd did not start")

    def kill(self) -> None:
        """As a power cut: SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture(scope="session")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    if shutil.which("influxd") is None:
        pytest.skip(MISSING)
    server = Influxd(tmp_path_factory.mktemp("influxd"), (_free_port(), _free_port()))
    server.start()
    yield server
    server.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
