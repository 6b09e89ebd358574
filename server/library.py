"""The profiles of a plant: the hub's library and the plant's own, checked down to the protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from drivers.api import DriverPlugin
from drivers.errors import ProfileError
from drivers.profiles import ProfileLibrary, load_library
from server.app import site_profiles


def checked_library(plant: Path, drivers: Mapping[str, DriverPlugin]) -> ProfileLibrary:
    """The hub's library with the profiles of a plant, all of the plant's own compiled for their protocols.

    Raises ProfileError with every mistake, also of profiles that no meter uses yet.
    """
    library = load_library(*site_profiles(plant))
    mistakes: list[ProfileError] = []
    for name in library.site:
        profile = library.get(name)
        speakers = sorted((plugin for plugin in drivers.values() if profile.protocol in plugin.speaks), key=_breadth)
        try:
            if speakers:
                speakers[0].compile(profile)
        except ProfileError as error:
            mistakes += error.mistakes
    if mistakes:
        raise ProfileError.of(mistakes)
    return library


def caveats_of(names: Iterable[str], library: ProfileLibrary) -> dict[str, list[str]]:
    """What is in doubt about the profiles in use, by profile."""
    return {name: list(library.get(name).caveats) for name in sorted(set(names)) if library.get(name).caveats}


def _breadth(plugin: DriverPlugin) -> int:
    """How many protocols it speaks: the one that speaks nothing else says best what is wrong."""
    return len(plugin.speaks)
