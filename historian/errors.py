"""Errors of the historian.

HistoryError
├── StoreClosed       the store is not open
├── StoreBusy         another process holds the files (retryable)
├── StoreFull         no room on the disk, its file's ceiling is reached, or it is read-only (retryable)
├── StoreUnreachable  a store on another machine does not answer (retryable)
├── StoreFailed       the store refused for another reason
│   └── StoreDenied   it does not let the hub in
├── TooManyOrders     no more orders to read meters' memories are taken for now
├── NoSuchOrder       no order has this number
└── DamagedHistory    stored bytes are not what was written
    └── WrongFormat   the files were made by a newer hub
"""

from __future__ import annotations

from address_space.model.errors import HubError


class HistoryError(HubError):
    """History cannot be written or read. `retryable`: the same request may succeed later."""

    retryable = False


class StoreClosed(HistoryError):
    """The store is not open."""


class StoreBusy(HistoryError):
    """Another process holds the files."""

    retryable = True


class StoreFull(HistoryError):
    """There is no room to write, or the disk does not let write."""

    retryable = True


class StoreUnreachable(HistoryError):
    """A store on another machine does not answer."""

    retryable = True


class StoreFailed(HistoryError):
    """The store refused for a reason that time does not heal."""


class StoreDenied(StoreFailed):
    """The store does not let the hub in: credentials or rights are wrong."""


class TooManyOrders(HistoryError):
    """No more orders to read meters' memories are taken for now."""

    retryable = True


class NoSuchOrder(HistoryError):
    """No order has this number: it was never given, or so long ago that it is no longer kept."""


class DamagedHistory(HistoryError):
    """Stored bytes are not what was written; they are skipped and never guessed at."""


class WrongFormat(DamagedHistory):
    """The files carry a format this hub does not know."""
