"""Clocks: read, compared, set with a password, corrected by broadcast."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from address_space.model.clock import NS
from drivers.api import WriteRequest
from drivers.dlt645 import clock, plugin
from drivers.dlt645.clock import ClockWithin, SetClock
from drivers.dlt645.formats import DATE, TIME
from drivers.dlt645.orders import Given
from drivers.errors import BadFrame, ProfileError

TASHKENT = ZoneInfo("Asia/Tashkent")
NOON_NS = 1_795_345_200 * NS
METER = "dlt645: {version: 2007}\npoints: {Frequency: {di: 0x02800002}}\n"
OLD = "dlt645: {version: 1997}\npoints: {ActiveEnergyImport: {di: 0x9010}}\n"
AT_16 = {0x04000101: bytes.fromhex("00221126"), 0x04000102: bytes.fromhex("000016")}


@given(st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)))  # noqa: DTZ001
def test_a_moment_written_is_the_moment_read(moment):
    moment = moment.replace(microsecond=0)
    assert clock.joined(DATE.encode(moment), TIME.encode(moment), "meter") == moment


@given(st.binary(max_size=6), st.binary(max_size=6))
def test_any_bytes_are_a_moment_or_a_bad_frame(date, time):
    with contextlib.suppress(BadFrame):
        assert isinstance(clock.joined(date, time, "meter"), datetime)


def test_local_time_is_that_of_the_channels_zone():
    local = clock.local_time(NOON_NS, TASHKENT)
    assert local.isoformat() == "2026-11-22T16:00:00"
    assert clock.instant_ns(local, TASHKENT) == NOON_NS


@pytest.mark.parametrize(
    "time",
    [
        NOON_NS,
        datetime(2026, 11, 22, 11, tzinfo=UTC),
        "2026-11-22T11:00:00Z",
        "2026-11-22T16:00:00+05:00",
        None,
        "now",
        "2026-11-22T16:00:00",
    ],
)
def test_a_time_may_be_given_in_several_ways(time):
    assert clock.given_ns(time, NOON_NS, TASHKENT) == NOON_NS


@pytest.mark.parametrize("time", ["soon", 5, 2.5, "16:00"])
def test_what_is_no_time_is_told(time):
    with pytest.raises(ProfileError, match="is no time"):
        clock.given_ns(time, NOON_NS, TASHKENT)


async def test_setting_writes_date_and_then_time_with_the_password(bench, compiled, device_of):
    outcome = await bench.driver.write(device_of(compiled(METER)), WriteRequest(SetClock(), Given(NOON_NS)))
    assert outcome.acknowledged is True
    date, time = bench.meter.asked
    assert (date.control, date.data.hex()) == (0x14, "01010004" + "0200000000000000" + "00221126")
    assert (time.control, time.data[:-3].hex()) == (0x14, "02010004" + "0200000000000000")
    assert time.data[-2:].hex() == "0016"


async def test_setting_stops_where_the_date_is_refused(bench, compiled, device_of):
    bench.meter.writes = 0x04
    outcome = await bench.driver.write(device_of(compiled(METER)), WriteRequest(SetClock(), Given(NOON_NS)))
    assert outcome.acknowledged is False
    assert len(bench.meter.asked) == 1


async def test_the_edition_of_1997_sets_its_clock_without_an_operator(bench, compiled, device_of):
    bench.meter.di_size = 2
    await bench.driver.write(device_of(compiled(OLD)), WriteRequest(SetClock(), Given(NOON_NS)))
    assert [frame.control for frame in bench.meter.asked] == [0x04, 0x04]
    assert bench.meter.asked[0].data.hex() == "10c0" + "02000000" + "00221126"


async def test_a_profile_may_adjust_instead_which_nobody_answers(bench, compiled, device_of):
    text = METER.replace("2007}", "2007, clock_set: adjust}")
    outcome = await bench.driver.write(device_of(compiled(text)), WriteRequest(SetClock(), Given(NOON_NS)))
    assert outcome.acknowledged is None
    await _heard(bench, 1)
    assert (bench.meter.asked[0].address, bench.meter.asked[0].control) == (bench.meter.address, 0x08)
    assert bench.meter.asked[0].data.hex() == "000016221126"


async def test_a_broadcast_goes_to_all_meters(bench, compiled, device_of):
    await bench.driver.write(device_of(compiled(METER)), WriteRequest(SetClock(everyone=True), Given(NOON_NS)))
    await _heard(bench, 1)
    assert (bench.meter.asked[0].address, bench.meter.asked[0].control) == ("9" * 12, 0x08)


async def test_without_a_zone_of_the_channel_the_devices_counts(open_bench, compiled, device_of):
    async with open_bench(time_zone="") as bench:
        device = replace(device_of(compiled(METER)), zone=TASHKENT)
        await bench.driver.write(device, WriteRequest(SetClock(), Given(NOON_NS)))
        assert bench.meter.asked[1].data[-2:].hex() == "0016"


async def test_looking_at_any_clock_tells_the_drift_and_never_fails_for_it(bench, compiled, device_of):
    device = device_of(compiled(METER))
    bench.meter.holds = AT_16 | {0x04000102: bytes.fromhex("000015")}
    seen = await bench.driver.confirm(device, ClockWithin(None))
    assert (seen.reached, seen.drift_s) == (True, -3600.0)
    bench.meter.holds[0x04000101] = bytes(4)
    seen = await bench.driver.confirm(device, ClockWithin(None))
    assert (seen.reached, seen.drift_s) == (True, None)


@pytest.mark.parametrize(("time", "drift_s", "reached"), [("000016", 0.0, True), ("300016", 30.0, False)])
async def test_comparing_tells_how_far_the_clock_is_ahead(bench, compiled, device_of, time, drift_s, reached):
    bench.meter.holds = AT_16 | {0x04000102: bytes.fromhex(time)}
    seen = await bench.driver.confirm(device_of(compiled(METER)), ClockWithin(10))
    assert (seen.reached, seen.drift_s) == (reached, drift_s)


async def test_a_date_read_before_midnight_is_read_again_after_it(bench, compiled, device_of):
    dates = iter([bytes.fromhex("00221126"), bytes.fromhex("01231126")])
    bench.meter.holds = AT_16 | {0x04000102: bytes.fromhex("010000")}
    usual = bench.meter._read

    def answer(frame):
        if frame.data[:4] == bytes.fromhex("01010004"):
            bench.meter.holds[0x04000101] = next(dates)
        return usual(frame)

    bench.meter._read = answer
    seen = await bench.driver.confirm(device_of(compiled(METER)), ClockWithin(100_000))
    assert seen.state == "clock at 2026-11-23 00:00:01"


async def test_a_meter_with_a_dead_clock_is_told(bench, compiled, device_of):
    bench.meter.holds = {0x04000101: b"\xff" * 4, 0x04000102: b"\xff" * 3}
    with pytest.raises(BadFrame, match="clock battery"):
        await bench.driver.confirm(device_of(compiled(METER)), ClockWithin(10))


async def test_a_reading_carries_the_meters_time_where_the_profile_reads_it(bench, compiled):
    bench.meter.holds = AT_16 | {0x02800002: bytes.fromhex("0050")}
    reading = await bench.read(compiled(METER.replace("2007}", "2007, read_clock: true}")))
    assert reading.device_time_ns == NOON_NS
    assert (await bench.read(compiled(METER))).device_time_ns is None


def test_set_clock_takes_the_time_from_its_argument(compiled):
    profile = compiled(METER + "commands: {set_clock: {steps: [{write: {clock: set}}, {read_back: {clock: 10}}]}}\n")
    write, look = plugin.command(profile, "set_clock", {"time": NOON_NS})
    assert write.write.value.value == NOON_NS
    assert look.confirm == ClockWithin(10)
    with pytest.raises(ProfileError, match="needs time"):
        plugin.command(profile, "set_clock", {})


async def _heard(bench, count):
    while len(bench.meter.asked) < count:
        await bench.clock.sleep(0)
