"""The command line as a whole: what it offers is documented, and no mistake ends in a traceback."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from address_space.model import HubError
from server.cli import decode
from server.cli.commands import parser
from server.cli.main import main
from server.errors import CannotWrite, ServerError

DOCUMENT = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()


def commands() -> dict[str, argparse.ArgumentParser]:
    (found,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    return dict(found.choices)


def words(command: argparse.ArgumentParser) -> Iterator[str]:
    """Options and names of positional arguments, also those of commands below it."""
    for action in command._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield name
                yield from words(below)
            continue
        if not action.option_strings:
            yield action.metavar if isinstance(action.metavar, str) else action.dest.upper()


def with_those_below(command: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield command
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from with_those_below(below)


def section(name: str) -> str:
    found = re.search(rf"^## {name}$(.*?)(?=^## |\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert found is not None, f"docs/cli.md has no section on {name}"
    return found.group(1)


@pytest.mark.parametrize("name", commands())
def test_every_option_of_every_command_is_documented(name: str) -> None:
    text = section(name) + DOCUMENT[: DOCUMENT.index("## ")]
    given = [word for word in words(commands()[name]) if word != "WHAT"]
    assert [word for word in given if word not in text] == []
    assert all(action.help for action in commands()[name]._actions)


@pytest.mark.parametrize("name", commands())
def test_every_command_shows_its_help(name: str) -> None:
    assert all(command.format_help() for command in with_those_below(commands()[name]))


def test_nothing_is_documented_that_is_not_there() -> None:
    documented = set(re.findall(r"^## (\w+)$", DOCUMENT, re.MULTILINE))
    assert documented == set(commands())
    for name, command in commands().items():
        options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", section(name)))
        assert options <= set(words(command)) | {"--json"}, name


@pytest.mark.parametrize(
    "arguments", [[], ["nothing"], ["demo", "--port", "99999"], ["demo", "--seconds", "-1"], ["read"]]
)
def test_a_wrong_command_line_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: joulehub" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (CannotWrite("is full", where="/x", hint="empty it"), "/x: is full; empty it"),
        (ExceptionGroup("", [ExceptionGroup("", [ServerError("inner")])]), "inner"),
        (PermissionError(13, "Permission denied", "/secret"), "/secret: permission denied"),
    ],
)
def test_errors_become_sentences_and_status_1(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr(decode, "run", fail)
    assert main(["decode", "modbus", "00"]) == 1
    assert said in capsys.readouterr().err


def test_an_error_that_nobody_foresaw_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: argparse.Namespace) -> int:
        raise ExceptionGroup("", [HubError("one"), ZeroDivisionError()])

    monkeypatch.setattr(decode, "run", fail)
    with pytest.raises(ExceptionGroup):
        main(["decode", "modbus", "00"])


def test_a_reader_that_goes_away_is_no_error() -> None:
    program = subprocess.Popen(
        [sys.executable, "-m", "server.cli", "nodeset", "types"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert program.stdout is not None
    assert program.stderr is not None
    assert program.stdout.read(5) == b"<?xml"
    program.stdout.close()
    complaint = program.stderr.read()
    program.stderr.close()
    assert (program.wait(30), complaint) == (0, b"")
