"""The library of profiles: those that come with the hub, and a site's own, which win."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import Any

from drivers.errors import ProfileError
from drivers.profiles.build import build_profile
from drivers.profiles.document import Document, read_document
from drivers.profiles.document import Path as KeyPath
from drivers.profiles.profile import Profile

BUILT_IN = Path(__file__).parent / "library"


class Origin(Enum):
    """Whose profile it is."""

    HUB = "hub"
    SITE = "site"
    SITE_INSTEAD = "site, instead of the hub's"


@dataclass(frozen=True, slots=True, eq=False)
class ProfileLibrary:
    """Profiles by name. `site` names those of the site's own folders and tells whether the hub has one as well."""

    profiles: Mapping[str, Profile]
    site: Mapping[str, Origin] = field(default_factory=dict)

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

    def origin(self, name: str) -> Origin:
        """Whose profile the name stands for."""
        return self.site.get(name, Origin.HUB)


def load_library(*site_folders: Path) -> ProfileLibrary:
    """All profiles below the hub's own folder and `site_folders`; of equal names the later folder's wins.

    Raises `ProfileError` with every mistake of every file.
    """
    files: dict[str, list[Path]] = {}
    mistakes: list[ProfileError] = []
    for folder in (BUILT_IN, *site_folders):
        if not folder.is_dir():
            mistakes.append(ProfileError("no such folder of profiles", where=str(folder), hint="create or remove it"))
            continue
        for file in sorted(folder.glob("*/*.yaml")):
            files.setdefault(_name_of(file, folder), []).append(file)
        mistakes += _misplaced(folder)
    shelf = _Shelf(files)
    profiles: dict[str, Profile] = {}
    for name in sorted(files):
        try:
            profiles[name] = build_profile(shelf.document(name))
        except ProfileError as error:
            mistakes += [one for one in error.mistakes if str(one) not in map(str, mistakes)]
    if mistakes:
        raise ProfileError.of(mistakes)
    return ProfileLibrary(profiles, {name: _origin(stack) for name, stack in files.items() if not _built_in(stack[-1])})


def _name_of(file: Path, folder: Path) -> str:
    return file.relative_to(folder).with_suffix("").as_posix()


def _built_in(file: Path) -> bool:
    return file.is_relative_to(BUILT_IN)


def _origin(stack: Sequence[Path]) -> Origin:
    return Origin.SITE_INSTEAD if _built_in(stack[0]) else Origin.SITE


def _misplaced(folder: Path) -> Iterator[ProfileError]:
    """Files that look like profiles and lie where none is looked for."""
    for file in sorted({*folder.rglob("*.yaml"), *folder.rglob("*.yml")} - set(folder.glob("*/*.yaml"))):
        yield ProfileError(
            "a profile is not looked for here", where=str(file), hint="it is <vendor>/<model>.yaml in the folder"
        )


class _Shelf:
    """Documents with what they extend merged in. Of one name the last file counts; it may extend the one before."""

    def __init__(self, files: Mapping[str, Sequence[Path]]) -> None:
        self._files = files
        self._documents: dict[Path, Document] = {}

    def document(self, name: str) -> Document:
        """The document that counts for `name`."""
        return self._read(name, self._files[name][-1], ())

    def _read(self, name: str, file: Path, children: tuple[Path, ...]) -> Document:
        if file not in self._documents:
            own = read_document(file)
            stated = own.data.get("profile")
            if stated is None:
                raise ProfileError(
                    "the key `profile` is missing, by which a file says what it is called",
                    where=own.marks.get(("profile",), own.marks[()]),
                    hint=f"begin the file with `profile: {name}`",
                )
            if stated != name:
                raise ProfileError(
                    f"the file says profile: {stated!r} and lies where {name!r} belongs",
                    where=own.marks.get(("profile",), own.marks[()]),
                    hint="make both the same: folder is the vendor, file the model",
                )
            self._documents[file] = self._extended(own, name, (*children, file))
        return self._documents[file]

    def _extended(self, own: Document, name: str, chain: tuple[Path, ...]) -> Document:
        parent = own.data.get("extends")
        if not parent:
            return own
        where = own.marks[("extends",)]
        stack = self._files.get(str(parent), ())
        if parent == name:
            stack = stack[: stack.index(chain[-1])]
        if stack and stack[-1] in chain:
            names = [file.parent.name + "/" + file.stem for file in (*chain, stack[-1])]
            raise ProfileError(" extends ".join(names), where=where, hint="break the circle")
        if not stack:
            if parent == name:
                raise ProfileError(f"{name} extends itself", where=where, hint="break the circle")
            raise ProfileError(f"no profile is named {parent!r}", where=where, hint=_nearest(str(parent), self._files))
        base = self._read(str(parent), stack[-1], chain)
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


def _nearest(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), n=1, cutoff=0.4)
    return f"did you mean {close[0]!r}?" if close else "`joulehub profiles` lists the profiles there are"
