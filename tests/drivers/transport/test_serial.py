"""Serial ports: real terminals, pulled cables, and ports that pySerial reaches by URL."""

from __future__ import annotations

import array
import asyncio
import fcntl
import os
import socket
import termios
import threading
import tty
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import serial
import serial.rfc2217

from drivers.errors import ChannelDown
from drivers.transport import Parity, Rs485, SerialLink, SerialSettings
from drivers.transport.pumps import FilePump

pytestmark = pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")  # of pySerial's RFC 2217

Run = Callable[[Coroutine[Any, Any, None]], None]
PATIENCE_S = 60.0


def link_to(cable, settings=None, **more):
    return SerialLink("bus", str(cable.path), settings or SerialSettings(), **more)


def test_bytes_of_every_value_pass_both_ways_unchanged(run: Run, cable):
    async def scenario():
        link = link_to(cable)
        await link.open()
        every = bytes(range(256))
        link.send(every)
        assert await cable.hears(256) == every
        cable.say(every)
        heard = b""
        while len(heard) < 256:
            heard += await link.receive(PATIENCE_S)
        assert heard == every
        assert await link.receive(0.01) == b""
        link.close()

    run(scenario())


def test_more_than_the_port_takes_at_once_is_sent_whole_and_in_order(run: Run, cable):
    async def scenario():
        link = link_to(cable)
        await link.open()
        sent = b"".join(number.to_bytes(2, "big") for number in range(6000))
        link.send(sent)
        link.send(b"end")
        assert await cable.hears(len(sent) + 3) == sent + b"end"
        link.close()

    run(scenario())


def test_a_port_that_takes_nothing_for_too_long_is_lost(run: Run, cable):
    async def scenario():
        link = link_to(cable)
        await link.open()

        def send_without_end() -> None:
            for _ in range(100):
                link.send(bytes(4096))

        with pytest.raises(ChannelDown, match="takes no bytes"):
            send_without_end()
        assert not link.connected
        link.close()

    run(scenario())


def test_a_pulled_cable_is_told_and_the_port_is_found_again_by_its_name(run: Run, cable):
    async def scenario():
        link = link_to(cable)
        for _ in range(2):
            await link.open()
            link.send(b"hello")
            assert await cable.hears(5) == b"hello"
            cable.pull()
            with pytest.raises(ChannelDown, match=r"bus .*usb-serial-by-id\): the port is gone; plug"):
                await link.receive(PATIENCE_S)
            assert not link.connected
            with pytest.raises(ChannelDown):
                link.send(b"x")
            with pytest.raises(ChannelDown, match="the port is not there"):
                await link.open()
            cable.plug()
        await link.open()
        cable.say(b"back")
        assert await link.receive(PATIENCE_S) == b"back"
        link.close()

    run(scenario())


def test_what_had_arrived_before_the_cable_was_pulled_is_still_received(run: Run, cable, until):
    async def scenario():
        link = link_to(cable)
        await link.open()
        cable.say(b"last words")
        await until(lambda: link._arrivals._data)
        cable.pull()
        assert await link.receive(PATIENCE_S) == b"last words"
        with pytest.raises(ChannelDown):
            await link.receive(PATIENCE_S)

    run(scenario())


def test_nothing_of_the_time_before_is_left_after_opening_anew(run: Run, cable, until):
    async def scenario():
        link = link_to(cable)
        await link.open()
        cable.say(b"old")
        await until(lambda: link._arrivals._data)
        link.close()
        cable.say(b"older still")
        await link.open()
        assert await link.receive(0.05) == b""
        link.close()

    run(scenario())


async def test_a_port_in_use_is_told_as_such(cable):
    first, second = link_to(cable), link_to(cable)
    await first.open()
    with pytest.raises(ChannelDown, match=r"another program uses the port; find it with `fuser"):
        await second.open()
    first.close()
    await second.open()
    second.close()


async def test_a_missing_port_a_file_and_a_misspelled_url_are_told_apart(tmp_path):
    said = {}
    for name in (str(tmp_path / "ttyUSB9"), "/dev/null", "rfc2271://host:1"):
        with pytest.raises(ChannelDown) as failure:
            await SerialLink("bus", name, SerialSettings()).open()
        said[name] = failure.value
    assert [error.what for error in said.values()] == [
        "the port is not there",
        "this is no serial port",
        "this port's name cannot be understood: invalid URL, protocol 'rfc2271' not known",
    ]
    assert all(name in error.where and error.hint for name, error in said.items())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take a port away from itself")
