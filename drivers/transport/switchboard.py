"""One port that modems connect to: finds out which modem it is and joins it to the link of its channel.

A connection costs no task and no timer; one task looks at all of them now and then. Nothing a peer sends before it
has registered is kept beyond a few hundred bytes, and nothing of it is believed but the id.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from address_space.model.clock import NS, Clock
from drivers.transport.caller import CallerConnection
from drivers.transport.dial_in import DialInLink
from drivers.transport.packets import Rules

log = logging.getLogger(__name__)

SWEEP_S = 1.0
LEAST_PENDING = 256
"""Connections that may stand without having registered, or twice the number of modems where that is more."""
BACKLOG = 1024
FLAPS = 4
FLAP_NS = 60 * NS
"""An id that comes from another connection so often within this time is used by two modems, or its modem is unwell."""
QUIET_NS = 600 * NS
"""How long nothing more is said of such an id."""
MOST_STRANGERS = 1000
"""Unknown ids that are remembered, in order to be logged once."""
SHOWN_ID = 64


class Switchboard:
    """Accepts connections at one address for the channels added to it; `run` it."""

    def __init__(self, host: str, port: int, rules: Rules, clock: Clock) -> None:
        self.rules = rules
        self.registrations = rules.registrations()
        self.heartbeats = rules.heartbeats()
        self.trouble = ""
        self._host = host
        self._port = port
        self._clock = clock
        self._links: dict[str, DialInLink] = {}
        self._pending: dict[CallerConnection, None] = {}
        self._server: asyncio.Server | None = None
        self._warned = False
        self._strangers: set[tuple[str, str]] = set()
        self._changes: dict[str, deque[int]] = {}
        self._told: dict[str, int] = {}
        self._by_host: dict[str, dict[CallerConnection, None]] = {}
        self._modems: dict[str, str] = {}

    @property
    def place(self) -> str:
        """Address and port."""
        return f"{self._host}:{self._port}"

    @property
    def pending(self) -> int:
        """Connections that have not registered yet."""
        return len(self._pending)

    def link(self, channel: str, modem: str, wait_s: float) -> DialInLink:
        """The line of the channel whose modem has this id; replaces one that the channel or the id had before."""
        id = self.rules.same_id(modem)  # noqa: A001
        for known in {self._modems.get(channel, id), id}:
            before = self._links.pop(known, None)
            if before is not None and before.caller is not None:
                before.caller.drop()
        self._modems[channel] = id
        made = self._links[id] = DialInLink(channel, modem, self, wait_s)
        return made

    async def listen(self) -> bool:
        """Begin to accept connections; False where that is not possible now, as the log then says."""
        if self._server is not None:
            return True
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: CallerConnection(self, self._clock), self._host, self._port, backlog=BACKLOG
            )
        except OSError as error:
            self.trouble = f"the hub cannot listen at {self.place}: {error.strerror or error}"
            if not self._warned:
                self._warned = True
                log.warning("cannot listen for modems place=%s error=%s", self.place, error)
            return False
        if self._warned:
            self._warned = False
            log.info("listening for modems place=%s", self.place)
        self.trouble = ""
        return True

    async def run(self) -> None:
        """Accept connections until cancelled; tries again where the port is taken."""
        try:
            while True:
                await self.listen()
                await self._clock.sleep(SWEEP_S)
                self._sweep()
        finally:
            self.close()

    def close(self) -> None:
        """Stop listening and cut off everybody."""
        server, self._server = self._server, None
        self.trouble = "the hub does not listen any more"
        if server is not None:
            server.close()
        for caller in list(self._pending):
            caller.drop()
        for link in self._links.values():
            if link.caller is not None:
                link.caller.drop()

    # called by connections

    def came(self, caller: CallerConnection) -> None:
        """Somebody has connected. Where too many have not registered, the oldest must go; one address may take no more
        than half of the places, so that it crowds out nobody else."""
        most = max(LEAST_PENDING, 2 * len(self._links))
        self._pending[caller] = None
        neighbours = self._by_host.setdefault(caller.host, {})
        neighbours[caller] = None
        if len(neighbours) > most // 2:
            self._crowd_out(next(iter(neighbours)))
        elif len(self._pending) > most:
            self._crowd_out(next(iter(self._pending)))

    def knows(self, id: str) -> bool:  # noqa: A002
        """Whether a modem has this id."""
        return self.rules.same_id(id) in self._links

    def registered(self, caller: CallerConnection, id: str) -> DialInLink | None:  # noqa: A002
        """The link of the modem with this id, joined to `caller`; None where there is none."""
        link = self._links.get(self.rules.same_id(id))
        if link is None:
            self._stranger(caller, id)
            return None
        self.left(caller)
        before = link.accept(caller)
        if before is not None:
            before.drop()
            self._changed(link, id, before.peer, caller.peer)
        return link

    def left(self, caller: CallerConnection) -> None:
        """A connection no longer belongs to those that have not registered."""
        self._pending.pop(caller, None)
        neighbours = self._by_host.get(caller.host)
        if neighbours is not None:
            neighbours.pop(caller, None)
            if not neighbours:
                del self._by_host[caller.host]

    def unread(self, caller: CallerConnection, data: bytes) -> None:
        """What somebody sent cannot be a registration."""
        self._forget(caller)
        host = caller.host
        if self._remember((host, "")):
            log.warning(
                "no registration in what was sent place=%s peer=%s bytes=%s hint=%s",
                self.place,
                caller.peer,
                data[:SHOWN_ID].hex(),
                "compare it with `registration` of the channels on this port",
            )

    def _stranger(self, caller: CallerConnection, id: str) -> None:  # noqa: A002
        self._forget(caller)
        if self._remember((caller.host, id)):
            log.warning(
                "unknown modem place=%s peer=%s id=%s hint=%s",
                self.place,
                caller.peer,
                ascii(id[:SHOWN_ID]),
                "give the channel of this modem `modem:` with this id, or find out who dials in",
            )

    def _crowd_out(self, caller: CallerConnection) -> None:
        self._forget(caller)
        if self._remember((caller.host, "crowd")):
            log.warning("too many connections without registration place=%s peer=%s", self.place, caller.peer)

    def _forget(self, caller: CallerConnection) -> None:
        self.left(caller)
        caller.drop()

    def _remember(self, stranger: tuple[str, str]) -> bool:
        """Whether that is new and shall be logged."""
        if stranger in self._strangers or len(self._strangers) >= MOST_STRANGERS:
            return False
        self._strangers.add(stranger)
        if len(self._strangers) == MOST_STRANGERS:
            log.warning("too many unknown modems to log more place=%s", self.place)
        return True

    def _changed(self, link: DialInLink, id: str, before: str, now: str) -> None:  # noqa: A002
        """A modem came by a new connection while it still had one; that often is two modems with one id."""
        now_ns = self._clock.monotonic_ns()
        changes = self._changes.setdefault(id, deque(maxlen=FLAPS))
        changes.append(now_ns)
        if len(changes) < FLAPS or now_ns - changes[0] > FLAP_NS or now_ns < self._told.get(id, 0):
            return
        self._told[id] = now_ns + QUIET_NS
        log.warning(
            "modem keeps dialling in anew place=%s channel=%s id=%s before=%s now=%s hint=%s",
            self.place,
            link.channel,
            id,
            before,
            now,
            "two modems may carry the same id; else its reception is poor",
        )

    def _sweep(self) -> None:
        now_ns = self._clock.monotonic_ns()
        limit_ns = now_ns - round(self.rules.registration_timeout_s * NS)
        for caller in list(self._pending):
            if caller.heard_ns > limit_ns:
                break  # they stand in the order in which they came
            self._forget(caller)
            if self._remember((caller.host, "")):
                log.warning("connection without registration place=%s peer=%s", self.place, caller.peer)
        if not self.rules.heartbeat_timeout_s:
            return
        limit_ns = now_ns - round(self.rules.heartbeat_timeout_s * NS)
        for link in self._links.values():
            caller_now = link.caller
            if isinstance(caller_now, CallerConnection) and caller_now.heard_ns <= limit_ns:
                caller_now.end(f"the modem was silent for {self.rules.heartbeat_timeout_s:g} s")
