"""A disk that refuses everything while files are open: each test plays in a process of its own, which must not die."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

BEGIN = """
import os, sqlite3, subprocess, sys
from contextlib import suppress
from pathlib import Path
from historian.sqlite.files import connect, connect_reader
path = Path(sys.argv[1]) / "x.db"
def add(rows):
    writer.execute("BEGIN IMMEDIATE")
    try:
        writer.executemany("INSERT INTO t VALUES (?)", [(number,) for number in range(rows)])
        writer.execute("COMMIT")
    except sqlite3.Error:
        if writer.in_transaction:
            writer.execute("ROLLBACK")
        raise
def count(connection):
    return connection.execute("SELECT COUNT(*) FROM t").fetchone()[0]
def refused(work):
    try:
        work()
    except sqlite3.OperationalError as error:
        return str(error)
    raise SystemExit("nothing was refused")
writer = connect(path, cache_mb=1, synchronous="FULL")
writer.execute("CREATE TABLE t(a)")
reader = connect_reader(path)
add(1000)
"""


def played(folder: Path, *lines: str) -> subprocess.CompletedProcess[str]:
    """What a process does and says that opens a file in a folder, writes 1,000 rows, and goes on with these lines."""
    script = BEGIN + "\n".join(lines)
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", script, str(folder)], capture_output=True, text=True, check=False
    )


def wrong(done: subprocess.CompletedProcess[str]) -> str:
    """How it ended where that is not well."""
    return f"{done.returncode} {done.stderr}" if done.returncode else ""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, on which files can be made immutable and which can be broken off."""
    image, place = tmp_path / "disk", tmp_path / "mounted"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(32 << 20)
    for command in (["mkfs.ext4", "-q", str(image)], ["mount", "-o", "loop", str(image), str(place)]):
        if shutil.which(command[0]) is None or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("a file system in a file cannot be mounted: not root, or a container that forbids it")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], capture_output=True, check=False)


IMMUTABLE = "subprocess.run(f'sync; chattr +i {path.parent}/x*', shell=True, check=True)"
FREE = "subprocess.run(f'chattr -i {path.parent}/x*', shell=True, check=True)"
BROKEN = "subprocess.run(['mount', '-o', 'remount,abort', path.parent], check=True)"


@pytest.mark.parametrize("checkpoint", ["", "writer.execute('PRAGMA wal_checkpoint').fetchall()"])
def test_on_files_that_turn_immutable_reading_goes_on_and_writing_is_refused_until_they_are_free(
    disk: Path, checkpoint: str
) -> None:
    done = played(
        disk,
        checkpoint,
        IMMUTABLE,
        "told = refused(lambda: add(1))",
        "assert 'x.db-shm: operation not permitted' in told, told",
        "assert count(reader) == count(writer) == 1000",
        "again = connect_reader(path)",
        "assert count(again) == 1000",
        "refused(lambda: connect(path, cache_mb=1))",
        FREE,
        "add(5)",
        "assert count(reader) == count(again) == 1005",
    )
    assert not wrong(done)


@pytest.mark.parametrize("checkpoint", ["", "writer.execute('PRAGMA wal_checkpoint').fetchall()"])
def test_files_on_a_disk_that_breaks_are_read_and_closed_and_opened_for_reading(disk: Path, checkpoint: str) -> None:
    done = played(
        disk,
        checkpoint,
        "os.sync()",
        BROKEN,
        "told = refused(lambda: add(1))",
        "assert 'x.db-shm: read-only file system' in told, told",
        "assert count(reader) == 1000",
        "reader.close()",
        "writer.close()",
        "assert count(connect_reader(path)) == 1000",
    )
    assert not wrong(done)


@pytest.mark.parametrize("first", ["reader", "writer"])
def test_an_index_that_somebody_cuts_short_is_made_again_and_nothing_is_lost(tmp_path: Path, first: str) -> None:
    done = played(
        tmp_path,
        "os.truncate(f'{path}-shm', 0)",
        f"assert count({first}) == 1000",
        "add(5)",
        "assert count(reader) == count(writer) == 1005",
        "os.truncate(f'{path}-shm', 100)",
        "add(5)",
        "reader.close(); writer.close()",
        "assert count(connect_reader(path)) == 1010",
    )
    assert not wrong(done)


def test_an_index_that_has_its_name_now_is_left_alone_by_whom_it_does_not_belong_to(tmp_path: Path) -> None:
    done = played(
        tmp_path,
        "os.truncate(f'{path}-shm', 65536)",
        "assert count(reader) == 1000",
        "for end in ('', '-wal', '-shm'):",
        "    os.rename(f'{path}{end}', f'{path}.aside{end}')",
        "writer = connect(path, cache_mb=1)",
        "writer.execute('CREATE TABLE t(a)')",
        "before = subprocess.check_output(['md5sum', f'{path}-shm'])",
        "count(reader)",
        "assert subprocess.check_output(['md5sum', f'{path}-shm']) == before",
    )
    assert not wrong(done)


def test_an_index_that_is_cut_in_the_middle_of_a_change_gives_that_change_up(tmp_path: Path) -> None:
    done = played(
        tmp_path,
        "writer.execute('BEGIN IMMEDIATE')",
        "writer.execute('INSERT INTO t VALUES (1)')",
        "os.truncate(f'{path}-shm', 0)",
        "told = refused(lambda: writer.execute('COMMIT'))",
        "assert 'cut short' in told, told",
        "writer.execute('ROLLBACK')",
        "add(5)",
        "assert count(reader) == 1005",
    )
    assert not wrong(done)


def test_a_change_as_a_context_is_committed_whole_or_given_up_whole(tmp_path: Path) -> None:
    done = played(
        tmp_path,
        "with writer:",
        "    writer.execute('BEGIN IMMEDIATE')",
        "    writer.execute('INSERT INTO t VALUES (1)')",
        "assert count(reader) == 1001",
        "with suppress(KeyError), writer:",
        "    writer.execute('BEGIN IMMEDIATE')",
        "    writer.execute('INSERT INTO t VALUES (1)')",
        "    raise KeyError",
        "assert count(reader) == count(writer) == 1001",
    )
    assert not wrong(done)


def test_what_lies_beside_a_file_goes_when_its_last_connection_does(tmp_path: Path) -> None:
    done = played(
        tmp_path, "reader.close()", "writer.close()", "assert [one.name for one in path.parent.iterdir()] == ['x.db']"
    )
    assert not wrong(done)


def test_a_file_that_cannot_be_accompanied_leaves_nothing_open(tmp_path: Path) -> None:
    done = played(
        tmp_path,
        "from historian.sqlite.shared_index import WritingConnection",
        "other = path.with_name('other.db')",
        "other.write_bytes(b'no file of SQLite' * 100)",
        "file = WritingConnection(other)",
        "try:",
        "    file.accompany(other)",
        "except sqlite3.DatabaseError as error:",
        "    told = error  # and with it the frames in which it was raised",
        "file.close()",
        "assert str(told) == 'file is not a database'",
        "links = [f'/proc/self/fd/{one}' for one in os.listdir('/proc/self/fd')]",
        "assert not [one for one in links if os.path.exists(one) and os.path.samefile(one, other)]",
    )
    assert not wrong(done)