async def test_a_port_that_the_user_may_not_open_names_the_group(cable):
    os.chmod(cable.path, 0)
    os.seteuid(65534)
    try:
        with pytest.raises(ChannelDown, match=r"may not use the port; add the hub's user to the group \w+"):
            await link_to(cable).open()
    finally:
        os.seteuid(0)


async def test_speed_and_format_are_set_and_changed_while_the_port_is_open(cable):
    link = link_to(cable, SerialSettings(2400, Parity.EVEN))
    await link.open()

    def speed():
        return termios.tcgetattr(cable.far)[5]

    assert speed() == termios.B2400
    assert link.character_s == pytest.approx(11 / 2400)
    link.tune(SerialSettings(19200, stop_bits=2))
    assert speed() == termios.B19200
    assert termios.tcgetattr(cable.far)[2] & termios.CSTOPB
    assert link.character_s == pytest.approx(11 / 19200)
    assert link.name.endswith("19200 8N2")
    link.close()


async def test_a_speed_set_while_closed_holds_when_it_opens(cable):
    link = link_to(cable)
    link.tune(SerialSettings(1200))
    await link.open()
    assert termios.tcgetattr(cable.far)[5] == termios.B1200
    link.close()


class PortWithRts:
    """A terminal's file whose RTS can be set, and is remembered with how much was sent by then."""

    def __init__(self, file: int, far: int) -> None:
        self._file = file
        self._far = far
        self.levels: list[tuple[bool, int]] = []
        self.rs485_mode = None
        self.is_open = True

    def fileno(self) -> int:
        return self._file

    @property
    def rts(self) -> bool:
        return self.levels[-1][0]

    @rts.setter
    def rts(self, level: bool) -> None:
        waiting = array.array("i", [0])
        fcntl.ioctl(self._far, termios.FIONREAD, waiting)
        self.levels.append((level, waiting[0]))

    def reset_output_buffer(self) -> None: ...

    def close(self) -> None: ...


@pytest.mark.parametrize("direction", ["rts_high", "rts_low"])
@pytest.mark.parametrize("pause_s", [0.0, 0.01])
def test_rts_is_switched_around_what_is_sent_where_the_ports_driver_does_not(run: Run, direction, pause_s, until):
    async def scenario():
        far, near = os.openpty()
        tty.setraw(near)
        port = PortWithRts(near, far)
        lost: list[BaseException] = []
        loop = asyncio.get_running_loop()
        settings = SerialSettings(19200)
        rs485 = Rs485(direction, pause_s, pause_s)
        pump = FilePump(port, loop, lambda _: None, lost.append, settings, rs485)
        began = loop.time()
        for count in (1, 2):
            pump.send(bytes(100))
            await until(lambda count=count: len(port.levels) == 1 + 2 * count)
        on = direction == "rts_high"
        assert port.levels == [(not on, 0), (on, 0), (not on, 100), (on, 100), (not on, 200)]
        assert loop.time() - began >= 2 * (100 * settings.character_s + 2 * pause_s) - 0.01
        assert lost == []
        pump.close()
        os.close(far)
        os.close(near)

    run(scenario())


async def test_a_port_without_rts_says_what_to_do(cable):
    with pytest.raises(ChannelDown, match="it has no RTS to switch RS-485 direction with; leave rs485 out"):
        await link_to(cable, rs485=Rs485("rts_high")).open()
    plain = link_to(cable)
    await plain.open()  # the failed attempt left no lock behind
    plain.close()


async def test_opening_that_is_given_up_leaves_the_port_free(cable):
    link = link_to(cable)
    opening = asyncio.ensure_future(link.open())
    await asyncio.sleep(0)
    opening.cancel()
    with suppress(asyncio.CancelledError):
        await opening
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with suppress(ChannelDown):
                await link.open()
                break
    assert link.connected
    link.close()


