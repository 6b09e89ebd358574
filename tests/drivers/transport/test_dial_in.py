"""Modems that dial in: who is who, who is let in, and what happens when they misbehave."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass

import pytest

from address_space.model.clock import ManualClock, SystemClock
from address_space.model.ids import UnitHandle
from drivers.api import Device
from drivers.channel import Channel
from drivers.codec import crc16_modbus
from drivers.errors import ChannelDown, ProfileError
from drivers.modbus import Options, compile_profile, plugin
from drivers.transport import DialInLink, LineOptions, Lines, ask
from drivers.transport.caller import MOST_A_SECOND
from drivers.transport.switchboard import FLAPS, LEAST_PENDING, Switchboard
from tests.drivers.profile_text import profile_of

PATIENCE_S = 60.0


@dataclass
class Modem:
    """A connection to the hub, as a modem has it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    async def hears(self, count: int) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.readexactly(count)

    async def is_cut_off(self) -> bool:
        with suppress(ConnectionError):
            async with asyncio.timeout(PATIENCE_S):
                return not await self.reader.read()
        return True

    def hang_up(self) -> None:
        self.writer.close()


@dataclass
class Port:
    """A port of the hub, its lines, and the modems that were connected to it."""

    lines: Lines
    number: int
    rules: dict[str, object]
    modems: list[Modem]

    @property
    def board(self) -> Switchboard:
        """Who answers there, once a channel was added."""
        (board,) = (each for each in self.lines._boards.values() if each.place.endswith(f":{self.number}"))
        return board

    def link(self, channel: str, modem: str, **more: object) -> DialInLink:
        options = {"listen_host": "127.0.0.1", "listen_port": self.number, "modem": modem, **self.rules, **more}
        link = self.lines.link(channel, LineOptions(transport="dial_in", **options))
        assert isinstance(link, DialInLink)
        return link

    async def dial(self, hello: bytes = b"") -> Modem:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with suppress(ConnectionRefusedError):
                    modem = Modem(*await asyncio.open_connection("127.0.0.1", self.number))
                    break
                await asyncio.sleep(0.01)
        modem.say(hello)
        self.modems.append(modem)
        return modem


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def listening(free_port: Callable[[], int], clock: ManualClock) -> AsyncIterator[Callable[..., Port]]:
    """Opens a port with the rules given; channels are added by `link`."""
    async with Lines(clock) as lines:
        ports: list[Port] = []

        def listen(**rules: object) -> Port:
            ports.append(Port(lines, free_port(), rules, []))
            return ports[-1]

        yield listen
        for port in ports:
            for modem in port.modems:
                modem.writer.transport.abort()


