"""Reports on lines and devices: every variable of their nodes, and the state that follows from the counts."""

from __future__ import annotations

import pytest

from address_space.model import Reason, UnitHandle
from address_space.nodes import TypeModel
from address_space.nodes.shape_units import OF_DAY, OF_DEVICE
from drivers.health import ChannelSnapshot, DeviceHealth, DeviceState
from historian.gaps import UnitDay
from server.reports import day_values, device_values, line_values


def line(*, up: bool = True, error: str = "", **devices: int) -> ChannelSnapshot:
    """A line with so many devices in each state."""
    return ChannelSnapshot(
        channel="bus",
        up=up,
        error=error,
        devices={DeviceState[name.upper()]: count for name, count in devices.items()},
        requests=100,
        errors={Reason.TIMEOUT: 3, Reason.BAD_FRAME: 2, Reason.DEVICE_ERROR: 1, Reason.MISCONFIGURED: 1},
        utilisation=0.5,
        round_trip_ms=12.5,
        last_good_ns=10**18,
        losses=1,
        slots_missed=4,
        faults=0,
        success_rate=0.93,
    )


def test_a_line_tells_every_variable_of_its_type() -> None:
    values = line_values(line(online=2, degraded=1, offline=1, unknown=1), ("a session",))
    assert values.keys() == TypeModel().members("ChannelType").keys()
    assert (values["Errors"], values["Timeouts"], values["BadFrames"], values["Refusals"]) == (7, 3, 2, 2)
    assert (values["Utilisation"], values["SuccessRate"]) == (50.0, 93.0)
    assert (values["DevicesTotal"], values["DevicesOffline"], values["Sessions"]) == (5, 1, ["a session"])


@pytest.mark.parametrize(
    ("snapshot", "state"),
    [
        (line(online=3), DeviceState.ONLINE),
        (line(online=3, unknown=2), DeviceState.ONLINE),
        (line(online=3, degraded=1), DeviceState.DEGRADED),
        (line(online=3, offline=1), DeviceState.DEGRADED),
        (line(offline=4, unknown=1), DeviceState.OFFLINE),
        (line(unknown=4), DeviceState.UNKNOWN),
        (line(up=False, unknown=4), DeviceState.UNKNOWN),
        (line(up=False, error="refused", online=4), DeviceState.OFFLINE),
    ],
)
def test_the_state_of_a_line_follows_from_it_and_its_devices(snapshot: ChannelSnapshot, state: DeviceState) -> None:
    assert snapshot.state is state


def test_a_device_tells_what_its_node_shows() -> None:
    health = DeviceHealth(2)
    health.asked(1, 3, [Reason.TIMEOUT, Reason.BAD_FRAME, Reason.TIMEOUT])
    values = device_values(health.snapshot(1, UnitHandle(9)))
    assert values.keys() == set(OF_DEVICE)
    assert (values["Requests"], values["Errors"], values["Timeouts"], values["BadFrames"]) == (6, 3, 2, 1)


def test_the_day_of_a_unit_tells_what_its_node_shows() -> None:
    values = day_values(UnitDay(expected=96, stored=72, filled=4, last_gap_ms=1_800_000_000_000))
    assert values.keys() == set(OF_DAY)
    counts = ("SlotsExpected", "SlotsMissing", "SlotsFilled", "Completeness")
    assert [values[name] for name in counts] == [96, 24, 4, 75.0]
    assert values["LastGap"].isoformat().startswith("2027-01-15T08:00:00")


def test_a_unit_of_which_nothing_was_expected_or_known_has_no_completeness_and_no_gap() -> None:
    values = day_values(UnitDay(0, 0, 0, 0))
    assert (values["SlotsExpected"], values["Completeness"], values["LastGap"]) == (0, None, None)
    assert day_values(None) == {}
