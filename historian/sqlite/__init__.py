"""The embedded store: wide rows in a table per day, old days packed, a SQLite file per month."""

from historian.sqlite.files import StoreOptions
from historian.sqlite.store import SqliteStore

__all__ = ["SqliteStore", "StoreOptions"]
