"""Standard output that takes nothing more: a sentence on standard error and no traceback, whatever was asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.cli.test_history_gaps import RANGE, folder

__all__ = ["folder"]

LOST = "standard output: no space left on device; what was written there is not whole: "


def said(*arguments: object, buffered: bool = True) -> tuple[int, list[str]]:
    command = [sys.executable, "-m", "server.cli", *map(str, arguments)]
    env = {**os.environ, "PYTHONUNBUFFERED": "" if buffered else "1"}
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=env, check=False, timeout=60)
    return done.returncode, done.stderr.decode().splitlines()


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_an_answer_that_cannot_be_written_is_told_on_standard_error(folder: Path, form: list[str]) -> None:
    status, lines = said("history", "gaps", *form, *RANGE, folder)
    assert status == 1
    (line,) = lines
    assert line.startswith(LOST)


def test_an_answer_that_is_written_at_once_and_cannot_be_is_told_too(folder: Path) -> None:
    status, lines = said("history", "gaps", *RANGE, folder, buffered=False)
    assert (status, len(lines)) == (1, 1)
    assert "no space left on device" in lines[0]


def test_a_long_answer_that_cannot_be_written_is_told_too() -> None:
    status, lines = said("profiles", "--json")
    assert status == 1
    (line,) = lines
    assert line.startswith(LOST)


def test_a_mistake_that_cannot_be_written_is_told_beside_it(folder: Path) -> None:
    status, (mistake, lost) = said("history", "gaps", "m9", "--json", *RANGE, folder)
    assert status == 1
    assert mistake.startswith("m9: nothing was ever expected of it")
    assert lost.startswith(LOST)


def test_a_mistake_whose_reader_has_gone_is_told_all_the_same(folder: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "server.cli", "history", "gaps", "m9", "--json", *RANGE, str(folder)]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(writing)
    assert done.returncode == 1
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("m9: nothing was ever expected of it")
