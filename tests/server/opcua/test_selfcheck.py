"""The seams of asyncua: all that is overridden is checked at start, and a moved one is named."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest

import address_space.nodes
import server.opcua
from server.opcua.errors import SeamMoved
from server.opcua.selfcheck import ASYNCUA, SEAMS, Seam, check

_MADE_BY_DATACLASSES = ("__eq__", "__repr__")


def _overridden() -> Iterator[str]:
    """Methods of asyncua's classes that the hub's put others in place of."""
    for room in (server.opcua, address_space.nodes):
        for found in pkgutil.iter_modules(room.__path__):
            module = importlib.import_module(f"{room.__name__}.{found.name}")
            own = [one for one in vars(module).values() if isinstance(one, type) and one.__module__ == module.__name__]
            for kind in own:
                for base in (one for one in kind.__mro__[1:] if one.__module__.startswith("asyncua")):
                    for name, value in vars(kind).items():
                        if inspect.isfunction(value) and inspect.isfunction(vars(base).get(name)):
                            yield vars(base)[name].__qualname__


def test_everything_that_is_overridden_is_checked_at_start() -> None:
    checked = {seam.method.__qualname__ for seam in SEAMS}
    overridden = {name for name in _overridden() if name.rpartition(".")[2] not in _MADE_BY_DATACLASSES}
    assert len(overridden) > 30
    assert overridden - checked == set()


def test_the_installed_asyncua_is_the_one_that_was_overridden() -> None:
    check()


def test_another_release_is_refused_by_name() -> None:
    with pytest.raises(SeamMoved, match=f"asyncua 2.2.0 is installed.*{ASYNCUA}"):
        check(installed="2.2.0")


def test_a_moved_seam_is_named() -> None:
    def moved(self: Any, new: Any) -> None:
        """Not what it was."""

    with pytest.raises(SeamMoved, match=r"moved\(self, new\)"):
        check((*SEAMS, Seam(moved, ("self", "old"))))


def test_a_missing_attribute_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.opcua.selfcheck.PARTS", (("_no_such_counter",),))
    with pytest.raises(SeamMoved, match="_no_such_counter"):
        check()
