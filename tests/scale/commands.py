"""The child's side of `measure.Child`: says that it is ready, then answers commands until standard input ends."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

Command = Callable[..., Any]


def arguments() -> dict[str, Any]:
    """What the parent gave."""
    given: dict[str, Any] = json.loads(sys.argv[1])
    return given


def say(answer: Mapping[str, Any]) -> None:
    """Answer one line."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


async def obey(commands: Mapping[str, Command]) -> None:
    """Run commands as they come, one after the other; returns when the parent has no more."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        given = json.loads(line)
        say(commands[given.pop("do")](**given) or {})
