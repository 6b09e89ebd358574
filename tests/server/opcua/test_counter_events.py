"""Events of what registers did: one for each, of a flood one for an hour, and none that was told before."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from address_space.model import NodeUid
from address_space.model.quantity import LOCALES
from address_space.nodes import TypeModel
from historian.counters import Move
from historian.errors import StoreFull
from historian.events import EventLog, StoredEvent
from historian.rollups import Anomaly, RollupOptions
from server.opcua import event_record
from server.opcua.counter_events import AT_ONCE, CounterEvents, CounterWords
from server.opcua.event import Event
from server.opcua.messages import Messages
from tests.historian.rollups.conftest import IMPORT, UNITS, Bench, plant_of

M1, M2 = UNITS[0], UNITS[1]
QUARTER = 900_000
START = 1_803_859_200_000
"""2027-03-01T08:00Z."""


class Desk:
    """A bench whose anomalies are told into a log."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench(folder, "Europe/Berlin", RollupOptions())
        self.log = EventLog(folder, self.bench.clock)
        self.posted: list[Event] = []
        self.plant = plant_of(UNITS)

    def post(self, event: Event) -> bytes:
        self.posted.append(event)
        self.log.offer(lambda: stored(event))
        return event.event_id

    def events(self) -> CounterEvents:
        return CounterEvents(self.plant, TypeModel(), self.post, self.bench.rollups, self.log, self.bench.clock)

    async def read(self, values: Sequence[float], unit: NodeUid = M1) -> None:
        for place, value in enumerate(values):
            await self.bench.put(unit, IMPORT, [START + place * QUARTER], [value])
        await self.bench.settle(START + len(values) * QUARTER + 4 * QUARTER)


def stored(event: Event) -> StoredEvent:
    return StoredEvent(event.time_ns, event.source.to_string(), event_record.written(event, event.time_ns))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path)
    await made.bench.open(START)
    async with made.log:
        yield made
    await made.bench.close()


def going_on(count: int, *glitches: int) -> list[float]:
    return [0.0 if place in glitches else 1_000_000.0 + 250.0 * place for place in range(count)]


async def test_several_of_one_register_in_an_hour_are_one_event(desk: Desk) -> None:
    await desk.read(going_on(13, 4, 6, 9))
    await desk.events().tell()
    told = [((event.time_ns // 1_000_000 - START) // QUARTER, event.fields["3:Suppressed"]) for event in desk.posted]
    assert told == [(6, 1), (9, 0)]
    text = Messages().text(desk.posted[0].message, "en")  # type: ignore[arg-type]
    assert text.endswith("nothing booked, the reading is kept (and 1 more within the hour)")
    assert await desk.bench.rollups.untold(10) == []


async def test_what_the_log_has_is_not_told_again_though_nobody_noted_it(desk: Desk) -> None:
    await desk.read(going_on(13, 6))
    (anomaly,) = await desk.bench.rollups.untold(10)
    desk.log.offer(lambda: stored(desk.events().event(anomaly)))
    await desk.log.flush()
    await desk.events().tell()
    assert desk.posted == []
    assert await desk.bench.rollups.untold(10) == []


async def test_what_the_log_does_not_take_waits_and_is_heard_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.read(going_on(13, 6))
    events = desk.events()
    with monkeypatch.context() as full:
        full.setattr(desk.log, "_append", _refuse)
        with pytest.raises(StoreFull):
            await events.tell()
    assert len(desk.posted) == 1
    assert len(await desk.bench.rollups.untold(10)) == 1
    await events.tell()
    assert len(desk.posted) == 1
    assert await desk.bench.rollups.untold(10) == []
    assert len(await desk.log.read(0, 1 << 62, 10)) == 1


async def test_units_that_the_plant_has_no_more_are_not_told_of(desk: Desk) -> None:
    await desk.read(going_on(13, 6))
    desk.plant = plant_of([M2])
    await desk.events().tell()
    assert desk.posted == []
    assert await desk.bench.rollups.untold(10) == []


async def test_a_flood_is_told_in_parts_to_its_end(desk: Desk) -> None:
    hours = AT_ONCE // 2 + 20
    values = going_on(hours * 4, *range(1, hours * 4, 2))
    times = [START + place * QUARTER for place in range(len(values))]
    await desk.bench.put(M1, IMPORT, times, values)
    await desk.bench.settle(times[-1] + 8 * QUARTER)
    count = len(await desk.bench.rollups.anomalies(most=10_000))
    assert count > AT_ONCE
    await desk.events().tell()
    assert sum(1 + event.fields["3:Suppressed"] for event in desk.posted) == count
    assert len({event.event_id for event in desk.posted}) == len(desk.posted)


@pytest.mark.parametrize("move", [Move.ROLLOVER, Move.RESET, Move.REPLACED, Move.GLITCH])
def test_every_kind_has_its_words_in_every_language(move: Move) -> None:
    anomaly = Anomaly(M1, IMPORT, START, move, 1234.5, 6.0, 7.25)
    words = CounterWords().names(anomaly)
    texts = [words.in_locale(locale) for locale in LOCALES]
    assert len(set(texts)) == len(LOCALES)
    for locale, text in zip(LOCALES, texts, strict=True):
        assert "1234.500 kW·h" in text
        assert "6.000 kW·h" in text
        assert IMPORT.value.names.in_locale(locale) in text
    assert ("7.250 kW·h" in texts[0]) == (move in (Move.ROLLOVER, Move.RESET))


def _refuse(batch: object) -> None:
    raise StoreFull("the disk is full", where="here", hint="make room")
