"""Commands: written once, judged by what is seen afterwards, and the device always locked again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from address_space.model.clock import NS, ManualClock
from address_space.model.ids import UnitHandle
from address_space.model.state import CommandState
from drivers.api import Action, Confirmation, Device, Line, Request, WriteOutcome, WriteRequest
from drivers.channel import Channel
from drivers.commands import UNPROVEN, CommandResult, Intervals, execute
from drivers.errors import ChannelDown, NoAnswer

METER = Device(UnitHandle(1), 0, "meter", None, "1")
REACHED = Confirmation(reached=True, state="relay open")
NOT_YET = Confirmation(reached=False, state="relay closed")
MOVING = Confirmation(reached=False, state="valve at 40 %", moving=True)


@dataclass
class Script:
    """A line whose device does what a test tells it to, and the log of what it was asked."""

    clock: ManualClock = field(default_factory=ManualClock)
    outcomes: dict[str, Any] = field(default_factory=dict)
    seen: list[Any] = field(default_factory=list)
    log: list[tuple[float, str]] = field(default_factory=list)
    on_write: Callable[[str], Any] | None = None

    async def write(self, device: Device, request: WriteRequest) -> WriteOutcome:
        self._note(f"write {request.key}")
        if self.on_write is not None:
            await self.on_write(request.key)
        outcome = self.outcomes.get(request.key, WriteOutcome(acknowledged=True))
        if isinstance(outcome, Exception):
            raise outcome
        found: WriteOutcome = outcome
        return found

    async def confirm(self, device: Device, key: object) -> Confirmation:
        self._note(f"look {key}")
        answer = self.seen.pop(0) if len(self.seen) > 1 else self.seen[0]
        if isinstance(answer, Exception):
            raise answer
        found: Confirmation = answer
        return found

    def _note(self, what: str) -> None:
        self.log.append((self.clock.monotonic_ns() / NS, what))

    @property
    def done(self) -> list[str]:
        return [what for _, what in self.log]

    async def run(self, *actions: Action, advance: float = 60.0, progress: Any = None) -> CommandResult:
        task = asyncio.create_task(execute(self, METER, actions, self.clock, progress), name="command")
        await self.clock.advance(advance)
        return await task


def write(key: str, *, always: bool = False, proves: bool = False) -> Action:
    return Action(f"write {key}", write=WriteRequest(key, "s3cret"), always=always, answer_proves=proves)


def look(*after_s: float) -> Action:
    return Action("read back", confirm="relay", after_s=after_s or (0.0,))


UNLOCK, OPEN, LOCK = write("unlock"), write("open"), write("lock", always=True)
SILENT = WriteOutcome(acknowledged=None, detail="no answer within 1000 ms")
REFUSED = WriteOutcome(acknowledged=False, detail="the device answered exception 3")


async def test_a_command_that_is_seen_to_have_had_its_effect_is_confirmed() -> None:
    script = Script(seen=[REACHED])
    result = await script.run(UNLOCK, OPEN, look(), LOCK)
    assert script.done == ["write unlock", "write open", "look relay", "write lock"]
    assert (result.state, result.step, result.detail, result.shown, result.sent) == (
        CommandState.CONFIRMED,
        "write lock",
        "",
        "relay open",
        True,
    )


async def test_an_acknowledgement_alone_is_no_confirmation_unless_the_step_says_so() -> None:
    result = await Script().run(OPEN)
    assert (result.state, result.detail) == (CommandState.UNKNOWN, UNPROVEN)
    assert (await Script().run(write("freeze", proves=True))).state is CommandState.CONFIRMED


async def test_a_refused_step_ends_the_command_and_locks_the_device_again() -> None:
    script = Script(outcomes={"open": REFUSED}, seen=[REACHED])
    result = await script.run(UNLOCK, OPEN, look(), LOCK)
    assert script.done == ["write unlock", "write open", "write lock"]
    assert (result.state, result.step, result.detail) == (
        CommandState.REJECTED,
        "write open",
        "the device answered exception 3",
    )


@pytest.mark.parametrize(
    ("seen", "state"),
    [(REACHED, CommandState.CONFIRMED), (NOT_YET, CommandState.FAILED), (MOVING, CommandState.UNKNOWN)],
)
async def test_what_is_read_back_decides_where_the_answer_was_lost(seen: Confirmation, state: CommandState) -> None:
    script = Script(outcomes={"open": SILENT}, seen=[seen])
    result = await script.run(OPEN, LOCK, look(0.5))
    assert script.done.count("write open") == 1
    assert (result.state, result.shown) == (state, seen.state)


async def test_without_anything_to_read_back_a_lost_answer_leaves_the_outcome_unknown() -> None:
    script = Script(outcomes={"open": SILENT})
    result = await script.run(OPEN, LOCK)
    assert script.done == ["write open", "write lock"]
    assert (result.state, result.detail) == (CommandState.UNKNOWN, "no answer within 1000 ms")


async def test_nothing_that_matters_is_written_after_an_unlocking_that_was_not_answered() -> None:
    script = Script(outcomes={"unlock": SILENT}, seen=[REACHED])
    result = await script.run(UNLOCK, OPEN, look(), LOCK)
    assert script.done == ["write unlock", "write lock"]
    assert (result.state, result.step) == (CommandState.UNKNOWN, "write unlock")


async def test_a_write_that_could_not_be_sent_has_failed() -> None:
    script = Script(outcomes={"open": ChannelDown("the line is down")})
    result = await script.run(OPEN, look())
    assert (result.state, result.sent) == (CommandState.FAILED, False)
    assert "not sent" in result.detail


async def test_it_is_looked_at_its_times_until_it_is_reached() -> None:
    script = Script(seen=[MOVING, NoAnswer("busy"), NOT_YET, REACHED])
    result = await script.run(OPEN, look(0.2, 1.0, 5.0, 10.0, 20.0))
    assert [round(at, 3) for at, what in script.log] == [0.0, 0.2, 1.0, 5.0, 10.0]
    assert result.state is CommandState.CONFIRMED


async def test_the_last_look_decides() -> None:
    result = await Script(seen=[MOVING, NOT_YET]).run(OPEN, look(0.2, 1.0))
    assert (result.state, result.detail) == (CommandState.FAILED, "the device shows relay closed")
    result = await Script(seen=[NOT_YET, NoAnswer("no answer")]).run(OPEN, look(0.2, 1.0))
    assert result.state is CommandState.UNKNOWN
    assert "no answer" in result.detail


async def test_a_condition_that_cannot_be_read_before_anything_was_sent_fails_the_command() -> None:
    script = Script(seen=[NoAnswer("no answer")])
    result = await script.run(look(), OPEN)
    assert script.done == ["look relay"]
    assert (result.state, result.sent) == (CommandState.FAILED, False)


async def test_a_device_that_could_not_be_locked_again_is_told_and_changes_nothing() -> None:
    script = Script(outcomes={"lock": SILENT}, seen=[REACHED])
    result = await script.run(OPEN, look(), LOCK)
    assert (result.state, result.detail) == (CommandState.CONFIRMED, "write lock: no answer within 1000 ms")


async def test_a_wait_passes_and_what_follows_counts_from_its_end() -> None:
    script = Script(seen=[REACHED])
    await script.run(OPEN, Action("wait 3 s", wait_s=3.0), look(1.0))
    assert [round(at, 3) for at, _ in script.log] == [0.0, 4.0]


async def test_a_pulse_ends_although_the_command_is_given_up() -> None:
    script = Script()
    pulse = (write("on"), Action("wait 10 s", wait_s=10.0), write("off", always=True), look())
    task = asyncio.create_task(execute(script, METER, pulse, script.clock), name="command")
    await script.clock.advance(2.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert script.done == ["write on", "write off"]


async def test_a_locking_under_way_when_it_is_given_up_is_done_again() -> None:
    script = Script(seen=[REACHED])
    stuck = asyncio.Event()

    async def hang_once(key: str) -> None:
        if key == "lock" and not stuck.is_set():
            stuck.set()
            await asyncio.get_running_loop().create_future()

    script.on_write = hang_once
    task = asyncio.create_task(execute(script, METER, (OPEN, look(), LOCK), script.clock), name="command")
    await stuck.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert script.done == ["write open", "look relay", "write lock", "write lock"]


async def test_progress_tells_each_step_and_the_drift_is_that_of_the_first_look() -> None:
    clock_looks = [Confirmation(True, "12 s slow", drift_s=-12.0), Confirmation(True, "right", drift_s=0.1)]
    told: list[tuple[int, str]] = []
    result = await Script(seen=clock_looks).run(
        look(), OPEN, look(), progress=lambda number, action: told.append((number, action.label))
    )
    assert told == [(0, "read back"), (1, "write open"), (2, "read back")]
    assert result.drift_s == -12.0


async def test_the_result_says_when_it_began_and_ended() -> None:
    script = Script(seen=[REACHED])
    begun_ns = script.clock.now_ns()
    result = await script.run(OPEN, look(2.0))
    assert (result.started_ns - begun_ns, result.ended_ns - begun_ns) == (0, 2 * NS)


def test_what_is_written_is_in_no_representation() -> None:
    assert "s3cret" not in repr(OPEN)


async def test_commands_that_wear_out_memory_wait_for_their_interval() -> None:
    clock = ManualClock()
    intervals = Intervals(clock)
    assert intervals.wait_s(1, "set_tariff", 3600.0) == 0.0
    intervals.note(1, "set_tariff")
    await clock.advance(600.0)
    assert intervals.wait_s(1, "set_tariff", 3600.0) == 3000.0
    assert intervals.wait_s(2, "set_tariff", 3600.0) == 0.0
    assert intervals.wait_s(1, "set_clock", 3600.0) == 0.0


async def test_a_command_goes_ahead_of_polling_and_leaves_the_line_to_it_while_it_waits(
    clock: ManualClock, driver: Any, device: Callable[[int], Device]
) -> None:
    async with Channel("bus", driver, Line(timeout_s=1.0), clock) as channel:

        async def poll() -> None:
            while True:
                await channel.exchange(device(9), Request("poll", "poll"))

        polling = asyncio.create_task(poll(), name="polling")
        await clock.advance(0.1)
        steps = (write("on"), Action("wait 1 s", wait_s=1.0), look(0.0))
        command = asyncio.create_task(execute(channel, device(1), steps, clock), name="command")
        begun = len(driver.sent)
        await clock.advance(3.0)
        assert (await command).state is CommandState.CONFIRMED
        polling.cancel()
    keys = [sent.key for sent in driver.sent[begun:]]
    assert keys.index("on") <= 2
    assert keys[keys.index("on") : keys.index("confirm relay")].count("poll") > 50