async def test_closing_waits_for_no_byte_that_the_port_did_not_take(cable):
    link = link_to(cable)
    await link.open()
    link.send(bytes(12_000))
    link.close()
    await link.open()
    link.close()


class Terminal(serial.Serial):
    """A pseudo-terminal, which has no modem lines to look at or to set."""

    cts = dsr = ri = cd = False

    def _update_rts_state(self) -> None: ...

    def _update_dtr_state(self) -> None: ...


@contextmanager
def served_port(port: Any) -> Iterator[int]:
    """A port of this machine offered as RFC 2217 by pySerial's own server, to one client after another."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    ending = threading.Event()

    def serve_one(client: socket.socket) -> None:
        class Connection:
            def write(self, data: bytes) -> None:
                client.sendall(data)

        manager = serial.rfc2217.PortManager(port, Connection())
        client.settimeout(0.01)
        while not ending.is_set():
            data = port.read(port.in_waiting)
            if data:
                client.sendall(b"".join(manager.escape(data)))
            try:
                told = client.recv(1024)
            except TimeoutError:
                continue
            if not told:
                return
            port.write(b"".join(manager.filter(told)))

    def serve() -> None:
        while not ending.is_set():
            with suppress(TimeoutError):
                client, _ = listener.accept()
                with client, suppress(OSError):
                    serve_one(client)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ending.set()
        thread.join()
        listener.close()


def own_threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.endswith(" loop://")}


def test_a_port_of_another_machine_is_reached_by_rfc_2217(run: Run, cable):
    async def scenario():
        with Terminal(str(cable.path), timeout=0) as port, served_port(port) as number:
            # pySerial and the link wait three seconds for the far end, which a busy machine may need.
            url = f"rfc2217://127.0.0.1:{number}?timeout={PATIENCE_S:.0f}"
            link = SerialLink("bus", url, SerialSettings(2400), open_timeout_s=PATIENCE_S)
            for _ in range(2):
                await link.open()
                link.send(b"\xff\x00ask")
                assert await cable.hears(5) == b"\xff\x00ask"
                cable.say(b"\xffanswer")
                heard = b""
                while len(heard) < 7:
                    heard += await link.receive(PATIENCE_S)
                assert heard == b"\xffanswer"
                link.tune(SerialSettings(4800))
                link.send(b"after")
                assert await cable.hears(5) == b"after"
                assert port.baudrate == 4800
                link.close()

    run(scenario())


def test_the_threads_behind_a_url_end_when_the_link_closes(run: Run, until):
    async def scenario():
        link = SerialLink("bus", "loop://", SerialSettings())
        await link.open()
        assert len(own_threads()) == 2
        link.send(b"round")
        assert await link.receive(PATIENCE_S) == b"round"
        link.close()
        await until(lambda: not own_threads())

    run(scenario())


def test_a_device_server_that_hangs_up_is_a_lost_port(run: Run, until):
    async def scenario():
        clients = []
        server = await asyncio.start_server(lambda _, writer: clients.append(writer), "127.0.0.1", 0)
        link = SerialLink("bus", f"socket://127.0.0.1:{server.sockets[0].getsockname()[1]}", SerialSettings())
        await link.open()
        link.send(b"x")
        await until(lambda: clients)
        clients[0].close()
        with pytest.raises(ChannelDown, match="the port was lost"):
            await link.receive(PATIENCE_S)
        assert not link.connected
        link.close()
        server.close()

    run(scenario())


async def test_a_device_server_that_never_answers_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"rfc2217://127.0.0.1:{silent.getsockname()[1]}?timeout=0.2"
        with pytest.raises(ChannelDown, match=r"did not open within 0\.1 s"):
            await SerialLink("bus", url, SerialSettings(), open_timeout_s=0.1).open()
        with pytest.raises(ChannelDown, match="does not seem to support RFC2217"):
            await SerialLink("bus", url, SerialSettings()).open()


def test_a_file_that_another_program_locks_stays_closed_for_the_hub(run: Run, cable):
    async def scenario():
        link = link_to(cable)
        other = os.open(cable.path, os.O_RDWR | os.O_NOCTTY)
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ChannelDown, match="another program"):
            await link.open()
        os.close(other)
        await link.open()
        link.close()

    run(scenario())
