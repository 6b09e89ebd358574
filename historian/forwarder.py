"""Sends what the spool keeps to one sink, as long as it takes; one bad line blocks nothing, and nothing is lost."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

from address_space.model.clock import Clock
from historian.errors import HistoryError
from historian.parcels import Parcel, Verdict, Waiting
from historian.spool import Spool

POST_LINES = 5000
POST_BYTES = 2_000_000
IN_FLIGHT = 3
FIRST_PAUSE_S = 1.0
LAST_PAUSE_S = 60.0
KEPT_PAUSE_S = 30.0
"""After a refusal that a person must mend (credentials, a bucket that is missing)."""
IDLE_S = 60.0
ERROR_LENGTH = 500

_log = logging.getLogger(__name__)


class Answer(Enum):
    """What a sink said to a post."""

    STORED = "stored"
    REFUSED = "refused"
    """Something in it is wrong (400, 422): the good lines may or may not have been stored."""
    ALL_REFUSED = "all refused"
    """Every line in it is refused, and the sink says so: none need be sent again to find out which."""
    TOO_LARGE = "too large"
    DENIED = "denied"
    """Nobody may write here like that (401, 403, 404): all is kept, and a person must act."""
    LATER = "later"
    """Busy or not to be reached (429, 5xx, no connection): all is kept."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer, the sink's own words, and how long it asks to be left alone (0: it does not say)."""

    answer: Answer
    detail: str = ""
    retry_after_s: float = 0.0


class Sink(Protocol):
    """Where line protocol goes. `post` never raises for what the sink or the network does."""

    @property
    def name(self) -> str:
        """Name in the spool."""

    async def post(self, lines: bytes) -> Reply:
        """Send once."""


@dataclass(frozen=True, slots=True)
class ForwarderState:
    """How one sink does. Counts are since the start; `trouble` is empty while all is well."""

    sink: str
    sent_lines: int = 0
    posts: int = 0
    failed_posts: int = 0
    dead_lines: int = 0
    trouble: str = ""
    denied: bool = False
    last_success_ns: int = 0


class Forwarder:
    """One sink's forwarder; `run` ends only by cancellation, and cancelling it at any moment loses nothing."""

    def __init__(self, spool: Spool, sink: Sink, clock: Clock, seed: int = 0) -> None:
        self._spool = spool
        self._sink = sink
        self._clock = clock
        self._random = random.Random(seed)
        self._pause_s = FIRST_PAUSE_S
        self.state = ForwarderState(sink.name)

    async def run(self) -> None:
        """Send until cancelled."""
        arrived = self._spool.arrivals(self._sink.name)
        while True:
            arrived.clear()
            try:
                pause_s = await self._round()
            except HistoryError as error:
                pause_s = self._troubled(Reply(Answer.LATER, str(error)))
            except Exception as error:  # noqa: BLE001 - the border of the task: all is kept, and tried again
                pause_s = self._troubled(Reply(Answer.LATER, repr(error)))
            if pause_s is None:
                await self._until(arrived)
            elif pause_s:
                await self._clock.sleep(pause_s)

    async def drain(self) -> None:
        """Send until nothing waits or the sink is in trouble."""
        while (await self._round()) == 0.0:
            pass

    async def _round(self) -> float | None:
        """Send the oldest parcels; returns how long to wait before the next round, None where nothing waits."""
        waiting = await self._spool.oldest(self._sink.name, IN_FLIGHT * 8)
        if not waiting:
            return None
        bundles = _bundles(waiting)[:IN_FLIGHT]
        replies = await asyncio.gather(*(self._sink.post(_joined(bundle)) for bundle in bundles))
        verdict = _merged([_verdict(bundle, reply) for bundle, reply in zip(bundles, replies, strict=True)])
        await self._spool.settle(verdict)
        self._count(bundles, replies, verdict)
        worst = next((reply for reply in replies if reply.answer in (Answer.DENIED, Answer.LATER)), None)
        if worst is None:
            self._healed()
            return 0.0
        return self._troubled(worst)

    async def _until(self, arrived: asyncio.Event) -> None:
        """Wait for more; now and then the spool is looked at anyway."""
        try:
            async with asyncio.timeout(IDLE_S):
                await arrived.wait()
        except TimeoutError:
            return

    def _count(self, bundles: Sequence[Sequence[Waiting]], replies: Sequence[Reply], verdict: Verdict) -> None:
        sent = sum(
            one.parcel.count
            for bundle, reply in zip(bundles, replies, strict=True)
            if reply.answer is Answer.STORED
            for one in bundle
        )
        sizes = {one.id: one.parcel.count for bundle in bundles for one in bundle}
        dead = sum(sizes[number] for number, _ in verdict.dead)
        for number, error in verdict.dead:
            _log.error("history refused for good sink=%s lines=%d error=%s", self._sink.name, sizes[number], error)
        state = self.state
        self.state = replace(
            state,
            sent_lines=state.sent_lines + sent,
            posts=state.posts + len(bundles),
            failed_posts=state.failed_posts + sum(reply.answer is not Answer.STORED for reply in replies),
            dead_lines=state.dead_lines + dead,
            last_success_ns=self._clock.now_ns() if sent else state.last_success_ns,
        )

    def _troubled(self, reply: Reply) -> float:
        if not self.state.trouble:
            _log.warning("history waits in the spool sink=%s error=%s", self._sink.name, reply.detail)
        denied = reply.answer is Answer.DENIED
        if denied and not self.state.denied:
            _log.error(
                "the history store refuses the hub; check token, bucket and database sink=%s error=%s",
                self._sink.name,
                reply.detail,
            )
        self.state = replace(self.state, trouble=reply.detail or reply.answer.value, denied=denied)
        pause_s = KEPT_PAUSE_S if denied else max(self._pause_s, reply.retry_after_s)
        self._pause_s = min(self._pause_s * 2, LAST_PAUSE_S)
        return min(pause_s, LAST_PAUSE_S) * self._random.uniform(0.75, 1.0)

    def _healed(self) -> None:
        if self.state.trouble:
            _log.info("history reaches its store again sink=%s", self._sink.name)
        self.state = replace(self.state, trouble="", denied=False)
        self._pause_s = FIRST_PAUSE_S


