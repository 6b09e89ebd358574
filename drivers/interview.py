"""Asking one device everything a plan wants to know, without wasting the bus on one that is silent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from address_space.model.quality import Reason
from drivers.api import Device, ReadPlan, Request
from drivers.channel import Channel, Lane
from drivers.errors import ChannelDown, DeviceRefused, DriverError

SILENT_REQUESTS = 2
"""A device that answered something is given up after so many requests in a row without an answer."""
_SPOKEN_FOR = (Reason.TIMEOUT, Reason.NOT_CONNECTED)
"""Refusals with these reasons come from a gateway that did not reach the device."""


@dataclass(slots=True)
class Interview:
    """What came of it. `answers` holds for each request the raw answer, or the Reason why there is none."""

    answers: dict[Request, Any] = field(default_factory=dict)
    answered: int = 0
    refused: int = 0
    errors: list[DriverError] = field(default_factory=list)
    round_trip_ns: int = 0
    """Sum over the answered requests."""
    lead_silent: bool = False
    """Whether the request that was asked first brought nothing."""

    @property
    def heard(self) -> bool:
        """Whether the device is there at all; a refusal is a sign of life."""
        return self.answered > 0 or self.refused > 0


async def interview(
    channel: Channel, device: Device, plan: ReadPlan, lane: Lane, *, retries: int, lead: int = 0
) -> Interview:
    """Ask all requests, beginning with number `lead` and going round; raises ChannelDown.

    `retries` is the budget for the whole interview. It ends early at the first request without an answer where
    nothing was heard before, so that a dead device costs one timeout and not one per request.
    """
    talk = Interview()
    requests = plan.requests
    silent = 0
    for position in range(len(requests)):
        request = requests[(lead + position) % len(requests)]
        while True:
            try:
                answer = await channel.exchange(device, request, lane)
            except ChannelDown:
                raise
            except DriverError as error:
                talk.errors.append(error)
                if error.retryable and retries > 0:
                    retries -= 1
                    continue
                talk.answers[request] = error.reason
                if isinstance(error, DeviceRefused) and error.reason not in _SPOKEN_FOR:
                    talk.refused += 1
                    silent = 0
                else:
                    silent += 1
                    talk.lead_silent |= position == 0
                break
            talk.answers[request] = answer
            talk.answered += 1
            talk.round_trip_ns += channel.tally.round_trip_ns
            silent = 0
            break
        if silent >= (SILENT_REQUESTS if talk.heard else 1):
            reason = talk.errors[-1].reason
            for request in requests:
                talk.answers.setdefault(request, reason)
            break
    return talk
