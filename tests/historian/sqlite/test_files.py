"""What is said where the system does not let the hub keep history."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

import pytest

from historian.errors import HistoryError, StoreFull
from historian.sqlite.files import not_let, translate


def failed(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("it said so")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOSPC, "free space"),
        (errno.EDQUOT, "free space"),
        (errno.EMFILE, "open files"),
        (errno.ENFILE, "open files"),
        (errno.EPERM, "mend the folder"),
        (errno.EROFS, "mend the folder"),
        (errno.EIO, "mend the folder"),
    ],
)
def test_each_reason_of_the_system_is_told_with_its_place_and_what_helps(number: int, hint: str) -> None:
    told = not_let(OSError(number, os.strerror(number)), Path("history"))
    assert told.retryable
    assert os.strerror(number) in told.what
    assert (told.where, hint in told.hint) == ("history", True)


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (sqlite3.SQLITE_FULL, "free space"),
        (sqlite3.SQLITE_IOERR, "without a restart"),
        (sqlite3.SQLITE_IOERR | 3 << 8, "without a restart"),
        (sqlite3.SQLITE_READONLY, "without a restart"),
        (sqlite3.SQLITE_CANTOPEN, "without a restart"),
    ],
)
def test_what_the_disk_refuses_can_be_tried_again_and_says_what_to_do(code: int, hint: str) -> None:
    told: HistoryError = translate(failed(code), "x.db")
    assert isinstance(told, StoreFull)
    assert hint in told.hint