def _bundles(waiting: Sequence[Waiting]) -> list[list[Waiting]]:
    """Small parcels of one measurement go together; one that was tried in vain goes alone, to see what is wrong."""
    bundles: list[list[Waiting]] = []
    lines = size = 0
    for one in waiting:
        fits = (
            bundles
            and not one.tries
            and not bundles[-1][-1].tries
            and lines + one.parcel.count <= POST_LINES
            and size + len(one.parcel.lines) <= POST_BYTES
        )
        if fits:
            bundles[-1].append(one)
        else:
            bundles.append([one])
            lines = size = 0
        lines += one.parcel.count
        size += len(one.parcel.lines)
    return bundles


def _joined(bundle: Sequence[Waiting]) -> bytes:
    return b"\n".join(one.parcel.lines for one in bundle)


def _verdict(bundle: Sequence[Waiting], reply: Reply) -> Verdict:
    numbers = [one.id for one in bundle]
    if reply.answer is Answer.STORED:
        return Verdict(done=numbers)
    if reply.answer in (Answer.DENIED, Answer.LATER):
        return Verdict()
    if reply.answer is Answer.ALL_REFUSED:
        return Verdict(dead=[(number, reply.detail[:ERROR_LENGTH] or reply.answer.value) for number in numbers])
    if len(bundle) > 1:
        return Verdict(tried=numbers)
    (one,) = bundle
    if one.parcel.count > 1:
        return Verdict(cut=[(one.id, _halves(one.parcel))])
    return Verdict(dead=[(one.id, reply.detail[:ERROR_LENGTH] or reply.answer.value)])


def _halves(parcel: Parcel) -> list[Parcel]:
    lines = parcel.lines.split(b"\n")
    middle = len(lines) // 2
    return [
        replace(parcel, lines=b"\n".join(part), count=len(part)) for part in (lines[:middle], lines[middle:]) if part
    ]


def _merged(verdicts: Iterable[Verdict]) -> Verdict:
    found = list(verdicts)
    return Verdict(
        done=[number for one in found for number in one.done],
        tried=[number for one in found for number in one.tried],
        dead=[entry for one in found for entry in one.dead],
        cut=[entry for one in found for entry in one.cut],
    )
