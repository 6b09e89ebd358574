"""Switching supply: the bytes of control code 1C, whose clock decides, and what is seen of it afterwards."""

from __future__ import annotations

from datetime import datetime

import pytest

from address_space.model.state import SwitchState
from drivers.api import WriteRequest
from drivers.dlt645 import plugin
from drivers.dlt645.frame import Frame, encode
from drivers.dlt645.layout import DEFAULT_RELAY, Relay
from drivers.dlt645.orders import Given
from drivers.dlt645.relay import ACTIONS, Credentials, Supply, Switch, commanded, looked, payload, switch_state
from drivers.errors import ProfileError
from drivers.profiles import COMMANDS
from tests.drivers.profile_text import profile_of

METER = """\
dlt645: {version: 2007}
points:
  Switch.State: {di: 0x04000503, bits: [4, 6], map: {0: 2, 1: 3, 2: 2, 3: 1}}
  Switch.Commanded: {di: 0x04000503, bit: 6, map: {0: 2, 1: 1}}
  CurrentL1: {di: 0x02020100}
commands:
  open_supply:
    steps: [{write: {relay: trip}}, {read_back: {relay: open}}, {effect: CurrentL1 < 0.05}]
  close_supply: {steps: [{write: {relay: close}}, {read_back: {relay: closed}}]}
"""
FACTORY = Credentials(2, "000000", "00000000")
TEN = datetime(2026, 11, 22, 10)  # noqa: DTZ001 - as a meter's clock shows it
TRIP = "68129078563412681C1035333333333333334D333333435544596716"
OPEN_AND_TOLD, TOLD_CLOSE, CLOSED, TOLD_OPEN = b"\x50\0", b"\x10\0", b"\0\0", b"\x40\0"


def test_a_trip_is_the_frame_of_the_standard():
    data = payload(DEFAULT_RELAY, ACTIONS["trip"], FACTORY, TEN)
    assert encode(Frame("123456789012", 0x1C, data), preamble=0).hex().upper() == TRIP


def test_a_direct_close_differs_in_one_byte_and_the_checksum():
    data = payload(DEFAULT_RELAY, ACTIONS["close"], FACTORY, TEN)
    assert encode(Frame("123456789012", 0x1C, data), preamble=0)[-10:-9] == b"\x4f"
    assert encode(Frame("123456789012", 0x1C, data), preamble=0)[-2] == 0x69


def test_password_and_operator_go_low_byte_first():
    data = payload(DEFAULT_RELAY, 0x1A, Credentials(4, "123456", "11223344"), TEN)
    assert data[:8].hex() == "0456341244332211"


def test_a_vendor_may_have_fixed_bytes_and_no_time():
    relay = Relay(("02", "00", "00", "00", "00", "00", "00", "00", "action"), 900.0, by_meter=True)
    assert payload(relay, 0x1A, FACTORY, None).hex() == "02000000000000001a"


def test_credentials_are_not_shown():
    assert "123456" not in repr(Credentials(2, "123456", "87654321"))
    assert "123456" not in repr(WriteRequest(Switch("trip"), Given(None, "123456", "87654321")))
    assert "123456" not in repr(Given(None, "123456", "87654321"))


@pytest.mark.parametrize(
    ("word", "state", "told"),
    [
        (0x0000, SwitchState.CLOSED, SwitchState.CLOSED),
        (0x0010, SwitchState.READY_TO_CLOSE, SwitchState.CLOSED),
        (0x0050, SwitchState.OPEN, SwitchState.OPEN),
        (0x0040, SwitchState.CLOSED, SwitchState.OPEN),
    ],
)
def test_relay_and_command_are_told_apart(word, state, told):
    assert (switch_state(word), commanded(word)) == (state, told)


@pytest.mark.parametrize(
    ("look", "word", "reached", "moving"),
    [
        ("open", 0x50, True, False),
        ("open", 0x40, False, True),
        ("open", 0x00, False, False),
        ("closed", 0x00, True, False),
        ("closed", 0x10, False, True),
        ("closed", 0x50, False, False),
        ("ready_to_close", 0x10, True, False),
        ("ready_to_close", 0x00, True, False),
        ("ready_to_close", 0x50, False, False),
        ("keep_power", 0x1000, True, False),
        ("no_keep_power", 0x1000, False, False),
    ],
)
def test_a_look_says_reached_moving_or_neither(look, word, reached, moving):
    seen = looked(look, word)
    assert (seen.reached, seen.moving) == (reached, moving)
    assert seen.state


def test_every_operation_of_a_profile_has_its_code():
    assert sorted(ACTIONS.values()) == [0x1A, 0x1B, 0x1C, 0x2A, 0x2B, 0x3A, 0x3B]


def test_clearing_the_meters_registers_has_no_word():
    assert 0x1A not in {ACTIONS[name] for name in ACTIONS if name != "trip"}
    assert "clear_energy" in COMMANDS
    with pytest.raises(ProfileError, match="clear"):
        plugin.compile(_profile("commands: {clear_energy: {steps: [{write: {clear: energy}}]}}\n"))


async def test_the_meters_own_clock_decides_how_long_a_command_is_valid(bench, compiled, device_of):
    bench.meter.holds = {0x04000101: bytes.fromhex("05010121"), 0x04000102: bytes.fromhex("305923")}
    outcome = await bench.driver.write(device_of(compiled(METER)), WriteRequest(Switch("trip"), Given()))
    assert outcome.acknowledged is True
    sent = bench.meter.asked[-1]
    assert (sent.control, sent.data.hex()) == (0x1C, "02000000" + "00000000" + "1a00" + "301400020121")


