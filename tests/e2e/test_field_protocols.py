"""The field protocols through the whole hub: what clients see is what the meters counted, plugs are pulled and put
back, and commands are carried out once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import pairwise

import pytest
import pytest_asyncio
from asyncua import Client
from field_stand import OF_CHANNEL, TIMEOUT_S, FieldStand
from stand import Sample, Watch

from address_space.model import NS
from address_space.model.state import CommandState, SwitchState, ValveState
from drivers.simulators import (
    Babbling,
    Echo,
    ExceptionAnswer,
    Fault,
    HalfFrame,
    LongPreamble,
    NoiseBefore,
    RelaySticks,
    Silent,
    StrayAnswer,
    ValveSticks,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE_S = 90.0
SLIP_S = 1.5
ENERGY = "ActiveEnergyImport"
MAIN = {
    **dict.fromkeys(("d1", "d2", "d3", "d4", "r1", "r2", "s1", "a1", "u1", "u2"), ENERGY),
    **dict.fromkeys(("w1", "w2", "g1"), "Volume"),
    "h1": "HeatEnergy",
}
STATES = ("w1.Valve.State", "w2.Valve.State", "d2.Switch.State", "d2.Prepayment.MeterCredit")
COUNTED = ("ActiveEnergyImport", "ReactiveEnergyImport", "Volume", "HeatEnergy", "OperatingTime")
STEPS = {
    "OperatingTime": 1.0,
    "CurrentL": 0.02,
    "Current": 0.02,
    "Voltage": 1.1,
    "PowerFactor": 0.011,
    "Frequency": 0.02,
    "HeatPower": 0.02,
}
"""The last digit of what meters show, where it is coarser than a hundredth of the value."""


@dataclass
class Field:
    """A running stand and what its client is told."""

    stand: FieldStand
    client: Client
    watch: Watch

    async def good(self, points: list[str], count: int = 2, within_s: float = PATIENCE_S) -> None:
        """Return once each point was Good `count` times more."""
        for _ in range(count):
            marks = {point: self.watch.mark(point) for point in points}
            await asyncio.gather(*(self.watch.status(point, "Good", marks[point], within_s) for point in points))

    async def bad(self, points: list[str]) -> None:
        """Return once no point is Good any more."""
        await asyncio.gather(
            *(
                self.watch.until(point, lambda sample: sample.name != "Good", self.watch.mark(point), PATIENCE_S)
                for point in points
            )
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def field(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Field]:
    async with FieldStand(tmp_path_factory.mktemp("field")) as stand:
        await stand.start_hub()
        points = [f"{meter}.{path}" for meter, path in MAIN.items()]
        async with stand.client() as client, stand.watching(client, [*points, *STATES]) as watch:
            told = Field(stand, client, watch)
            await told.good([*points, *STATES])
            yield told


def _points(channel: str) -> list[str]:
    return [f"{meter}.{MAIN[meter]}" for meter in OF_CHANNEL[channel]]


def _step(path: str, value: float, ratio: float) -> float:
    coarse = next((step for stem, step in STEPS.items() if path.startswith(stem)), 0.0)
    # A hundredth of a unit, or of the secondary side's; figures of seven digits where they are floating-point numbers.
    return max(coarse * ratio, 0.0101 * ratio, abs(value) * (1e-6 if path.startswith(COUNTED) else 0.002))


@pytest.mark.parametrize("meter", sorted(MAIN))
async def test_clients_see_what_stands_in_the_books(field: Field, meter: str) -> None:
    stand, compared = field.stand, 0
    ratio = stand.fleet.meter(meter).described.ratio[0]
    for quantity in stand.quantities(meter):
        sample = await stand.read(field.client, f"{meter}.{quantity.path}")
        if sample.name != "Good" or isinstance(sample.value, bool | str):
            continue
        truth = stand.truth(meter, quantity.path, sample.source_ns, _step(quantity.path, sample.value, ratio))
        if truth is None:
            continue
        compared += 1
        assert truth.holds(sample.value), (quantity.path, sample.value, truth)
    assert compared >= (1 if MAIN[meter] == "Volume" else 5)


async def test_states_and_balances_arrive(field: Field) -> None:
    shown = {point: (await field.stand.read(field.client, point)).value for point in STATES}
    purse = field.stand.electricity("d2").purse
    assert purse is not None
    assert shown["w1.Valve.State"] == ValveState.OPEN
    assert shown["d2.Switch.State"] == SwitchState.CLOSED
    assert shown["d2.Prepayment.MeterCredit"] == pytest.approx(purse.money / 100, abs=0.05)


@pytest.mark.parametrize("channel", ["pty", "loop", "wells", "serial", "ascii", "udp", "udp-modbus"])
async def test_a_plug_that_is_pulled_heals(field: Field, channel: str) -> None:
    stand, points = field.stand, _points(channel)
    lost = asyncio.gather(field.bad(points))
    await stand.fleet.stop(stand.end(channel))
    if channel == "pty":
        assert not stand.plug(channel).path.is_symlink()
    await lost
    others = [point for other in OF_CHANNEL if other != channel for point in _points(other)]
    await field.good(others, count=1)
    await stand.fleet.start(stand.end(channel))
    await field.good(points, count=1)


async def test_a_modem_that_calls_anew_goes_on_where_it_was(field: Field) -> None:
    modem, points = field.stand.plug("wells"), _points("wells")
    for calls in range(modem.calls + 1, modem.calls + 4):
        modem.hang_up()
        # What was on its way may still arrive; of four readings the last ones came by the new call.
        await field.good(points, count=4)
        assert modem.calls == calls


async def test_heartbeats_of_a_modem_disturb_no_answer(field: Field) -> None:
    assert field.stand.hub is not None
    poller = next(each for each in field.stand.hub.pollers if each.channel.id == "wells")
    for tries in (1, 2, 3):
        field.stand.pulse.start()
        before = sum(poller.snapshot().errors.values())
        await field.good(_points("wells"), count=5)
        failed = sum(poller.snapshot().errors.values()) - before
        # Where the machine held its breath for as long as an answer may take, the meters were silent.
        if not failed or tries == 3 or field.stand.calm:
            break
    assert failed == 0


@pytest.mark.parametrize(
    ("channel", "sick", "fault"),
    [
        ("pty", "d4", Silent()),
        ("pty", "d4", Babbling(lasts_s=TIMEOUT_S / 2)),
        ("pty", "d3", HalfFrame()),
        ("loop", "g1", Silent()),
        ("loop", "g1", StrayAnswer(alone=True)),
        ("wells", "r1", HalfFrame(4)),
        ("wells", "r2", ExceptionAnswer(1)),
    ],
    ids=lambda one: one if isinstance(one, str) else type(one).__name__,
)
async def test_a_sick_meter_costs_its_neighbours_no_more_than_its_timeouts(
    field: Field, channel: str, sick: str, fault: Fault
) -> None:
    stand = field.stand
    stand.pulse.start()
    neighbours = [point for point in _points(channel) if not point.startswith(f"{sick}.")]
    marks = {point: field.watch.mark(point) for point in neighbours}
    await field.good(neighbours)
    usual = {point: _longest_gap_s(field.watch.since(point, marks[point])) for point in neighbours}
    stand.fleet.meter(sick).fault = fault
    try:
        marks = {point: field.watch.mark(point) for point in neighbours}
        await field.good(neighbours, count=3)
        for point in neighbours:
            longest = _longest_gap_s(field.watch.since(point, marks[point]))
            # A timeout and the quiet time after it; the rest is for a busy machine, where it can be told at all.
            assert longest < usual[point] + 1.5 * TIMEOUT_S + SLIP_S or not stand.calm, point
    finally:
        stand.fleet.meter(sick).fault = None
    await field.good([f"{sick}.{MAIN[sick]}"], count=1)


def _longest_gap_s(samples: list[Sample]) -> float:
    """Between readings that came one after another."""
    moments = sorted({sample.source_ns for sample in samples if sample.name == "Good"})
    return max((later - one) / NS for one, later in pairwise(moments))


@pytest.mark.parametrize(
    "fault", [NoiseBefore(), LongPreamble(), Echo(), StrayAnswer()], ids=lambda f: type(f).__name__
)
@pytest.mark.parametrize("meter", ["d4", "w1"])
async def test_noise_around_an_answer_does_not_hide_it(field: Field, meter: str, fault: Fault) -> None:
    stand, point = field.stand, f"{meter}.{MAIN[meter]}"
    stand.fleet.meter(meter).fault = fault
    try:
        await field.good([point])
        sample = await stand.read(field.client, point)
        truth = stand.truth(meter, MAIN[meter], sample.source_ns, _step(MAIN[meter], sample.value, 1.0))
        assert truth is not None
        assert truth.holds(sample.value)
    finally:
        stand.fleet.meter(meter).fault = None


async def _shown(field: Field, point: str, value: int) -> Sample:
    return await field.watch.until(
        point, lambda sample: sample.name == "Good" and sample.value == value, field.watch.mark(point), PATIENCE_S
    )


async def test_a_relay_is_switched_once_and_seen(field: Field) -> None:
    relay = field.stand.electricity("d2").relay
    before = relay.commands
    opened, sample = await asyncio.gather(
        field.stand.command("d2", "open_supply"), _shown(field, "d2.Switch.State", SwitchState.OPEN)
    )
    assert (opened.state, relay.is_open, relay.commands) == (CommandState.CONFIRMED, True, before + 1), opened
    power = await field.stand.read(field.client, "d2.ActivePower")
    assert sample.value == SwitchState.OPEN
    assert power.value == 0 or power.source_ns < sample.source_ns
    closed, _ = await asyncio.gather(
        field.stand.command("d2", "close_supply"), _shown(field, "d2.Switch.State", SwitchState.CLOSED)
    )
    assert (closed.state, relay.is_open, relay.commands) == (CommandState.CONFIRMED, False, before + 2), closed


async def test_a_relay_that_sticks_is_never_called_open_and_is_told_once(field: Field) -> None:
    meter, relay = field.stand.fleet.meter("d2"), field.stand.electricity("d2").relay
    before = relay.commands
    meter.fault = RelaySticks()
    try:
        result = await field.stand.command("d2", "open_supply")
        # It goes on saying that it was told to open: that it never will, nobody can know yet.
        assert result.state in (CommandState.FAILED, CommandState.UNKNOWN), result
        assert result.shown == "relay closed, told to open"
        assert (relay.is_open, relay.commands) == (False, before + 1)
    finally:
        meter.fault = None
        relay.told_to_open = False


async def test_a_switching_whose_answer_is_lost_is_looked_at_and_never_repeated(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    station = field.stand.electricity("d2")
    relay, answer = station.relay, station.answer
    before = relay.commands

    def loses_that_answer(request: bytes, now_ns: int) -> bytes | None:
        known = relay.commands
        reply = answer(request, now_ns)
        return reply if relay.commands == known else None

    monkeypatch.setattr(station, "answer", loses_that_answer)
    opened = await field.stand.command("d2", "open_supply")
    assert (opened.state, relay.is_open, relay.commands) == (CommandState.CONFIRMED, True, before + 1), opened
    closed = await field.stand.command("d2", "close_supply")
    assert (closed.state, relay.is_open, relay.commands) == (CommandState.CONFIRMED, False, before + 2), closed


async def test_a_meter_that_is_silent_is_not_told_anything(field: Field) -> None:
    meter, relay = field.stand.fleet.meter("d2"), field.stand.electricity("d2").relay
    before = relay.commands
    meter.fault = Silent()
    try:
        result = await field.stand.command("d2", "open_supply")
        assert (result.state, result.sent, relay.commands) == (CommandState.FAILED, False, before), result
    finally:
        meter.fault = None
    await field.good(["d2.Switch.State"])


async def test_a_valve_is_moved_once_and_seen(field: Field) -> None:
    station = field.stand.water("w1")
    assert station.valve is not None
    before = station.valve.runs
    closed, _ = await asyncio.gather(
        field.stand.command("w1", "close_valve"), _shown(field, "w1.Valve.State", ValveState.CLOSED)
    )
    assert (closed.state, station.valve.runs) == (CommandState.CONFIRMED, before + 1), closed
    assert station.flow.stopped
    opened, _ = await asyncio.gather(
        field.stand.command("w1", "open_valve"), _shown(field, "w1.Valve.State", ValveState.OPEN)
    )
    assert (opened.state, station.valve.runs) == (CommandState.CONFIRMED, before + 2), opened


async def test_a_valve_that_sticks_is_a_failure_and_is_told_once(field: Field) -> None:
    meter, station = field.stand.fleet.meter("w2"), field.stand.water("w2")
    assert station.valve is not None
    before = station.valve.runs
    meter.fault = ValveSticks()
    try:
        result, _ = await asyncio.gather(
            field.stand.command("w2", "close_valve"), _shown(field, "w2.Valve.State", ValveState.FAILURE)
        )
        assert (result.state, station.valve.runs) == (CommandState.FAILED, before + 1), result
    finally:
        meter.fault = None
    opened = await field.stand.command("w2", "open_valve")
    assert opened.state is CommandState.CONFIRMED
