"""gopcua and Eclipse Milo (the stack inside Ignition): browse all, 5,000 monitored items, a cut line without a loss."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from foreign import ForeignClient, Town, until
from relay import Relay
from watchers import Watcher, build_gopcua, build_milo

pytestmark = [pytest.mark.interop, pytest.mark.timeout(420)]

ITEMS = 5_000
WATCHED = "ns=2;s=m0007.ActivePower"
POLL_MS = 2_000
SESSION_TIMEOUTS = "i=2281"


@pytest.fixture(scope="module", params=[build_gopcua, build_milo], ids=["gopcua", "milo"])
def command(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The built client."""
    built: list[str] = request.param(tmp_path_factory.mktemp("client"))
    return built


@pytest.fixture(scope="module")
def way(command: list[str], city: Town) -> Iterator[Relay]:
    """A way to the city that can be cut."""
    with Relay(city.port) as relay:
        yield relay


@pytest.fixture(scope="module")
def watcher(command: list[str], city: Town, way: Relay) -> Iterator[Watcher]:
    """A client that has browsed and monitors."""
    client = Watcher(command, way.url, "ns=2;s=root", ITEMS, WATCHED)
    try:
        yield client
    finally:
        client.close()


def test_another_stack_browses_everything_and_monitors_five_thousand_values(watcher: Watcher) -> None:
    browsed = watcher.wait("browsed", 90)
    assert browsed["variables"] >= ITEMS
    monitored = watcher.wait("monitored", 60)
    assert (monitored["items"], monitored["good"]) == (ITEMS, ITEMS + 1)
    watcher.wait("all seen", 60)


@pytest.fixture(scope="module")
def observer(city: Town) -> Iterator[ForeignClient]:
    """A client whose line is never cut."""
    foreign = ForeignClient()
    try:
        foreign("connect", url=city.url)
        yield foreign
    finally:
        foreign.close()


def sessions_lost(observer: ForeignClient) -> int:
    """How many sessions have timed out."""
    return int(observer("read", nodeIds=[SESSION_TIMEOUTS])["answers"][0]["value"])


def test_another_stack_takes_its_subscription_up_again_after_a_cut_and_misses_nothing(
    watcher: Watcher, way: Relay, observer: ForeignClient, command: list[str]
) -> None:
    in_a_new_session = command[0] != "java"  # gopcua takes subscriptions up only in a new session, by transfer
    for _ in range(2):
        lost = sessions_lost(observer)
        way.refuse(on=True)
        way.cut()
        if in_a_new_session:
            until(lambda: sessions_lost(observer) > lost, 60, "the session is over")  # noqa: B023
        watcher.say("again")
        watcher.wait("counting anew", 60)
        way.refuse(on=False)
        for _ in range(3):
            watcher.wait_a_value(60)
    times = [one["source"] for one in watcher.values if one["status"] == 0]
    assert times == sorted(set(times)), "nothing twice, nothing out of order"
    gaps = [after - earlier for earlier, after in itertools.pairwise(times)]
    assert max(gaps) < 1.8 * POLL_MS, f"a poll is missing: {gaps}"
