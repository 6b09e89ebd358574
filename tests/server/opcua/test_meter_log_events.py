"""Events of meters' own logs as clients are told them: texts, fields, ids, and what is news."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from address_space.model import NodeUid
from address_space.model.clock import ManualClock
from address_space.model.quantity import LOCALES, Names
from address_space.model.units import UNITS
from address_space.nodes import TypeModel
from address_space.nodes.nodeids import plant_id
from drivers.event_archive import EventBook, EventCode, LogEvent
from historian.events import EventLog, StoredEvent
from server.opcua import event_record
from server.opcua.event import Event
from server.opcua.messages import Message, Messages
from server.opcua.meter_log_events import NEWS_MS, MeterLogEvents

M1 = NodeUid("m1")
NOW_MS = 1_795_335_480_000
COVER = Names("Cover open", "Крышка открыта", "Qopqoq ochiq", "表盖打开")
BOOK = EventBook(
    "alarms",
    None,
    {1: EventCode(COVER, 700, active=True), 2: EventCode(COVER, 100, active=False), 3: EventCode(COVER)},
    UNITS["VLT"],
    900.0,
)


class Desk:
    """What is told, and what is only kept."""

    def __init__(self, folder: Path, waiting: int) -> None:
        self.clock = ManualClock(NOW_MS * 1_000_000)
        self.log = EventLog(folder, self.clock, waiting=waiting)
        self.posted: list[Event] = []
        self.filed: list[Event] = []
        self.events = MeterLogEvents(TypeModel(), self.post, self.file, self.log, self.clock)

    def post(self, event: Event) -> bytes:
        self.posted.append(event)
        self.keep(event)
        return event.event_id

    def file(self, event: Event) -> None:
        self.filed.append(event)
        self.keep(event)

    def keep(self, event: Event) -> None:
        body = event_record.written(event, event.time_ns)
        self.log.offer(lambda: StoredEvent(event.time_ns, event.source.to_string(), body))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path, waiting=8)
    async with made.log:
        yield made


def happened(code: int, age_ms: int = 0, value: float | None = None) -> LogEvent:
    return LogEvent(NOW_MS - age_ms, code, value, code.to_bytes(8, "big"), 17)


def words(event: Event, locale: str) -> str:
    assert isinstance(event.message, Message)
    return Messages().text(event.message, locale)


def test_an_event_has_the_meters_time_and_what_its_record_told(tmp_path: Path) -> None:
    event = Desk(tmp_path, 4).events.event(M1, BOOK, happened(1, 5000, 198.4), 0)
    assert (event.source, event.time_ns, event.severity) == (plant_id(M1), (NOW_MS - 5000) * 1_000_000, 700)
    fields = {name.removeprefix("3:"): value for name, value in event.fields.items() if name != "EngineeringUnits"}
    assert fields == {"Log": "alarms", "Code": 1, "Active": True, "Value": 198.4, "Record": 17}
    assert event.fields["EngineeringUnits"].Value.DisplayName.Text == "V"


def test_an_event_without_a_value_has_no_unit_either(tmp_path: Path) -> None:
    event = Desk(tmp_path, 4).events.event(M1, BOOK, happened(3), 0)
    assert (event.fields["3:Value"], event.fields["EngineeringUnits"], event.fields["3:Active"]) == (None, None, None)


@pytest.mark.parametrize("code", [1, 2, 3, 0x99])
def test_every_event_has_its_words_in_every_language(tmp_path: Path, code: int) -> None:
    event = Desk(tmp_path, 4).events.event(M1, BOOK, happened(code, 0, 0.5), 0)
    texts = [words(event, locale) for locale in LOCALES]
    assert len(set(texts)) == len(LOCALES)
    for locale, text in zip(LOCALES, texts, strict=True):
        assert ("0x0099" if code == 0x99 else COVER.in_locale(locale)) in text
        assert "0.5 V" in text
        assert "alarms" in text


def test_the_beginning_and_the_end_are_told_apart(tmp_path: Path) -> None:
    events = Desk(tmp_path, 4).events
    told = [words(events.event(M1, BOOK, happened(code), 0), "en") for code in (1, 2, 3)]
    assert [text.partition(" (")[0] for text in told] == ["Cover open: begins", "Cover open: over", "Cover open"]


def test_the_same_record_has_the_same_id_and_no_other_has_it(tmp_path: Path) -> None:
    events = Desk(tmp_path, 4).events
    ids = [events.event(M1, BOOK, happened(1), 0).event_id for _ in range(2)]
    ids += [events.event(M1, BOOK, happened(1), 1).event_id, events.event(M1, BOOK, happened(2), 0).event_id]
    ids += [events.event(NodeUid("m2"), BOOK, happened(1), 0).event_id]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 4
    assert all(len(each) == 16 for each in ids)


async def test_what_is_no_news_is_kept_and_not_told(desk: Desk) -> None:
    news = [(happened(1, NEWS_MS + 1000), 0), (happened(2, NEWS_MS - 1000), 0)]
    assert await desk.events.tell(M1, BOOK, news, b"place", lost=False)
    assert [event.fields["3:Code"] for event in desk.posted] == [2]
    assert [event.fields["3:Code"] for event in desk.filed] == [1]
    assert len(await desk.log.read(0, 1 << 62, 9)) == 2
    assert await desk.events.place(M1, BOOK) == b"place"


async def test_where_there_is_no_room_nothing_is_told_and_the_place_stays(desk: Desk) -> None:
    assert not await desk.events.tell(M1, BOOK, [(happened(code), 0) for code in (1, 2, 3, 4)], b"place", lost=False)
    assert desk.posted == []
    assert desk.log.refused == 0
    assert await desk.events.place(M1, BOOK) == b""
    assert await desk.events.tell(M1, BOOK, [(happened(code), 0) for code in (1, 2, 3)], b"place", lost=False)


async def test_half_of_the_room_is_left_to_events_that_cannot_wait_in_a_meter(desk: Desk) -> None:
    for _ in range(5):
        desk.log.offer(lambda: StoredEvent(1, "hub", b""))
    assert not await desk.events.tell(M1, BOOK, [(happened(1), 0)], b"place", lost=False)
    await desk.log.flush()
    assert await desk.events.tell(M1, BOOK, [(happened(1), 0)], b"place", lost=False)


async def test_an_event_of_a_clock_that_begins_with_1970_is_of_1970(desk: Desk) -> None:
    assert await desk.events.tell(M1, BOOK, [(happened(1, NOW_MS), 0)], b"place", lost=False)
    assert 0 < desk.filed[0].time_ns < 1000  # 0 would be filled in with the time of now


async def test_that_events_were_lost_is_an_event_of_the_unit(desk: Desk) -> None:
    await desk.events.tell(M1, BOOK, [(happened(3), 0)], b"place", lost=True)
    lost, first = desk.posted
    assert (lost.source, lost.fields, first.fields["3:Code"]) == (plant_id(M1), {"3:Log": "alarms"}, 3)
    assert words(lost, "en") == "The log alarms of the meter has overrun: events were overwritten before they were read"
    assert len({words(lost, locale) for locale in LOCALES}) == len(LOCALES)
