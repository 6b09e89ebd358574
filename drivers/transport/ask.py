"""One request and the wait for its answer, for protocols that know an answer when they see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from address_space.model.clock import NS, Clock
from drivers.transport.link import Link

SILENCE_S = 0.5
"""Silence inside an answer after which it is over, whether whole or not (DL/T 645-2007 clause 5.3 allows 500 ms)."""
LONGEST_ANSWER = 300
"""Bytes of the longest answer of any protocol; a device that babbles on is heard no longer than these take."""

MOST_HEARD = 4096
"""Bytes of noise and answer after which it is noise; where a line has no speed of its own, time alone is no bound."""

_Answer = TypeVar("_Answer")


async def ask(
    link: Link,
    request: bytes,
    take: Callable[[bytes], _Answer | None],
    timeout_s: float,
    clock: Clock,
    *,
    silence_s: float = SILENCE_S,
    begun: Callable[[], bool] | None = None,
) -> tuple[_Answer | None, int]:
    """Send `request` and hand `take` what arrives until it returns an answer; returns that and the bytes heard.

    The answer must begin within `timeout_s` of the request's last byte; `begun` tells whether what was taken may be its
    beginning, without it any byte may. It is None where nothing fitting came: with
    0 bytes heard the device was silent, else what came was broken. What had arrived before is thrown away first.
    Raises ChannelDown, and whatever `take` raises.
    """
    link.discard()
    link.send(request)
    pace_s = link.character_s
    begin_by_ns = clock.monotonic_ns() + round((timeout_s + len(request) * pace_s) * NS)
    end_by_ns = begin_by_ns + round((LONGEST_ANSWER * pace_s * 1.2 + silence_s) * NS)
    heard = 0
    while True:
        now_ns = clock.monotonic_ns()
        limit_s = (begin_by_ns - now_ns) / NS
        if heard and (begun is None or begun()):
            limit_s = min(max(silence_s, limit_s), (end_by_ns - now_ns) / NS)
        data = await link.receive(limit_s) if limit_s > 0 else b""
        if not data:
            return None, heard
        heard += len(data)
        answer = take(data)
        if answer is not None:
            return answer, heard
        if heard > MOST_HEARD:
            return None, heard
