"""What the demonstration shows, on small and large screens."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from address_space.model import Reason, UnitHandle
from drivers.api import Exchange
from server.app import Hub
from server.cli.screen import Screen

CHANNELS = 40


@pytest.fixture
def hub(site) -> Hub:
    site.write({f"station-{number:02}": [f"m{number:02}a", f"m{number:02}b"] for number in range(CHANNELS)})
    return Hub(site.draw())


def lose_all(hub: Hub) -> None:
    error = "station (127.0.0.1:15000): cannot connect; check the address, the network and that the port is open"
    now_ns = hub.clock.now_ns()
    hub.engine.apply(
        [
            Exchange(UnitHandle(unit), now_ns, 0.0, Reason.NOT_CONNECTED, error, 3, 0.0, True)
            for unit in range(len(hub.plant.units))
        ]
    )


def drawn(screen: Screen, width: int, height: int) -> list[str]:
    out = StringIO()
    Console(file=out, width=width, height=height, color_system=None).print(screen.render(width, height))
    return out.getvalue().rstrip("\n").split("\n")


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (140, 50), (200, 100)])
@pytest.mark.parametrize("troubled", [False, True])
@pytest.mark.parametrize("alive", [False, True])
def test_everything_important_fits_the_screen(hub: Hub, size: tuple[int, int], *, troubled: bool, alive: bool) -> None:
    screen = Screen(hub, "joulehub simulate some/quite/long/path/to/a/folder/with/a/plant", 4711)
    screen.meters_alive = alive
    if troubled:
        lose_all(hub)
    lines = drawn(screen, *size)
    text = "\n".join(lines)
    assert len(lines) <= size[1]
    assert all(len(line) <= size[0] for line in lines)
    assert hub.opcua.endpoint_urls[0] in text
    assert "ns=2;s=root" in text
    assert f"{2 * CHANNELS} {'comm lost' if troubled else 'never polled'}" in text
    assert ("4711" in text) if alive else ("joulehub simulate" in text)
    if troubled:
        assert "cannot connect" in text
        assert "and " in text


def test_long_lists_are_cut_and_say_how_much_is_left_out(hub: Hub) -> None:
    screen = Screen(hub, "joulehub simulate x", 1)
    text = "\n".join(drawn(screen, 80, 24))
    shown = sum(f"station-{number:02}" in text for number in range(CHANNELS))
    assert 5 < shown < CHANNELS
    assert f"and {CHANNELS - shown} more channels" in text
    assert sum(f"station-{number:02}" in "\n".join(drawn(screen, 80, 60)) for number in range(CHANNELS)) == CHANNELS


def test_the_plain_lines_say_where_to_connect_and_how_it_goes(hub: Hub) -> None:
    screen = Screen(hub, "joulehub simulate x", 4711)
    assert f"OPC UA server: {hub.opcua.endpoint_urls[0]}" in screen.greeting()
    assert "80 Eastron" in screen.greeting()
    assert "to bring them back: joulehub simulate x" in screen.greeting()
    assert screen.line().startswith("meters: 80 never polled; 0 values/s; 0 values stored")
    assert screen.farewell() == "stopped; 0 values stored, none lost"
