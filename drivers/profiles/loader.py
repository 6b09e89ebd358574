"""The library of profiles: those that come with the hub, and a site's own, which win."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from drivers.errors import ProfileError
from drivers.profiles.build import build_profile
from drivers.profiles.document import Document, read_document
from drivers.profiles.document import Path as KeyPath
from drivers.profiles.profile import Profile

BUILT_IN = Path(__file__).parent / "library"


@dataclass(frozen=True, slots=True, eq=False)
class ProfileLibrary:
    """Profiles by name."""

    profiles: Mapping[str, Profile]

    @property
    def names(self) -> tuple[str, ...]:
        """Names in alphabetical order."""
        return tuple(sorted(self.profiles))

    def get(self, name: str) -> Profile:
        """The profile with this name; raises `ProfileError` with the nearest one where there is none."""
        try:
            return self.profiles[name]
        except KeyError:
            raise ProfileError(f"no profile is named {name!r}", hint=_nearest(name, self.names)) from None


def load_library(*site_folders: Path) -> ProfileLibrary:
    """All profiles below the hub's own folder and `site_folders`; of equal names the later folder's wins.

    Raises `ProfileError` with every mistake of every file.
    """
    files: dict[str, Path] = {}
    mistakes: list[ProfileError] = []
    for folder in (BUILT_IN, *site_folders):
        if not folder.is_dir():
            mistakes.append(ProfileError("no such folder of profiles", where=str(folder), hint="create or remove it"))
            continue
        files.update(
            (str(file.relative_to(folder).with_suffix("")).replace("\\", "/"), file)
            for file in sorted(folder.glob("*/*.yaml"))
        )
    shelf = _Shelf(files)
    profiles: dict[str, Profile] = {}
    for name in sorted(files):
        try:
            profiles[name] = build_profile(shelf.document(name))
        except ProfileError as error:
            mistakes += [one for one in error.mistakes if str(one) not in map(str, mistakes)]
    if mistakes:
        raise ProfileError.of(mistakes)
    return ProfileLibrary(profiles)


class _Shelf:
    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files
        self._documents: dict[str, Document] = {}

    def document(self, name: str, children: tuple[str, ...] = ()) -> Document:
        """The document of `name` with what it extends merged in."""
        if name not in self._documents:
            own = read_document(self._files[name])
            stated = own.data.get("profile")
            if stated != name:
                raise ProfileError(
                    f"the file says profile: {stated!r} and lies where {name!r} belongs",
                    where=own.marks.get(("profile",), own.marks[()]),
                    hint="make both the same: folder is the vendor, file the model",
                )
            self._documents[name] = self._extended(own, (*children, name))
        return self._documents[name]

    def _extended(self, own: Document, chain: tuple[str, ...]) -> Document:
        parent = own.data.get("extends")
        if not parent:
            return own
        where = own.marks[("extends",)]
        if parent in chain:
            raise ProfileError(f"{' extends '.join((*chain, parent))}", where=where, hint="break the circle")
        if parent not in self._files:
            raise ProfileError(f"no profile is named {parent!r}", where=where, hint=_nearest(str(parent), self._files))
        base = self.document(parent, chain)
        marks: dict[KeyPath, str] = {**base.marks, **own.marks}
        return Document(_merged(base.data, own.data), marks)


def _merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in own.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = _merged(result[key], value)
        else:
            result[key] = value
    return result


def _nearest(name: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    close = get_close_matches(name, list(known), n=1, cutoff=0.4)
    return f"did you mean {close[0]!r}?" if close else "`joulehub check` lists the profiles there are"
