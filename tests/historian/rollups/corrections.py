"""Histories of one unit in which readings come late, again, otherwise or as failed ones, while rollups are computed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from historian.api import Readings
from historian.rollups import RollupOptions
from historian.schema import field_of, measurement_of
from tests.historian.rollups.conftest import HOUR, IMPORT, REACTIVE, UNITS, VOLTAGE, Bench

QUANTITIES = (IMPORT, REACTIVE, VOLTAGE)
SLOT = 300_000
DAY_SLOTS = 288
END = 1_000_000_000
"""Where the register of IMPORT begins anew."""
BAD, UNCERTAIN = 0x80310000, 0x40940000
GRACE = 200_000
TURNS = (
    ("Europe/Berlin", (2027, 3, 26)),
    ("Europe/Berlin", (2027, 10, 29)),
    ("Asia/Kathmandu", (2027, 1, 30)),
    ("Australia/Lord_Howe", (2027, 4, 2)),
)


class Put(NamedTuple):
    """Readings of some quantities that are stored at once: slot, and what each of them shows, None where it failed."""

    quantities: tuple[int, ...]
    rows: Sequence[tuple[int, tuple[float | None, ...], int]]


class Now(NamedTuple):
    """The clock says so many ms after the beginning."""

    ms: int


class Step(NamedTuple):
    """So many steps of computing, 0 for all that are due."""

    count: int = 0


class Restart(NamedTuple):
    """The hub goes and comes back."""


Act = Put | Now | Step | Restart


@dataclass(frozen=True, slots=True)
class History:
    """What happens to a unit, from eleven o'clock of a day on."""

    acts: Sequence[Act]
    slots: int = 3 * DAY_SLOTS
    zone: str = "Europe/Berlin"
    day: tuple[int, int, int] = (2027, 2, 1)
    rated_power_kw: float = 50.0
    quarters: bool = False

    @property
    def start_ms(self) -> int:
        """When it begins."""
        return round(datetime(*self.day, 11, tzinfo=ZoneInfo(self.zone)).timestamp()) * 1000

    @property
    def options(self) -> RollupOptions:
        """Of the rollups."""
        return RollupOptions(quarters=self.quarters, keep_days_hour=0, keep_days_quarter=0)


async def played(folder: Path, history: History) -> Bench:
    """The hub after all that happened, with nothing due."""

    async def begun(now_ms: int) -> Bench:
        bench = Bench(folder, history.zone, history.options, rated_power_kw=history.rated_power_kw)
        return await bench.open(now_ms)

    now_ms = start_ms = history.start_ms
    bench = await begun(now_ms)
    for act in history.acts:
        match act:
            case Put():
                await _put(bench, act, start_ms)
            case Now():
                now_ms = max(now_ms, start_ms + act.ms)
                bench.at(now_ms)
            case Step(0):
                await bench.rollups.catch_up()
            case Step():
                for _ in range(act.count):
                    await bench.rollups.step()
            case Restart():
                await bench.close()
                bench = await begun(now_ms)
    await bench.settle(max(now_ms, start_ms + history.slots * SLOT) + 3 * DAY_SLOTS * SLOT)
    return bench


async def _put(bench: Bench, act: Put, start_ms: int) -> None:
    chosen = [QUANTITIES[place] for place in act.quantities]
    fields = tuple(field_of(quantity) for quantity in chosen)
    series = np.repeat(await bench.writer.series([UNITS[0]]), len(act.rows))
    times = np.array([start_ms + slot * SLOT for slot, _, _ in act.rows], np.int64)
    values = np.array([[np.nan if one is None else one for one in shown] for _, shown, _ in act.rows])
    failed = np.isnan(values)
    status = np.array([[code] * len(fields) for _, _, code in act.rows], np.uint32)
    measurement = measurement_of(chosen[0])
    assert measurement is not None
    await bench.writer.write(
        [Readings(measurement, fields, series, times, values, np.where(failed, np.uint32(BAD), status))]
    )


