"""Events that a meter recorded, as clients see them: heard live, and read in the history in every language."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from asyncua import ua

from server.app import Hub
from tests.server.backfill_rig import PATIENCE_S
from tests.server.event_log_site import (
    EVENT_TYPE,
    FILE,
    POINT,
    RING,
    ago,
    client_of,
    read_events,
    record,
    until,
    write,
)
from tests.server.running import running

WORDS = {
    "en": "Cover open: begins (recorded in the log alarms)",
    "ru": "Крышка открыта: начало (запись журнала alarms)",
    "uz": "Qopqoq ochiq: boshlandi (alarms jurnali yozuvi)",
    "zh": "表盖打开：开始（日志 alarms 的记录）",
}


class Told:
    """The events that a client heard of."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def event_notification(self, event: Any) -> None:
        self.events.append(event)

    def datachange_notification(self, node: Any, value: Any, data: Any) -> None:
        """A value; nobody asks for one."""


@pytest.mark.parametrize(("where", "framer"), [(RING, "tcp"), (FILE, "rtu")])
async def test_what_a_meter_recorded_is_heard_and_read_in_the_history(site, where: str, framer: str) -> None:
    write(site, where, framer=framer)
    long_ago, first, second = ago(40 * 86_400), ago(7200), ago(3600)
    async with site.fleet() as fleet:
        record(fleet, 0x02, long_ago)
        record(fleet, 0x01, first)
        hub = Hub(site.draw())
        assert hub.meter_events is not None
        assert hub.history is not None
        async with running(hub, PATIENCE_S), client_of(hub) as client:
            await until(lambda: hub.meter_events.state.told == 2)
            told = Told()
            subscription = await client.create_subscription(50, told)
            await subscription.subscribe_events("ns=2;s=f1", EVENT_TYPE)
            now = ago(0)
            record(fleet, 0x02, long_ago + timedelta(days=1))  # no news
            record(fleet, 0x77, second, 198.4)
            record(fleet, 0x81, now)
            await until(lambda: len(told.events) == 2)
            unknown, over = told.events
            assert (over.SourceNode, over.Time) == (ua.NodeId(POINT, 2), now)
            assert (over.Active, over.Code, over.Severity) == (False, 0x81, 100)
            assert over.Message.Text == "Cover open: over (recorded in the log alarms)"
            assert unknown.Message.Text == "event 0x0077, 198.4 V (recorded in the log alarms)"
            await hub.history.events.flush()
            for node in ("ns=2;s=m1", "ns=2;s=f1", "ns=2;s=root", "i=2253"):
                events = await read_events(client, node, ago(50 * 86_400), ago(-60))
                times = [each["Time"] for each in events]
                assert times == [long_ago, long_ago + timedelta(days=1), first, second, now]
            begun = events[2]
            assert (begun["Severity"], begun["3:Active"], begun["3:Log"]) == (700, True, "alarms")
            assert [each["3:Value"] for each in events] == [None, None, None, 198.4, None]
            assert events[3]["EngineeringUnits"].DisplayName.Text == "V"
            assert events[3]["ReceiveTime"] - second > timedelta(minutes=59)
            assert [each["EventId"] for each in events[3:]] == [unknown.EventId, over.EventId]
            numbers = [each["3:Record"] for each in events]
            assert numbers == ([0, 2, 1, 3, 4] if where == RING else [1, 3, 2, 4, 5])
            for locale, text in WORDS.items():
                async with client_of(hub, locale) as speaker:
                    (event,) = await read_events(speaker, "ns=2;s=m1", first, first + timedelta(seconds=1))
                    assert event["Message"].Text == text
