"""A TCP relay between a client and the hub that can be cut in mid stream, held back, and mended."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading

_RESET = struct.pack("ii", 1, 0)
_CHUNK = 65_536


class Relay:
    """Listens on `port` and passes bytes to `target` and back, in a thread of its own."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.url = f"opc.tcp://127.0.0.1:{self.port}"
        self.connections = 0
        self.cuts = 0
        self._partners: dict[socket.socket, socket.socket] = {}
        self._lock = threading.Lock()
        self._deaf = threading.Event()
        self._swallow = threading.Event()
        self._open = True
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name=f"relay {self.port}", daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Reset every connection, at whatever byte it is."""
        with self._lock:
            self.cuts += 1
            for one in list(self._partners):
                self._end(one)

    def swallow(self, *, on: bool) -> None:
        """Lose what the hub sends, as a network does in the moment before it is known to be broken."""
        (self._swallow.set if on else self._swallow.clear)()

    def refuse(self, *, on: bool) -> None:
        """Refuse new connections (each is reset at once) or take them again."""
        (self._deaf.set if on else self._deaf.clear)()

    def close(self) -> None:
        """End everything."""
        self._open = False
        self.cut()
        self._thread.join(5)
        self._listener.close()
        self._selector.close()

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        while self._open:
            for key, _ in self._selector.select(0.1):
                with self._lock:
                    if key.fileobj is self._listener:
                        self._accept()
                    elif key.fileobj in self._partners:
                        self._pass(key.fileobj)

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        if self._deaf.is_set():
            near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            near.close()
            return
        try:
            far = socket.create_connection(("127.0.0.1", self._target), 5)
        except OSError:
            near.close()
            return
        self.connections += 1
        for one, other in ((near, far), (far, near)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._partners[one] = other
            self._selector.register(one, selectors.EVENT_READ, one is far)

    def _pass(self, one: socket.socket) -> None:
        try:
            data = one.recv(_CHUNK)
            from_hub = bool(self._selector.get_key(one).data)
            if data and not (from_hub and self._swallow.is_set()):
                self._partners[one].sendall(data)
        except OSError:
            data = b""
        if not data:
            self._end(one)

    def _end(self, one: socket.socket) -> None:
        other = self._partners.get(one)
        for end in (one, other):
            if end is not None and self._partners.pop(end, None) is not None:
                with contextlib.suppress(OSError):
                    self._selector.unregister(end)
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                end.close()
