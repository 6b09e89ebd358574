"""What a meter recorded itself: found when it answers, told once, whatever becomes of meter, line and hub."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import Any

import pytest

from drivers.simulators.faults import ExceptionAnswer, Silent, Slow
from tests.server.event_log_site import POINT, RING, Rig, ago, doomed, kept, record, until, write

KILLS = 3


def codes(events: list[Any]) -> list[int]:
    return [event.fields["3:Code"] for event in events]


async def test_a_restart_tells_nothing_twice_and_leaves_nothing_out(site) -> None:
    write(site)
    async with site.fleet() as fleet:
        begun = ago(3600)
        for place in range(5):
            record(fleet, 0x10 + place, begun + timedelta(minutes=place))
        async with Rig(site.draw()) as rig:
            await rig.told(5)
            await rig.looked()
        record(fleet, 0x20, begun + timedelta(minutes=9))
        record(fleet, 0x20, begun + timedelta(minutes=9))
        async with Rig(site.draw()) as rig:
            await rig.told(2)
            await rig.looked()
            assert codes(rig.posted) == [0x20, 0x20]
    events = await kept(site.folder / "data")
    assert codes(events) == [0x10, 0x11, 0x12, 0x13, 0x14, 0x20, 0x20]
    assert len({event.event_id for event in events}) == 7


async def test_what_a_meter_recorded_while_it_was_lost_is_told_when_it_is_back(site) -> None:
    write(site, every="1d")
    async with site.fleet() as fleet, Rig(site.draw()) as rig:
        meter = fleet.meter(POINT)
        record(fleet, 0x10, ago(600))
        await rig.told(1)
        meter.fault = Silent()
        await until(lambda: bool(rig.poller.health.lost[0]))
        record(fleet, 0x11, ago(300))
        asked, requests = rig.events.state.asked, meter.requests
        await until(lambda: meter.requests >= requests + 3)
        assert rig.events.state.asked == asked  # a meter that is lost is not asked
        meter.fault = None
        await rig.told(2)


async def test_what_a_meter_recorded_while_its_line_was_down_is_told_when_it_is_back(site) -> None:
    write(site, every="1d")
    async with site.fleet() as fleet, Rig(site.draw()) as rig:
        (endpoint,) = fleet.servers
        record(fleet, 0x10, ago(600))
        await rig.told(1)
        await fleet.stop(endpoint)
        await until(lambda: bool(rig.poller.health.lost[0]))
        record(fleet, 0x11, ago(300))
        await fleet.start(endpoint)
        await rig.told(2)


@pytest.mark.parametrize("fault", [ExceptionAnswer(6), Silent()])
async def test_a_log_that_breaks_off_is_read_on_from_where_it_was(site, monkeypatch, fault) -> None:
    monkeypatch.setattr("server.meter_events.PAUSE_FIRST_S", 0.1)
    write(site, RING.replace("words: 6", "words: 6\n      max_words: 6"), every="1d")
    async with site.fleet() as fleet:
        for place in range(30):
            record(fleet, 0x10 + place, ago(3600 - place))
        meter = fleet.meter(POINT)
        async with Rig(site.draw()) as rig:
            await until(lambda: rig.events.state.asked >= 12)
            meter.fault = fault
            await until(lambda: rig.events.state.failed >= 1)
            asked = rig.events.state.asked
            assert rig.events.state.told == 0
            record(fleet, 0x60, ago(60))
            meter.fault = None
            await rig.told(30)
            assert rig.events.state.asked - asked < 30
            await rig.told(31)  # soon after, although the log is looked at once a day
            assert codes(rig.posted) == [*range(0x10, 0x10 + 30), 0x60]


async def test_events_are_read_on_a_bus_with_several_protocols(site) -> None:
    write(site, framer="rtu")
    plant = site.folder / "plant.yaml"
    plant.write_text(plant.read_text().replace("driver: modbus", "driver: mixed").replace(", framer: rtu", ""))
    async with site.fleet() as fleet, Rig(site.draw()) as rig:
        record(fleet, 0x10, ago(600))
        await rig.told(1)
        assert codes(rig.posted) == [0x10]


async def test_a_plant_whose_profiles_name_no_log_of_events_is_not_asked(site) -> None:
    site.write({"a": [POINT]})
    async with site.fleet(), Rig(site.draw()) as rig:
        await until(lambda: int(rig.poller.health.pollings[0]) >= 3)
        assert rig.events.state.asked == 0


async def test_a_meter_without_the_log_is_asked_seldom_and_said_once(site, caplog) -> None:
    caplog.set_level("INFO")
    write(site)
    async with site.fleet() as fleet:
        fleet.meter(POINT).device.shelves = ()  # type: ignore[union-attr]
        async with Rig(site.draw()) as rig:
            await until(lambda: "refuses" in caplog.text)
            asked, requests = rig.events.state.asked, fleet.meter(POINT).requests
            await until(lambda: fleet.meter(POINT).requests > requests + 3)
            assert rig.events.state.asked == asked
    assert caplog.text.count("meter refuses its event log unit=m1 log=alarms") == 1


async def test_a_ring_that_overran_says_so_in_the_log_and_as_an_event(site, caplog) -> None:
    write(site)
    async with site.fleet() as fleet:
        record(fleet, 0x10, ago(9000))
        async with Rig(site.draw()) as rig:
            await rig.told(1)
        for place in range(50):
            record(fleet, 0x11, ago(5000 - 60 * place))
        async with Rig(site.draw()) as rig:
            await rig.told(40)
            await rig.looked()
            assert rig.events.state.overrun == 1
            assert rig.posted[0].message.key == "meter-events-lost"  # type: ignore[union-attr]
            assert len(rig.posted) == 41
    assert caplog.text.count("meter's event log overran unit=m1 log=alarms records=40") == 1
    assert len(await kept(site.folder / "data")) == 42


async def test_a_log_that_was_cleared_is_begun_anew_without_a_word_of_loss(site, caplog) -> None:
    write(site)
    async with site.fleet() as fleet, Rig(site.draw()) as rig:
        record(fleet, 0x10, ago(9000))
        await rig.told(1)
        fleet.meter(POINT).device.journals["alarms"].clear()  # type: ignore[union-attr]
        record(fleet, 0x11, ago(800))
        await rig.told(2)
        assert rig.events.state.overrun == 0
    assert "overran" not in caplog.text


async def test_records_that_lie_ahead_are_not_told_and_said_once(site, caplog) -> None:
    write(site)
    async with site.fleet() as fleet, Rig(site.draw()) as rig:
        record(fleet, 0x10, ago(-3 * 86400))
        record(fleet, 0x11, ago(60))
        await rig.told(1)
        await rig.looked()
        assert codes(rig.posted) == [0x11]
    assert caplog.text.count("its clock is wrong unit=m1 log=alarms records=1") == 1


async def test_a_damaged_event_log_is_filled_from_the_meters_again(site) -> None:
    write(site)
    async with site.fleet() as fleet:
        for place in range(3):
            record(fleet, 0x10 + place, ago(600 - place))
        async with Rig(site.draw()) as rig:
            await rig.told(3)
        before = await kept(site.folder / "data")
        (site.folder / "data" / "history" / "events.db").write_bytes(b"no database" * 900)
        async with Rig(site.draw()) as rig:
            await rig.told(3)
    after = await kept(site.folder / "data")
    assert [event.event_id for event in after] == [event.event_id for event in before]


async def test_a_meter_whose_events_cannot_be_kept_now_is_not_asked_again_and_again(site, monkeypatch) -> None:
    monkeypatch.setattr("historian.events.EventLog.has_room", lambda *_: False)
    write(site)
    async with site.fleet() as fleet:
        record(fleet, 0x10, ago(60))
        async with Rig(site.draw()) as rig:
            await until(lambda: rig.events.state.asked == 3)
            requests = fleet.meter(POINT).requests
            await until(lambda: fleet.meter(POINT).requests > requests + 3)
            assert (rig.events.state.asked, rig.events.state.told) == (3, 0)


async def test_a_log_that_contradicts_itself_does_not_hide_the_other_logs_of_its_meter(site) -> None:
    write(site)
    profile = site.folder / "profiles" / "test" / "recorder.yaml"
    log = (
        "{at: 0x6000, words: 6, count: 2, newest: {at: 2, type: uint16, means: next}, time: {at: 0, format: unix}, "
        "code: {at: 3, type: uint16}}"
    )
    profile.write_text(profile.read_text().replace("event_logs:", f"event_logs:\n    broken: {log}"))
    async with site.fleet() as fleet:
        device: Any = fleet.meter(POINT).device
        device.shelves = tuple(shelf for shelf in device.shelves if shelf.table.name == "alarms")
        record(fleet, 0x10, ago(60))
        async with Rig(site.draw()) as rig:
            await until(lambda: rig.events.state.failed >= 1)
            assert codes(rig.posted) == [0x10]


async def test_polls_wait_for_one_frame_of_the_log_at_most(site) -> None:
    write(site, RING.replace("words: 6", "words: 6\n      max_words: 6"), every="1d")
    async with site.fleet() as fleet:
        for place in range(40):
            record(fleet, 0x10 + place, ago(3600 - place))
        meter = fleet.meter(POINT)
        meter.fault = Slow(0.05)
        async with Rig(site.draw()) as rig:
            for asked in (1, 3, 5, 7):
                await until(lambda asked=asked: rig.events.state.asked >= asked)
                requests = meter.requests
                await rig.poller.read_now(rig.unit)
                assert meter.requests - requests <= 2
            assert rig.events.state.told == 0
            meter.fault = None
            await rig.told(40)


async def test_a_hub_that_is_killed_again_and_again_tells_every_event_once(site) -> None:
    write(site, RING.replace("count: 40", "count: 2000"))
    begun, made, chance = ago(86_000), 0, random.Random(7)
    async with site.fleet() as fleet:

        async def go_on() -> None:
            nonlocal made
            while True:
                record(fleet, made % 4, begun + timedelta(seconds=made // 3))
                made += 1
                await asyncio.sleep(0.02)

        recording = asyncio.ensure_future(go_on())
        for _ in range(KILLS):
            async with doomed(site.folder):
                await asyncio.sleep(chance.uniform(0.0, 2.0))
        recording.cancel()
        before = len(await kept(site.folder / "data"))
        assert before > 0
        async with Rig(site.draw()) as rig:
            await rig.told(made - before)
            await rig.looked()
    events = await kept(site.folder / "data")
    assert len({event.event_id for event in events}) == len(events) == made
    seconds = [(event.time_ns // 10**9, event.fields["3:Code"]) for event in events]
    assert sorted(seconds) == sorted((round(begun.timestamp()) + each // 3, each % 4) for each in range(made))
