"""The file of orders: `orders.db` beside the gap ledger's, so that whoever orders never holds up a hub's commits.

Orders are added and cancelled by the command line, and carried out by the hub, at the same time; each is a short
transaction of its own, on the disk when it ends. Use one from one thread at a time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from address_space.model.ids import NodeUid
from historian.errors import (
    DamagedHistory,
    HistoryError,
    NoSuchOrder,
    StoreBusy,
    StoreFull,
    TooManyOrders,
    WrongFormat,
)
from historian.gaps.orders import Hitch, Order, OrderedUnit, OrderState, UnitState, Wish
from historian.sqlite import files
from historian.sqlite.files import connect, connect_reader

FORMAT = 1
FILE = "orders.db"
MOST_OPEN = 50
"""Orders that may be open."""
MOST_UNITS = 10_000
"""Units that open orders may have together."""
MOST_KEPT = 200
"""Orders that have ended and are kept, the newest."""
MOST_DETAIL = 500
_LAST_NUMBER = 2**63 - 1
_ACCESS = 0o664
"""What of its folder's mode the file takes."""

_TABLES = """
CREATE TABLE IF NOT EXISTS orders(n INTEGER PRIMARY KEY AUTOINCREMENT, who TEXT NOT NULL, at_ms INTEGER NOT NULL,
    from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL, state INTEGER NOT NULL, begun_ms INTEGER NOT NULL DEFAULT 0,
    ended_ms INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS unit(n INTEGER, place INTEGER, uid TEXT NOT NULL, state INTEGER NOT NULL DEFAULT 0,
    next_ms INTEGER NOT NULL, wanted INTEGER NOT NULL DEFAULT 0, filled INTEGER NOT NULL DEFAULT 0,
    lacking INTEGER NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0, hitch INTEGER NOT NULL DEFAULT 0,
    detail TEXT NOT NULL DEFAULT '', PRIMARY KEY(n, place)) WITHOUT ROWID;
"""
# States in SQL are the numbers of OrderState (below 2: open) and UnitState (0: waiting, 2: failed).
_ORDERS = (
    "SELECT o.n, who, at_ms, from_ms, to_ms, o.state, begun_ms, ended_ms, COUNT(*), "
    "SUM(u.state > 0), SUM(u.state = 2), SUM(wanted), SUM(filled), SUM(lacking) FROM orders o JOIN unit u ON u.n = o.n "
)
_HINTS: tuple[tuple[type[HistoryError], str], ...] = (
    (DamagedHistory, "a hub that runs, or is started, has it kept aside and begins a new one"),
    (StoreFull, "write orders as the user that the hub runs as, and see that the disk has room"),
    (StoreBusy, "try again: the hub or another command is writing"),
)
_GROUPED = " GROUP BY o.n ORDER BY o.n"
_UNITS = "SELECT place, uid, state, next_ms, wanted, filled, lacking, tries, hitch, detail FROM unit "


class Share(NamedTuple):
    """What a hub finds of one unit when it takes up an order: slots that are missing, or why there is nothing to do."""

    place: int
    wanted: int
    hitch: Hitch = Hitch.NONE


