"""What is simulated at the other end of each kind of channel, from its options alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from drivers.simulators import BusEndpoint, Datagrams, Endpoint, Framing, Gateway, Modem, Terminal
from drivers.transport import Parity, SerialSettings
from server.errors import SimulationMistake
from server.simulation import serial_ports, with_ports_in

METERS = {
    "modbus": ("eastron/sdm120", "17"),
    "dlt645": ("generic/dlt645-2007-single-phase", "200100000001"),
    "cjt188": ("generic/cjt188-cold-water-valve", "10000000000001"),
    "mixed": ("generic/dlt645-2007-single-phase", "200100000001"),
}
MODEM = "transport: dial_in, listen_host: 127.0.0.1, listen_port: 15999, modem: "


def ends(site: Any, *channels: tuple[str, str], simulation: str = "") -> list[Endpoint | BusEndpoint]:
    """Where the meters of a plant with these channels (driver, options) are plugged in, in order."""
    lines = ["name: Site", "hierarchy: [{id: f1, kind: feeder, name: Feeder}]", "channels:"]
    units = []
    for number, (driver, options) in enumerate(channels):
        lines.append(f"  c{number}: {{driver: {driver}, options: {{{options}}}}}")
        profile, address = METERS[driver]
        address = str(int(address) + number)
        units.append(f'  - {{id: m{number}, parent: f1, profile: {profile}, channel: c{number}, address: "{address}"}}')
    text = "\n".join([*lines, "metering_units:", *units, simulation, ""])
    site.write({})
    (site.folder / "plant.yaml").write_text(text)
    fleet = site.fleet()
    return [fleet.meter(f"m{number}").described.endpoint for number in range(len(channels))]


def end(site: Any, driver: str, options: str, simulation: str = "") -> Endpoint | BusEndpoint:
    return ends(site, (driver, options), simulation=simulation)[0]


@pytest.mark.parametrize(
    ("driver", "options", "framing"),
    [
        ("modbus", "host: 127.0.0.1, port: 15998", Framing.TCP),
        ("modbus", "host: 127.0.0.1, port: 15998, framer: rtu", Framing.RTU),
        ("modbus", "host: 127.0.0.1, port: 15998, framer: ascii", Framing.ASCII),
    ],
)
def test_modbus_behind_a_port_is_a_server(site: Any, driver: str, options: str, framing: Framing) -> None:
    assert end(site, driver, options) == Endpoint("127.0.0.1", 15998, framing, "c0")


def test_other_protocols_behind_a_port_are_a_bus_at_its_speed(site: Any) -> None:
    made = end(site, "cjt188", "host: 127.0.0.1, port: 15998, echo: true")
    assert isinstance(made, BusEndpoint)
    assert (made.at, made.echo) == (Gateway("127.0.0.1", 15998), True)
    assert made.settings == SerialSettings(2400, Parity.EVEN)


def test_a_serial_port_is_made_where_the_hub_looks(site: Any) -> None:
    made = end(site, "modbus", "transport: serial, device: var/ports/bus1, baud: 19200")
    assert isinstance(made, BusEndpoint)
    assert (made.at, made.framing, made.settings) == (
        Terminal(Path("var/ports/bus1")),
        Framing.RTU,
        SerialSettings(19200),
    )
    with pytest.raises(SimulationMistake, match="rfc2217"):
        end(site, "modbus", '{transport: serial, device: "rfc2217://127.0.0.1:1"}'[1:-1])


def test_datagrams_carry_serial_frames_or_modbus_tcp(site: Any) -> None:
    serial, plain = ends(
        site,
        ("dlt645", "transport: udp, host: 127.0.0.1, port: 15997"),
        ("modbus", "transport: udp, host: 127.0.0.1, port: 15998"),
    )
    assert isinstance(serial, BusEndpoint)
    assert isinstance(plain, BusEndpoint)
    assert (serial.at, plain.at) == (Datagrams("127.0.0.1", 15997), Datagrams("127.0.0.1", 15998))
    assert (plain.framing, plain.settings) == (Framing.TCP, None)


@pytest.mark.parametrize(
    ("options", "registration", "heartbeat"),
    [
        ('"13800138000"', b"13800138000", b""),
        ("'99890100200', registration: 'REG:(?P<id>[0-9]{11})\\r\\n'", b"REG:99890100200\r\n", b""),
        ("'AB-12', registration: '^\\x02(?P<id>(?:[0-9A-Z]|-){5})\\x03$'", b"\x02AB-12\x03", b""),
        (
            "'01 02 03 04', registration: '68(?P<id>[0-9A-F]{8})16', registration_format: hex, heartbeat: 'FE00'",
            bytes.fromhex("68 01020304 16"),
            b"\xfe\x00",
        ),
        ("'device7', registration: '(?P<id>device[0-9])', heartbeat: '@PING@'", b"device7", b"@PING@"),
    ],
)
def test_what_a_modem_says_follows_from_what_the_hub_looks_for(
    site: Any, options: str, registration: bytes, heartbeat: bytes
) -> None:
    made = end(site, "dlt645", MODEM + options)
    assert isinstance(made, BusEndpoint)
    assert isinstance(made.at, Modem)
    assert (made.at.host, made.at.port) == ("127.0.0.1", 15999)
    assert (made.at.registration, made.at.heartbeat) == (registration, heartbeat)


def test_where_it_does_not_follow_the_plant_must_say_it(site: Any) -> None:
    options = MODEM + "'device7', registration: 'V[0-9]+,(?P<id>\\w+);', heartbeat: '@[0-9]'"
    with pytest.raises(SimulationMistake, match="would register with") as caught:
        end(site, "dlt645", options)
    assert caught.value.where == "plant.yaml: simulation.modems.c0"
    told = 'simulation: {modems: {c0: {registration: "V2,device7;"}}}'
    with pytest.raises(SimulationMistake, match="as a heartbeat"):
        end(site, "dlt645", options, told)
    told = 'simulation: {modems: {c0: {registration: "V2,device7;", heartbeat: "@7", heartbeat_s: 5, redial_s: 1}}}'
    made = end(site, "dlt645", options, told)
    assert isinstance(made, BusEndpoint)
    assert made.at == Modem("127.0.0.1", 15999, b"V2,device7;", b"@7", 5.0, 1.0)
    with pytest.raises(SimulationMistake, match="would register with"):
        end(site, "dlt645", options, 'simulation: {modems: {c0: {registration: "V2,device8;"}}}')
    with pytest.raises(SimulationMistake, match="no modem"):
        end(site, "dlt645", options, "simulation: {modems: {c0: {registrations: x}}}")


def test_a_hub_that_listens_everywhere_is_called_on_this_machine(site: Any) -> None:
    made = end(site, "dlt645", "transport: dial_in, listen_port: 15999, modem: '1234'")
    assert isinstance(made, BusEndpoint)
    assert isinstance(made.at, Modem)
    assert made.at.host == "127.0.0.1"


def test_a_bus_with_protocols_of_different_speeds_takes_no_time(site: Any) -> None:
    options = "host: 127.0.0.1, port: 15998, baud: 4800, parity: even"
    made = end(site, "mixed", options)
    assert isinstance(made, BusEndpoint)
    assert made.settings == SerialSettings(4800, Parity.EVEN)
    own = end(site, "mixed", options + ", protocols: {dlt645: {baud: 2400}}")
    assert isinstance(own, BusEndpoint)
    assert own.settings == SerialSettings(2400, Parity.EVEN)


@pytest.mark.parametrize(
    ("driver", "fault", "said"),
    [
        ("modbus", "noise_before", "fault of serial lines"),
        ("modbus", "relay_sticks", "no relay"),
        ("dlt645", "valve_sticks", "no valve"),
        ("cjt188", "rollover", "Modbus meters only"),
    ],
)
def test_a_fault_that_a_meter_cannot_show_is_a_mistake(site: Any, driver: str, fault: str, said: str) -> None:
    faults = f"simulation: {{faults: [{{meter: m0, fault: {fault}}}]}}"
    with pytest.raises(SimulationMistake, match=said) as caught:
        end(site, driver, "host: 127.0.0.1, port: 15998", faults)
    assert fault in str(caught.value)


def test_serial_ports_in_the_data_folder_move_with_it(site: Any) -> None:
    ends(
        site,
        ("dlt645", "transport: serial, device: var/demo/ports/a"),
        ("modbus", "transport: serial, device: /dev/ttyUSB7"),
    )
    blueprint = site.draw()
    moved = with_ports_in(blueprint, Path("var/demo"), Path("/srv/other"))
    assert serial_ports(blueprint) == (Path("var/demo/ports/a"), Path("/dev/ttyUSB7"))
    assert serial_ports(moved) == (Path("/srv/other/ports/a"), Path("/dev/ttyUSB7"))
