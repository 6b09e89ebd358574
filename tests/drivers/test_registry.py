"""Drivers are found by entry point, and a broken one is named."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from types import ModuleType, SimpleNamespace

import pytest

from drivers.api import DriverPlugin
from drivers.registry import _OFFERS, GROUP, BrokenPlugin, load_drivers


def plugin(name="mine", **more):
    return SimpleNamespace(**(dict.fromkeys(_OFFERS) | more | {"name": name}))


@pytest.fixture
def installed(monkeypatch):
    """Make a module with a plug-in importable; returns its entry point."""

    def install(name, module, offered):
        made = ModuleType(module)
        made.plugin = offered
        monkeypatch.setitem(sys.modules, module, made)
        return EntryPoint(name, f"{module}:plugin", GROUP)

    return install


def test_every_installed_driver_is_found_by_its_name(installed):
    first, second = plugin("mine"), plugin("yours")
    found = load_drivers([installed("yours", "second", second), installed("mine", "first", first)])
    assert dict(found) == {"mine": first, "yours": second}


def test_without_an_argument_the_installed_entry_points_are_read(monkeypatch, installed):
    entry = installed("mine", "first", plugin("mine"))
    monkeypatch.setattr("drivers.registry.entry_points", lambda group: [entry] if group == GROUP else [])
    assert list(load_drivers()) == ["mine"]


def test_two_drivers_of_one_name_are_refused_naming_both(installed):
    entries = [installed("mine", "first", plugin()), installed("mine", "second", plugin())]
    with pytest.raises(BrokenPlugin, match=r"first:plugin.*second:plugin.*uninstall"):
        load_drivers(entries)


def test_the_same_entry_point_seen_twice_is_one_driver(installed):
    entry = installed("mine", "first", plugin())
    assert list(load_drivers([entry, entry])) == ["mine"]


def test_a_driver_that_cannot_be_imported_is_named_with_the_cause():
    with pytest.raises(BrokenPlugin, match=r"'gone'.*ModuleNotFoundError.*reinstall"):
        load_drivers([EntryPoint("gone", "no_such_module_here:plugin", GROUP)])


def test_what_a_driver_must_offer_is_all_of_the_contract():
    assert set(_OFFERS) == {name for name in vars(DriverPlugin) if not name.startswith("_")}


def test_a_driver_that_offers_too_little_is_told_what_it_lacks(installed):
    lame = plugin()
    del lame.create, lame.line
    with pytest.raises(BrokenPlugin, match="lacks line, create"):
        load_drivers([installed("mine", "first", lame)])


def test_a_driver_under_a_foreign_name_is_refused(installed):
    with pytest.raises(BrokenPlugin, match="calls itself 'other'"):
        load_drivers([installed("mine", "first", plugin("other"))])
