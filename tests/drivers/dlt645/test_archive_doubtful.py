"""What a meter's memory tells that is odd, in frames made by hand: only what is certain is taken, in its own slot."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from address_space.model.quantity import Quantity
from drivers.dlt645 import archive, plugin
from drivers.errors import DeviceRefused, DriverError
from tests.drivers.dlt645.hand_meter import (
    DATE,
    LIBRARY,
    NO_SUCH_DATA,
    TIME,
    Talking,
    bcd,
    energies,
    every,
    minute,
    record,
    sealed,
    talking,
)

IMPORT, EXPORT = Quantity.ACTIVE_ENERGY_IMPORT, Quantity.ACTIVE_ENERGY_EXPORT
LOAD = "load records of class 4"
NOW = datetime(2026, 11, 22, 13, 7)  # noqa: DTZ001 - as the meter's clock tells it
MORNING = NOW.replace(hour=8, minute=0)
HOUR = timedelta(hours=1)
BERLIN = ZoneInfo("Europe/Berlin")
FACTORS = b"".join(bcd(each, 2) for each in (999, 998, 997, 996))


def kept(site: Talking, times: list[datetime]) -> dict[int, float]:
    """Have the meter keep a register at these times; what the history must then hold."""
    for place, at in enumerate(times):
        site.meter.keep(4, at, energies(100_000 + place, 7, 0, 0))
    return {site.ms(at): (100_000 + place) * 10.0 for place, at in enumerate(times)}


async def imports(site: Talking, first: datetime, end: datetime, name: str = LOAD) -> dict[int, float]:
    found = await site.read(name, site.ms(first), site.ms(end))
    return {time_ms: values[IMPORT] for time_ms, values in found.items() if IMPORT in values}


async def test_every_record_lands_on_its_own_slot_with_what_the_meter_kept() -> None:
    async with talking(NOW) as site:
        known = kept(site, every(MORNING, 20))
        assert await imports(site, MORNING, NOW) == known


async def test_records_go_over_the_end_of_a_year() -> None:
    eve = datetime(2026, 12, 31, 22, 0)  # noqa: DTZ001
    async with talking(datetime(2027, 1, 1, 3, 7)) as site:  # noqa: DTZ001
        known = kept(site, every(eve, 16))
        assert await imports(site, eve, eve + 4 * HOUR) == known


async def test_what_a_record_says_to_be_missing_is_not_taken_and_the_rest_is() -> None:
    async with talking(NOW) as site:
        site.meter.keep(4, MORNING, b"\xff" * 4 + energies(55, 0, 0))
        found = await site.read(LOAD, site.ms(MORNING), site.ms(NOW))
        assert IMPORT not in found[site.ms(MORNING)]
        assert found[site.ms(MORNING)][EXPORT] == 550


@pytest.mark.parametrize(
    "parts",
    [
        b"\xaa\xaa" + FACTORS + b"\xaa\xaa\xaa\xaa",
        b"\xaa\xaa" + FACTORS + b"\xaa" + b"\xaa\xaa",
        FACTORS + b"\xaa" + energies(1, 2, 3, 4) + b"\xaa",
    ],
)
async def test_values_of_another_class_are_never_taken_for_energies(parts: bytes) -> None:
    async with talking(NOW) as site:
        site.meter.loads[4] = [(minute(MORNING), sealed(minute(MORNING), parts))]
        assert await site.read(LOAD, site.ms(MORNING), site.ms(NOW)) == {}


async def test_of_a_record_with_all_classes_the_part_of_its_class_is_taken() -> None:
    async with talking(NOW) as site:
        whole = b"\xaa\xaa" + FACTORS + b"\xaa" + energies(4321, 2, 3, 4) + b"\xaa" + energies(5, 6, 7, 8) + b"\xaa\xaa"
        site.meter.loads[4] = [(minute(MORNING), sealed(minute(MORNING), whole))]
        assert await imports(site, MORNING, NOW) == {site.ms(MORNING): 43_210.0}


async def test_a_record_without_separators_for_other_classes_is_taken() -> None:
    async with talking(NOW) as site:
        site.meter.loads[4] = [(minute(MORNING), sealed(minute(MORNING), energies(4321, 2, 3, 4)))]
        assert await imports(site, MORNING, NOW) == {site.ms(MORNING): 43_210.0}


async def test_of_two_records_of_one_time_that_differ_neither_is_taken() -> None:
    times = every(MORNING, 4)
    async with talking(NOW) as site:
        known = kept(site, times)
        site.meter.loads[4].insert(1, (minute(times[2]), record(minute(times[2]), 4, energies(99, 7, 0, 0))))
        known.pop(site.ms(times[2]))
        assert await imports(site, MORNING, MORNING + HOUR) == known


async def test_a_record_that_is_told_twice_is_one() -> None:
    times = every(MORNING, 2)
    async with talking(NOW) as site:
        known = kept(site, times)
        site.meter.loads[4] = [each for each in site.meter.loads[4] for _ in range(2)]
        assert await imports(site, MORNING, NOW) == known


async def test_records_in_any_order_keep_their_times() -> None:
    times = every(MORNING, 4)
    async with talking(NOW) as site:
        known = kept(site, times)
        site.meter.answers[b"\x01\x00\x04\x06"] = b"".join(made for _, made in reversed(site.meter.loads[4]))
        assert await imports(site, MORNING, MORNING + HOUR) == known


async def test_a_meter_that_tells_its_newest_record_whatever_was_asked_fills_only_that_slot() -> None:
    async with talking(NOW) as site:
        newest = record(minute(NOW.replace(minute=0)), 4, energies(123, 0, 0, 0))
        site.meter.answers[b"\x01\x00\x04\x06"] = newest
        assert await imports(site, MORNING, NOW) == {site.ms(NOW.replace(minute=0)): 1230.0}
        assert await imports(site, MORNING, MORNING + HOUR) == {}


async def test_a_record_with_a_time_far_off_hides_none_of_the_others() -> None:
    times = every(MORNING, 8)
    async with talking(NOW) as site:
        known = kept(site, times)
        ring = site.meter.loads[4]
        ring.insert(1, (minute(times[0]), record(minute(datetime(2089, 1, 1)), 4, energies(1, 1, 1, 1))))  # noqa: DTZ001
        assert await imports(site, MORNING, NOW) == known


async def test_a_meter_that_tells_one_record_the_one_before_where_it_lacks_one_hides_none_behind_it() -> None:
    times = every(MORNING, 12)
    async with talking(NOW) as site:
        known = kept(site, [at for place, at in enumerate(times) if place not in (3, 4)])
        ring = site.meter.loads[4]

        def floor(data: bytes) -> None:
            if data[3] == 0x06:
                found = [made for stamp, made in ring if stamp[::-1] <= data[9:4:-1]]
                site.meter.answers[b"\x01\x00\x04\x06"] = found[-1]

        site.meter.before = floor
        found: dict[int, float] = {}
        for at in times:  # the hub asks for slots that are missing
            found |= await imports(site, at, times[-1] + HOUR)
        assert found == known
        start_ms = site.ms(times[3])
        request = site.driver.recall(site.device, site.book(LOAD), start_ms, start_ms + 3_600_000, site.clock.now_ms)
        assert request is not None
        answer = await site.driver.request(site.device, request)
        assert site.driver.recalled(site.device, request, answer).told_ms < start_ms + 900_000


async def test_a_spoilt_oldest_record_stops_nothing() -> None:
    async with talking(NOW) as site:
        kept(site, every(MORNING, 2))
        stamp, made = site.meter.loads[4][0]
        site.meter.loads[4][0] = (stamp, made[:-2] + b"\x00\xe5")
        assert await imports(site, MORNING + HOUR, NOW) == {}


@pytest.mark.parametrize("stamp", ["0024221126", "6013221126", "0013311126", "ffffffffff", "001322ab26"])
async def test_a_record_whose_time_is_none_is_left_out(stamp: str) -> None:
    async with talking(NOW) as site:
        known = kept(site, every(MORNING, 2))
        made = record(bytes.fromhex(stamp), 4, energies(1, 1, 1, 1))
        site.meter.loads[4].insert(1, (minute(MORNING), made))
        assert await imports(site, MORNING, NOW) == known


async def test_records_of_the_hour_that_comes_twice_are_not_taken_and_all_later_ones_are() -> None:
    night = datetime(2026, 10, 25, 1, 0)  # noqa: DTZ001
    async with talking(datetime(2026, 10, 25, 9, 7), BERLIN) as site:  # noqa: DTZ001
        local = [*every(night, 8), *every(night + HOUR, 12)]
        kept(site, local)
        start_ms = site.ms(night)
        slots = [start_ms + 900_000 * place for place in range(20)]
        for first in (0, 4, 8):
            found = await imports_from(site, slots[first], slots[-1] + 1)
            assert found == {
                slot: (100_000 + place) * 10.0
                for place, slot in enumerate(slots)
                if place >= first and not 4 <= place < 12
            }


async def imports_from(site: Talking, start_ms: int, end_ms: int) -> dict[int, float]:
    found = await site.read(LOAD, start_ms, end_ms)
    return {time_ms: values[IMPORT] for time_ms, values in found.items()}


async def test_a_record_of_the_hour_that_spring_leaves_out_is_not_taken() -> None:
    night = datetime(2026, 3, 29, 1, 0)  # noqa: DTZ001
    async with talking(datetime(2026, 3, 29, 9, 7), BERLIN) as site:  # noqa: DTZ001
        kept(site, every(night, 4))
        site.meter.keep(4, night + timedelta(minutes=75), energies(1, 1, 1, 1))
        found = await imports_from(site, site.ms(night), site.ms(night) + 4 * 3_600_000)
        assert sorted(found) == [site.ms(night) + 900_000 * place for place in range(4)]


@pytest.mark.parametrize("off", [timedelta(hours=1), timedelta(minutes=-7), timedelta(days=-1), timedelta(days=365)])
async def test_a_meter_whose_clock_is_wrong_is_not_believed(off: timedelta) -> None:
    async with talking(NOW) as site:
        kept(site, every(MORNING, 4))
        site.meter.now = NOW + off
        with pytest.raises(DeviceRefused, match="clock") as caught:
            await imports(site, MORNING, NOW)
        assert caught.value.retryable
        site.meter.freezes[0x04] = [(MORNING, {1: energies(1)})]
        with pytest.raises(DeviceRefused, match="clock"):
            await imports(site, MORNING, NOW, "hourly freeze 01")
        site.meter.now = NOW
        assert await imports(site, MORNING, NOW)


async def test_a_meter_whose_clock_is_off_by_little_is_believed() -> None:
    async with talking(NOW) as site:
        known = kept(site, every(MORNING, 4))
        site.meter.now = NOW - timedelta(minutes=4)
        assert await imports(site, MORNING, NOW) == known


async def test_a_meter_that_does_not_tell_its_clock_is_not_believed() -> None:
    async with talking(NOW) as site:
        kept(site, every(MORNING, 4))
        site.meter.answers |= {DATE: NO_SUCH_DATA, TIME: NO_SUCH_DATA}
        with pytest.raises(DeviceRefused, match="clock"):
            await imports(site, MORNING, NOW)


async def test_an_answer_that_breaks_off_between_its_frames_tells_nothing() -> None:
    async with talking(NOW) as site:
        kept(site, every(MORNING, 4))
        site.meter.break_off_after = 40
        with pytest.raises(DriverError):
            await site.driver.request(site.device, await loading(site))


async def loading(site: Talking):  # type: ignore[no-untyped-def]  # a request, whatever it is
    """The request that asks for load records, past all that goes before it."""
    while True:
        request = site.driver.recall(site.device, site.book(LOAD), site.ms(MORNING), site.ms(NOW), site.clock.now_ms)
        assert request is not None
        if len(site.meter.asked) >= 2 or not site.meter.asked:
            try:
                await site.driver.request(site.device, request)
            except DriverError:
                return request
        else:
            await site.driver.request(site.device, request)


# freezes


def frozen(site: Talking, hours: list[datetime]) -> dict[int, float]:
    """Have the meter freeze a register at these hours, the newest first; what the history must then hold."""
    made = [(at, {1: energies(100_000 - place * 10)}) for place, at in enumerate(hours)]
    site.meter.freezes[0x04] = made  # type: ignore[assignment]
    return {site.ms(at): (100_000 - place * 10) * 10.0 for place, at in enumerate(hours)}


async def freezes(site: Talking, first: datetime, end: datetime) -> dict[int, float]:
    return await imports(site, first, end, "hourly freeze 01")


async def test_a_freeze_made_while_it_is_read_never_lands_on_another_hour() -> None:
    noon = NOW.replace(hour=12, minute=0)
    hours = [noon - HOUR * place for place in range(6)]
    for asked_before in range(1, 12):
        async with talking(NOW.replace(hour=12, minute=59)) as site:
            known = frozen(site, hours)
            count = 0

            def ring(data: bytes, site: Talking = site, before: int = asked_before) -> None:
                nonlocal count
                count += 1
                if count == before:
                    site.meter.freezes[0x04].insert(0, (noon + HOUR, {1: energies(777_777)}))

            site.meter.before = ring
            assert await freezes(site, noon - 3 * HOUR, noon + timedelta(minutes=1)) == {
                site.ms(noon - HOUR * place): known[site.ms(noon - HOUR * place)] for place in range(4)
            }


async def test_hours_without_power_hide_no_freeze_before_them() -> None:
    noon = NOW.replace(hour=12, minute=0)
    hours = [noon - HOUR * place for place in range(40) if place not in (2, 3, 4, 9, 20)]
    async with talking(NOW) as site:
        known = frozen(site, hours)
        first = noon - 36 * HOUR
        assert await freezes(site, first, NOW) == {at: value for at, value in known.items() if at >= site.ms(first)}


async def test_a_meter_a_little_behind_has_frozen_one_hour_less() -> None:
    now = NOW.replace(hour=13, minute=2)
    async with talking(now) as site:
        known = frozen(site, [now.replace(hour=12 - place, minute=0) for place in range(6)])
        site.meter.now = now - timedelta(minutes=4)
        assert await freezes(site, now.replace(hour=8, minute=0), now.replace(minute=0)) == {
            at: value for at, value in known.items() if at >= site.ms(now.replace(hour=8, minute=0))
        }


async def test_hourly_freezes_are_counted_through_the_night_when_clocks_change() -> None:
    now = datetime(2026, 3, 29, 9, 7)  # noqa: DTZ001
    local = [9, 8, 7, 6, 5, 4, 3, 1, 0]
    async with talking(now, BERLIN) as site:
        known = frozen(site, [now.replace(hour=hour, minute=0) for hour in local])
        first = now.replace(hour=0, minute=0)
        found = await site.read("hourly freeze 01", site.ms(first), site.ms(now))
        assert {at: values[IMPORT] for at, values in found.items()} == known


async def test_a_meter_with_no_freeze_at_all_refuses_the_book() -> None:
    async with talking(NOW) as site:
        with pytest.raises(DeviceRefused) as caught:
            await freezes(site, MORNING, NOW)
        assert caught.value.code == NO_SUCH_DATA


async def test_an_energy_that_is_never_frozen_is_refused_and_one_hour_that_lacks_it_told_as_nothing() -> None:
    noon = NOW.replace(hour=12, minute=0)
    async with talking(NOW) as site:
        known = frozen(site, [noon - HOUR * place for place in range(6)])
        with pytest.raises(DeviceRefused):
            await site.read("hourly freeze 02", site.ms(MORNING), site.ms(NOW))
        del site.meter.freezes[0x04][2][1][1]
        known.pop(site.ms(noon - 2 * HOUR))
        assert await freezes(site, noon - 5 * HOUR, NOW) == known


# profiles


@pytest.mark.parametrize(
    "change",
    [{"format": "XXXXXXX.X"}, {"signed": True}, {"skip": 1, "format": "XXXXXX.XX"}, {"scale": 10}],
)
def test_registers_that_the_profile_reads_otherwise_than_the_standard_are_in_no_book(change: dict[str, object]) -> None:
    profile = copy.deepcopy(LIBRARY.get("generic/dlt645-2007-three-phase"))
    point = next(point for point in profile.points if point.quantity is IMPORT)
    point.address.update(change)  # type: ignore[attr-defined]
    compiled = plugin.compile(profile)
    assert all(IMPORT not in book.quantities for book in archive.books(compiled))
    assert any(EXPORT in book.quantities for book in archive.books(compiled))
