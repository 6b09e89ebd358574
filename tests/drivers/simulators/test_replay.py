"""A recorded bus played back: known requests are answered as they were, all others with silence."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from address_space.model.clock import SystemClock
from drivers.cjt188 import frame as cjt188
from drivers.cjt188.requests import read as ask_water
from drivers.dlt645 import frame as dlt645
from drivers.probe.modbus_frames import Framing, answers, read_pdu, wrapped
from drivers.simulators.ports import PseudoTerminal
from drivers.simulators.replay import Replay
from drivers.transport import PairLink, SerialLink, SerialSettings, pair
from drivers.transport.recording import Exchange, Piece

PATIENCE_S = 0.05
TEN_MS = 10_000_000


def exchange(request: bytes, *said: bytes, **more: object) -> Exchange:
    pieces = tuple(Piece(TEN_MS * number, data) for number, data in enumerate(said))
    return Exchange(0, request, pieces, **more)  # type: ignore[arg-type]


def modbus(value: int, transaction: int = 7, framing: Framing = Framing.TCP) -> bytes:
    return wrapped(framing, 1, b"\x03\x02" + value.to_bytes(2, "big"), transaction)


def question(transaction: int = 7, framing: Framing = Framing.TCP, address: int = 0) -> bytes:
    return wrapped(framing, 1, read_pdu(3, address, 1), transaction)


@asynccontextmanager
async def playing(recorded: Sequence[Exchange]) -> AsyncIterator[tuple[PairLink, Replay]]:
    near, far = pair()
    replay = Replay(recorded, SystemClock())
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(replay.serve(far))
        try:
            yield near, replay
        finally:
            serving.cancel()


async def said_to(link: PairLink, request: bytes) -> bytes:
    link.send(request)
    heard = b""
    while data := await link.receive(PATIENCE_S):
        heard += data
    return heard


async def test_transaction_numbers_are_made_to_fit() -> None:
    async with playing([exchange(question(7), modbus(2301, 7)[:5], modbus(2301, 7)[5:])]) as (link, replay):
        assert await said_to(link, question(0x1234)) == modbus(2301, 0x1234)
        assert await said_to(link, question(7)) == modbus(2301, 7)
        assert (replay.requests, replay.answered, replay.missed) == (1, 2, 0)


async def test_serial_numbers_of_cjt188_are_made_to_fit_and_sealed() -> None:
    def water(ser: int, control: int = 0x81) -> bytes:
        return cjt188.encode(cjt188.Frame(0x10, "0" * 13 + "7", control, b"\x1f\x90" + bytes((ser,)) + b"\x99" * 19))

    asked = [cjt188.encode(ask_water(0x901F).frame(0x10, "0" * 13 + "7", ser)) for ser in (3, 200)]
    async with playing([exchange(asked[0], water(3))]) as (link, _):
        heard = await said_to(link, asked[1])
    (frame,) = cjt188.Decoder().feed(heard)
    assert isinstance(frame, cjt188.Frame)
    assert frame.data[2] == 200
    assert heard == water(200)


async def test_an_answer_with_a_number_of_its_own_is_left_as_it_was() -> None:
    async with playing([exchange(question(7), modbus(1, 99))]) as (link, _):
        assert await said_to(link, question(8)) == modbus(1, 99)


async def test_the_same_request_goes_on_through_what_was_recorded_and_stays_with_the_last() -> None:
    recorded = [exchange(question(n), modbus(n, n)) for n in (1, 2, 3)]
    async with playing(recorded) as (link, _):
        heard = [answers(Framing.TCP, await said_to(link, question(9)), 3)[0].pdu[-1] for _ in range(5)]
    assert heard == [1, 2, 3, 3, 3]


@pytest.mark.parametrize("framing", Framing)
async def test_what_was_not_recorded_is_met_with_silence_and_logged_once(
    framing: Framing, caplog: pytest.LogCaptureFixture
) -> None:
    recorded = [exchange(question(7, framing), modbus(1, 7, framing))]
    with caplog.at_level(logging.WARNING):
        async with playing(recorded) as (link, replay):
            for _ in range(2):
                assert await said_to(link, question(7, framing, address=99)) == b""
            assert await said_to(link, question(7, framing)) == modbus(1, 7, framing)
            assert replay.missed == 2
    assert len([record for record in caplog.records if "not recorded" in record.message]) == 1


async def test_a_password_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    order = dlt645.encode(dlt645.Frame("000000000001", 0x14, bytes.fromhex("01010004 02 654321 00000000")))
    asked = dlt645.encode(dlt645.Frame("000000000001", 0x11, b"\0\0\1\0"))
    with caplog.at_level(logging.WARNING):
        async with playing([exchange(asked, b"\xfe")]) as (link, _):
            assert await said_to(link, order) == b""
    assert "98 76 54" not in caplog.text
    assert "68 01 00 00 00 00 00 68 14" in caplog.text


async def test_silence_that_was_recorded_is_silence_again() -> None:
    recorded = [exchange(question(1)), exchange(question(2), modbus(5, 2))]
    async with playing(recorded) as (link, replay):
        assert await said_to(link, question(3)) == b""
        assert await said_to(link, question(3)) == modbus(5, 3)
        assert replay.missed == 0


async def test_a_request_at_whose_answer_the_recording_ended_proves_no_silence() -> None:
    recorded = [exchange(question(1), modbus(5, 1)), exchange(question(2), last=True)]
    async with playing(recorded) as (link, _):
        assert [bool(await said_to(link, question(3))) for _ in range(2)] == [True, True]


async def test_where_the_line_was_lost_it_is_cut() -> None:
    async with playing([exchange(question(1), lost="reset", lost_ns=1)]) as (link, _):
        assert await said_to(link, question(1)) == b""
        assert not link.connected


async def test_the_delays_are_those_of_the_recording() -> None:
    clock = SystemClock()
    slow = Exchange(0, question(1), (Piece(60_000_000, modbus(1, 1)),))
    async with playing([slow]) as (link, _):
        begun_ns = clock.monotonic_ns()
        link.send(question(1))
        assert await link.receive(1.0) == modbus(1, 1)
        assert clock.monotonic_ns() - begun_ns >= 59_000_000


async def test_requests_in_pieces_and_behind_noise_are_understood() -> None:
    asked = dlt645.encode(dlt645.Frame("000000000001", 0x11, b"\0\0\1\0"))
    async with playing([exchange(asked, b"\xfe\xfe")]) as (link, _):
        link.send(b"\x00\x68" + asked[:9])
        assert await said_to(link, asked[9:]) == b"\xfe\xfe"


async def test_bytes_of_no_known_protocol_are_known_by_themselves() -> None:
    async with playing([exchange(b"HELLO", b"WORLD")]) as (link, replay):
        assert await said_to(link, b"..HELLO") == b"WORLD"
        assert replay.missed == 0


async def test_a_recording_can_be_played_at_a_serial_port(tmp_path: Path) -> None:
    replay = Replay([exchange(question(1, Framing.RTU), modbus(77, 1, Framing.RTU))], SystemClock())
    port = PseudoTerminal(replay, tmp_path / "ttyREPLAY")
    await port.start()
    link = SerialLink("c1", str(port.path), SerialSettings(9600))
    await link.open()
    link.send(question(1, Framing.RTU))
    heard = b""
    while len(heard) < 7 and (data := await link.receive(2.0)):
        heard += data
    link.close()
    await port.stop()
    assert heard == modbus(77, 1, Framing.RTU)
