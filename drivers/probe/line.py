"""Finding out how a line must be spoken to: what keeps it from opening, its speed and format, who answers there."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from address_space.model.clock import Clock
from drivers.errors import ChannelDown
from drivers.probe.asker import GAP_S, Asker
from drivers.probe.questions import Question, Sign
from drivers.transport import Link, Parity, SerialSettings

Progress = Callable[[int, int], None]

_E, _N, _O = Parity.EVEN, Parity.NONE, Parity.ODD
SETTINGS: Final = tuple(
    SerialSettings(baud, parity)
    for baud, parity in (
        (9600, _N),
        (2400, _E),
        (9600, _E),
        (19200, _E),
        (4800, _E),
        (1200, _E),
        (19200, _N),
        (2400, _N),
        (4800, _N),
        (38400, _N),
        (115200, _N),
        (57600, _N),
        (1200, _N),
        (9600, _O),
        (19200, _O),
        (600, _E),
    )
)
"""In this order: factory settings of most Modbus meters, the order in which DL/T 645 meters are found (2400, 9600,
4800, 1200, all even), the default of Modbus over Serial Line 1.02 (19200 even), and what else is met."""


class Trouble(Enum):
    """Why a line does not open."""

    NAME = "name"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    PERMISSION = "permission"
    BUSY = "busy"
    MISSING = "missing"
    OTHER = "other"


class Confidence(Enum):
    """How sure a finding is."""

    HIGH = "high"
    """The same answer came twice, and at no other parity of this speed."""
    MEDIUM = "medium"
    """The same answer came twice; the parity could not be told."""
    LOW = "low"
    """An answer came once of two times."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why a line does not open, for a person."""

    trouble: Trouble
    what: str
    hint: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Who answered, at which settings; `settings` is None where the line has none.

    others  settings of the same speed at which the answer came as well
    """

    sign: Sign
    settings: SerialSettings | None
    confidence: Confidence
    others: tuple[SerialSettings, ...] = ()


@dataclass(frozen=True, slots=True)
class Search:
    """What came of looking. `garbled` are bytes that came as answers and were none, by settings ("" without)."""

    found: Finding | None
    asked: int
    garbled: dict[str, int]
    gateway: bool = False


_CAUSES: Final = (
    (
        Trouble.REFUSED,
        {errno.ECONNREFUSED},
        "nothing listens at this port",
        "check the port, and that the device is on",
    ),
    (
        Trouble.UNREACHABLE,
        {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN},
        "no way leads to this address",
        "check network, mask and gateway of this machine",
    ),
    (
        Trouble.TIMEOUT,
        {errno.ETIMEDOUT},
        "nobody answers at this address",
        "check address, cable and firewall: a device that is off looks the same",
    ),
    (Trouble.PERMISSION, {errno.EACCES, errno.EPERM}, "", ""),
    (Trouble.BUSY, {errno.EBUSY, errno.EAGAIN, errno.EADDRINUSE}, "", ""),
    (Trouble.MISSING, {errno.ENOENT, errno.ENXIO, errno.ENODEV}, "", ""),
)


def diagnose(error: ChannelDown) -> Diagnosis:
    """What is wrong with a line that does not open."""
    causes = _chain(error)
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return Diagnosis(Trouble.NAME, "the name is not known", "check the spelling, or give the address itself")
    numbers = {cause.errno for cause in causes if isinstance(cause, OSError)}
    for trouble, codes, what, hint in _CAUSES:
        if numbers & codes:
            return Diagnosis(trouble, what or error.what, hint or error.hint)
    if any(isinstance(cause, TimeoutError) for cause in causes):
        _, _, what, hint = _CAUSES[2]
        return Diagnosis(Trouble.TIMEOUT, what, hint)
    return Diagnosis(Trouble.OTHER, error.what, error.hint)


def longest_s(asked: Sequence[Question], settings: Sequence[SerialSettings], timeout_s: float) -> float:
    """How long a search takes that finds nothing."""
    pause_s = timeout_s + GAP_S
    if not settings:
        return len(asked) * pause_s
    return sum(question.size * each.character_s + pause_s for each in settings for question in asked)


async def search(
    link: Link,
    clock: Clock,
    timeout_s: float,
    asked: Sequence[Question],
    settings: Sequence[SerialSettings],
    progress: Progress,
) -> Search:
    """Ask at each of `settings` (once, where there are none) until somebody answers. Raises ChannelDown."""
    asker = Asker(link, clock, timeout_s)
    garbled: dict[str, int] = {}
    gateway = False
    steps: list[SerialSettings | None] = list(settings) or [None]
    total = len(steps) * len(asked)
    for number, each in enumerate(steps):
        if each is not None:
            asker.tune(each)
        for place, question in enumerate(asked):
            progress(number * len(asked) + place, total)
            heard = await question.put(asker)
            if isinstance(heard, Sign):
                found = await _confirmed(asker, question, heard, each)
                return Search(found, asker.asked, garbled, gateway)
            gateway |= heard.gateway
            if heard.garbled:
                name = str(each or "")
                garbled[name] = garbled.get(name, 0) + heard.garbled
    progress(total, total)
    return Search(None, asker.asked, garbled, gateway)


async def _confirmed(asker: Asker, question: Question, sign: Sign, settings: SerialSettings | None) -> Finding:
    again = await question.put(asker)
    sure = isinstance(again, Sign) and again.address == sign.address
    if settings is None:
        return Finding(sign, None, Confidence.HIGH if sure else Confidence.LOW)
    others: list[SerialSettings] = []
    for parity in Parity:
        if sure and parity is not settings.parity:
            other = replace(settings, parity=parity)
            asker.tune(other)
            if isinstance(await question.put(asker), Sign):
                others.append(other)
    asker.tune(settings)
    confidence = Confidence.LOW if not sure else Confidence.MEDIUM if others else Confidence.HIGH
    return Finding(sign, settings, confidence, tuple(others))


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