async def test_the_hubs_clock_decides_where_the_profile_says_so(bench, compiled, device_of):
    text = METER.replace("{version: 2007}", "{version: 2007, relay: {clock: hub, valid_minutes: 30}}")
    await bench.driver.write(device_of(compiled(text)), WriteRequest(Switch("close"), Given()))
    assert [frame.control for frame in bench.meter.asked] == [0x1C]
    assert bench.meter.asked[0].data[-6:].hex() == "003016221126"


async def test_without_a_readable_clock_nothing_is_sent(bench, compiled, device_of):
    bench.meter.mute = True
    with pytest.raises(ProfileError, match="not sent, the meter's clock cannot be read"):
        await bench.driver.write(device_of(compiled(METER)), WriteRequest(Switch("trip"), Given()))
    assert {frame.control for frame in bench.meter.asked} == {0x11}


async def test_a_refused_command_is_no_silence(bench, compiled, device_of):
    text = METER.replace("{version: 2007}", "{version: 2007, relay: {clock: hub}}")
    device = device_of(compiled(text))
    bench.meter.writes = 0x04
    refused = await bench.driver.write(device, WriteRequest(Switch("trip"), Given()))
    assert refused.acknowledged is False
    assert "wrong password" in refused.detail
    bench.meter.mute = True
    silent = await bench.driver.write(device, WriteRequest(Switch("trip"), Given()))
    assert silent.acknowledged is None
    assert len(bench.meter.asked) == 2


async def test_a_wildcard_is_never_switched(bench, compiled, device_of):
    with pytest.raises(ProfileError, match="by its own number"):
        await bench.driver.write(device_of(compiled(METER), "AAAAAAAAAAAA"), WriteRequest(Switch("trip"), Given()))
    assert bench.meter.asked == []


async def test_the_relay_is_looked_at_in_status_word_3(bench, compiled, device_of):
    device = device_of(compiled(METER))
    bench.meter.holds = {0x04000503: OPEN_AND_TOLD}
    seen = await bench.driver.confirm(device, Supply("open"))
    assert (seen.reached, seen.state) == (True, "relay open, told to open")


@pytest.mark.parametrize(
    ("word", "values"), [(CLOSED, [2, 2]), (TOLD_CLOSE, [3, 2]), (OPEN_AND_TOLD, [1, 1]), (TOLD_OPEN, [2, 1])]
)
async def test_points_show_relay_state_and_command_separately(bench, compiled, word, values):
    bench.meter.holds = {0x04000503: word, 0x02020100: b"\0\0\0"}
    reading = await bench.read(compiled(METER))
    assert reading.values.tolist() == [*values, 0.0]


def test_a_command_becomes_steps_that_are_seen_to_work(compiled):
    actions = plugin.command(compiled(METER), "open_supply", {})
    assert [bool(action.write) for action in actions] == [True, False, False]
    assert actions[0].write.key == Switch("trip")
    assert actions[1].confirm == Supply("open")
    assert actions[1].after_s[0] >= 1.0


async def test_an_effect_is_measured(bench, compiled, device_of):
    profile = compiled(METER)
    effect = plugin.command(profile, "open_supply", {})[2].confirm
    bench.meter.holds = {0x02020100: bytes.fromhex("400000")}
    assert (await bench.driver.confirm(device_of(profile), effect)).reached
    bench.meter.holds = {0x02020100: bytes.fromhex("004000")}
    assert not (await bench.driver.confirm(device_of(profile), effect)).reached


async def test_a_password_of_the_meter_wins_over_that_of_the_level(
    open_bench, compiled, device_of, monkeypatch, tmp_path
):
    monkeypatch.setenv("LEVEL_2", "111111")
    secret = tmp_path / "meter"
    secret.write_text("654321\n", encoding="utf-8")
    given = {"passwords": {2: "env:LEVEL_2", "123456789012": f"file:{secret}"}, "operator": "env:LEVEL_2"}
    text = METER.replace("{version: 2007}", "{version: 2007, relay: {clock: hub}}")
    async with open_bench(**given) as bench:
        monkeypatch.setenv("LEVEL_2", "11111111")
        await bench.driver.write(device_of(compiled(text)), WriteRequest(Switch("trip"), Given()))
        assert bench.meter.asked[0].data[:8].hex() == "02214365" + "11111111"
        await bench.driver.write(
            device_of(compiled(text)), WriteRequest(Switch("trip"), Given(None, "999999", "1" * 8))
        )
        assert bench.meter.asked[1].data[:4].hex() == "02999999"


async def test_a_missing_secret_is_told_before_anything_is_sent_and_not_shown(open_bench, compiled, device_of):
    text = METER.replace("{version: 2007}", "{version: 2007, relay: {clock: hub}}")
    async with open_bench(passwords={"2": "env:NOT_SET_ANYWHERE"}) as bench:
        with pytest.raises(ProfileError, match="cannot be read"):
            await bench.driver.write(device_of(compiled(text)), WriteRequest(Switch("trip"), Given()))
        with pytest.raises(ProfileError, match="must be 6 digits") as caught:
            await bench.driver.write(device_of(compiled(text)), WriteRequest(Switch("trip"), Given(None, "12345")))
        assert "12345" not in str(caught.value)
        assert bench.meter.asked == []


def _profile(text):
    return profile_of("dlt645", "points: {Frequency: {di: 0x02800002}}\n" + text)
