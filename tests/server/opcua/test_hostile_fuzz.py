"""Thousands of broken, mutated and random messages: right errors, little memory, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from asyncua import Client, ua
from asyncua.ua.ua_binary import nodeid_to_binary

from tests.server.opcua.corpus import SCRIPTS, Recording, recordings
from tests.server.opcua.wire import Wire, hello

pytestmark = pytest.mark.asyncio(loop_scope="session")

_FAULT = ua.ObjectIds.ServiceFault_Encoding_DefaultBinary
_KEEPS_SILENT = (ua.ObjectIds.PublishRequest_Encoding_DefaultBinary,)
_ENDS_SESSION = (
    ua.ObjectIds.CloseSessionRequest_Encoding_DefaultBinary,
    ua.ObjectIds.CreateSessionRequest_Encoding_DefaultBinary,
    ua.ObjectIds.ActivateSessionRequest_Encoding_DefaultBinary,
)
_NASTY = (b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\xfc\xff\xff\xff", b"\x00\x00\xf8\x7f", b"\x00\x00\xf0\x7f")
_MIB = 1024 * 1024


def _mutated(data: bytes, chance: random.Random, first: int = 0) -> bytes:
    """A few changes behind `first`."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        if len(changed) <= first + 4:
            break
        at = chance.randrange(first, len(changed) - 3)
        match chance.randrange(5):
            case 0:
                changed[at] = chance.randrange(256)
            case 1:
                changed[at : at + 4] = chance.choice(_NASTY)
            case 2:
                del changed[at : at + chance.randint(1, 40)]
            case 3:
                changed[at:at] = chance.randbytes(chance.randint(1, 40))
            case _:
                end = min(at + chance.randint(4, 60), len(changed))
                changed[at:at] = changed[at:end] * chance.randint(1, 5)
    return bytes(changed)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * 4096


class Bystander:
    """A client of the same server that has to go on as if nothing were: it subscribes, reads, and feels the loop."""

    def __init__(self, hub: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        self._hub = hub
        self._caplog = caplog
        self.changes: list[float] = []
        self.blocked_s = 0.0
        self.unhandled: list[dict[str, Any]] = []

    async def __aenter__(self) -> Bystander:
        gc.collect()
        self._loop = asyncio.get_running_loop()
        self._before = self._loop.get_exception_handler()
        self._loop.set_exception_handler(lambda _, context: self.unhandled.append(context))
        self._caplog.clear()
        self._client = Client(self._hub.url, timeout=60)
        await self._client.connect()
        subscription = await self._client.create_subscription(100, self)
        await subscription.subscribe_data_change(self._client.get_node(ua.NodeId("m29.ActivePower", 2)))
        self._memory = _resident()
        self._task = asyncio.create_task(self._feel())
        return self

    async def __aexit__(self, *problem: object) -> None:
        self._task.cancel()
        last = random.random()
        self._hub.read("m29.ActivePower", last)
        try:
            if problem[0] is None:
                async with asyncio.timeout(60):
                    while last not in self.changes:  # noqa: ASYNC110  # the handler only keeps a list
                        await asyncio.sleep(0.01)
                assert await self._client.get_node(ua.NodeId("m29.ActivePower", 2)).read_value() == last
                gc.collect()
                assert _resident() - self._memory < 48 * _MIB
                assert self.unhandled == []
                ours = [one for one in self._caplog.records if one.name.startswith(("server.", "asyncua.server"))]
                assert len(ours) < 60
                assert [one.getMessage() for one in ours if one.exc_info] == []
        finally:
            await self._client.disconnect()
            self._loop.set_exception_handler(self._before)
            print(f"blocked at most {self.blocked_s * 1000:.0f} ms, grew {(_resident() - self._memory) / _MIB:.1f} MiB")

    def datachange_notification(self, _node: Any, value: float, _data: Any) -> None:
        self.changes.append(value)

    async def _feel(self) -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.002)
            self.blocked_s = max(self.blocked_s, time.perf_counter() - before - 0.002)


@pytest.fixture
def bystander(hub: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Bystander:
    return Bystander(hub, monkeypatch, caplog)


async def _answer_of(wire: Wire, sent: bytes) -> bytes:
    """What comes back until the server is done with it: kinds of messages, the last of them ERR or nothing."""
    wire.say(sent)
    with contextlib.suppress(ConnectionError, OSError):
        wire.writer.write_eof()
    data = b""
    async with asyncio.timeout(60):
        with contextlib.suppress(ConnectionError):
            data = await wire.reader.read()
    return data


async def test_the_corpus_holds_every_kind_of_session() -> None:
    assert {one.name for one in recordings()} == set(SCRIPTS)
    kinds = {struct.unpack_from("<H", body, 2)[0] for one in recordings() for body in one.bodies(one.token)}
    assert len(kinds) >= 15


async def test_random_bytes_on_the_port(hub, bystander: Bystander) -> None:
    chance = random.Random(1)
    async with bystander:
        for number in range(400):
            start = (b"", b"HELF", b"OPNF", b"MSGF", hello(), b"CLOF")[number % 6]
            async with Wire(hub.server.port) as wire:
                answer = await _answer_of(wire, start + chance.randbytes(chance.choice((1, 7, 30, 400, 4_000))))
                assert answer[:3] in (b"", b"ACK", b"ERR")


async def test_mutated_handshakes(hub, bystander: Bystander) -> None:
    chance = random.Random(2)
    async with bystander:
        for number in range(600):
            recording = chance.choice(recordings())
            async with Wire(hub.server.port) as wire:
                steps = list(recording.chunks[: chance.randint(1, 5)])
                broken = chance.randrange(len(steps))
                steps[broken] = _mutated(steps[broken], chance, first=0 if number % 2 else 8)
                answer = await _answer_of(wire, b"".join(steps))
                assert answer[:3] in (b"", b"ACK", b"ERR")


async def test_mutated_requests_in_a_session(hub, bystander: Bystander) -> None:
    chance = random.Random(3)
    kept: list[Recording] = recordings()
    codes: dict[int, int] = {}
    async with bystander:
        for _ in range(10):
            async with Wire(hub.server.port) as wire:
                await wire.enter()
                token = nodeid_to_binary(wire.auth)
                bodies = [
                    body
                    for one in kept
                    for body in one.bodies(token)
                    if struct.unpack_from("<H", body, 2)[0] not in (*_KEEPS_SILENT, *_ENDS_SESSION)
                ]
                # behind the token: what is broken must be the request, not the session
                for _ in range(250):
                    body = chance.choice(bodies)
                    wire.say(wire.ask(_mutated(body, chance, first=4 + len(token))))
                    kind, code, _ = await wire.answer()
                    if kind == _FAULT:
                        codes[code] = codes.get(code, 0) + 1
                assert await wire.code(ua.FindServersRequest()) == 0
    assert codes[ua.StatusCodes.BadDecodingError] > 100
    assert ua.StatusCodes.BadInternalError not in codes


async def test_mutated_chunks_in_a_session(hub, bystander: Bystander) -> None:
    chance = random.Random(4)
    async with bystander:
        for _ in range(250):
            async with Wire(hub.server.port) as wire:
                await wire.enter()
                body = chance.choice(chance.choice(recordings()).bodies(nodeid_to_binary(wire.auth)))
                sent = _mutated(wire.ask(body), chance)
                await _answer_of(wire, sent + chance.randbytes(chance.choice((0, 0, 24))))
