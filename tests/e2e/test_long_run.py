"""A while of meters that fail and heal at random, and what must hold for every sample that a client was told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from random import Random

import pytest
import pytest_asyncio
from asyncua import ua
from stand import BACKOFF_S, ENERGY, POLL_S, POWER, TIMEOUT_S, VOLTAGE, Post, Sample, Stand, Watch

from address_space.model import NS
from address_space.model.clock import from_datetime
from drivers.simulators import (
    Dropped,
    EveryNth,
    ExceptionAnswer,
    Fault,
    Framing,
    Garbage,
    Late,
    Silent,
    Slow,
    WrongCheck,
    WrongLength,
    WrongUnit,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

SEED = 20_260_101
RUN_S = 20.0
REST_S = 3.5
"""After each fault, so that every end of one is followed by time to heal."""
LATE_S = 1.5
QUANTITIES = (ENERGY, POWER, VOLTAGE)
SICK = {"s1": Framing.TCP, "s2": Framing.TCP, "s3": Framing.RTU, "s4": Framing.RTU}
CALM = ("calm-1", "calm-2")
MUTING: tuple[Fault, ...] = (
    Silent(),
    Slow(TIMEOUT_S * 1.7),
    Slow(TIMEOUT_S * 4),
    WrongLength(1),
    WrongUnit(3),
    WrongCheck(),
    ExceptionAnswer(4),
    ExceptionAnswer(2),
    ExceptionAnswer(11),
    Dropped(7),
    Garbage(30),
    Late(),
)
"""Under these no value that arrives is fresh."""
TEASING: tuple[Fault, ...] = (
    Silent(EveryNth(3)),
    Late(EveryNth(2)),
    Slow(TIMEOUT_S * 1.7, EveryNth(2)),
    Garbage(12, EveryNth(3)),
    Slow(TIMEOUT_S * 0.6),
)
"""Under these some values are fresh and some are not."""


@dataclass(frozen=True, slots=True)
class Spell:
    """One fault of one meter, from and until when (UTC nanoseconds)."""

    meter: str
    fault: Fault | None
    begin_ns: int
    end_ns: int

    @property
    def mutes(self) -> bool:
        """Whether no fresh value can arrive."""
        return self.fault is None or self.fault in MUTING


@dataclass(slots=True)
class Run:
    """What happened, what the client was told, and what the history holds."""

    stand: Stand
    watch: Watch
    spells: list[Spell]
    history: dict[str, list[tuple[int, float]]]
    faults: int


async def _torment(stand: Stand, meter: str, dice: Random, until_ns: int, spells: list[Spell]) -> None:
    clock = stand.clock
    while clock.now_ns() < until_ns:
        await clock.sleep(dice.uniform(0.2, 1.0))
        fault = dice.choice((*MUTING, *TEASING, None))
        length_s = dice.uniform(0.4, 3.5)
        begin_ns = clock.now_ns()
        if fault is None:  # the plug of the whole line
            await stand.fleet.stop(stand.endpoints[meter])
            await clock.sleep(length_s)
            await stand.fleet.start(stand.endpoints[meter])
        else:
            stand.fleet.meter(meter).fault = fault
            await clock.sleep(length_s)
            stand.fleet.meter(meter).fault = None
        spells.append(Spell(meter, fault, begin_ns, clock.now_ns()))
        await clock.sleep(REST_S)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def run(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Run]:
    posts = [Post(name, name, 1, framing) for name, framing in SICK.items()]
    posts += [Post(f"{name}-beside", name, 2, framing) for name, framing in SICK.items()]
    posts += [Post(name, name) for name in CALM]
    points = [f"{post.id}.{quantity}" for post in posts for quantity in QUANTITIES]
    dice = Random(SEED)
    async with Stand(tmp_path_factory.mktemp("run"), posts) as stand:
        hub = await stand.start_hub()
        async with stand.client() as client, stand.watching(client, points) as watch:
            await asyncio.gather(*(watch.status(point, "Good", 0) for point in points))
            began_ns = stand.clock.now_ns()
            spells: list[Spell] = []
            until_ns = began_ns + round((RUN_S - REST_S) * NS)
            torments = [(meter, Random(dice.random())) for meter in SICK]
            await asyncio.gather(*(_torment(stand, meter, own, until_ns, spells) for meter, own in torments))
        assert hub.history is not None
        await hub.history.recorder.flush()
        history: dict[str, list[tuple[int, float]]] = {}
        async with stand.client() as client:
            for point in points:
                node = client.get_node(ua.NodeId(point, 2))
                start = datetime.fromtimestamp(began_ns / NS - 60, UTC)
                found = await node.read_raw_history(start, datetime.fromtimestamp(began_ns / NS + 600, UTC))
                history[point] = [
                    (from_datetime(one.SourceTimestamp), one.Value.Value)
                    for one in found
                    if one.StatusCode.value == 0 and one.SourceTimestamp is not None
                ]
        faults = sum(poller.faults for poller in hub.pollers) + hub.engine.rejected
        yield Run(stand, watch, spells, history, faults)


def _good(run: Run, point: str) -> list[Sample]:
    return [sample for sample in run.watch.samples[point] if sample.status == 0]


async def test_the_run_had_faults_of_many_kinds(run: Run) -> None:
    kinds = {type(spell.fault).__name__ for spell in run.spells}
    print(f"{len(run.spells)} spells: {', '.join(sorted(kinds))}")
    assert len(run.spells) >= 10
    assert len(kinds) >= 5
    assert run.faults == 0


async def test_times_never_go_back_and_are_never_ahead(run: Run) -> None:
    for point, samples in run.watch.samples.items():
        for a, b in pairwise(samples):
            assert a.source_ns <= b.source_ns, (point, a, b)
            assert a.server_ns <= b.server_ns, (point, a, b)
        assert all(sample.source_ns <= min(sample.server_ns, sample.arrived_ns) + NS for sample in samples), point


async def test_every_good_counter_is_what_the_meter_had_counted_at_that_second(run: Run) -> None:
    checked = 0
    for post in run.stand.posts:
        for sample in _good(run, f"{post.id}.{ENERGY}"):
            assert round(sample.value * 1000) in run.stand.books_wh(post.id, sample.source_ns), (post.id, sample)
            checked += 1
    print(f"{checked} good counters compared with the books")
    assert checked > (500 if run.stand.calm else 100)


async def test_no_counter_ever_goes_back(run: Run) -> None:
    for post in run.stand.posts:
        values = [sample.value for sample in run.watch.samples[f"{post.id}.{ENERGY}"] if sample.value is not None]
        assert all(a <= b for a, b in pairwise(values)), post.id


async def test_no_value_is_good_while_its_meter_gives_none(run: Run) -> None:
    for spell in run.spells:
        begin_ns = spell.begin_ns + round((TIMEOUT_S + run.stand.slip_s) * NS)
        if spell.mutes:
            for quantity in QUANTITIES:
                wrong = [s for s in _good(run, f"{spell.meter}.{quantity}") if begin_ns < s.source_ns < spell.end_ns]
                assert wrong == [], spell


async def test_a_meter_is_good_again_within_one_back_off_after_its_fault(run: Run) -> None:
    slowest_s = 0.0
    for spell in run.spells:
        back_off_s = BACKOFF_S if spell.fault is not None else max(BACKOFF_S, 2 * (spell.end_ns - spell.begin_ns) / NS)
        for quantity in QUANTITIES:
            good = [s for s in _good(run, f"{spell.meter}.{quantity}") if s.source_ns >= spell.end_ns]
            assert good, spell
            took_s = (good[0].source_ns - spell.end_ns) / NS
            slowest_s = max(slowest_s, took_s)
            assert took_s <= back_off_s + 2 * TIMEOUT_S + LATE_S + run.stand.slip_s, spell
    print(f"slowest healing {slowest_s:.2f} s")


async def test_meters_of_other_channels_are_never_delayed(run: Run) -> None:
    for meter in CALM:
        samples = _good(run, f"{meter}.{ENERGY}")
        gaps = sorted((b.source_ns - a.source_ns) / NS for a, b in pairwise(samples))
        print(f"{meter}: {len(gaps)} gaps, 99 % within {gaps[len(gaps) * 99 // 100]:.3f} s, longest {gaps[-1]:.3f} s")
        assert gaps[len(gaps) * 95 // 100] <= 2 * POLL_S + run.stand.slip_s
        assert gaps[-1] <= 2 * POLL_S + LATE_S + run.stand.slip_s
        names = {sample.name for sample in run.watch.samples[f"{meter}.{ENERGY}"][1:]}
        assert names <= ({"Good"} if run.stand.calm else {"Good", "UncertainLastUsableValue"})


async def test_the_history_holds_exactly_what_the_client_was_told(run: Run) -> None:
    for point, stored in run.history.items():
        seen = [sample.value for sample in _good(run, point)]
        values = [value for _, value in stored]
        at = next((at for at in range(len(values)) if values[at : at + 3] == seen[:3]), -1)
        assert at >= 0, point
        assert values[at : at + len(seen)] == seen, point
        times = [time_ns for time_ns, _ in stored]
        assert times == sorted(set(times))
