"""Any course of events against a plain set of slots: readings, crashes, stops, units that come and go."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from address_space.model.clock import NS, ManualClock
from address_space.model.ids import NodeUid
from historian.api import Readings
from historian.gaps import Expected, GapLedger, book, periodic
from historian.schema import Measurement

START_MS = 1_795_300_000_000
UNITS = [NodeUid(name) for name in "abc"]
PERIODS_MS = (900_000, 3_600_000)
TRACKS = [periodic(Measurement.ENERGY, period_ms) for period_ms in PERIODS_MS]
FIELDS = ("ActiveEnergyImport",)
Read = st.tuples(st.just("read"), st.integers(0, 2), st.integers(0, 60 * 3600), st.booleans())
Course = st.lists(
    st.one_of(
        Read,
        Read,
        st.tuples(st.just("wait"), st.integers(60, 20 * 3600)),
        st.tuples(st.just("expect"), st.sets(st.integers(0, 2)), st.integers(0, 1)),
        st.tuples(st.just("stop")),
        st.tuples(st.just("crash")),
        st.tuples(st.just("save")),
    ),
    max_size=20,
)


@dataclass
class Plain:
    """What should be so. `duties` by unit and track: from and to."""

    duties: dict[tuple[int, int], list[list[int]]] = field(default_factory=dict)
    stored: set[tuple[int, int, int]] = field(default_factory=set)

    def expect(self, units: set[int], track: int, now_ms: int) -> None:
        wanted = {(unit, track) for unit in units}
        for key, times in self.duties.items():
            if key not in wanted and times[-1][1] == 2**62:
                times[-1][1] = now_ms
        for key in wanted:
            times = self.duties.setdefault(key, [])
            if not times or times[-1][1] != 2**62:
                times.append([now_ms, 2**62])

    def on_duty(self, unit: int, track: int) -> bool:
        return any(end == 2**62 for _, end in self.duties.get((unit, track), []))

    def missing(self, now_ms: int) -> set[tuple[int, int, int]]:
        found = set()
        for (unit, track), times in self.duties.items():
            period_ms, grace_ms = PERIODS_MS[track], TRACKS[track].grace_ms
            for begin, end in times:
                slot = -(-begin // period_ms) * period_ms
                while slot + grace_ms <= min(end, now_ms):
                    found.add((unit, track, slot))
                    slot += period_ms
        return found - self.stored


async def follow(course: list[tuple], folder: Path) -> None:  # type: ignore[type-arg]  # actions differ
    clock = ManualClock(START_MS * (NS // 1000))
    plain = Plain()
    expected: tuple[set[int], int] = (set(), 0)

    def now_ms() -> int:
        return clock.now_ns() // (NS // 1000)

    async def opened() -> GapLedger:
        ledger = GapLedger(folder, clock)
        await ledger.open()
        await adopt(ledger)
        return ledger

    async def adopt(ledger: GapLedger) -> None:
        units, track = expected
        each = (Expected(TRACKS[track], FIELDS),)
        await ledger.adopt({UNITS[unit]: each for unit in units})
        plain.expect(units, track, now_ms())

    ledger = await opened()
    for number, (what, *told) in enumerate(course):
        if what == "wait":
            await clock.advance(told[0])
        elif what == "expect":
            expected = (told[0], told[1])
            await adopt(ledger)
        elif what == "read":
            unit, ago_s, good = told
            time_ms = now_ms() - ago_s * 1000
            series = await ledger.series([UNITS[unit]])
            values = np.array([[1.0 if good else np.nan]])
            status = np.array([[0 if good else 0x80050000]], np.uint32)
            await ledger.write([Readings(Measurement.ENERGY, FIELDS, series, np.array([time_ms]), values, status)])
            for track, period_ms in enumerate(PERIODS_MS):
                if good and plain.on_duty(unit, track):
                    plain.stored.add((unit, track, time_ms // period_ms * period_ms))
        elif what == "stop":
            await ledger.close()
            ledger = await opened()
        elif what == "crash":
            shutil.copytree(folder, copy := folder.with_name(f"crash{number}"))
            await ledger.close()
            folder = copy
            ledger = await opened()
        else:
            await ledger._guarded(ledger._kept_up)  # what its upkeep does each minute
    await clock.advance(7200)
    numbers = {track.name: place for place, track in enumerate(TRACKS)}
    gaps = await ledger.gaps(0, now_ms())
    told_missing = [
        (UNITS.index(gap.point), numbers[gap.track], slot)
        for gap in gaps
        for slot in range(gap.first_ms, gap.last_ms + 1, PERIODS_MS[numbers[gap.track]])
    ]
    assert len(told_missing) == len(set(told_missing)) == sum(gap.missing for gap in gaps)
    assert set(told_missing) == plain.missing(now_ms())
    await ledger.close()


@pytest.mark.parametrize("most_slots", [7, 50_000])
@settings(max_examples=25, deadline=None)
@given(course=Course)
def test_gaps_are_what_was_expected_and_not_read_whatever_happens(course, most_slots) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(book, "MOST_SLOTS", most_slots)
        asyncio.run(follow(course, Path(folder) / "ledger"))
