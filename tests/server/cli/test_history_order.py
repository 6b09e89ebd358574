"""`joulehub history order` and `orders`: what is refused at once, what lies there for the hub, and what came of it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from address_space.model import SystemClock
from historian.gaps import GapLedger, Hitch, OrderState, order_file
from historian.gaps.order_file import OrderFile, Share
from server.cli import history_orders
from server.cli.main import main

PLANT = """\
name: Market
time_zone: Asia/Tashkent
hierarchy: [{id: f1, kind: feeder}]
channels:
  bus1: {driver: dlt645, options: {host: 127.0.0.1, port: 1, timeout_ms: 400, gap_ms: 0}}
  bus2: {driver: modbus, options: {host: 127.0.0.1, port: 2, timeout_ms: 400}}
metering_units:
  - {id: m1, parent: f1, profile: generic/dlt645-2007-three-phase, channel: bus1, address: "202611220017"}
  - {id: m2, parent: f1, profile: generic/dlt645-2007-three-phase, channel: bus1, address: "202611220018"}
  - {id: m3, parent: f1, profile: generic/dlt645-1997, channel: bus1, address: "202611220019"}
  - {id: m4, parent: f1, profile: eastron/sdm630, channel: bus2, address: "1"}
  - {id: m5, parent: f1, profile: generic/dlt645-2007-three-phase, channel: bus1, address: "20", enabled: false}
"""


class Desk:
    """The command line at a plant's folder."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.orders = folder / "data" / "history" / "orders.db"
        self._capsys = capsys

    def run(self, *arguments: str, status: int = 0) -> tuple[str, str]:
        """What a `history` command says, on standard output and standard error."""
        assert main(["history", *arguments, "--config", str(self.folder)]) == status
        said = self._capsys.readouterr()
        return said.out, said.err

    def refused(self, *arguments: str) -> str:
        out, err = self.run("order", *arguments, status=1)
        assert out == ""
        assert not self.orders.exists()
        return err


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    (tmp_path / "plant.yaml").write_text(PLANT, encoding="utf-8")
    (tmp_path / "hub.toml").write_text(f'plant = "."\ndata_dir = "{tmp_path / "data"}"\n')

    async def once() -> None:
        async with GapLedger(tmp_path / "data" / "history", SystemClock()):
            pass

    asyncio.run(once())
    return Desk(tmp_path, capsys)


def test_an_order_lies_there_for_the_hub_and_is_told(desk: Desk) -> None:
    out, err = desk.run("order", "m1", "m2", "m1", "--last", "24h", "--by", "Anna K.")
    assert out.startswith("order 1  waiting  2 units  ")
    assert "by Anna K. at " in out
    assert "`joulehub history orders 1`" in err
    with OrderFile(desk.orders, readonly=True) as file:
        (order,) = file.open_orders()
        assert [unit.point for unit in file.units(1)] == ["m1", "m2"]
    assert order.to_ms - order.from_ms == 86_400_000
    assert order.to_ms == order.at_ms or order.at_ms - order.to_ms < 60_000


def test_times_are_those_of_the_plant_and_what_is_to_come_is_cut_off(desk: Desk) -> None:
    clock = SystemClock()
    out, _ = desk.run("order", "m1", "--from", _day(clock, -2), "--to", _day(clock, 3), "--json")
    told = json.loads(out)
    assert told["from"].endswith("T00:00:00.000+05:00")
    assert told["to"] <= told["ordered"]
    assert (told["order"], told["state"], told["units"], told["begun"]) == (1, "waiting", 1, None)


@pytest.mark.parametrize(
    ("units", "said", "hint"),
    [
        (["m1", "m9"], "m9: no metering unit of the plant", "write ids"),
        (["f1"], "f1 (feeder): a place of the hierarchy", "metering units below"),
        (["m5"], "m5: switched off", "enabled: true"),
        (["m4"], "m4: no memory that the hub can read", "docs/history.md"),
        (["m3"], "m3: no memory that the hub can read", "docs/history.md"),
        ([f"x{n}" for n in range(30)], "x0, x1, x2, x3, x4 and 25 more: no metering unit", "write ids"),
    ],
)
def test_units_that_cannot_be_asked_are_refused_at_once(desk: Desk, units: list[str], said: str, hint: str) -> None:
    err = desk.refused(*units, "--last", "24h")
    assert "plant.yaml" in err
    assert said in err
    assert hint in err


