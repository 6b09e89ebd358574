"""Enumerated states: their numbers are stored and sent, so they are frozen here."""

from __future__ import annotations

from enum import IntEnum

import pytest

from address_space.model import state

FROZEN = {
    "Medium": "ELECTRICITY WATER HOT_WATER GAS HEAT COOLING STEAM COMPRESSED_AIR OTHER",
    "MeterState": "NEVER_POLLED ONLINE STALE COMM_LOST DEVICE_ERROR DISABLED MAINTENANCE",
    "SwitchState": "UNKNOWN OPEN CLOSED READY_TO_CLOSE IN_TRANSIT FAILURE",
    "ValveState": "UNKNOWN OPEN CLOSED PARTIAL IN_TRANSIT FAILURE",
    "CommunicationState": "UNKNOWN ONLINE DEGRADED OFFLINE",
    "CommandState": "IDLE QUEUED SENT CONFIRMED FAILED TIMED_OUT REJECTED UNKNOWN",
    "Protocol": "MODBUS_RTU MODBUS_TCP DLT645_1997 DLT645_2007 CJT188 MQTT VIRTUAL",
    "PrepayMode": "DISABLED ACTIVE EXHAUSTED KEEP_POWER",
    "Phase": "TOTAL L1 L2 L3 N L1L2 L2L3 L3L1",
}


@pytest.mark.parametrize(("name", "members"), FROZEN.items())
def test_the_numbers_of_a_state_never_change(name: str, members: str) -> None:
    enumeration = getattr(state, name)
    assert [(member.name, member.value) for member in enumeration] == [
        (member, number) for number, member in enumerate(members.split())
    ]


def test_every_state_is_frozen_here() -> None:
    defined = {
        name for name, thing in vars(state).items() if isinstance(thing, type) and thing.__module__ == state.__name__
    }
    assert defined == FROZEN.keys()
    assert all(issubclass(getattr(state, name), IntEnum) for name in defined)
