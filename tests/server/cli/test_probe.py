"""`joulehub probe` on real simulated devices, as an engineer uses it: up to a profile with which a hub reads."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from address_space.model import SystemClock
from drivers.simulators import Framing
from drivers.simulators.bus import SimulatedBus
from drivers.simulators.dlt645 import Dlt645Station
from drivers.simulators.meter import Installation
from drivers.simulators.modbus import ModbusServer
from drivers.simulators.ports import TcpPort
from drivers.simulators.wire import DLT645
from drivers.transport import Lines, Trace
from server.app import Hub, draw
from server.cli.check import settings_at
from server.cli.main import main
from server.cli.probe_line import meters_of
from tests.drivers.probe.odd_meter import ENERGY_WH, FIRST, HERTZ, VOLTAGES, OddMeter

METER = "202611220017"
UNIT = 17
PATIENCE_S = 240.0


class Stand:
    """An event loop of its own beside the commands, which bring theirs."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="devices")
        self._thread.start()

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def stand() -> Iterator[Stand]:
    stand = Stand()
    yield stand
    stand.close()


@contextmanager
def served(stand: Stand, meter: OddMeter, framing: Framing) -> Iterator[ModbusServer]:
    server = ModbusServer("127.0.0.1", 0, {UNIT: meter}, SystemClock(), framing)
    stand.do(server.start())
    try:
        yield server
    finally:
        stand.do(server.stop())


@contextmanager
def odd(stand: Stand, framing: Framing = Framing.RTU) -> Iterator[tuple[str, OddMeter]]:
    meter = OddMeter()
    with served(stand, meter, framing) as server:
        yield f"127.0.0.1:{server.port}", meter


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """The JSON that a command answers."""

    def tell(*arguments: str, status: int = 0) -> Any:
        capsys.readouterr()
        assert main([*arguments, "--json"]) == status
        return json.loads(capsys.readouterr().out)

    return tell


def test_an_unknown_meter_becomes_a_profile_with_which_a_hub_reads_it(
    stand: Stand, told: Callable[..., Any], site: Any
) -> None:
    with odd(stand) as (target, meter):
        line = told("probe", "line", target, "--units", "16-18", "--timeout", "250")
        assert (line["found"]["framer"], line["found"]["address"]) == ("rtu", str(UNIT))
        on = ("--framer", "rtu", "--timeout", "250")
        scan = told("probe", "scan", target, *on, "--units", "10-20", "--no-fit")
        assert [device["address"] for device in scan["devices"]] == [str(UNIT)]
        read = told(
            *("probe", "read", target, *on, "--unit", str(UNIT), "--first", "0x0440", "--count", "40"),
            *("--reads", "4", "--every", "0.3"),
        )
        picks = [pick for one in read["decodings"] for pick in likely(one)]
        assert [pick.partition("=")[0] for pick in picks] == ["voltage"] * 3 + ["frequency", "energy"]
        assert [text["text"] for text in read["texts"]] == ["ODD-METER 7"]
        names = {"voltage": ["VoltageL1", "VoltageL2", "VoltageL3"], "frequency": ["Frequency"]}
        names["energy"] = ["ActiveEnergyImport"]
        points = [f"{names[kind].pop(0)}={place}" for kind, _, place in (pick.partition("=") for pick in picks)]
        plant = write_plant(site, target)
        written = told(
            *("probe", "profile", "odd/meter-7", "--plant", str(plant), "--vendor", "Odd", "--model", "Meter 7"),
            *(word for point in points for word in ("--point", point + (":Wh" if "Energy" in point else ""))),
        )
        assert Path(written["file"]) == plant / "profiles" / "odd" / "meter-7.yaml"
        assert told("check", str(plant))["points"] > 0
        values = asyncio.run(values_of(plant))
        assert meter.writes == 0
    for path, volts in zip(("VoltageL1", "VoltageL2", "VoltageL3"), VOLTAGES, strict=True):
        assert values[path] == pytest.approx(volts, abs=0.1)
    assert values["Frequency"] == pytest.approx(HERTZ)
    assert ENERGY_WH < round(values["ActiveEnergyImport"] * 1000) <= meter.energy_wh