@pytest.mark.parametrize(
    ("times", "said", "hint"),
    [
        ([], "no time is given", "--last 24h"),
        (["--to", "2026-01-01"], "no time is given", "--from and --to"),
        (["--from", "2126-01-01", "--to", "2126-01-02"], "lies in the future", "have kept nothing yet"),
        (["--from", "2001-01-01", "--to", "2001-01-02"], "longer ago than the 730 days", "history.retention_days"),
        (["--from", "2025-01-02", "--to", "2025-01-01"], "not before --to", "from (counted)"),
        (["--from", "9999999-01-01", "--to", "2025-01-01"], "is no time", "2026-01-31"),
        (["--from", "0001-01-01"], "longer ago than the 730 days", "history.retention_days"),
        (["--from", "9999-12-31T23:59-12:00", "--to", "9999-12-31T23:59-13:00"], "lies in the future", "have kept"),
        (["--last", "9" * 40 + "w"], "longer ago than the 730 days", "history.retention_days"),
    ],
)
def test_a_span_in_which_nothing_can_be_kept_is_refused_at_once(
    desk: Desk, times: list[str], said: str, hint: str
) -> None:
    err = desk.refused("m1", *times)
    assert said in err
    assert hint in err


def test_a_span_beyond_the_reach_of_the_memory_is_refused(desk: Desk) -> None:
    clock = SystemClock()
    err = desk.refused("m1", "--from", _day(clock, -600), "--to", _day(clock, -500))
    assert "m1 (366 days): its memory does not reach back so far" in err


@pytest.mark.parametrize("name", ["", "  ", "a\x1b[31mb", "x" * 101, "two\nlines"])
def test_a_name_that_cannot_be_shown_is_refused(desk: Desk, name: str) -> None:
    assert "is no name" in desk.refused("m1", "--last", "1d", "--by", name)


def test_without_a_history_or_with_it_switched_off_there_is_a_sentence(desk: Desk) -> None:
    (desk.folder / "data" / "history" / "gaps.db").unlink()
    assert "there is no history yet" in desk.refused("m1", "--last", "1d")
    settings = desk.folder / "hub.toml"
    settings.write_text(settings.read_text() + "[history]\nenabled = false\n")
    assert "switched off" in desk.refused("m1", "--last", "1d")


def test_too_many_orders_are_refused_until_one_is_cancelled(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_file, "MOST_OPEN", 1)
    desk.run("order", "m1", "--last", "1d")
    _, err = desk.run("order", "m1", "--last", "1d", status=1)
    assert "1 orders for 1 units are open" in err
    out, _ = desk.run("orders", "1", "--cancel")
    assert out.startswith("order 1  cancelled")
    desk.run("order", "m1", "--last", "1d")
    _, err = desk.run("orders", "1", "--cancel", status=1)
    assert "ended already" in err


def test_what_came_of_an_order_is_told_unit_by_unit(desk: Desk) -> None:
    desk.run("order", "m1", "m2", "--last", "24h")
    out, _ = desk.run("orders", "1")
    assert "not begun" in out
    with OrderFile(desk.orders) as hub:
        hub.take(1, 1_795_300_000_000, [Share(0, 96), Share(1, 10)])
        hub.advance(1, 0, 1_795_300_000_000, 40, 2)
        hub.put_off(1, 1, Hitch.SILENT, "no answer within 0.5 s")
        out, _ = desk.run("orders", "1")
        assert "order 1  running" in out
        assert "m1  waiting  40 of 96 missing readings filled, 2 not in the memory, 54 open\n" in out
        assert "m2  waiting  0 of 10 missing readings filled, 10 open: the meter does not answer (no answer" in out
        hub.finish(1, 0, 94, 2, 1_795_300_000_000)
        hub.fail(1, 1, Hitch.SILENT, "no answer within 0.5 s", 1_795_300_000_000)
    out, _ = desk.run("orders", "1", "--json")
    told = json.loads(out)
    assert (told["state"], told["failed"], told["wanted"], told["filled"], told["lacking"]) == ("done", 1, 106, 94, 2)
    assert [(unit["unit"], unit["state"], unit["why"], unit["tries"]) for unit in told["results"]] == [
        ("m1", "done", None, 0),
        ("m2", "failed", "silent", 1),
    ]
    out, _ = desk.run("orders")
    assert "done  2 units, 1 of them failed" in out
    assert [each["order"] for each in json.loads(desk.run("orders", "--json")[0])] == [1]


