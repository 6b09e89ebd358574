"""What the DL/T 645 driver tells the hub of itself: addresses, lines, options, secrets, commands."""

from __future__ import annotations

import pytest
from pydantic import SecretStr, ValidationError

from address_space.model.clock import ManualClock
from address_space.model.state import Protocol
from drivers.api import Counting, Paced
from drivers.dlt645 import Dlt645Plugin, Options, plugin
from drivers.dlt645.options import operator_of, password_of
from drivers.errors import ProfileError
from drivers.registry import load_drivers
from drivers.transport import Lines, Parity

METER = "points: {Frequency: {di: 0x02800002}}\n"
SERIAL = {"transport": "serial", "device": "/dev/ttyUSB0"}
TCP = {"host": "10.0.0.5", "port": 4001}


def test_it_is_installed():
    assert isinstance(load_drivers()["dlt645"], Dlt645Plugin)
    assert isinstance(plugin, Counting)
    assert isinstance(plugin, Paced)


@pytest.mark.parametrize("address", ["123456789012", "161", "000000000161", "AAAAAAAAAAAA", "aaaaaaaaaaaa", "0"])
def test_an_address_is_a_meters_number(compiled, address):
    assert plugin.check_address(address, compiled(METER)) == ""


@pytest.mark.parametrize(
    "address", ["", "1234567890123", "12A4", "999999999999", "AAAAAA123456", "１２３", "12 34", "-1"]
)
def test_what_is_no_number_of_one_meter_is_refused(compiled, address):
    assert plugin.check_address(address, compiled(METER))


def test_clients_are_told_the_edition(compiled):
    options = Options.model_validate(TCP)
    assert plugin.protocol(options, compiled(METER)) is Protocol.DLT645_2007
    old = compiled("dlt645: {version: 1997}\npoints: {VoltageL1: {di: 0xB611}}\n")
    assert plugin.protocol(options, old) is Protocol.DLT645_1997


def test_lines_are_even_and_patience_depends_on_the_way():
    serial, network = Options.model_validate(SERIAL), Options.model_validate(TCP)
    assert (serial.parity, serial.baud, serial.timeout_ms) == (Parity.EVEN, 9600, 1500)
    assert network.timeout_ms == 4000
    assert Options.model_validate({**TCP, "timeout_ms": 700}).timeout_ms == 700
    assert plugin.line(serial).quiet_s == 0.5


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"passwords": {"2": "000000"}}, "env:NAME or file:PATH"),
        ({"operator": "12345678"}, "env:NAME or file:PATH"),
        ({"passwords": {"boss": "env:X"}}, "neither a level"),
        ({"time_zone": "Tashkent"}, "unknown time zone"),
        ({"speed": 9600}, "extra"),
    ],
)
def test_a_wrong_option_is_told(options, expected):
    with pytest.raises(ValidationError) as caught:
        Options.model_validate({**TCP, **options})
    assert expected in str(caught.value).replace("Extra", "extra")


def test_secrets_are_found_where_the_options_point_and_never_shown(monkeypatch, tmp_path):
    monkeypatch.setenv("LEVEL", "121212")
    (tmp_path / "own").write_text("343434\n", encoding="utf-8")
    (tmp_path / "bad").write_text("secret!", encoding="utf-8")
    own, bad = f"file:{tmp_path / 'own'}", f"file:{tmp_path / 'bad'}"
    given = {"passwords": {"02": "env:LEVEL", "123456789012": own, "4": bad}, "operator": bad}
    options = Options.model_validate({**TCP, **given})
    assert password_of(options, "000000000001", 2) == "121212"
    assert password_of(options, "123456789012", 2) == "343434"
    assert password_of(options, "000000000001", 3) == "000000"
    for ask in (lambda: password_of(options, "000000000001", 4), lambda: operator_of(options)):
        with pytest.raises(ProfileError) as caught:
            ask()
        assert "secret!" not in str(caught.value)
    assert "121212" not in repr(options)


def test_commands_are_the_profiles_own(compiled):
    profile = compiled(METER + "commands: {freeze: {steps: [{write: {freeze: now}, answer_proves: true}]}}\n")
    (action,) = plugin.command(profile, "freeze", {})
    assert action.write.key.moment.hex() == "99999999"
    assert action.answer_proves
    with pytest.raises(ProfileError, match="its commands: freeze"):
        plugin.command(profile, "open_supply", {})


@pytest.mark.parametrize(("said", "sent"), [("**0000", "00009999"), ("*010000", "00000199"), ("11220000", "00002211")])
def test_a_freeze_is_written_from_month_to_minute(compiled, said, sent):
    profile = compiled(METER + f"commands: {{freeze: {{steps: [{{write: {{freeze: '{said}'}}}}]}}}}\n")
    assert plugin.command(profile, "freeze", {})[0].write.key.moment.hex() == sent


def test_an_argument_is_written_in_the_identifiers_format(compiled):
    text = METER + "commands: {other_limit: {steps: [{write: {di: 0x04001003, argument: amount}}]}}\n"
    profile = compiled(text)
    (action,) = plugin.command(profile, "other_limit", {"amount": 12.5, "password": SecretStr("654321")})
    assert action.write.value.value == 12.5
    assert action.write.value.password == "654321"  # noqa: S105
    assert "654321" not in repr(action)
    with pytest.raises(ProfileError, match="cannot be written"):
        plugin.command(profile, "other_limit", {"amount": -1})
    with pytest.raises(ProfileError, match="needs amount"):
        plugin.command(profile, "other_limit", {})


@pytest.mark.parametrize("ciphertext", ["", "xyz", "00" * 201])
def test_ciphertext_must_fit_a_frame(compiled, ciphertext):
    text = METER + "commands: {other_send: {steps: [{write: {transport: 0x070102FF, argument: ciphertext}}]}}\n"
    with pytest.raises(ProfileError, match="ciphertext"):
        plugin.command(compiled(text), "other_send", {"ciphertext": ciphertext})


@pytest.mark.parametrize("di", ["0001", "0001000G", "", "000100000"])
def test_a_raw_read_takes_identifiers_only(compiled, di):
    profile = compiled(METER + "commands: {other_read: {steps: [{read_back: {argument: di}}]}}\n")
    with pytest.raises(ProfileError, match="no data identifier"):
        plugin.command(profile, "other_read", {"di": di})


def test_the_pace_of_meters_counts_the_gap(compiled):
    assert plugin.pace(Options.model_validate(TCP), compiled(METER)).gap_s == 0.05
    assert plugin.pace(Options.model_validate({**TCP, "gap_ms": 200}), compiled(METER)).gap_s == 0.2


def test_a_driver_is_made_closed():
    driver = plugin.create("bus", Options.model_validate(TCP), Lines(ManualClock()))
    assert not driver.connected
