"""Finding speed and speaker of a line nobody has described: real drivers' links on pseudo-terminals and TCP ports."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from address_space.model.clock import SystemClock
from drivers.errors import ChannelDown
from drivers.probe import (
    SETTINGS,
    Confidence,
    Framing,
    Search,
    diagnose,
    line_options,
    longest_s,
    questions,
    search,
)
from drivers.probe.errors import ProbeMistake
from drivers.probe.line import Finding, Trouble
from drivers.simulators.bus import SimulatedBus, Station
from drivers.simulators.cjt188 import CJT188, Cjt188Station
from drivers.simulators.dlt645 import Dlt645Station, Manners
from drivers.simulators.meter import Installation
from drivers.simulators.ports import PseudoTerminal, TcpPort
from drivers.simulators.wire import DLT645, MODBUS_RTU, Wire
from drivers.transport import Lines, Parity, SerialSettings
from tests.drivers.probe.odd_meter import OddStation

METER = "202611220017"
PATIENCES_S = (0.15, 1.0, 5.0)
"""How long each answer is waited for; where a busy machine let none pass, once more with more patience."""


def bus_of(wire: Wire, station: Station, settings: SerialSettings | None = None, *, echo: bool = False) -> SimulatedBus:
    # Without `settings` in the bus itself it takes no line time; the terminal then hears every speed.
    bus = SimulatedBus(SystemClock(), settings, echo=echo)
    bus.attach(wire, station)
    return bus


async def look(
    target: str,
    settings: Sequence[SerialSettings],
    *,
    one_meter: bool = True,
    framings: Sequence[Framing] = (),
    patience_s: float = PATIENCES_S[0],
    **more,
) -> Search:
    clock = SystemClock()
    lines = Lines(clock)
    link = lines.link("probe", line_options(target, more))
    asked = questions(framings or [Framing.RTU], [1], one_meter=one_meter)
    async with lines:
        await link.open()
        try:
            return await search(link, clock, patience_s, asked, settings, lambda done, total: None)
        finally:
            link.close()


async def sought(
    target: str, settings: Sequence[SerialSettings], so: Callable[[Finding], object] = lambda _: True, **more
) -> Finding:
    """What is found; at last also where it is not `so`."""
    for patience_s in PATIENCES_S:
        found = (await look(target, settings, patience_s=patience_s, **more)).found
        if found is not None and so(found):
            break
    assert found is not None
    return found


STATIONS = {
    "modbus": (MODBUS_RTU, lambda: OddStation(1), "1"),
    "dlt645": (DLT645, lambda: Dlt645Station(Installation("m"), METER), METER),
    "1997": (DLT645, lambda: Dlt645Station(Installation("m"), METER, Manners(version="1997")), METER),
    "cjt188": (CJT188, lambda: Cjt188Station("12345678"), "00000012345678"),
}


@pytest.mark.parametrize("kind", STATIONS)
async def test_the_speed_of_a_serial_line_is_found_by_the_first_sound_answer(kind: str, tmp_path: Path) -> None:
    wire, station, address = STATIONS[kind]
    right = SerialSettings(57600, Parity.EVEN)
    port = PseudoTerminal(bus_of(wire, station(), right), tmp_path / "ttyPROBE")
    await port.start()
    # A pseudo-terminal has no parity, so nobody can be sure of it.
    found = await sought(str(port.path), [SerialSettings(9600), right], lambda found: len(found.others) == 2)
    await port.stop()
    assert found.settings == right
    assert found.sign.address == address
    assert found.sign.protocol == ("dlt645" if kind == "1997" else kind)
    assert "1997" in found.sign.what or kind != "1997"
    assert found.confidence is Confidence.MEDIUM
    assert {each.parity for each in found.others} == {Parity.NONE, Parity.ODD}


async def test_where_nobody_answers_nothing_is_found(tmp_path: Path) -> None:
    port = PseudoTerminal(SimulatedBus(SystemClock()), tmp_path / "ttyPROBE")
    await port.start()
    found = await look(str(port.path), [SerialSettings(9600)])
    await port.stop()
    assert found.found is None
    assert found.asked == len(questions([Framing.RTU], [1], one_meter=True))
    assert found.garbled == {}


async def test_wildcards_are_sent_only_where_one_meter_is_on_the_wire(tmp_path: Path) -> None:
    wire, station, _ = STATIONS["dlt645"]
    bus = bus_of(wire, station())
    port = TcpPort(bus)
    await port.start()
    target = f"127.0.0.1:{port.port}"
    assert (await look(target, [], one_meter=False)).found is None
    assert bus.requests == 0
    assert await sought(target, [])
    await port.stop()


async def test_over_a_network_the_framing_is_found(tmp_path: Path) -> None:
    port = TcpPort(bus_of(*[make() if callable(make) else make for make in STATIONS["modbus"][:2]]))
    await port.start()
    found = await sought(
        f"tcp://127.0.0.1:{port.port}",
        [],
        lambda found: found.confidence is Confidence.HIGH,
        framings=[Framing.TCP, Framing.RTU],
        one_meter=False,
    )
    await port.stop()
    assert (found.sign.framing, found.settings) == ("rtu", None)
    assert found.confidence is Confidence.HIGH


async def test_a_line_that_hears_itself_is_told(tmp_path: Path) -> None:
    wire, station, _ = STATIONS["dlt645"]
    port = TcpPort(bus_of(wire, station(), echo=True))
    await port.start()
    found = await sought(f"127.0.0.1:{port.port}", [], framings=[Framing.RTU])
    await port.stop()
    assert found.sign.protocol == "dlt645"


def test_the_time_is_known_beforehand() -> None:
    asked = questions([Framing.RTU], [1, 2], ["123"], one_meter=True)
    assert longest_s(asked, [], 0.5) == pytest.approx(len(asked) * 0.55)
    assert longest_s(asked, SETTINGS, 0.5) > len(SETTINGS) * len(asked) * 0.55


@pytest.mark.parametrize(
    ("cause", "trouble"),
    [
        (socket.gaierror(-2, "Name or service not known"), Trouble.NAME),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), Trouble.REFUSED),
        (TimeoutError(), Trouble.TIMEOUT),
        (OSError(errno.EHOSTUNREACH, "no route"), Trouble.UNREACHABLE),
        (OSError(errno.EACCES, "denied"), Trouble.PERMISSION),
        (OSError(errno.EBUSY, "busy"), Trouble.BUSY),
        (OSError(errno.ENOENT, "none"), Trouble.MISSING),
        (ValueError("odd"), Trouble.OTHER),
    ],
)
def test_why_a_line_does_not_open_is_told_by_its_cause(cause: Exception, trouble: Trouble) -> None:
    error = ChannelDown("cannot connect", where="x", hint="check it")
    error.__cause__ = cause
    found = diagnose(error)
    assert found.trouble is trouble
    assert found.what
    assert found.hint


async def test_a_closed_port_and_a_missing_one_are_told_apart(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    for target, trouble in ((f"127.0.0.1:{number}", Trouble.REFUSED), (str(tmp_path / "tty"), Trouble.MISSING)):
        with pytest.raises(ChannelDown) as caught:
            await look(target, [])
        assert diagnose(caught.value).trouble is trouble


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("10.0.0.1", ("tcp", "10.0.0.1", 502)),
        ("tcp://meter.lan:4001", ("tcp", "meter.lan", 4001)),
        ("[fe80::1]:502", ("tcp", "fe80::1", 502)),
        ("udp://10.0.0.1:7000", ("udp", "10.0.0.1", 7000)),
    ],
)
def test_a_target_is_a_peer(target: str, said: tuple[str, str, int]) -> None:
    options = line_options(target, {})
    assert (options.transport, options.host, options.port) == said


def test_a_target_is_a_port_or_a_modem_and_else_a_mistake() -> None:
    assert line_options("/dev/ttyUSB0", {"baud": 2400, "parity": "even"}).serial == SerialSettings(2400, Parity.EVEN)
    assert line_options("rfc2217://10.0.0.9:2217", {}).transport == "serial"
    modem = line_options("dial-in://0.0.0.0:5000/GW-0001", {})
    assert (modem.transport, modem.listen_port, modem.modem) == ("dial_in", 5000, "GW-0001")
    for target in ("", "host:port", "http://x/y", "10.0.0.1:99999"):
        with pytest.raises(ProbeMistake):
            line_options(target, {})
