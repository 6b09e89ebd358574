"""Broken and hostile traffic in the log: once when it starts, once when it ends, counted in between."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from address_space.model.clock import NS, Clock

_logger = logging.getLogger(__name__)
_QUIET_NS = 10 * NS
_KINDS = 100
_OTHER = "other"


@dataclass(slots=True)
class _Spell:
    count: int
    last_ns: int


class Faults:
    """What went wrong on connections, by kind. Callers use few kinds; beyond a hundred all are one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._spells: dict[str, _Spell] = {}
        self.total = 0

    def note(self, kind: str, peer: object, problem: BaseException | None = None) -> None:
        """Count; the first of its kind is logged, with a traceback where `problem` is an error of ours."""
        self.total += 1
        now = self._clock.monotonic_ns()
        if len(self._spells) >= _KINDS and kind not in self._spells:
            kind = _OTHER
        spell = self._spells.get(kind)
        if spell is not None:
            spell.count += 1
            spell.last_ns = now
            return
        self._spells[kind] = _Spell(1, now)
        _logger.warning("broken traffic started kind=%s peer=%s", kind, peer, exc_info=problem)

    def sweep(self) -> None:
        """End what was quiet for a while."""
        now = self._clock.monotonic_ns()
        for kind, spell in list(self._spells.items()):
            if now - spell.last_ns >= _QUIET_NS:
                del self._spells[kind]
                _logger.warning("broken traffic ended kind=%s count=%d", kind, spell.count)
