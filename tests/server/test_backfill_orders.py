"""What was ordered to be read again, carried out on a DL/T 645 meter by a hub that runs, starts, or is killed."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from address_space.model import NodeUid, Quantity
from address_space.nodes.nodeids import SYSTEM
from config.settings import load_settings
from drivers.simulators.dlt645 import Manners
from drivers.simulators.dlt645_image import Image
from drivers.simulators.faults import Silent
from historian.errors import DamagedHistory
from historian.gaps import Cause, GapLedger, Hitch, Order, OrderedUnit, OrderState, UnitState, Wish
from historian.gaps.order_file import OrderFile
from server import backfill_orders
from server.app import Hub, draw
from tests.server.backfill_rig import HOUR_MS, PATIENCE_S, POINT, QUARTER_MS, Market, Rig, doomed, outage, quarters

IMPORT = Quantity.ACTIVE_ENERGY_IMPORT
FROZEN = frozenset({*range(0x05040001, 0x050400FF), *range(0x05060001, 0x050600FF)})
"""Identifiers of freezes: a meter without them has only load records."""


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill_orders, "LOOK_S", 0.05)
    monkeypatch.setattr(backfill_orders, "RETRY_FIRST_S", 0.1)


def order(market: Market, from_ms: int, to_ms: int, *units: str, by: str = "anna") -> int:
    """Order a span as the command line does, beside a hub or without one."""
    with OrderFile(market.orders) as file:
        wish = Wish(tuple(map(NodeUid, units or (POINT,))), from_ms, to_ms, by)
        return file.add(wish, market.clock.now_ms()).number


def told(market: Market, number: int) -> tuple[Order, OrderedUnit]:
    """An order and its first unit."""
    with OrderFile(market.orders, readonly=True) as file:
        return file.order(number), file.units(number)[0]


async def ended(market: Market, number: int) -> tuple[Order, OrderedUnit]:
    """The same once it has ended."""
    async with asyncio.timeout(PATIENCE_S):
        while told(market, number)[0].is_open:  # noqa: ASYNC110  # another process may end it
            await asyncio.sleep(0.02)
    return told(market, number)


def right(market: Market, slots: list[int]) -> dict[int, float]:
    """What the history must hold."""
    return {slot: float(market.counted(slot)) for slot in slots}


async def kept(rig: Rig, slots: list[int]) -> dict[int, float]:
    """What it holds of these slots."""
    await rig.history.recorder.flush()
    found = await rig.stored()
    return {slot: found[slot] for slot in slots if slot in found}


async def given_up(market: Market, rig: Rig, slots: list[int]) -> None:
    """Return once the automatic search has given up these slots."""
    await rig.polled()
    await rig.filled()
    gaps = await rig.history.ledger.gaps(slots[0], slots[-1] + 1)
    assert {gap.cause for gap in gaps} == {Cause.LACKING}


async def test_what_was_given_up_is_asked_for_again_while_the_hub_runs(site, monkeypatch) -> None:
    async with Market(site, Manners(absent=FROZEN)) as market:
        begun, now = await outage(market, 3)
        slots = quarters(begun + QUARTER_MS, now - QUARTER_MS)
        with monkeypatch.context() as forgetful:
            forgetful.setattr(Image, "records", lambda *_: b"")
            async with Rig(market.draw(), market.clock) as rig:
                await given_up(market, rig, slots)
        async with Rig(market.draw(), market.clock) as rig:
            await rig.polled()
            assert await kept(rig, slots) == {}
            whole, unit = await ended(market, order(market, slots[0], slots[-1] + 1))
            assert await kept(rig, slots) == right(market, slots)
            assert not await rig.history.ledger.gaps(slots[0], slots[-1] + 1)
        assert (whole.state, unit.state, whole.by) == (OrderState.DONE, UnitState.DONE, "anna")
        assert unit.wanted == unit.filled == 2 * len(slots)
        assert (unit.lacking, unit.tries, unit.hitch) == (0, 0, Hitch.NONE)
        assert whole.at_ms <= whole.begun_ms <= whole.ended_ms


async def test_an_order_that_is_given_while_no_hub_runs_is_carried_out_at_the_next_start_and_once(site) -> None:
    async with Market(site) as market:
        begun, now = await outage(market, 5)
        slots = quarters(begun + QUARTER_MS, now - QUARTER_MS)
        number = order(market, slots[2], slots[5])
        assert told(market, number)[0].state is OrderState.WAITING
        async with Rig(market.draw(), market.clock, days=0, look_s=1e6) as rig:
            whole, unit = await ended(market, number)
            assert await kept(rig, slots) == right(market, slots[2:5])
            assert (whole.state, unit.wanted, unit.filled) == (OrderState.DONE, 6, 6)
        async with Rig(market.draw(), market.clock, days=0, look_s=1e6) as rig:
            await rig.polled()
            await asyncio.sleep(0.3)
            assert rig.backfill.state.asked == 0
        assert told(market, number) == (whole, unit)


async def test_a_book_that_the_meter_refused_is_asked_for_again(site, monkeypatch) -> None:
    async with Market(site, Manners(absent=FROZEN)) as market:
        begun, now = await outage(market, 3)
        slots = quarters(begun + QUARTER_MS, now - QUARTER_MS)
        async with Rig(market.draw(), market.clock) as rig:
            with monkeypatch.context() as forgetful:
                forgetful.setattr(Image, "records", lambda *_: None)  # refused: no such data
                await given_up(market, rig, slots)
            asked = rig.backfill.state.asked
            await asyncio.sleep(0.3)
            assert rig.backfill.state.asked == asked > 0
            _, unit = await ended(market, order(market, slots[0], slots[-1] + 1))
            assert (unit.state, unit.filled) == (UnitState.DONE, 2 * len(slots))
            assert await kept(rig, slots) == right(market, slots)


async def test_a_meter_that_refuses_its_memory_fails_with_what_it_said(site, monkeypatch) -> None:
    monkeypatch.setattr(Image, "records", lambda *_: None)
    absent = frozenset({*range(0x05040000, 0x05050000), *range(0x05060000, 0x05070000)})
    async with Market(site, Manners(absent=absent)) as market:
        begun, now = await outage(market, 24)
        async with Rig(market.draw(), market.clock, days=0, look_s=1e6) as rig:
            await rig.polled()
            whole, unit = await ended(market, order(market, begun, now))
            books = len(rig.channel.driver.books(rig.poller.target(rig.unit)))
            assert rig.backfill.state.asked <= 2 + 2 * books  # its clock, and each book twice
        assert (whole.state, whole.failed, unit.state) == (OrderState.DONE, 1, UnitState.FAILED)
        assert (unit.hitch, unit.filled) == (Hitch.REFUSED, 0)
        assert unit.detail


async def test_a_meter_that_does_not_answer_is_tried_again_and_its_reason_told(site, monkeypatch) -> None:
    async with Market(site) as market:
        begun, now = await outage(market, 2)
        slots = quarters(begun + QUARTER_MS, now - QUARTER_MS)
        async with Rig(market.draw(), market.clock, days=0, look_s=1e6) as rig:
            await rig.polled()
            market.station.fault_state.set((Silent(),), market.clock.now_ns())
            number = order(market, slots[0], slots[-1] + 1)
            await rig.until(lambda: told(market, number)[1].tries >= 2)
            whole, unit = told(market, number)
            assert (whole.state, unit.hitch) == (OrderState.RUNNING, Hitch.SILENT)
            assert "no answer" in unit.detail or "did not answer" in unit.detail
            market.station.fault_state.set((), market.clock.now_ns())
            whole, unit = await ended(market, number)
            assert (unit.state, unit.filled, unit.hitch) == (UnitState.DONE, 2 * len(slots), Hitch.NONE)
            assert unit.tries >= 2


async def test_a_meter_that_never_answers_is_given_up(site, monkeypatch) -> None:
    monkeypatch.setattr(backfill_orders, "MOST_TRIES", 2)
    async with Market(site) as market:
        begun, now = await outage(market, 2)
        async with Rig(market.draw(), market.clock, days=0, look_s=1e6) as rig:
            await rig.polled()
            market.station.fault_state.set((Silent(),), market.clock.now_ns())
            whole, unit = await ended(market, order(market, begun, now))
            assert (whole.state, whole.failed, unit.state) == (OrderState.DONE, 1, UnitState.FAILED)
            assert (unit.hitch, unit.tries, unit.filled) == (Hitch.SILENT, 2, 0)


async def test_what_is_ordered_goes_before_what_is_looked_for(site) -> None:
    async with Market(site, turnaround_s=0.02) as market:
        _, now = await outage(market, 20 * 24)
        slots = quarters(now - 2 * HOUR_MS, now - QUARTER_MS)
        async with Rig(market.draw(), market.clock) as rig:
            await rig.polled()
            await rig.until(lambda: rig.backfill.state.asked >= 2)
            _, unit = await ended(market, order(market, slots[0], slots[-1] + 1))
            assert unit.filled == 2 * len(slots)
            assert await kept(rig, slots) == right(market, slots)
            assert await rig.missing() > 1000
            filled = rig.backfill.state.filled
            await rig.until(lambda: rig.backfill.state.filled > filled)


async def test_a_search_that_an_order_breaks_off_gives_nothing_up(site) -> None:
    async with Market(site, turnaround_s=0.02) as market:
        begun, now = await outage(market, 12)
        slots = quarters(begun + QUARTER_MS, now - QUARTER_MS)
        async with Rig(market.draw(), market.clock) as rig:
            await rig.polled()
            for nth in range(2):
                asked = rig.backfill.state.asked
                await rig.until(lambda asked=asked: rig.backfill.state.asked > asked)
                await ended(market, order(market, slots[-1 - nth], slots[-1 - nth] + 1))
            await rig.filled()
            assert await kept(rig, slots) == right(market, slots)
            assert not await rig.history.ledger.gaps(slots[0], slots[-1] + 1)


async def test_orders_that_overlap_are_both_carried_out_and_nothing_is_written_twice(site) -> None:
    async with Market(site) as market:
        begun, now = await outage(market, 6)
        slots = quarters(begun + QUARTER_MS, now - QUARTER_MS)
        first = order(market, slots[0], slots[11] + 1)
        second = order(market, slots[6], slots[-1] + 1, by="boris")
        async with Rig(market.draw(), market.clock, days=0, look_s=1e6) as rig:
            found = [await ended(market, number) for number in (first, second)]
            assert await kept(rig, slots) == right(market, slots)
            raw = await rig.reader.read_raw(POINT, IMPORT, slots[0], slots[-1] + 1, 1000)
            assert raw.time_ms.tolist() == slots
        (one, of_one), (other, of_other) = found
        assert one.ended_ms <= other.ended_ms
        assert (of_one.wanted, of_one.filled) == (24, 24)
        assert of_other.lacking == 0
        assert of_other.wanted == of_other.filled >= 2 * (len(slots) - 12)


async def test_a_cancelled_order_stops_and_what_was_filled_stays(site) -> None:
    async with Market(site, turnaround_s=0.02) as market:
        begun, now = await outage(market, 20 * 24)
        async with Rig(market.draw(), market.clock, days=0, look_s=1e6) as rig:
            await rig.polled()
            number = order(market, begun, now)
            await rig.until(lambda: told(market, number)[1].filled > 0)
            with OrderFile(market.orders) as file:
                assert file.cancel(number, market.clock.now_ms())
                assert not file.cancel(number, market.clock.now_ms())
            await rig.until(lambda: rig.backfill.orders_state().open == 0)
            await asyncio.sleep(0.3)
            asked = rig.backfill.state.asked
            await asyncio.sleep(0.5)
            assert rig.backfill.state.asked == asked
            whole, unit = told(market, number)
            assert whole.state is OrderState.CANCELLED
            assert 0 < unit.filled < unit.wanted
            assert await rig.missing() >= unit.wanted - 2 * unit.filled


async def test_a_hub_that_is_killed_while_it_carries_out_an_order_ends_it_with_everything_once(site) -> None:
    async with Market(site, turnaround_s=0.01) as market:
        begun, now = await outage(market, 20)
        slots = quarters(begun + QUARTER_MS, now - QUARTER_MS)
        number = order(market, slots[0], slots[-1] + 1)
        reached: list[int] = []
        for nth in range(3):
            async with doomed(market, "0"), asyncio.timeout(PATIENCE_S):
                while told(market, number)[1].filled <= (reached or [0])[-1]:  # noqa: ASYNC110  # another process
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.05 * nth)
            reached.append(told(market, number)[1].filled)
        assert told(market, number)[0].is_open
        assert reached == sorted(set(reached))
        async with Rig(market.draw(), market.clock, days=0, look_s=1e6) as rig:
            whole, unit = await ended(market, number)
            assert await kept(rig, slots) == right(market, slots)
            raw = await rig.reader.read_raw(POINT, IMPORT, slots[0], slots[-1] + 1, 1000)
            assert raw.time_ms.tolist() == slots
        assert (whole.state, whole.failed) == (OrderState.DONE, 0)
        assert unit.wanted == unit.filled == 2 * len(slots)


async def test_a_slot_that_is_stored_and_was_not_noted_is_not_given_up(site) -> None:
    async with Market(site) as market:
        begun, now = await outage(market, 3)
        slots = quarters(begun + QUARTER_MS, now - QUARTER_MS)
        async with Rig(market.draw(), market.clock) as rig:
            await rig.polled()
            await rig.filled()
        with sqlite3.connect(market.orders.with_name("gaps.db")) as file:
            file.execute("DELETE FROM page WHERE mark = 0")  # as if the hub had been killed between two commits
        async with Rig(market.draw(), market.clock, days=0, look_s=1e6) as rig:
            await rig.polled()
            assert await rig.missing() >= 2 * len(slots)
            _, unit = await ended(market, order(market, slots[0], slots[-1] + 1))
            assert (unit.filled, unit.lacking) == (2 * len(slots), 0)
            assert await kept(rig, slots) == right(market, slots)
            assert not await rig.history.ledger.gaps(slots[0], slots[-1] + 1)


async def _read_five_times(rig: Rig) -> float:
    """How long it took."""
    began_ns = rig.clock.monotonic_ns()
    for _ in range(5):
        rig.clock.shift(0.25)
        await rig.poller.read_now(rig.unit)
        await rig.history.recorder.flush()
    return (rig.clock.monotonic_ns() - began_ns) / 1e9


async def test_whoever_holds_the_orders_holds_up_no_reading(site) -> None:
    async with Market(site) as market:
        begun, now = await outage(market, 2)
        slots = quarters(begun + QUARTER_MS, now - QUARTER_MS)
        async with Rig(market.draw(), market.clock, days=0, look_s=1e6) as rig:
            await rig.polled()
            usual_s = await _read_five_times(rig)
            number = order(market, slots[0], slots[-1] + 1)
            holder = sqlite3.connect(market.orders, isolation_level=None)
            holder.execute("BEGIN IMMEDIATE")
            assert await _read_five_times(rig) < 3 * usual_s + 4.0
            holder.execute("ROLLBACK")
            holder.close()
            _, unit = await ended(market, number)
            assert unit.filled == unit.wanted > 0


async def test_a_unit_of_which_nothing_was_expected_in_that_time_is_done_and_says_so(site) -> None:
    async with Market(site) as market:
        begun, _ = await outage(market, 2)
        number = order(market, begun - 48 * HOUR_MS, begun - 24 * HOUR_MS)
        async with Rig(market.draw(), market.clock, days=0, look_s=1e6) as rig:
            await rig.polled()
            whole, unit = await ended(market, number)
            assert (whole.state, whole.failed, unit.state) == (OrderState.DONE, 0, UnitState.DONE)
            assert (unit.wanted, unit.hitch) == (0, Hitch.NOT_EXPECTED)
            later = order(market, begun - 48 * HOUR_MS, begun + HOUR_MS)
            _, unit = await ended(market, later)
            assert (unit.state, unit.hitch) == (UnitState.DONE, Hitch.NONE)
            assert unit.filled == unit.wanted > 0


async def test_orders_that_are_spoilt_are_kept_aside_and_new_ones_taken(site) -> None:
    async with Market(site) as market:
        begun, now = await outage(market, 2)
        market.orders.write_bytes(b"no database" * 1000)
        async with Rig(market.draw(), market.clock, days=0, look_s=1e6) as rig:
            await rig.polled()
            await rig.until(lambda: not rig.backfill.orders_state().trouble and market.orders.exists())
            assert list(market.orders.parent.glob("orders.damaged-*"))
            _, unit = await ended(market, order(market, begun, now))
            assert unit.state is UnitState.DONE


async def test_orders_that_make_no_sense_or_are_taken_away_do_no_harm(site) -> None:
    async with Market(site) as market:
        begun, now = await outage(market, 2)
        async with Rig(market.draw(), market.clock, days=0, look_s=1e6) as rig:
            await rig.polled()
            _, unit = await ended(market, order(market, -(2**62), 2**62))
            assert (unit.state, unit.filled) == (UnitState.DONE, unit.wanted)
            number = order(market, begun, now)
            await ended(market, number)
            with sqlite3.connect(market.orders) as file:
                file.execute("UPDATE orders SET state = 1, to_ms = 'x'")
                file.execute("UPDATE unit SET state = 0, hitch = 99")
            file.close()
            await rig.until(lambda: bool(list(market.orders.parent.glob("orders.damaged-*"))))
            await rig.until(market.orders.exists)
            market.orders.unlink()
            await rig.until(market.orders.exists)
            _, unit = await ended(market, order(market, begun, now))
            assert unit.state is UnitState.DONE


async def test_orders_taken_away_while_they_are_opened_are_opened_again(site, monkeypatch) -> None:
    prepare, taken = OrderFile._prepare, []

    def taken_away(file: OrderFile, *, readonly: bool) -> None:
        prepare(file, readonly=readonly)
        if not taken:
            taken.append(file.path)
            file.path.unlink()

    async with Market(site) as market:
        begun, now = await outage(market, 2)
        monkeypatch.setattr(OrderFile, "_prepare", taken_away)
        async with Rig(market.draw(), market.clock, days=0, look_s=1e6) as rig:
            await rig.until(lambda: bool(taken) and market.orders.exists())
            _, unit = await ended(market, order(market, begun, now))
            assert unit.state is UnitState.DONE


async def test_damage_of_the_ledger_costs_no_order(site, monkeypatch) -> None:
    async with Market(site) as market:
        begun, now = await outage(market, 2)
        number = order(market, begun, now)
        with monkeypatch.context() as spoilt:

            async def damaged(*_: object) -> None:
                raise DamagedHistory("the history file is damaged", where=str(market.orders.with_name("gaps.db")))

            spoilt.setattr(GapLedger, "missing_counts", damaged)
            async with Rig(market.draw(), market.clock, days=0, look_s=1e6) as rig:
                await rig.until(lambda: "gaps.db" in rig.backfill.orders_state().trouble)
        assert not list(market.orders.parent.glob("orders.damaged-*"))
        async with Rig(market.draw(), market.clock, days=0, look_s=1e6):
            _, unit = await ended(market, number)
        assert unit.filled == unit.wanted > 0


async def test_damage_that_only_a_unit_meets_ends_its_file_too(site, monkeypatch) -> None:
    async with Market(site) as market:
        begun, now = await outage(market, 2)
        order(market, begun, now)
        with monkeypatch.context() as spoilt:

            def damaged(*_: object) -> None:
                raise DamagedHistory("the history file is damaged", where=str(market.orders))

            spoilt.setattr(OrderFile, "unit", damaged)
            async with Rig(market.draw(), market.clock, days=0, look_s=1e6) as rig:
                await rig.until(lambda: bool(list(market.orders.parent.glob("orders.damaged-*"))))


async def test_a_file_that_cannot_be_kept_aside_is_told_once(site, monkeypatch, caplog) -> None:
    async with Market(site) as market:
        await outage(market, 1)
        market.orders.write_bytes(b"no database" * 1000)
        looks: list[Path] = []

        def held(path: Path, *_: object) -> None:
            looks.append(path)
            raise PermissionError("the folder is read-only")

        monkeypatch.setattr(Path, "replace", held)
        async with Rig(market.draw(), market.clock, days=0, look_s=1e6) as rig:
            await rig.until(lambda: looks.count(market.orders) > 3)
            assert "orders.db" in rig.backfill.orders_state().trouble
    said = [record for record in caplog.records if record.name == "server.backfill_orders"]
    assert len(said) == 1
    assert "begun anew" not in said[0].getMessage()


async def test_an_order_waits_while_the_clock_is_behind_the_time_when_it_was_given(site) -> None:
    async with Market(site) as market:
        begun, now = await outage(market, 3)
        number = order(market, begun, now)
        market.clock.shift(-24)
        async with Rig(market.draw(), market.clock, days=0, look_s=1e6) as rig:
            await rig.until(lambda: f"order {number}" in rig.backfill.orders_state().trouble)
            assert told(market, number)[0].state is OrderState.WAITING
            market.clock.shift(24)
            _, unit = await ended(market, number)
            assert unit.filled == unit.wanted > 0
            await rig.until(lambda: not rig.backfill.orders_state().trouble)


async def test_what_was_told_and_is_not_in_the_history_is_asked_for_again(site, monkeypatch) -> None:
    async with Market(site) as market:
        begun, now = await outage(market, 2)
        async with Rig(market.draw(), market.clock, days=0, look_s=1e6) as rig:
            await rig.polled()
            with monkeypatch.context() as losing:
                losing.setattr(rig.history.recorder, "offer_row", lambda _: None)
                number = order(market, begun, now)
                await rig.until(lambda: told(market, number)[1].tries > 0)
                assert told(market, number)[1].hitch is Hitch.HISTORY
            _, unit = await ended(market, number)
            assert (unit.state, unit.hitch) == (UnitState.DONE, Hitch.NONE)
            slots = quarters(begun + QUARTER_MS, now - QUARTER_MS)
            assert await kept(rig, slots) == right(market, slots)


async def test_orders_that_are_written_over_under_the_hub_are_kept_aside(site) -> None:
    async with Market(site) as market:
        begun, now = await outage(market, 2)
        async with Rig(market.draw(), market.clock, days=0, look_s=1e6) as rig:
            await rig.polled()
            await ended(market, order(market, begun, now))
            market.orders.write_bytes(b"no database" * 1000)
            await rig.until(lambda: bool(list(market.orders.parent.glob("orders.damaged-*"))))
            await rig.until(lambda: not rig.backfill.orders_state().trouble and market.orders.exists())
            _, unit = await ended(market, order(market, begun, now))
            assert unit.state is UnitState.DONE


async def test_a_unit_that_the_plant_has_no_more_fails_with_its_reason(site) -> None:
    async with Market(site) as market:
        begun, now = await outage(market, 1)
        number = order(market, begun, now, "m1", "m2")
        async with Rig(market.draw(), market.clock, days=0):
            whole, first = await ended(market, number)
        with OrderFile(market.orders, readonly=True) as file:
            _, second = file.units(number)
        assert (whole.state, whole.failed, first.state) == (OrderState.DONE, 1, UnitState.DONE)
        assert (second.state, second.hitch) == (UnitState.FAILED, Hitch.GONE)


async def test_the_whole_hub_carries_out_orders_also_where_it_looks_for_no_gaps_and_tells_clients(site) -> None:
    async with Market(site) as market:
        begun, now = await outage(market, 4)
        slots = quarters(begun + QUARTER_MS, now - QUARTER_MS)
        settings = market.folder / "hub.toml"
        text = settings.read_text(encoding="utf-8")
        settings.write_text(text.replace("[history]\n", "[history]\nbackfill_days = 0\n"), encoding="utf-8")
        hub = Hub(draw(load_settings(settings)), market.clock)
        assert hub.history is not None
        stop, ready = asyncio.Event(), asyncio.Event()
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
            tasks.create_task(hub.run(stop, ready.set))
            await ready.wait()
            whole, unit = await ended(market, order(market, slots[0], slots[3] + 1))
            assert whole.state is OrderState.DONE
            assert unit.filled == 8
            while not (report := hub.reports.of(SYSTEM)) or report.values["LastOrderEnded"] is None:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            assert report.values["OrdersOpen"] == 0
            missing = await hub.history.ledger.missing(slots[0], slots[-1] + 1, [POINT])
            assert {int(found[0]) for _, _, found in missing} == {slots[4]}
            stop.set()
