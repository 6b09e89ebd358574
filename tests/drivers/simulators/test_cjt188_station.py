"""The simulated CJ/T 188 meter: its registers, its manners, its valve."""

from __future__ import annotations

from typing import Any

import pytest

from address_space.model.clock import NS
from address_space.model.state import ValveState
from drivers.cjt188 import DiOrder
from drivers.cjt188.contents import contents_of
from drivers.cjt188.frame import ANY, Decoder, Frame, encode
from drivers.simulators.cjt188 import CJT188, Cjt188Station, Kind, Manners
from drivers.simulators.faults import Frozen
from drivers.simulators.flow import MWH_PER_LITRE, Flow, Pipe
from drivers.simulators.valve import MotorValve

NOW_NS = 1_782_900_000 * NS
ADDRESS = "00000000000042"


def asked(
    station: Cjt188Station, data: str, *, control: int = 1, now_ns: int = NOW_NS, address: str = ADDRESS
) -> Frame | None:
    reply = station.answer(encode(Frame(0x10, address, control, bytes.fromhex(data))), now_ns)
    if reply is None:
        return None
    (frame,) = (each for each in Decoder().feed(reply) if isinstance(each, Frame))
    return frame


def told(station: Cjt188Station, data: str, **how: Any) -> dict[str, Any]:
    frame = asked(station, data, **how)
    assert frame is not None
    assert not frame.error
    return contents_of(frame).decoded


def test_it_answers_only_to_its_address_and_to_the_wildcard() -> None:
    station = Cjt188Station(ADDRESS)
    assert asked(station, "1f9001") is not None
    assert asked(station, "1f9001", address=ANY) is not None
    assert asked(station, "1f9001", address="00000000000043") is None
    assert asked(station, "1f9001", control=0x81) is None


@pytest.mark.parametrize("kind", list(Kind))
def test_each_kind_answers_in_its_own_form(kind: Kind) -> None:
    frame = asked(Cjt188Station(ADDRESS, kind), "1f9001")
    assert frame is not None
    assert (frame.type, len(frame.data)) == (kind.value, 46 if kind is Kind.HEAT else 22)


def test_the_register_grows_and_never_falls() -> None:
    station = Cjt188Station(ADDRESS)
    shown = [told(station, "1f9001", now_ns=NOW_NS + hour * 3600 * NS)["cumulative"]["value"] for hour in range(48)]
    assert shown == sorted(shown)
    assert shown[-1] > shown[0]


def test_heat_is_volume_times_the_spread_of_temperatures() -> None:
    found = told(Cjt188Station(ADDRESS, Kind.HEAT), "1f9001")
    assert found["supply_temp_C"] - found["return_temp_C"] == pytest.approx(30, abs=0.011)
    assert found["heat_current"]["value"] == pytest.approx(found["volume"]["value"] * MWH_PER_LITRE / 1000, rel=1e-3)
    assert found["heat_power"]["value"] == pytest.approx(found["flow"]["value"] * 1000 * 1.163 * 30 / 1000, abs=0.02)


def test_months_and_freezes_are_the_registers_of_their_time() -> None:
    station = Cjt188Station(ADDRESS)
    now = told(station, "1f9001")["cumulative"]["value"]
    months = [told(station, f"{month:02x}d101")["settlement"]["value"] for month in range(0x20, 0x2C)]
    assert months == sorted(months, reverse=True)
    assert now > months[0] > months[-1]
    frozen = told(station, "01d301")
    assert frozen["datetime"].endswith("00:00:00")
    assert months[1] <= frozen["cumulative"]["value"] <= now


def test_it_answers_in_the_order_it_likes_and_understands_what_it_is_told_to() -> None:
    odd = Cjt188Station(ADDRESS, manners=Manners(di_order=DiOrder.BE, accepts=(DiOrder.LE,)))
    frame = asked(odd, "1f9001")
    assert frame is not None
    assert frame.data[:2].hex() == "901f"
    assert asked(odd, "901f01") is None


def test_serial_numbers_come_back_or_are_its_own() -> None:
    polite, own = Cjt188Station(ADDRESS), Cjt188Station(ADDRESS, manners=Manners(echoes_ser=False))
    for station, expected in ((polite, [7, 7]), (own, [1, 2])):
        frames = [asked(station, "1f9007") for _ in range(2)]
        assert [frame.data[2] for frame in frames if frame is not None] == expected


@pytest.mark.parametrize(
    ("control", "data"), [(1, "ffff01"), (4, "17a00155"), (4, "15a00100"), (9, "068101"), (0x16, "16a001")]
)
def test_what_it_cannot_do_it_answers_with_an_error(control: int, data: str) -> None:
    frame = asked(Cjt188Station(ADDRESS), data, control=control)
    assert frame is not None
    assert (frame.control, len(frame.data)) == (control | 0xC0, 3)


def test_a_frozen_meter_stands_still() -> None:
    station = Cjt188Station(ADDRESS)
    before = told(station, "1f9001")["cumulative"]
    station.fault_state.set((Frozen(),), NOW_NS)
    assert told(station, "1f9001", now_ns=NOW_NS + 86_400 * NS)["cumulative"] == before


def test_a_request_is_cut_out_of_a_stream_and_answers_are_not() -> None:
    request = encode(Frame(0x10, ADDRESS, 1, bytes.fromhex("1f9001")), 0)
    answer = encode(Frame(0x10, ADDRESS, 0x81, bytes.fromhex("1f9001")), 0)
    assert CJT188.cut(b"\xfe\xfe" + answer + request) == (2 + len(answer), 2 + len(answer) + len(request))
    assert CJT188.cut(answer) is None
    assert CJT188.address_of(request) == bytes.fromhex("42000000000000")


def test_a_valve_takes_its_time_and_stops_the_flow_at_the_end_of_it() -> None:
    flow = Flow(Pipe("p"))
    valve = MotorValve(flow, motor_s=10)
    valve.move(ValveState.CLOSED, NOW_NS)
    assert valve.is_moving(NOW_NS + 9 * NS)
    assert (valve.at(NOW_NS + 9 * NS), flow.stopped) == (ValveState.OPEN, False)
    assert (valve.at(NOW_NS + 3600 * NS), flow.stopped) == (ValveState.CLOSED, True)
    second = NOW_NS // NS
    assert flow.millilitres(second + 3600) == flow.millilitres(second + 10) > flow.millilitres(second)


def test_water_withheld_by_a_valve_never_passes() -> None:
    kept, free = Flow(Pipe("p")), Flow(Pipe("p"))
    second = NOW_NS // NS
    kept.stop(second)
    kept.resume(second + 7200)
    missing = free.millilitres(second + 7200) - free.millilitres(second)
    assert missing > 0
    for later in (7200, 9000, 86_400):
        assert free.millilitres(second + later) - kept.millilitres(second + later) == missing


def test_a_stuck_valve_lets_on_and_says_so() -> None:
    flow = Flow(Pipe("p"))
    valve = MotorValve(flow, motor_s=10)
    valve.sticks = True
    valve.move(ValveState.CLOSED, NOW_NS)
    assert valve.at(NOW_NS + 11 * NS) is ValveState.FAILURE
    assert not flow.stopped
    valve.sticks = False
    valve.move(ValveState.CLOSED, NOW_NS + 20 * NS)
    assert valve.at(NOW_NS + 31 * NS) is ValveState.CLOSED
