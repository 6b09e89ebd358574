"""What the compilers of all protocols share: the protocol's part of a profile checked, and every mistake kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import BaseModel

from drivers.errors import ProfileError
from drivers.profiles.profile import Profile
from drivers.profiles.validation import validated

KeyPath = tuple[str | int, ...]
"""Keys and indexes down to a place in a profile."""

_Model = TypeVar("_Model", bound=BaseModel)


class Checking:
    """Collects the mistakes of a profile, each once, at its place; `transparent` are keys that no file contains."""

    def __init__(self, profile: Profile, *transparent: str) -> None:
        self._profile = profile
        self._transparent = transparent
        self._mistakes: list[ProfileError] = []

    def raise_mistakes(self) -> None:
        """Raises ProfileError with all of them, where there are any."""
        if self._mistakes:
            raise ProfileError.of(self._mistakes)

    def _checked(self, model: type[_Model], data: Any, path: KeyPath, *, known: Iterable[str] = ()) -> _Model | None:
        """`data` as `model`; None where it is not, which is then said. `known` are keys that may be meant as well."""
        entry, mistakes = validated(model, data, known=known, transparent=self._transparent)
        for mistake in mistakes:
            self._say(mistake.what, (*path, *mistake.path), mistake.hint)
        return entry

    def _say(self, what: str, path: KeyPath, hint: str = "") -> None:
        mistake = self._profile.mistake(what, *path, hint=hint)
        if str(mistake) not in map(str, self._mistakes):
            self._mistakes.append(mistake)
