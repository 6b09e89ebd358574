"""What `joulehub demo` shows: where to connect, what is being read, and how healthy it is."""

from __future__ import annotations

from collections import Counter

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from address_space.model import MeterState, UnitHandle
from drivers.health import ChannelSnapshot, DeviceState
from server.app import Hub

STATE_COLOURS = {
    MeterState.ONLINE: "green",
    MeterState.STALE: "yellow",
    MeterState.COMM_LOST: "red",
    MeterState.DEVICE_ERROR: "magenta",
    MeterState.NEVER_POLLED: "dim",
    MeterState.DISABLED: "dim",
    MeterState.MAINTENANCE: "blue",
}
TROUBLES = (MeterState.STALE, MeterState.COMM_LOST, MeterState.DEVICE_ERROR)
TROUBLES_SHOWN = 10
LONGEST_NAME = 20
HEADINGS = ("meters", "online", "degraded", "offline", "requests", "errors", "load", "round trip")
WIDE_ONLY = frozenset({"degraded", "requests", "round trip"})
"""Columns that a narrow screen does without."""
WIDE_COLUMNS = 110
ROOMY_LINES = 30
"""From here on there is room for frames."""
HEAD_LINES = 2
STATE_LINES = 2


class Screen:
    """Draws a running hub. Rates are over the time since the last drawing."""

    def __init__(self, hub: Hub, meters_command: str, meters_pid: int) -> None:
        self.meters_alive = True
        self._hub = hub
        self._meters_command = meters_command
        self._meters_pid = meters_pid
        self._before_ns = hub.clock.monotonic_ns()
        self._values_before = 0
        self._rate = 0.0

    def greeting(self) -> str:
        """Where to connect, in plain lines."""
        plant = self._hub.plant
        makes = Counter(unit.identification.manufacturer for unit in plant.units)
        return "\n".join(
            [
                f"OPC UA server: {', '.join(self._hub.opcua.endpoint_urls)}",
                f"plant: {len(plant.nodes)} nodes, {len(plant.units)} meters ("
                + ", ".join(f"{count} {make}" for make, count in sorted(makes.items()))
                + ")",
                "root: ns=2;s=root; for example " + ", ".join(self._examples()),
                f"simulated meters: process {self._meters_pid}; kill it and watch",
                f"to bring them back: {self._meters_command}",
            ]
        )

    def line(self) -> str:
        """How things stand, in one line."""
        states = self._hub.engine.states()
        counts = ", ".join(f"{count} {state.name.lower().replace('_', ' ')}" for state, count in states.items())
        return f"meters: {counts}; {self._values_per_s():.0f} values/s; {self._history()}; {self._clients()}"

    def farewell(self) -> str:
        """What came of it, in one line, once the hub has stopped."""
        history = self._hub.history
        if history is None:
            return "stopped; history was off"
        counters = history.recorder.counters
        unkept = counters.lost + counters.dropped_energy + counters.dropped_inst
        return f"stopped; {counters.committed:,} values stored, {unkept or 'none'} lost"

    def render(self, width: int = 100, height: int = 40) -> RenderableType:
        """The whole screen, fitted to so many columns and lines: long lists are cut and say so."""
        roomy = height >= ROOMY_LINES
        head = self._head(roomy=roomy)
        foot = self._foot()
        frames = 2 if roomy else 0
        left = max(height - HEAD_LINES - frames - STATE_LINES - 1 - (len(foot) - 1) // width, 4)
        troubles = self._hub.engine.units_in(TROUBLES)
        needed = len(self._hub.pollers) + 1
        framed = frames or 1
        wanted = min(len(troubles), TROUBLES_SHOWN) + (len(troubles) > TROUBLES_SHOWN) + framed if troubles else 0
        below = min(wanted, max(left - needed, left // 3))
        channels = self._channels(left - below, narrow=width < WIDE_COLUMNS)
        return Group(head, self._states(), channels, self._troubles(troubles, below - framed, roomy=roomy), foot)

    def _examples(self) -> list[str]:
        units = self._hub.plant.units
        return (
            [f"ns=2;s={unit.id}.{unit.template.quantities[0].path}" for unit in (units[0], units[-1])] if units else []
        )

    def _head(self, *, roomy: bool) -> RenderableType:
        text = _line()
        text.append("connect  ", style="dim").append(self._hub.opcua.endpoint_urls[0], style="bold cyan")
        text.append("\nbrowse   ", style="dim").append("ns=2;s=root", style="cyan")
        for example in self._examples()[:1]:
            text.append("   value  ", style="dim").append(example, style="cyan")
        return Panel(text, title="JouleHub", title_align="left") if roomy else text

    def _states(self) -> Text:
        text = _line()
        text.append("meters   ", style="dim")
        for state, count in self._hub.engine.states().items():
            text.append(f"{count} {state.name.lower().replace('_', ' ')}   ", style=STATE_COLOURS[state])
        text.append("\nflow     ", style="dim")
        text.append(f"{self._values_per_s():,.0f} values/s   {self._history()}   {self._clients()}")
        return text

    def _channels(self, lines: int, *, narrow: bool) -> RenderableType:
        table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
        longest = max((len(poller.channel.id) for poller in self._hub.pollers), default=0)
        table.add_column("channel", no_wrap=True, min_width=min(longest, LONGEST_NAME))
        shown = [heading for heading in HEADINGS if not (narrow and heading in WIDE_ONLY)]
        for heading in shown:
            table.add_column(heading, justify="right", no_wrap=True, min_width=len(heading))
        table.add_column("line", no_wrap=True, overflow="ellipsis", ratio=1)
        snapshots = [poller.snapshot() for poller in self._hub.pollers]
        room = max(lines - 1, 1)
        if len(snapshots) > room:
            snapshots.sort(key=lambda snapshot: (snapshot.up, -_failing(snapshot)))
            room -= 1
        for snapshot in snapshots[:room]:
            cells = _cells(snapshot)
            table.add_row(snapshot.channel, *(cells[heading] for heading in shown), _state_of_line(snapshot))
        if len(snapshots) <= room:
            return table
        return Group(table, Text(f"and {len(snapshots) - room} more channels", style="dim"))

    def _troubles(self, units: list[UnitHandle], lines: int, *, roomy: bool) -> RenderableType:
        if not units or lines < 1:
            return Group()
        text = _line()
        cut = len(units) > lines
        shown = units[: lines - 1] if cut else units
        for unit in shown:
            state, error = self._hub.engine.state_of(unit)
            text.append(f"{self._hub.plant.units[unit].id}  ", style="bold")
            text.append(f"{self._hub.plant.units[unit].name}: ")
            text.append(f"{state.name.lower().replace('_', ' ')}; {error}\n", style=STATE_COLOURS[state])
        if cut:
            text.append(f"and {len(units) - len(shown)} more", style="dim")
        else:
            text.right_crop(1)
        if roomy:
            return Panel(text, title="not well", title_align="left")
        return Group(Text("not well", style="dim"), text)

    def _foot(self) -> Text:
        if self.meters_alive:
            return Text(f"simulated meters: process {self._meters_pid}; kill it and watch. Ctrl-C stops.", style="dim")
        if any(poller.channel.up for poller in self._hub.pollers):
            return Text("simulated meters: brought back by hand. Ctrl-C stops.", style="dim")
        return Text(f"the simulated meters are gone; bring them back with: {self._meters_command}", style="bold red")

    def _values_per_s(self) -> float:
        now_ns = self._hub.clock.monotonic_ns()
        elapsed_s = (now_ns - self._before_ns) / 1e9
        if elapsed_s >= 0.5:
            self._rate = (self._hub.engine.values_applied - self._values_before) / elapsed_s
            self._before_ns, self._values_before = now_ns, self._hub.engine.values_applied
        return self._rate

    def _history(self) -> str:
        history = self._hub.history
        return "history off" if history is None else f"{history.recorder.counters.committed:,} values stored"

    def _clients(self) -> str:
        return f"{self._hub.opcua.session_count} clients, {self._hub.opcua.item_count} monitored items"


def _line() -> Text:
    """Text of which a line too long is cut, never wrapped."""
    return Text(no_wrap=True, overflow="ellipsis")


def _failing(snapshot: ChannelSnapshot) -> int:
    return sum(count for state, count in snapshot.devices.items() if state is not DeviceState.ONLINE)


def _state_of_line(snapshot: ChannelSnapshot) -> Text:
    if snapshot.up:
        return Text("up", style="green")
    # The table already says which channel; what to do about it stands in the log.
    error = snapshot.error.partition("; ")[0].removeprefix(f"{snapshot.channel} ")
    return Text(error or "not open yet", style="red" if error else "dim")


def _cells(snapshot: ChannelSnapshot) -> dict[str, str]:
    devices = snapshot.devices
    return {
        "meters": str(sum(devices.values())),
        "online": str(devices.get(DeviceState.ONLINE, 0)),
        "degraded": str(devices.get(DeviceState.DEGRADED, 0)),
        "offline": str(devices.get(DeviceState.OFFLINE, 0)),
        "requests": f"{snapshot.requests:,}",
        "errors": f"{sum(snapshot.errors.values()):,}",
        "load": f"{snapshot.utilisation:.0%}",
        "round trip": f"{snapshot.round_trip_ms:.1f} ms",
    }
