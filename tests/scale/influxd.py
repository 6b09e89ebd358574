"""A real InfluxDB 1.x over a folder of its own, to be killed and started again at the same port."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import urllib3

from tests.ports import free_port

MISSING = "influxd is not installed: `apt-get install influxdb` as root, as .ci/run does"
START_S = 120.0
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


def installed() -> bool:
    """Whether this machine has one."""
    return shutil.which("influxd") is not None


class Influxd:
    """One server."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        http, rpc = free_port(), free_port()
        self.url = f"http://127.0.0.1:{http}"
        self._config = folder / "influxdb.conf"
        self._config.write_text(_CONFIG.format(folder=folder, http=http, rpc=rpc))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and not killed."""
        return self._process is not None

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [shutil.which("influxd") or "influxd", "-config", str(self._config)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self._answered()
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """As a power cut: SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answered(self) -> None:
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            try:
                urllib3.request("GET", f"{self.url}/ping", timeout=1, retries=False)
            except urllib3.exceptions.HTTPError:
                time.sleep(0.05)
            else:
                return
        raise TimeoutError("influxd did not start")
