"""Triggering links: items that report because another one has something to report (Part 4 5.13.1.6, 5.13.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence


class Links:
    """Links of one subscription, from triggering items to items to report."""

    def __init__(self) -> None:
        self._links: dict[int, dict[int, None]] = {}

    def __bool__(self) -> bool:
        return bool(self._links)

    def sources(self) -> list[int]:
        """Items that trigger others."""
        return list(self._links)

    def add(self, source: int, items: Sequence[int], exists: Callable[[int], bool]) -> list[bool]:
        """Link items; says for each whether it exists."""
        found = [exists(item) for item in items]
        if any(found):
            self._links.setdefault(source, {}).update(
                dict.fromkeys(item for item, there in zip(items, found, strict=True) if there)
            )
        return found

    def remove(self, source: int, items: Sequence[int]) -> list[bool]:
        """Unlink items; says for each whether it was linked."""
        held = self._links.get(source, {})
        found = [held.pop(item, _ABSENT) is not _ABSENT for item in items]
        if not held:
            self._links.pop(source, None)
        return found

    def forget(self, items: Iterable[int]) -> None:
        """Items were deleted, and their links with them."""
        gone = set(items)
        for source in [one for one in self._links if one in gone]:
            del self._links[source]
        for source, held in list(self._links.items()):
            for item in gone & held.keys():
                del held[item]
            if not held:
                del self._links[source]

    def triggered(self, sources: Iterable[int]) -> list[int]:
        """Items to report when these have something to report."""
        return list(dict.fromkeys(item for source in sources for item in self._links.get(source, ())))


_ABSENT = object()
