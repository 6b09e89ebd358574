"""Two ways to move bytes between an open port of pySerial and the event loop: the file itself, or threads."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import queue
import select
import threading
from collections.abc import Callable
from concurrent.futures import Future as ThreadFuture
from typing import Any

from drivers.transport.direction import RtsDirection
from drivers.transport.options import SerialSettings
from drivers.transport.port import Rs485, apply, close_port, driven_by_hand

MOST_WAITING = 16 * 1024
"""Bytes that may wait to be sent; a port that takes none for so long is lost."""
MOST_JOBS = 256
CHUNK = 4096
EMPTY_READS = 3
"""A port that says so often in a row that there is something, and then has nothing, is gone."""
LOOK_S = 0.1
"""How often a reading thread looks whether it shall end."""

Feed = Callable[[bytes], None]
Lose = Callable[[BaseException], None]


class FilePump:
    """The port's file, watched by the event loop."""

    def __init__(
        self,
        port: Any,
        loop: asyncio.AbstractEventLoop,
        feed: Feed,
        lose: Lose,
        settings: SerialSettings,
        rs485: Rs485,
    ) -> None:
        self._port = port
        self._loop = loop
        self._feed = feed
        self._lose = lose
        self._settings = settings
        self._direction = RtsDirection(port, rs485, loop, self._fail) if driven_by_hand(port, rs485) else None
        self._sending = 0
        self._file: int = port.fileno()
        self._unsent = bytearray()
        self._empty = 0
        os.set_blocking(self._file, False)
        loop.add_reader(self._file, self._readable)

    def send(self, data: bytes) -> None:
        """Write what the port takes now, the rest when it takes more; raises OSError."""
        if self._unsent:
            self._unsent += data
            self._sending += len(data)
            if len(self._unsent) > MOST_WAITING:
                raise OSError(errno.ENOBUFS, "the port takes no bytes any more")
            return
        self._unsent += data
        self._sending = len(data)
        if self._direction is not None:
            self._direction.begin(self._begin)
        else:
            self._begin_now()

    def tune(self, settings: SerialSettings) -> None:
        """Change speed and format; raises OSError or ValueError."""
        self._settings = settings
        apply(self._port, settings)

    def close(self) -> None:
        """Release the port at once."""
        self._unwatch()
        close_port(self._port)

    def _begin(self) -> None:
        try:
            self._begin_now()
        except OSError as error:
            self._fail(error)

    def _begin_now(self) -> None:
        del self._unsent[: self._write(self._unsent)]
        if self._unsent:
            self._loop.add_writer(self._file, self._writable)
        else:
            self._written()

    def _written(self) -> None:
        if self._direction is not None:
            self._direction.written(self._sending, self._settings)

    def _write(self, data: bytes | bytearray) -> int:
        try:
            return os.write(self._file, data)
        except BlockingIOError:
            return 0

    def _writable(self) -> None:
        try:
            del self._unsent[: self._write(self._unsent)]
        except OSError as error:
            self._fail(error)
            return
        if not self._unsent:
            self._loop.remove_writer(self._file)
            self._written()

    def _readable(self) -> None:
        try:
            data = os.read(self._file, CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(error)
            return
        if data:
            self._empty = 0
            self._feed(data)
            return
        self._empty += 1
        if self._empty >= EMPTY_READS or self._hung_up():
            self._fail(OSError(errno.ENODEV, "the port hung up"))

    def _hung_up(self) -> bool:
        look = select.poll()
        look.register(self._file, 0)
        return bool(look.poll(0))

    def _fail(self, error: BaseException) -> None:
        self._unwatch()
        self._lose(error)

    def _unwatch(self) -> None:
        if self._direction is not None:
            self._direction.stop()
        self._unsent.clear()
        self._loop.remove_reader(self._file)
        self._loop.remove_writer(self._file)


class ThreadPump:
    """A port without a file that can be watched: one thread reads it, one writes and tunes it; the last one out
    closes it."""

    def __init__(self, port: Any, loop: asyncio.AbstractEventLoop, feed: Feed, lose: Lose) -> None:
        self._port = port
        self._loop = loop
        self._feed = feed
        self._lose = lose
        self._ending = threading.Event()
        self._released: ThreadFuture[None] = ThreadFuture()
        self._jobs: queue.Queue[bytes | SerialSettings | None] = queue.Queue(MOST_JOBS)
        port.timeout = LOOK_S
        self._reader = threading.Thread(target=self._read, name=f"serial-read {port.name}", daemon=True)
        self._writer = threading.Thread(target=self._work, name=f"serial-write {port.name}", daemon=True)
        self._reader.start()
        self._writer.start()

    def send(self, data: bytes) -> None:
        """Have it written; raises OSError where too much waits already."""
        self._ask(data)

    def tune(self, settings: SerialSettings) -> None:
        """Have speed and format changed after what was sent before; raises OSError where too much waits already."""
        self._ask(settings)

    def close(self) -> ThreadFuture[None]:
        """Have both threads end and the port closed."""
        self._ending.set()
        with contextlib.suppress(queue.Full):
            self._jobs.put_nowait(None)
        return self._released

    def _ask(self, job: bytes | SerialSettings) -> None:
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            raise OSError(errno.ENOBUFS, "the port takes no bytes any more") from None

    def _read(self) -> None:
        try:
            while not self._ending.is_set():
                data = self._port.read(1)
                if data:
                    waiting = self._port.in_waiting
                    self._tell(self._feed, data + self._port.read(min(waiting, CHUNK)) if waiting else data)
        except Exception as error:  # noqa: BLE001 - foreign code behind a URL: whatever it raises, the port is lost
            self._tell(self._lose, error)
        finally:
            self._ending.set()

    def _work(self) -> None:
        try:
            while not self._ending.is_set():
                try:
                    job = self._jobs.get(timeout=LOOK_S)
                except queue.Empty:
                    continue
                if isinstance(job, SerialSettings):
                    apply(self._port, job)
                elif job:
                    self._port.write(job)
        except Exception as error:  # noqa: BLE001 - as above
            self._tell(self._lose, error)
        finally:
            self._ending.set()
            self._reader.join()
            with contextlib.suppress(Exception):
                close_port(self._port)
            self._released.set_result(None)

    def _tell(self, what: Callable[[Any], None], matter: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(what, matter)