@dataclass
class _Maker:
    """Makes up a history."""

    random: random.Random
    odd: bool
    slots: int
    acts: list[Act] = field(default_factory=list)
    registers: list[list[float]] = field(default_factory=list)
    read: list[int] = field(default_factory=list)
    now: int = 0

    def run(self) -> None:
        chance = self.random
        gap = chance.choice([3, 6, 12, 30, 100, 200])
        self.registers = [list(self._register(place)) for place in range(2)]
        slots: list[int] = []
        slot = chance.randint(0, 30)
        while slot < self.slots:
            slots.append(slot)
            slot += chance.choice([1, gap, gap, gap, chance.randint(1, 2 * gap)])
        whole = chance.random() < 0.2
        while slots:
            count = len(slots) if whole else chance.choice([1, 1, 2, 5, 20])
            part, slots = slots[:count], slots[count:]
            for quantities in chance.choice([((0,),), ((0, 1),), ((0,), (1,)), ((0, 1), (2,))]):
                self._store(quantities, part)
            self.now = max(self.now, part[-1] + 1)
            self.acts.append(Now(self.now * SLOT + chance.choice([0, GRACE, HOUR, 3 * HOUR])))
            self._compute(0.7)
            if chance.random() < 0.15:
                self._correct()
        self.acts.append(Now(self.slots * SLOT + chance.choice([0, 40 * DAY_SLOTS * SLOT])))
        self._compute(0.8)
        for _ in range(chance.choice([1, 2, 4, 8])):
            self._correct()

    def _register(self, place: int) -> Iterator[float]:
        chance = self.random
        level, most = chance.choice([5_000_000, 999_900_000]), chance.choice([50, 300, 3000])
        for _ in range(self.slots):
            level += chance.randint(0, most) if chance.random() < 0.7 else 0
            if self.odd and chance.random() < 0.0015:
                level = chance.choice([0, chance.randint(0, 300), chance.randint(0, END), chance.randint(0, 10**7)])
            yield float(level % END if place == 0 else level)

    def _compute(self, chance: float) -> None:
        if self.random.random() < chance:
            self.acts.append(Step(0 if self.random.random() < 0.6 else self.random.randint(1, 6)))
        if self.random.random() < 0.05:
            self.acts.append(Restart())

    def _store(self, quantities: tuple[int, ...], slots: Sequence[int]) -> None:
        rows = [
            (
                slot,
                tuple(self._shown(place, slot) for place in quantities),
                UNCERTAIN if self.random.random() < 0.05 else 0,
            )
            for slot in slots
        ]
        self.acts.append(Put(quantities, rows))
        self.read += slots

    def _shown(self, place: int, slot: int) -> float | None:
        chance = self.random.random()
        if chance < 0.12:
            return None
        return self._wrong(place, slot) if self.odd and chance < 0.18 else self._true(place, slot)

    def _true(self, place: int, slot: int) -> float:
        return self.registers[place][slot] if place < 2 else (2000 + slot % 400) / 10

    def _wrong(self, place: int, slot: int) -> float:
        true = self._true(place, slot)
        step = self.random.choice([1, 2, 100, 5000, 10**6])
        return self.random.choice([0.0, float(self.random.randint(0, END)), max(true - step, 0.0), true + step])

    def _correct(self) -> None:
        """Neighbours that are read already come again, or some come late."""
        chance = self.random
        quantities = chance.choice([(0,), (0,), (0, 1), (1,), (2,)])
        if chance.random() < 0.4:
            self._store(quantities, sorted({chance.randrange(max(self.now, 1)) for _ in range(chance.randint(1, 5))}))
        else:
            known = sorted(set(self.read))
            first = chance.randrange(len(known))
            kind = chance.choice(["failed", "failed", "failed", "true", "wrong" if self.odd else "true"])
            rows = [
                (
                    slot,
                    tuple(
                        {"failed": None, "true": self._true(place, slot)}.get(kind, self._wrong(place, slot))
                        for place in quantities
                    ),
                    0,
                )
                for slot in known[first : first + chance.choice([1, 1, 2, 2, 3])]
            ]
            chance.shuffle(rows)
            if chance.random() < 0.5:
                self.acts.append(Put(quantities, sorted(rows)))
            else:
                for row in rows:
                    self.acts.append(Put(quantities, [row]))
                    self._compute(0.4)
        self._compute(0.6)


def history_of(seed: int) -> History:
    """Another one for each number; every other one with registers that do not simply go on."""
    chance = random.Random(seed)
    zone, day = chance.choice(TURNS)
    maker = _Maker(chance, bool(seed % 2), chance.choice([2, 4]) * DAY_SLOTS)
    rated, quarters = chance.choice([50.0, 50.0, 0.0]), chance.random() < 0.3
    maker.run()
    return History(maker.acts, maker.slots, zone, day, rated, quarters)