async def heard(link: DialInLink, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = await link.receive(PATIENCE_S)
        assert more
        data += more
    return data


async def test_two_modems_on_one_port_reach_their_own_channels(listening):
    port = listening()
    first, second = port.link("c1", "modem-1"), port.link("c2", "modem-2")
    two = await port.dial(b"modem-2")
    one = await port.dial(b"modem-1")
    await first.open()
    await second.open()
    first.send(b"to one")
    second.send(b"to two")
    assert (await one.hears(6), await two.hears(6)) == (b"to one", b"to two")
    two.say(b"from two")
    one.say(b"from one")
    assert (await heard(first, 8), await heard(second, 8)) == (b"from one", b"from two")
    assert first.name.startswith("modem modem-1 at 127.0.0.1:")


async def test_a_modem_that_has_not_dialled_in_leaves_its_channel_down(listening):
    link = listening().link("c1", "13800000001", connect_timeout_ms=20)
    with pytest.raises(ChannelDown, match=r"the modem 13800000001 has not dialled in; check its power, its SIM card"):
        await link.open()
    assert not link.connected


async def test_opening_waits_for_the_modem(listening):
    port = listening()
    link = port.link("c1", "modem-1")
    opening = asyncio.ensure_future(link.open())
    await port.dial(b"modem-1")
    await asyncio.wait_for(opening, PATIENCE_S)
    assert link.connected


async def test_what_the_modem_sends_in_one_piece_with_its_registration_is_no_answer(listening):
    port = listening(registration=r"ID=(?P<id>\w+);")
    link = port.link("c1", "m1")
    modem = await port.dial(b"ID=m1;stale")
    await link.open()
    assert await link.receive(0.02) == b""
    modem.say(b"fresh")
    assert await heard(link, 5) == b"fresh"


async def test_a_registration_in_pieces_between_garbage_is_understood_and_answered(listening):
    port = listening(registration=r"##(?P<id>[0-9]+)##", registration_reply="OK\r\n")
    link = port.link("c1", "4711")
    modem = await port.dial(b"\x00\xffAT#")
    for piece in (b"#47", b"11#", b"#"):
        await asyncio.sleep(0.01)
        modem.say(piece)
    await link.open()
    assert await modem.hears(4) == b"OK\r\n"


async def test_an_id_that_begins_like_another_is_not_taken_for_it(listening):
    port = listening()
    short, long = port.link("c1", "site1", connect_timeout_ms=300), port.link("c2", "site12")
    modem = await port.dial(b"site1")
    await asyncio.sleep(0.01)
    modem.say(b"2")
    await long.open()
    with pytest.raises(ChannelDown):
        await short.open()


@pytest.mark.parametrize("hello", [b"HEARTBEATm0001", b"m0001HEARTBEAT", b"HEARTBEAT;HEARTBEAT;m0001"])
async def test_a_heartbeat_beside_the_registration_is_not_taken_for_the_id(listening, hello):
    port = listening(heartbeat="HEARTBEAT", heartbeat_reply="BEAT")
    link = port.link("c1", "m0001")
    modem = await port.dial(b"HEARTBEAT")
    assert await modem.hears(4) == b"BEAT"
    modem.say(hello)
    await link.open()


async def test_a_modem_whose_heartbeat_is_its_id_is_let_in(listening):
    port = listening(heartbeat="m[0-9]{4}", registration_reply="OK")
    link = port.link("c1", "m0001")
    modem = await port.dial(b"m0001")
    await link.open()
    assert await modem.hears(2) == b"OK"
    modem.say(b"m0001")
    assert await link.receive(0.05) == b""


async def test_binary_registrations_are_written_as_hexadecimal_digits(listening):
    rules = {
        "registration": "AA55(?P<id>([0-9A-F]{2}){4})0D",
        "registration_format": "hex",
        "registration_reply": "AA 55 01",
        "heartbeat": "AA5500",
        "heartbeat_reply": "AA5502",
    }
    port = listening(**rules)
    link = port.link("c1", "00 00 12 ab")
    modem = await port.dial(bytes.fromhex("0A A5 50 AA55000012AB0D"))
    await link.open()
    assert await modem.hears(3) == bytes.fromhex("AA5501")
    modem.say(bytes.fromhex("AA5500"))
    assert await modem.hears(3) == bytes.fromhex("AA5502")
    modem.say(bytes.fromhex("0AA550 0F"))  # the digits of a heartbeat, but not its bytes
    assert await heard(link, 4) == bytes.fromhex("0AA5500F")


@pytest.mark.parametrize(
    ("pieces", "answer"),
    [
        ([b"HEARTBEAT", b"answer"], b"answer"),
        ([b"HEARTBEATanswer"], b"answer"),
        ([b"answerHEARTBEAT"], b"answer"),
        ([b"ansHEARTBEATwer"], b"answer"),
        ([b"ansHEART", b"BEATwer"], b"answer"),
        ([b"HEARTBEATHEARTBEATanHEARTBEATswer"], b"answer"),
        ([b"answer HEART"], b"answer HEART"),
    ],
)
async def test_heartbeats_wherever_they_stand_leave_the_answer_whole(listening, pieces, answer):
    port = listening(heartbeat="HEARTBEAT", heartbeat_reply="BEAT")
    link = port.link("c1", "m0001")
    modem = await port.dial(b"m0001")
    await link.open()

    async def play() -> None:
        assert await modem.hears(7) == b"request"
        for piece in pieces:
            modem.say(piece)
            await asyncio.sleep(0.005)

    got = bytearray()

    def take(data: bytes) -> bytes | None:
        got.extend(data)
        return bytes(got) if len(got) >= len(answer) else None

    playing = asyncio.ensure_future(play())
    found, _ = await ask(link, b"request", take, PATIENCE_S, _System())
    await playing
    assert found == answer
    if b"HEARTBEAT" in b"".join(pieces):
        assert await modem.hears(4) == b"BEAT"


class _System:
    """The event loop's own time, for `ask`."""

    def monotonic_ns(self) -> int:
        return round(asyncio.get_running_loop().time() * 1e9)


async def test_one_byte_heartbeats_count_only_alone(listening):
    port = listening(heartbeat="FE", heartbeat_format="hex")
    link = port.link("c1", "m0001")
    modem = await port.dial(b"m0001")
    await link.open()
    modem.say(b"\xfe")
    assert await link.receive(0.05) == b""
    modem.say(b"\xfe\xfe\x68\x16")
    assert await heard(link, 4) == b"\xfe\xfe\x68\x16"


async def test_a_registration_repeated_as_heartbeat_is_no_answer(listening):
    port = listening(registration_reply="OK")
    link = port.link("c1", "13800000001")
    modem = await port.dial(b"13800000001")
    await link.open()
    modem.say(b"ab13800000001cd")
    assert await heard(link, 4) == b"abcd"
    assert await modem.hears(4) == b"OKOK"


async def test_a_modem_that_comes_by_a_new_connection_replaces_the_old_one_in_the_middle_of_an_exchange(listening):
    port = listening()
    link = port.link("c1", "m0001")
    old = await port.dial(b"m0001")
    await link.open()
    link.send(b"request")
    assert await old.hears(7) == b"request"
    old.say(b"half an ans")
    assert await heard(link, 11) == b"half an ans"
    new = await port.dial(b"m0001")
    with pytest.raises(ChannelDown, match="has dialled in anew"):
        await link.receive(PATIENCE_S)
    assert await old.is_cut_off()
    assert not link.connected
    link.close()  # as the channel does after a loss: the new connection must survive it
    await link.open()
    link.send(b"again")
    assert await new.hears(5) == b"again"
    new.say(b"whole")
    assert await heard(link, 5) == b"whole"


async def test_the_old_connection_ending_late_does_not_touch_the_new_one(listening):
    port = listening()
    link = port.link("c1", "m0001")
    old = await port.dial(b"m0001")
    await link.open()
    new = await port.dial(b"m0001")
    with suppress(ChannelDown):
        await link.receive(PATIENCE_S)
    await link.open()
    assert await old.is_cut_off()
    assert link.connected
    link.send(b"x")
    assert await new.hears(1) == b"x"


async def test_a_gateway_that_hangs_up_in_the_middle_of_an_answer_is_a_lost_line(listening):
    port = listening(connect_timeout_ms=20)
    link = port.link("c1", "m0001")
    modem = await port.dial(b"m0001")
    with suppress(ChannelDown):
        await link.open()
    while not link.connected:
        with suppress(ChannelDown):
            await link.open()
    modem.say(b"half")
    modem.hang_up()
    assert await heard(link, 4) == b"half"
    with pytest.raises(ChannelDown, match="has hung up"):
        await link.receive(PATIENCE_S)
    with pytest.raises(ChannelDown, match="has not dialled in"):
        await link.open()


async def test_closing_the_link_makes_the_modem_dial_in_anew(listening):
    port = listening()
    link = port.link("c1", "m0001")
    modem = await port.dial(b"m0001")
    await link.open()
    link.close()
    assert await modem.is_cut_off()
    with pytest.raises(ChannelDown):
        link.send(b"x")


async def test_a_half_dead_modem_is_cut_off_when_its_heartbeats_stop(listening, clock):
    port = listening(heartbeat="BEAT", heartbeat_timeout_s=60)
    link = port.link("c1", "m0001")
    modem = await port.dial(b"m0001")
    await link.open()
    await clock.advance(50)
    modem.say(b"BEAT")
    assert await link.receive(0.05) == b""
    await clock.advance(50)
    assert link.connected
    await clock.advance(15)
    with pytest.raises(ChannelDown, match="the modem was silent for 60 s"):
        await link.receive(PATIENCE_S)
    assert await modem.is_cut_off()


async def test_connections_without_registration_are_dropped_in_time(listening, clock, caplog, until):
    port = listening(registration_timeout_s=30)
    port.link("c1", "m0001")
    silent = await port.dial()
    await until(lambda: port.board.pending == 1)
    await clock.advance(20)
    late = await port.dial(b"??")
    await until(lambda: port.board.pending == 2)
    await clock.advance(15)
    assert await silent.is_cut_off()
    assert not late.reader.at_eof()
    assert "connection without registration" in caplog.text


async def test_garbage_is_dropped_before_it_piles_up(listening, caplog):
    port = listening()
    port.link("c1", "m0001")
    modem = await port.dial(b"\x00\xff" * 400)
    assert await modem.is_cut_off()
    other = await port.dial(b"\x00\xff" * 400)
    assert await other.is_cut_off()
    assert caplog.text.count("no registration in what was sent") == 1


async def test_an_unknown_modem_is_logged_once_and_dropped(listening, caplog):
    port = listening()
    port.link("c1", "m0001")
    for _ in range(3):
        assert await (await port.dial(b"stranger")).is_cut_off()
    assert await (await port.dial(b"GET / HTTP/1.1\r\n\r\n")).is_cut_off()
    told = [record.getMessage() for record in caplog.records if "unknown modem" in record.getMessage()]
    assert len(told) == 2
    assert "id='stranger' hint=give the channel of this modem" in told[0]


async def test_a_flood_of_connections_does_not_shut_the_modems_out(listening):
    port = listening(registration_timeout_s=600)
    link = port.link("c1", "m0001")
    await port.dial()
    flood = []
    for _ in range(LEAST_PENDING + 50):
        plug = socket.socket()
        plug.setblocking(False)
        with suppress(BlockingIOError):
            plug.connect(("127.0.0.1", port.number))
        flood.append(plug)
    modem = await port.dial(b"m0001")
    await link.open()
    link.send(b"still here")
    assert await modem.hears(10) == b"still here"
    board = port.lines._boards["127.0.0.1", port.number]
    assert board.pending <= LEAST_PENDING
    for plug in flood:
        plug.close()


async def test_a_modem_that_babbles_at_full_speed_is_cut_off(listening):
    port = listening(heartbeat="AA", heartbeat_format="hex")
    link = port.link("c1", "m0001")
    modem = await port.dial(b"m0001")
    await link.open()
    modem.say(b"\x55" * (2 * MOST_A_SECOND))
    assert await modem.is_cut_off()
    link.discard()
    with pytest.raises(ChannelDown, match="sends more than any bus could say"):
        await link.receive(PATIENCE_S)


async def test_a_channel_that_is_given_another_modem_lets_the_old_one_go(listening):
    port = listening(connect_timeout_ms=500)
    old = port.link("c1", "m0001")
    modem = await port.dial(b"m0001")
    await old.open()
    new = port.link("c1", "m0002")
    assert await modem.is_cut_off()
    assert not old.connected
    assert await (await port.dial(b"m0001")).is_cut_off()
    await port.dial(b"m0002")
    await new.open()


async def test_two_modems_with_one_id_are_told_once(listening, caplog, until):
    port = listening()
    link = port.link("village", "m0001")
    for number in range(FLAPS + 3):
        await port.dial(b"m0001")
        own = _own(port.modems[number])
        await until(lambda own=own: link.caller is not None and link.caller.peer == own)
    told = [record.getMessage() for record in caplog.records if "keeps dialling in" in record.getMessage()]
    assert len(told) == 1
    assert "channel=village id=m0001" in told[0]


def _own(modem: Modem) -> str:
    host, number = modem.writer.get_extra_info("sockname")
    return f"{host}:{number}"


async def test_a_modem_that_reads_nothing_is_cut_off_before_memory_fills(listening):
    port = listening()
    link = port.link("c1", "m0001")
    modem = await port.dial(b"m0001")
    modem.writer.transport.pause_reading()
    await link.open()

    def send_without_end() -> None:
        for _ in range(1000):
            link.send(bytes(65536))

    with pytest.raises(ChannelDown, match="takes no bytes any more"):
        send_without_end()
    with pytest.raises(ChannelDown, match="takes no bytes any more"):
        await link.receive(PATIENCE_S)
    assert not link.connected


async def test_a_port_that_is_taken_is_told_and_listened_at_when_it_is_free(free_port, clock, caplog):
    caplog.set_level(logging.INFO)
    taken = socket.create_server(("127.0.0.1", 0))
    number = taken.getsockname()[1]
    lines = Lines(clock)
    options = LineOptions(
        transport="dial_in", listen_host="127.0.0.1", listen_port=number, modem="m0001", connect_timeout_ms=2000
    )
    link = lines.link("c1", options)
    async with lines:
        with pytest.raises(ChannelDown, match=rf"cannot listen at 127\.0\.0\.1:{number}.*free the port"):
            await link.open()
        taken.close()
        await clock.advance(2)
        port = Port(lines, number, {}, [])
        modem = await port.dial(b"m0001")
        await link.open()
        modem.writer.transport.abort()
    assert "listening for modems" in caplog.text


async def test_leaving_the_lines_cuts_everybody_off_and_frees_the_port(free_port, clock):
    number = free_port()
    options = LineOptions(transport="dial_in", listen_host="127.0.0.1", listen_port=number, modem="m0001")
    for _ in range(2):
        lines = Lines(clock)
        link = lines.link("c1", options)
        async with lines:
            port = Port(lines, number, {}, [])
            modem, silent = await port.dial(b"m0001"), await port.dial()
            await link.open()
        assert await modem.is_cut_off()
        assert await silent.is_cut_off()
        assert not link.connected
        for each in port.modems:
            each.writer.transport.abort()


async def test_channels_of_one_port_must_say_the_same_of_it(listening):
    port = listening()
    port.link("c1", "m0001")
    with pytest.raises(ProfileError, match=r"'c1' and 'c2' share the port \d+ but differ in heartbeat: '' and 'BEAT'"):
        port.link("c2", "m0002", heartbeat="BEAT")
    with pytest.raises(ProfileError, match=r"'c1' and 'c2' share the port \d+ and the modem 'm0001'"):
        port.link("c2", "m0001")
    port.link("c2", "m0002")


def test_modems_dial_in_on_either_event_loop(run, free_port):
    async def scenario():
        number = free_port()
        lines = Lines(ManualClock())
        options = LineOptions(transport="dial_in", listen_host="127.0.0.1", listen_port=number, modem="m0001")
        link = lines.link("c1", options)
        async with lines:
            port = Port(lines, number, {}, [])
            modem = await port.dial(b"m0001")
            await link.open()
            modem.say(b"hello")
            assert await heard(link, 5) == b"hello"
            modem.hang_up()
            with pytest.raises(ChannelDown):
                await link.receive(PATIENCE_S)

    run(scenario())


class MeterAtModem(asyncio.Protocol):
    """A modem with one Modbus meter; `hangs_up` cuts its first answer in half."""

    def __init__(self, *, hangs_up: bool = False) -> None:
        self._hangs_up = hangs_up
        self.cut_off = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(b"m0001")

    def data_received(self, data: bytes) -> None:
        body = bytes((data[0], data[1], 4)) + bytes(4)
        answer = body + crc16_modbus(body)
        if self._hangs_up:
            self.transport.write(answer[:5])
            self.transport.close()
        else:
            self.transport.write(answer[:4] + b"HEARTBEAT" + answer[4:])

    def connection_lost(self, exc: Exception | None) -> None:
        self.cut_off.set()


async def test_a_modem_that_hangs_up_in_an_exchange_and_comes_again_is_polled_on_at_once(free_port, clock):
    number = free_port()
    options = Options(
        transport="dial_in", listen_host="127.0.0.1", listen_port=number, modem="m0001", heartbeat="HEARTBEAT"
    )
    profile = profile_of("modbus", "points:\n  ActivePower: {at: 0, fc: 4, type: uint32, unit: W}\n")
    meter = Device(UnitHandle(1), 0, "m", compile_profile(profile), "1")
    lines, line = Lines(SystemClock()), plugin.line(options)
    driver = plugin.create("c1", options, lines)
    (request,) = driver.plan(meter, (0,)).requests
    loop = asyncio.get_running_loop()
    async with lines, Channel("c1", driver, line, clock) as channel:
        _, first = await loop.create_connection(MeterAtModem, "127.0.0.1", number)
        await channel.exchange(meter, request)
        _, second = await loop.create_connection(lambda: MeterAtModem(hangs_up=True), "127.0.0.1", number)
        async with asyncio.timeout(PATIENCE_S):
            await first.cut_off.wait()
        with pytest.raises(ChannelDown):
            await channel.exchange(meter, request)
        assert not second.transport.get_extra_info("socket") or second.transport.is_closing()
        _, third = await loop.create_connection(MeterAtModem, "127.0.0.1", number)
        await clock.advance(channel.retry_in_s + line.quiet_s)
        await channel.exchange(meter, request)
        assert channel.tally.losses == 2
        first.transport.abort()
        third.transport.abort()
