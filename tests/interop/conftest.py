"""A running hub with simulated meters, and a client that is not asyncua, for the tests in this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from foreign import ForeignClient, Town, require_node


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