def test_of_a_time_in_which_nothing_was_expected_nobody_says_that_nothing_is_missing(desk: Desk) -> None:
    desk.run("order", "m1", "m2", "--last", "24h")
    with OrderFile(desk.orders) as hub:
        assert hub.take(1, 1_795_300_000_000, [Share(0, 0, Hitch.NOT_EXPECTED), Share(1, 4)])
        assert [place for place, _ in hub.waiting(1)] == [1]
        hub.finish(1, 1, 4, 0, 1_795_300_000_000)
    out, _ = desk.run("orders", "1", "--wait")
    assert "  m1  done  nothing was expected of it in that time\n" in out
    told = json.loads(desk.run("orders", "1", "--json")[0])
    assert [(unit["state"], unit["why"]) for unit in told["results"]] == [("done", "not_expected"), ("done", None)]
    desk.run("order", "m1", "--last", "24h")
    with OrderFile(desk.orders) as hub:
        assert not hub.take(2, 1_795_300_000_000, [Share(0, 0, Hitch.NOT_EXPECTED)])
    out, _ = desk.run("orders", "2", "--wait")
    assert out.startswith("order 2  done  1 unit  ")
    assert "missing" not in out


def test_every_hitch_and_state_has_its_words() -> None:
    assert history_orders._WHY.keys() == set(Hitch)
    assert history_orders._STATES.keys() == set(OrderState)


def test_without_orders_there_is_a_sentence(desk: Desk) -> None:
    assert "nothing was ordered" in desk.run("orders")[1]
    assert json.loads(desk.run("orders", "--json")[0]) == []
    assert "there is no order 3" in desk.run("orders", "3", status=1)[1]
    assert "no order is named" in desk.run("orders", "--cancel", status=1)[1]
    desk.run("order", "m1", "--last", "1d")
    assert "there is no order 3" in desk.run("orders", "3", status=1)[1]
    assert "there is no order 999" in desk.run("orders", "9" * 30, status=1)[1]
    assert "order 1" in desk.run("orders", "--most", "9" * 30)[0]


def ending(desk: Desk, end: Callable[[OrderFile], object]) -> threading.Thread:
    """A hub's part, played as soon as there is an order."""

    def play() -> None:
        while True:
            if desk.orders.exists():
                with OrderFile(desk.orders) as hub:
                    if hub.open_orders():
                        end(hub)
                        return

    thread = threading.Thread(target=play)
    thread.start()
    return thread


def test_who_waits_learns_the_outcome(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_orders, "LOOK_S", 0.01)

    def well(hub: OrderFile) -> None:
        hub.take(1, 1_795_300_000_000, [Share(0, 4)])
        hub.finish(1, 0, 4, 0, 1_795_300_000_000)

    thread = ending(desk, well)
    out, _ = desk.run("order", "m1", "--last", "1d", "--wait")
    thread.join()
    assert "order 1  done" in out
    assert "m1  done  4 of 4 missing readings filled\n" in out
    thread = ending(desk, lambda hub: hub.cancel(2, 1_795_300_000_000))
    out, _ = desk.run("order", "m1", "--last", "1d", "--wait", "--json", status=1)
    thread.join()
    assert json.loads(out)["state"] == "cancelled"
    desk.run("orders", "1", "--wait")


def test_who_waits_for_a_hub_that_does_not_run_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_orders, "LOOK_S", 0.01)
    desk.run("order", "m1", "--last", "1d")
    timer = threading.Timer(0.6, lambda: OrderFile(desk.orders).cancel(1, 1))
    timer.start()
    _, err = desk.run("orders", "1", "--wait", status=1)
    timer.join()
    assert "no hub has taken the order up yet" in err


def _day(clock: SystemClock, days: int) -> str:
    moment = datetime.fromtimestamp(clock.now_ns() // 1_000_000_000, UTC) + timedelta(days=days)
    return moment.date().isoformat()
