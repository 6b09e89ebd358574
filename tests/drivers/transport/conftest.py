"""Real lines for links: pseudo-terminals under a name that stays, and free ports."""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from tests.ports import free_port


class Cable:
    """A pseudo-terminal under a name of its own, as udev gives one to an adapter; may be pulled and put back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.far = -1
        self._near = -1
        self.plug()

    def plug(self) -> None:
        self.far, self._near = os.openpty()
        tty.setraw(self.far)
        os.set_blocking(self.far, False)
        self.path.symlink_to(os.ttyname(self._near))

    def pull(self) -> None:
        if self.far >= 0:
            self.path.unlink()
            os.close(self._near)
            os.close(self.far)
            self.far = -1

    def say(self, data: bytes) -> None:
        os.write(self.far, data)

    async def hears(self, count: int) -> bytes:
        """The next bytes that the hub sent."""
        heard = b""
        async with asyncio.timeout(60):
            while len(heard) < count:
                try:
                    heard += os.read(self.far, 65536)
                except BlockingIOError:
                    await asyncio.sleep(0)
        return heard


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Cable]:
    """An adapter that is plugged in."""
    made = Cable(tmp_path / "usb-serial-by-id")
    yield made
    made.pull()


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    """Runs a scenario on each of the event loops that the hub knows."""
    runner: Callable[[Coroutine[Any, Any, None]], None] = request.param
    return runner


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Coroutine[Any, Any, None]]:
    """Waits until something is so, which nobody tells."""

    async def wait(so: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not so():  # noqa: ASYNC110 - threads and sockets tell no event
                await asyncio.sleep(0.005)

    return wait


@pytest.fixture(name="free_port")
def free_port_fixture() -> Callable[[], int]:
    """Ports that nothing listens at."""
    return free_port