def likely(one: dict[str, Any]) -> Iterator[str]:
    """What is marked, as a person picks it: what=address:type:order:scale."""
    best = one["meanings"][0] if one["meanings"] else None
    if best is not None and best["likely"]:
        yield f"{best['what']}={one['at']}:{one['type']}:{one['order']}:{best['scale']:g}"


def write_plant(site: Any, target: str) -> Path:
    folder: Path = site.folder
    host, _, port = target.rpartition(":")
    (folder / "plant.yaml").write_text(
        f"""\
name: Site
hierarchy: [{{id: f1, kind: feeder}}]
channels: {{c1: {{driver: modbus, options: {{host: {host}, port: {port}, framer: rtu, timeout_ms: 5000}}}}}}
metering_units:
  - {{id: m1, parent: f1, profile: odd/meter-7, channel: c1, address: "{UNIT}"}}
"""
    )
    (folder / "hub.toml").write_text(
        f"""\
plant = "."
data_dir = "{folder / "data"}"
[opcua]
host = "127.0.0.1"
port = {site.port}
allow_none_security = true
allow_anonymous = true
[history]
enabled = false
[polling.periods]
fast = 0.2
normal = 0.2
slow = 0.2
"""
    )
    return folder


async def values_of(plant: Path, trace: Path | None = None) -> dict[str, float]:
    """What a hub has read of the plant's only unit once it has read everything."""
    lines = Lines(SystemClock(), Trace(trace)) if trace is not None else None
    hub = Hub(draw(settings_at(plant)), lines=lines)
    stop = asyncio.Event()
    template = hub.plant.units[0].template
    measured = template.quantities[: template.measured]
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(hub.run(stop))
        async with asyncio.timeout(PATIENCE_S):
            while hub.engine.readings_applied < 4:  # noqa: ASYNC110  # nothing tells that a reading was applied
                await asyncio.sleep(0.02)
        stop.set()
        await running
    return {quantity.path: float(hub.live.value[offset]) for offset, quantity in enumerate(measured)}


def test_a_recorded_bus_played_back_reads_the_same(stand: Stand, capsys: pytest.CaptureFixture[str], site: Any) -> None:
    with odd(stand) as (target, _):
        plant = write_plant(site, target)
        picks = [f"Voltage{phase}=0x{FIRST + 2 * at:04X}:float32:CDAB:V" for at, phase in enumerate(("L1", "L2", "L3"))]
        points = [word for pick in picks for word in ("--point", pick)]
        assert main(["probe", "profile", "odd/meter-7", "--plant", str(plant), *points]) == 0
        first = asyncio.run(values_of(plant, site.folder / "trace"))
    recording = site.folder / "trace" / "c1.trace.jsonl"
    capsys.readouterr()
    assert main(["trace", str(recording)]) == 0
    shown = capsys.readouterr()
    assert "read holding registers" in shown.out
    assert "0 with something wrong" in shown.err
    player = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "server.cli",
            "simulate",
            "--replay",
            str(recording),
            "--port",
            target.rpartition(":")[2],
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert player.stdout is not None
    try:
        assert "replay ready" in player.stdout.readline()
        second = asyncio.run(values_of(plant))
    finally:
        player.send_signal(signal.SIGINT)
        assert "0 were not recorded" in player.stdout.read()
        player.stdout.close()
        assert player.wait(PATIENCE_S) == 0
    for path in ("VoltageL1", "VoltageL2", "VoltageL3"):
        assert second[path] == pytest.approx(first[path], abs=0.1)
    assert first["VoltageL1"] == pytest.approx(VOLTAGES[0], abs=0.1)


