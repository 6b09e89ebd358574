"""What somebody may have meant: the nearest of the valid names, found within a bounded amount of work."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

_CUTOFF = 0.6
_SHOWN = 12


class Spelling:
    """Suggests valid names. One object serves one load and compares at most `budget` pairs of words.

    A plant of a million ids with a mistake in every row would otherwise take hours to suggest.
    """

    def __init__(self, budget: int = 200_000) -> None:
        self._budget = budget
        self._found: dict[tuple[str, int], tuple[Collection[str], str]] = {}

    def nearest(self, word: str, valid: Collection[str]) -> str:
        """The valid name most like `word`, or an empty text where none is near."""
        key = (word, id(valid))
        if key not in self._found:
            self._found[key] = (valid, self._search(word, valid))  # keeps `valid` alive, and so its identity its own
        return self._found[key][1]

    def hint(self, word: str, valid: Collection[str], *, none: str = "there is none yet") -> str:
        """Advice for an unknown name: the nearest one, else the list where it is short."""
        near = self.nearest(word, valid)
        if near:
            return f"did you mean {near!r}?"
        if not valid:
            return none
        if len(valid) <= _SHOWN:
            return "use one of " + ", ".join(sorted(valid))
        return f"{len(valid)} names are known, none is near it"

    def _search(self, word: str, valid: Collection[str]) -> str:
        if len(valid) > self._budget:
            return ""
        self._budget -= len(valid)
        folded = word.casefold().replace("-", "_").replace(" ", "_")
        for name in valid:
            if name.casefold().replace("-", "_") == folded:
                return name
        matches = get_close_matches(word, valid, n=1, cutoff=_CUTOFF)
        return matches[0] if matches else ""
