"""The file of orders: what two processes may do to it at once, its bounds, and what it keeps."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import threading
from pathlib import Path

import pytest

from address_space.model.ids import NodeUid
from historian.errors import DamagedHistory, NoSuchOrder, StoreFull, TooManyOrders, WrongFormat
from historian.gaps import Hitch, OrderState, UnitState, Wish, order_file
from historian.gaps.order_file import OrderFile, Share

NOW_MS = 1_795_300_000_000
FROM_MS, TO_MS = NOW_MS - 7_200_000, NOW_MS - 3_600_000


def wish(*units: str) -> Wish:
    return Wish(tuple(NodeUid(unit) for unit in units or ("m1",)), FROM_MS, TO_MS, "anna")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / order_file.FILE


def test_an_order_goes_from_waiting_over_running_to_done(path: Path) -> None:
    with OrderFile(path) as cli, OrderFile(path) as hub:
        number = cli.add(wish("m1", "m2"), NOW_MS).number
        (order,) = hub.open_orders()
        assert (order.state, order.by, order.units, order.begun_ms) == (OrderState.WAITING, "anna", 2, 0)
        assert hub.waiting(number) == [(0, "m1"), (1, "m2")]
        assert hub.take(number, NOW_MS + 1, [Share(0, 10), Share(1, 4)])
        assert not hub.take(number, NOW_MS + 2, [Share(0, 99), Share(1, 99)])
        hub.advance(number, 0, FROM_MS + 60_000, 6, 1)
        assert cli.unit(number, 0).next_ms == FROM_MS + 60_000
        assert not hub.finish(number, 0, 9, 1, NOW_MS + 3)
        assert cli.order(number).is_open
        assert hub.fail(number, 1, Hitch.REFUSED, "no such data", NOW_MS + 4)
        order = cli.order(number)
        assert (order.state, order.ended, order.failed, order.ended_ms) == (OrderState.DONE, 2, 1, NOW_MS + 4)
        assert (order.wanted, order.filled, order.lacking) == (14, 9, 1)
        first, second = cli.units(number)
        assert (first.state, second.state, second.hitch) == (UnitState.DONE, UnitState.FAILED, Hitch.REFUSED)
        assert second.detail == "no such data"
        assert hub.last_ended_ms() == NOW_MS + 4
        assert hub.open_orders() == []


def test_what_a_hub_cannot_ask_at_all_ends_an_order_when_it_is_taken_up(path: Path) -> None:
    with OrderFile(path) as file:
        number = file.add(wish(), NOW_MS).number
        assert not file.take(number, NOW_MS, [Share(0, 0, Hitch.NO_MEMORY)])
        assert file.order(number).state is OrderState.DONE
        assert file.units(number)[0].state is UnitState.FAILED


def test_what_is_cancelled_stays_so_whatever_the_hub_says_of_it_then(path: Path) -> None:
    with OrderFile(path) as cli, OrderFile(path) as hub:
        number = cli.add(wish(), NOW_MS).number
        assert hub.take(number, NOW_MS, [Share(0, 5)])
        assert cli.cancel(number, NOW_MS + 1)
        assert not hub.finish(number, 0, 5, 0, NOW_MS + 2)
        order = cli.order(number)
        assert (order.state, order.ended_ms) == (OrderState.CANCELLED, NOW_MS + 1)
        assert not cli.cancel(number, NOW_MS + 3)
        with pytest.raises(NoSuchOrder, match="no order 99"):
            cli.cancel(99, NOW_MS)


def test_counts_never_pass_what_is_wanted(path: Path) -> None:
    with OrderFile(path) as file:
        number = file.add(wish(), NOW_MS).number
        file.take(number, NOW_MS, [Share(0, 5)])
        for _ in range(3):
            file.advance(number, 0, FROM_MS, 4, 3)
        unit = file.units(number)[0]
        assert (unit.filled, unit.lacking) == (5, 5)


def test_only_what_others_did_counts_as_a_change(path: Path) -> None:
    with OrderFile(path) as cli, OrderFile(path) as hub:
        assert hub.changed()
        assert not hub.changed()
        number = cli.add(wish(), NOW_MS).number
        assert hub.changed()
        hub.take(number, NOW_MS, [Share(0, 5)])
        assert not hub.changed()
        cli.cancel(number, NOW_MS)
        assert hub.changed()


def test_open_orders_and_their_units_are_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_file, "MOST_OPEN", 3)
    monkeypatch.setattr(order_file, "MOST_UNITS", 5)
    with OrderFile(path) as file:
        first = file.add(wish("a", "b", "c"), NOW_MS).number
        with pytest.raises(TooManyOrders, match="1 orders for 3 units") as caught:
            file.add(wish("d", "e", "f"), NOW_MS)
        assert "--cancel" in caught.value.hint
        file.add(wish("d"), NOW_MS)
        file.add(wish("e"), NOW_MS)
        with pytest.raises(TooManyOrders):
            file.add(wish("f"), NOW_MS)
        file.cancel(first, NOW_MS)
        file.add(wish("f", "g", "h"), NOW_MS)


def test_old_orders_are_thinned_out_and_open_ones_never(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_file, "MOST_KEPT", 3)
    with OrderFile(path) as file:
        first = file.add(wish(), NOW_MS).number
        for _ in range(6):
            file.cancel(file.add(wish("a", "b"), NOW_MS).number, NOW_MS)
        newest = file.add(wish(), NOW_MS).number
        assert [order.number for order in file.newest(100)] == [newest, newest - 1, newest - 2, newest - 3, first]
        assert [order.number for order in file.newest(2)] == [newest, newest - 1]
        assert file.units(2) == []


def test_a_number_is_never_given_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_file, "MOST_KEPT", 0)
    with OrderFile(path) as file:
        for expected in (1, 2, 3):
            number = file.add(wish(), NOW_MS).number
            assert number == expected
            file.cancel(number, NOW_MS)


def test_attempts_are_counted_and_their_reason_kept_within_bounds(path: Path) -> None:
    with OrderFile(path) as file:
        number = file.add(wish(), NOW_MS).number
        file.take(number, NOW_MS, [Share(0, 5)])
        assert [file.put_off(number, 0, Hitch.SILENT, "x" * 10_000) for _ in range(3)] == [1, 2, 3]
        unit = file.units(number)[0]
        assert (unit.tries, unit.hitch, len(unit.detail)) == (3, Hitch.SILENT, order_file.MOST_DETAIL)
        file.advance(number, 0, FROM_MS + 1, 1, 0)
        file.put_off(number, 0, Hitch.HISTORY, "", FROM_MS)
        assert file.units(number)[0].next_ms == FROM_MS


def test_many_processes_order_at_once_and_each_gets_its_own_number(path: Path) -> None:
    with OrderFile(path):
        pass
    numbers: list[int] = []

    def some() -> None:
        for _ in range(8):
            with OrderFile(path) as file:
                numbers.append(file.add(wish(), NOW_MS).number)

    threads = [threading.Thread(target=some) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 41))


def _order_and_die(path: Path) -> None:
    file = OrderFile(path)
    file.add(wish(), NOW_MS)
    file._db.execute("BEGIN IMMEDIATE")
    file._db.execute("DELETE FROM orders")
    os.kill(os.getpid(), signal.SIGKILL)


def test_an_order_that_was_taken_survives_a_kill_and_half_a_transaction_leaves_nothing(path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_order_and_die, args=(path,))
    process.start()
    process.join(30)
    assert process.exitcode == -9
    with OrderFile(path) as file:
        assert [order.number for order in file.open_orders()] == [1]


def test_a_file_of_a_newer_hub_and_one_that_is_none_are_told_apart(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(WrongFormat, match="format 99"):
        OrderFile(path)
    path.write_bytes(b"no database" * 500)
    with pytest.raises(DamagedHistory):
        OrderFile(path)


def test_rows_that_nobody_here_wrote_are_damage(path: Path) -> None:
    with OrderFile(path) as file:
        number = file.add(wish(), NOW_MS).number
        for spoil in ("UPDATE unit SET hitch = 77", "UPDATE unit SET next_ms = 'x'", "UPDATE orders SET state = -1"):
            file._db.execute(spoil)
            with pytest.raises(DamagedHistory, match="damaged"):
                file.order(number) if "orders" in spoil else file.units(number)


def test_the_file_is_its_folders_whoever_orders_first(path: Path) -> None:
    path.parent.chmod(0o750)
    if os.geteuid() == 0:
        os.chown(path.parent, 12_345, 12_346)
    before = os.umask(0o077)
    try:
        with OrderFile(path) as file:
            file.add(wish(), NOW_MS)
            found = [name.stat() for name in (path, path.with_name(f"{path.name}-wal"))]
    finally:
        os.umask(before)
    folder = path.parent.stat()
    assert {(each.st_mode & 0o777, each.st_uid, each.st_gid) for each in found} == {
        (0o640, folder.st_uid, folder.st_gid)
    }


def test_a_file_that_is_there_stays_as_its_owner_made_it(path: Path) -> None:
    OrderFile(path).close()
    path.chmod(0o600)
    OrderFile(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_number_however_long_is_more_than_unknown(path: Path) -> None:
    with OrderFile(path) as file:
        number = file.add(wish(), NOW_MS).number
        for unknown in (2**63, -(2**63) - 1, 10**30):
            with pytest.raises(NoSuchOrder):
                file.order(unknown)
            with pytest.raises(NoSuchOrder):
                file.cancel(unknown, NOW_MS)
        assert [order.number for order in file.newest(10**30)] == [number]


def test_a_file_that_a_hub_has_just_begun_has_no_orders_yet(path: Path) -> None:
    path.touch()
    with OrderFile(path, readonly=True) as file:
        assert file.newest(20) == []
        with pytest.raises(NoSuchOrder):
            file.order(1)


def test_what_is_wrong_with_the_file_is_told_with_what_to_do_about_orders(path: Path) -> None:
    path.write_bytes(b"no database" * 500)
    with pytest.raises(DamagedHistory) as damaged:
        OrderFile(path, readonly=True)
    assert "kept aside" in damaged.value.hint
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreFull) as refused:
        OrderFile(path)
    assert "the user that the hub runs as" in refused.value.hint