def test_ctrl_c_ends_a_scan_and_what_was_found_is_told(stand: Stand) -> None:
    meter = OddMeter()
    with served(stand, meter, Framing.RTU) as server:
        target, units = f"127.0.0.1:{server.port}", "17,1-200"
        command = ["probe", "scan", target, "--framer", "rtu", "--units", units, "--timeout", "1000", "--no-fit"]
        scan = subprocess.Popen(
            [sys.executable, "-m", "server.cli", *command, "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert scan.stderr is not None
        assert "questions, at most" in scan.stderr.readline()
        deadline = time.monotonic() + PATIENCE_S
        while server.requests <= meter.fault_state.requests + 1:  # others are asked as well by now
            assert scan.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        scan.send_signal(signal.SIGINT)
        out, err = scan.communicate(timeout=PATIENCE_S)
    assert scan.returncode == 130
    assert "Traceback" not in err
    assert json.loads(out)["complete"] is False
    assert [device["address"] for device in json.loads(out)["devices"]] == ["17"]


def test_a_line_that_does_not_open_is_told_with_its_cause(told: Callable[..., Any]) -> None:
    answer = told("probe", "line", "127.0.0.1:1", status=1)
    assert (answer["connected"], answer["trouble"]) == (False, "refused")
    assert answer["hint"]


def test_a_dlt645_meter_is_scanned_and_walked(
    stand: Stand, told: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    bus = SimulatedBus(SystemClock())
    bus.attach(DLT645, Dlt645Station(Installation("m"), METER))
    port = TcpPort(bus)
    stand.do(port.start())
    target = f"127.0.0.1:{port.port}"
    found = told(
        "probe", "scan", target, "--protocol", "dlt645", "--edition", "2007", "--one-meter", "--timeout", "100"
    )
    (device,) = found["devices"]
    assert (device["address"], device["edition"]) == (METER, "2007")
    assert device["profiles"][0]["score"] == 1
    assert main(["probe", "read", target, "--protocol", "dlt645", "--meter", METER, "--timeout", "100"]) == 0
    shown = capsys.readouterr().out
    assert "voltage_block" in shown
    assert "refused (no_such_data): " in shown
    stand.do(port.stop())


def test_registers_are_shown_side_by_side(stand: Stand, capsys: pytest.CaptureFixture[str]) -> None:
    with odd(stand, Framing.TCP) as (target, _):
        command = ["probe", "read", target, "--unit", str(UNIT), "--first", hex(FIRST), "--count", "9"]
        assert main([*command, "--reads", "2", "--every", "0.2", "--timeout", "200"]) == 0
    shown = capsys.readouterr().out
    assert "float32 CDAB" in shown
    assert "★ voltage" in shown
    assert "★ frequency 49.98 Hz (uint16 × 0.01)" in shown


def test_a_profile_is_never_overwritten_unless_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["probe", "profile", "acme/pm-1", "--plant", str(tmp_path), "--point", "VoltageL1=0:uint16:0.1"]
    assert main(command) == 0
    file = tmp_path / "profiles" / "acme" / "pm-1.yaml"
    file.write_text("mine\n")
    assert main(command) == 1
    assert file.read_text() == "mine\n"
    assert "--force" in capsys.readouterr().err
    assert main([*command, "--force"]) == 0
    assert "VoltageL1" in file.read_text()
    assert [each.name for each in file.parent.iterdir()] == ["pm-1.yaml"]


def test_a_profile_that_the_hub_would_refuse_is_not_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overlapping = ["--point", "VoltageL1=0:float32:V", "--point", "VoltageL2=1:float32:V"]
    assert main(["probe", "profile", "acme/pm-1", "--plant", str(tmp_path), *overlapping]) == 1
    assert not (tmp_path / "profiles").exists()
    assert capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["probe"],
        ["probe", "scan", "x", "--units", "0-300"],
        ["probe", "scan", "x", "--units", "ten"],
        ["probe", "read", "x", "--first", "0x10000"],
        ["probe", "read", "x", "--max-words", "126"],
        ["simulate", "--replay", "f", "--port", "1", "--pty", "p"],
    ],
)
def test_a_wrong_probe_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: joulehub" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["probe", "scan", "http://x/y"], "is no line"),
        (["probe", "line", "/dev/ttyX", "--meter", "abc"], "no meter's number"),
        (["probe", "read", "127.0.0.1:1", "--protocol", "dlt645"], "--meter"),
        (["simulate"], "a plant or --replay"),
        (["simulate", "site", "--port", "1"], "go with --replay"),
        (["run", "--config", "nowhere", "--trace-channel", "c1"], "nowhere"),
        (["trace", "nowhere.jsonl"], "nowhere.jsonl"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    assert said in capsys.readouterr().err


def test_ranges_of_meters_keep_their_digits() -> None:
    assert meters_of(["0009-0011", "7"]) == ["0009", "0010", "0011", "7"]
