"""A real InfluxDB 1.x for the tests, where the machine has one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scale.influxd import MISSING, Influxd, installed


@pytest.fixture(scope="session")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    if not installed():
        pytest.skip(MISSING)
    server = Influxd(tmp_path_factory.mktemp("influxd"))
    server.start()
    yield server
    server.kill()