class OrderFile:
    """The connection; use with `with`. Raises HistoryError where the disk refuses."""

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self.path = path
        if not readonly:
            _begun_as_its_folder(path)
        with translated(str(path)):
            self._db = connect_reader(path) if readonly else connect(path, cache_mb=1, synchronous="FULL")
        try:
            self._prepare(readonly=readonly)
        except BaseException:
            self._db.close()
            raise

    def _prepare(self, *, readonly: bool) -> None:
        with translated(str(self.path)):
            found = self._db.execute("PRAGMA user_version").fetchone()[0]
            if found > FORMAT:
                raise WrongFormat(
                    f"the orders have format {found}, this hub knows {FORMAT}",
                    where=str(self.path),
                    hint="run the newer hub, or move the file away: its orders are then forgotten",
                )
            if not readonly and found < FORMAT:
                self._db.executescript(_TABLES)
                self._db.execute(f"PRAGMA user_version = {FORMAT}")
        self._blank = readonly and found < FORMAT
        self._changes = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    # who orders

    def add(self, wish: Wish, now_ms: int) -> Order:
        """Take an order; raises TooManyOrders."""
        with self._transaction():
            asked = "SELECT COUNT(DISTINCT o.n), COUNT(*) FROM orders o JOIN unit u ON u.n = o.n WHERE o.state < 2"
            orders, units = self._db.execute(asked).fetchone()
            if orders >= MOST_OPEN or units + len(wish.units) > MOST_UNITS:
                raise TooManyOrders(
                    f"{orders} orders for {units} units are open; there may be {MOST_OPEN} for {MOST_UNITS}",
                    where=str(self.path),
                    hint="wait until some have ended, or cancel one with `joulehub history orders N --cancel`",
                )
            added = self._db.execute(
                "INSERT INTO orders(who, at_ms, from_ms, to_ms, state) VALUES (?, ?, ?, ?, ?)",
                (wish.by, now_ms, wish.from_ms, wish.to_ms, OrderState.WAITING),
            )
            number = int(added.lastrowid or 0)
            self._db.executemany(
                "INSERT INTO unit(n, place, uid, next_ms) VALUES (?, ?, ?, ?)",
                ((number, place, unit, wish.from_ms) for place, unit in enumerate(wish.units)),
            )
            self._thin_out()
        return self.order(number)

    def cancel(self, number: int, now_ms: int) -> bool:
        """Cancel an order; returns whether it was still open. Raises NoSuchOrder."""
        self.order(number)
        with self._transaction():
            return self._end(number, OrderState.CANCELLED, now_ms)

    def _thin_out(self) -> None:
        asked = "SELECT n FROM orders WHERE state >= 2 ORDER BY n DESC LIMIT -1 OFFSET ?"
        old = self._db.execute(asked, (MOST_KEPT,)).fetchall()
        self._db.executemany("DELETE FROM unit WHERE n = ?", old)
        self._db.executemany("DELETE FROM orders WHERE n = ?", old)

    # who looks

    def order(self, number: int) -> Order:
        """One order; raises NoSuchOrder."""
        found = self._orders("WHERE o.n = ?", number) if 0 < number <= _LAST_NUMBER else []
        if not found:
            raise self._unknown(number)
        return found[0]

    def newest(self, most: int) -> list[Order]:
        """Orders, newest first."""
        found = self._orders("WHERE o.n IN (SELECT n FROM orders ORDER BY n DESC LIMIT ?)", min(most, _LAST_NUMBER))
        return found[::-1]

    def open_orders(self) -> list[Order]:
        """Orders of which something is still to be done, oldest first."""
        return self._orders("WHERE o.state < 2")

    def last_ended_ms(self) -> int:
        """When an order ended last, 0 for never."""
        with translated(str(self.path)):
            return int(self._db.execute("SELECT COALESCE(MAX(ended_ms), 0) FROM orders").fetchone()[0])

    def units(self, number: int) -> list[OrderedUnit]:
        """All units of an order, as they were named."""
        with self._understood():
            return [_unit(row) for row in self._db.execute(_UNITS + "WHERE n = ? ORDER BY place", (number,))]

    def waiting(self, number: int) -> list[tuple[int, NodeUid]]:
        """Place and id of the units of an order that are neither done nor failed."""
        with translated(str(self.path)):
            asked = "SELECT place, uid FROM unit WHERE n = ? AND state = 0 ORDER BY place"
            return self._db.execute(asked, (number,)).fetchall()

    def unit(self, number: int, place: int) -> OrderedUnit:
        """One unit of an order; raises NoSuchOrder."""
        with self._understood():
            row = self._db.execute(_UNITS + "WHERE n = ? AND place = ?", (number, place)).fetchone()
            if row is not None:
                return _unit(row)
        raise self._unknown(number)

    def changed(self) -> bool:
        """Whether another connection has written since the last time this was asked; True the first time."""
        with translated(str(self.path)):
            found = int(self._db.execute("PRAGMA data_version").fetchone()[0])
        before, self._changes = self._changes, found
        return found != before

    # who carries out

    def take(self, number: int, begun_ms: int, shares: Sequence[Share]) -> bool:
        """A hub begins; returns whether the order was still waiting for one, and has anything to be done."""
        with self._transaction():
            begun = self._db.execute(
                "UPDATE orders SET state = ?, begun_ms = ? WHERE n = ? AND state = ?",
                (OrderState.RUNNING, begun_ms, number, OrderState.WAITING),
            )
            if not begun.rowcount:
                return False
            self._db.executemany(
                "UPDATE unit SET wanted = ?, hitch = ?, state = ? WHERE n = ? AND place = ?",
                ((share.wanted, share.hitch, _begun(share), number, share.place) for share in shares),
            )
            return not self._end_if_all(number, begun_ms)

    def advance(self, number: int, place: int, next_ms: int, filled: int, lacking: int) -> None:
        """Slots of a unit before `next_ms` are settled; so many more were filled or are lacking."""
        with self._transaction():
            self._db.execute(
                "UPDATE unit SET next_ms = ?, filled = MIN(filled + ?, wanted), lacking = MIN(lacking + ?, wanted), "
                "hitch = 0, detail = '' WHERE n = ? AND place = ? AND state = 0",
                (next_ms, filled, lacking, number, place),
            )

    def put_off(self, number: int, place: int, hitch: Hitch, detail: str, next_ms: int | None = None) -> int:
        """An attempt failed; returns how many have. `next_ms`: from where on the next one begins."""
        with self._transaction():
            self._db.execute(
                "UPDATE unit SET tries = tries + 1, hitch = ?, detail = ?, next_ms = COALESCE(?, next_ms) "
                "WHERE n = ? AND place = ?",
                (hitch, detail[:MOST_DETAIL], next_ms, number, place),
            )
        return self.unit(number, place).tries

    def finish(self, number: int, place: int, filled: int, lacking: int, now_ms: int) -> bool:
        """A unit is done, with these figures; returns whether that ended the order."""
        with self._transaction():
            self._db.execute(
                "UPDATE unit SET state = ?, filled = ?, lacking = ?, hitch = 0, detail = '' WHERE n = ? AND place = ?",
                (UnitState.DONE, filled, lacking, number, place),
            )
            return self._end_if_all(number, now_ms)

    def fail(self, number: int, place: int, hitch: Hitch, detail: str, now_ms: int) -> bool:
        """A unit is given up; returns whether that ended the order."""
        with self._transaction():
            self._db.execute(
                "UPDATE unit SET state = ?, hitch = ?, detail = ? WHERE n = ? AND place = ?",
                (UnitState.FAILED, hitch, detail[:MOST_DETAIL], number, place),
            )
            return self._end_if_all(number, now_ms)

    def _end_if_all(self, number: int, now_ms: int) -> bool:
        left = self._db.execute("SELECT 1 FROM unit WHERE n = ? AND state = 0 LIMIT 1", (number,)).fetchone()
        return left is None and self._end(number, OrderState.DONE, now_ms)

    def _end(self, number: int, state: OrderState, now_ms: int) -> bool:
        ended = self._db.execute(
            "UPDATE orders SET state = ?, ended_ms = ? WHERE n = ? AND state < 2",
            (state, now_ms, number),
        )
        return bool(ended.rowcount)

    def _orders(self, which: str, *values: int) -> list[Order]:
        if self._blank:
            return []
        with self._understood():
            return [_order(row) for row in self._db.execute(_ORDERS + which + _GROUPED, values)]

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """Rows that nobody here wrote are damage."""
        try:
            with translated(str(self.path)):
                yield
        except (ValueError, TypeError) as error:
            hint = _HINTS[0][1]
            raise DamagedHistory(f"the orders are damaged ({error})", where=str(self.path), hint=hint) from error

    def _unknown(self, number: int) -> NoSuchOrder:
        hint = "`joulehub history orders` lists those there are"
        return NoSuchOrder(f"there is no order {number}", where=str(self.path), hint=hint)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with translated(str(self.path)), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            yield


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn SQLite's errors into the historian's, with what to do about a file of orders."""
    try:
        with files.translated(where):
            yield
    except WrongFormat:
        raise
    except HistoryError as error:
        hint = next((hint for kind, hint in _HINTS if isinstance(error, kind)), error.hint)
        raise type(error)(error.what, where=where, hint=hint) from error


def _begun_as_its_folder(path: Path) -> None:
    """Make a file that is not there yet of its folder's owner and mode: where root orders before the hub that ran
    ever did, it is the hub's still. What cannot be had is left to the connection to say."""
    with suppress(OSError):
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            folder = path.parent.stat()
            with suppress(OSError):
                os.fchown(made, folder.st_uid, folder.st_gid)
            os.fchmod(made, folder.st_mode & _ACCESS)
        finally:
            os.close(made)


def _begun(share: Share) -> UnitState:
    if share.hitch is Hitch.NOT_EXPECTED:
        return UnitState.DONE
    return UnitState.FAILED if share.hitch else UnitState.WAITING


def _order(row: tuple[Any, ...]) -> Order:
    number, by, at_ms, from_ms, to_ms, state, *counted = row
    asked = int(at_ms), int(from_ms), int(to_ms)
    return Order(int(number), str(by), *asked, OrderState(state), *map(int, counted))


def _unit(row: tuple[Any, ...]) -> OrderedUnit:
    place, uid, state, *counted, hitch, detail = row
    next_ms, wanted, filled, lacking, tries = map(int, counted)
    return OrderedUnit(
        int(place),
        NodeUid(str(uid)),
        UnitState(state),
        next_ms,
        wanted,
        filled,
        lacking,
        tries,
        Hitch(hitch),
        str(detail),
    )
