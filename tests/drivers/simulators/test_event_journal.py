"""The log in which a simulated meter records events."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from address_space.model.clock import NS, ManualClock
from address_space.model.errors import UnknownId
from drivers.profiles.build import build_profile
from drivers.profiles.document import parse_document
from drivers.simulators import Endpoint, Fleet, SimulatedMeter
from drivers.simulators.modbus_event_log import EventJournal
from drivers.simulators.unit import ModbusUnit
from tests.drivers.modbus.event_rig import COUNT, START_MS, table_of

PROFILE = """\
profile: test/meter
vendor: Test
model: Meter
protocol: modbus
source: [{document: this test}]
points: {VoltageL1: {at: 2, type: uint16, scale: 0.1, unit: V}}
modbus:
  event_logs:
    alarms: {at: 0x1000, words: 4, count: 9, newest: first, time: {at: 0, format: unix}, code: {at: 2, type: uint16}}
"""


def test_a_ring_keeps_the_newest_and_a_log_that_stops_keeps_the_first() -> None:
    for way, kept in (("next", range(3, COUNT + 3)), ("no ring", range(COUNT))):
        table = table_of(way)
        journal = EventJournal(table, UTC)
        for code in range(COUNT + 3):
            journal.add(code, START_MS + code * 1000, 1)
        found = [table.event(journal.record(number), UTC) for number in range(journal.written(0))]
        assert [event.code for event in found if event is not None] == list(kept)


def test_a_meter_records_by_its_own_clock() -> None:
    now = datetime(2026, 11, 22, 8, 7, tzinfo=UTC)
    clock = ManualClock(round(now.timestamp()) * NS)
    profile = build_profile(parse_document(PROFILE, "meter.yaml"))
    meter = Fleet([SimulatedMeter("m1", profile, Endpoint("127.0.0.1", 0), "1")], clock).meter("m1")
    meter.clock_off_s = 90.0
    meter.record_event("alarms", 5)
    assert isinstance(meter.device, ModbusUnit)
    journal = meter.device.journals["alarms"]
    event = journal.table.event(journal.record(0), UTC)
    assert event is not None
    assert (event.time_ms, event.code, event.value) == (round(now.timestamp() + 90) * 1000, 5, None)
    with pytest.raises(UnknownId, match="no log of events 'sags'"):
        meter.record_event("sags", 5)
