"""Commands set up the log of the whole process; here each test finds it as it was."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from server.cli.logs import LIBRARIES


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in LIBRARIES}
    root.handlers[:] = []
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
