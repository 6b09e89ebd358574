"""Every error of the hub hangs on one root and says what it means."""

from __future__ import annotations

import importlib
import inspect

import pytest

from address_space.model.errors import HubError


@pytest.fixture(scope="module")
def errors(code: list[str]) -> list[type[BaseException]]:
    """Every exception class that one of our modules defines."""
    found = []
    for path in code:
        if path.endswith("__main__.py"):
            continue
        module = importlib.import_module(path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
        found += [
            thing
            for thing in vars(module).values()
            if isinstance(thing, type) and issubclass(thing, BaseException) and thing.__module__ == module.__name__
        ]
    return found


def test_every_error_that_leaves_its_module_derives_from_the_one_root(errors: list[type[BaseException]]) -> None:
    assert HubError in errors
    public = [error for error in errors if not error.__name__.startswith("_")]
    assert [error for error in public if not issubclass(error, HubError)] == []


def test_every_error_says_what_it_means(errors: list[type[BaseException]]) -> None:
    assert [error for error in errors if not inspect.cleandoc(vars(error).get("__doc__") or "")] == []
