"""Options of lines: what belongs together, and channels that cannot stand side by side."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from address_space.model.clock import SystemClock
from config.errors import ConfigErrors
from config.loader import load_plant
from config.sections import PollingSettings
from drivers.errors import ProfileError
from drivers.profiles import load_library
from drivers.registry import load_drivers
from drivers.transport import LineOptions, Lines, Parity, SerialLink, SerialSettings, TcpLink, UdpLink, clashes
from drivers.transport.options import BELONGS_TO
from server.assembly import assemble

WHERE = {
    "tcp": {"host": "10.0.0.1", "port": 1},
    "udp": {"host": "10.0.0.1", "port": 1},
    "serial": {"device": "/dev/ttyUSB0"},
    "dial_in": {"listen_port": 5000, "modem": "m0001"},
}
VALUES = {
    "rs485": "rts_high",
    "registration_format": "hex",
    "heartbeat_format": "hex",
    "registration": "(?P<id>..)",
    "heartbeat": "AB",
    "registration_reply": "AB",
    "heartbeat_reply": "AB",
    "registration_timeout_s": 5,
    "heartbeat_timeout_s": 5,
}


@pytest.mark.parametrize("key", BELONGS_TO)
@pytest.mark.parametrize("transport", WHERE)
def test_a_key_of_another_transport_is_refused_by_name(key, transport):
    value = VALUES.get(key, WHERE["serial"].get(key, WHERE["dial_in"].get(key, WHERE["tcp"].get(key, 7))))
    told = {"transport": transport, **WHERE[transport], key: str(value) if key == "listen_host" else value}
    if transport in BELONGS_TO[key]:
        assert getattr(LineOptions(**told), key) == told[key]
        return
    with pytest.raises(ValidationError) as failure:
        LineOptions(**told)
    (error,) = failure.value.errors()
    assert error["loc"] == (key,)
    assert error["msg"].endswith(f"this channel's transport is {transport}")


@pytest.mark.parametrize(("transport", "needed"), [("tcp", "host"), ("serial", "device"), ("dial_in", "listen_port")])
def test_what_a_transport_needs_is_asked_for(transport, needed):
    with pytest.raises(ValidationError, match=f"transport {transport} needs {needed}"):
        LineOptions(transport=transport)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"registration": "[0-9]+"}, "needs a group `id`"),
        ({"registration": "(?P<id>"}, "is no regular expression"),
        ({"registration": "№(?P<id>.)"}, "must be ASCII"),
        ({"heartbeat": "x*"}, "matches nothing at all"),
        ({"heartbeat_format": "hex", "heartbeat_reply": "GG"}, "heartbeat_reply is no hexadecimal: 'GG'"),
        ({"registration_reply": "да"}, "registration_reply is no ASCII text"),
    ],
)
def test_packets_that_cannot_be_are_refused(told, said):
    with pytest.raises(ValidationError, match=said):
        LineOptions(transport="dial_in", **WHERE["dial_in"], **told)


@pytest.mark.parametrize(("transport", "kind"), [("tcp", TcpLink), ("udp", UdpLink), ("serial", SerialLink)])
def test_each_transport_has_its_link(transport, kind):
    assert isinstance(Lines(SystemClock()).link("c1", LineOptions(transport=transport, **WHERE[transport])), kind)


def test_two_channels_on_one_serial_port_are_told_apart_from_two_ports():
    one = LineOptions(transport="serial", device="/dev/ttyUSB0")
    two = LineOptions(transport="serial", device="/dev/ttyUSB1")
    (clash,) = clashes({"a": one, "b": two, "c": one})
    assert (clash.channel, clash.other, clash.key) == ("c", "a", "device")
    assert "driver mixed reads several protocols" in clash.hint
    lines = Lines(SystemClock())
    lines.link("a", one)
    with pytest.raises(ProfileError, match="'a' and 'c' use one port, /dev/ttyUSB0"):
        lines.link("c", one)
    lines.link("a", one)


def test_a_character_takes_as_long_as_its_bits():
    assert SerialSettings(2400, Parity.EVEN).character_s == pytest.approx(11 / 2400)
    assert SerialSettings(9600, data_bits=7, stop_bits=2).character_s == pytest.approx(10 / 9600)
    assert str(SerialSettings(2400, Parity.EVEN)) == "2400 8E1"


def test_clashes_in_a_plant_are_shown_where_the_second_channel_says_it(tmp_path):
    (tmp_path / "plant.yaml").write_text(
        "name: P\nhierarchy: [{id: f1, kind: feeder}]\nchannels:\n"
        "  a: {driver: modbus, options: {transport: dial_in, listen_port: 5000, modem: m1}}\n"
        "  b:\n    driver: modbus\n    options:\n      transport: dial_in\n      listen_port: 5000\n      modem: m1\n"
    )
    library, drivers = load_library(), load_drivers()
    plant = load_plant(tmp_path, profiles=library.names, drivers=drivers.keys())
    with pytest.raises(ConfigErrors) as failure:
        assemble(plant, library, drivers, PollingSettings())
    (problem,) = failure.value.problems
    assert str(problem).endswith(
        "plant.yaml:10:7: the channels 'a' and 'b' share the port 5000 and the modem 'm1'; "
        "give each channel the id of its own modem"
    )
