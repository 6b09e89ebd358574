"""A running hub with simulated meters, and a client that is not asyncua, for the tests in this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from foreign import ForeignClient, Town, require_node, until
from relay import Relay


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A running hub with 24 simulated meters of six makes on two buses."""
    require_node()
    place = Town(tmp_path_factory.mktemp("town"))
    try:
        place.start()
        yield place
    finally:
        place.stop()


@pytest.fixture
def client(town: Town) -> Iterator[ForeignClient]:
    """A connected foreign client."""
    foreign = ForeignClient()
    try:
        foreign("connect", url=town.url)
        yield foreign
    finally:
        foreign.close()


@pytest.fixture(scope="session")
def calm_town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A town that no test stops, breaks or changes; every meter has been read."""
    require_node()
    place = Town(tmp_path_factory.mktemp("calm_town"))
    try:
        place.start()
        watcher = ForeignClient()
        try:
            watcher("connect", url=place.url)
            points = [f"ns=2;s=m{number:04d}.ActiveEnergyImport" for number in range(24)]
            until(
                lambda: {a["statusName"] for a in watcher("read", nodeIds=points)["answers"]} == {"Good"},
                40,
                "all meters read",
            )
        finally:
            watcher.close()
        yield place
    finally:
        place.stop()


@pytest.fixture(scope="module")
def caller(calm_town: Town) -> Iterator[ForeignClient]:
    """A foreign client of the calm town that a whole module uses; tests leave nothing behind in its session."""
    foreign = ForeignClient()
    try:
        foreign("connect", url=calm_town.url)
        yield foreign
    finally:
        foreign.close()


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A running hub with 200 simulated meters, polled every two seconds."""
    place = Town(tmp_path_factory.mktemp("city"), count=200, poll_s=2)
    try:
        place.start()
        yield place
    finally:
        place.stop()


@pytest.fixture
def relay(calm_town: Town) -> Iterator[Relay]:
    """A way to the calm town that can be cut."""
    with Relay(calm_town.port) as way:
        yield way
