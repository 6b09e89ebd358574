"""What `joulehub demo` shows: where to connect, what is being read, and how healthy it is."""

from __future__ import annotations

from collections import Counter

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from address_space.model import MeterState
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
        counts = ", ".join(f"{count} {state.name.lower()}" for state, count in states.items())
        return f"meters: {counts}; {self._values_per_s():.0f} values/s; {self._history()}; {self._clients()}"

    def render(self) -> RenderableType:
        """The whole screen."""
        return Group(self._head(), self._states(), self._channels(), self._troubles(), self._foot())

    def _examples(self) -> list[str]:
        units = self._hub.plant.units
        return (
            [f"ns=2;s={unit.id}.{unit.template.quantities[0].path}" for unit in (units[0], units[-1])] if units else []
        )

    def _head(self) -> Panel:
        text = Text()
        for url in self._hub.opcua.endpoint_urls:
            text.append("connect  ", style="dim").append(f"{url}\n", style="bold cyan")
        text.append("browse   ", style="dim").append("ns=2;s=root", style="cyan")
        for example in self._examples():
            text.append("\nvalue    ", style="dim").append(example, style="cyan")
        return Panel(text, title="JouleHub", title_align="left")

    def _states(self) -> Text:
        text = Text("meters   ", style="dim")
        for state, count in self._hub.engine.states().items():
            text.append(f"{count} {state.name.lower().replace('_', ' ')}   ", style=STATE_COLOURS[state])
        text.append(f"\nflow     {self._values_per_s():,.0f} values/s   {self._history()}   {self._clients()}")
        return text

    def _channels(self) -> Table:
        table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
        table.add_column("channel")
        for heading in ("meters", "online", "degraded", "offline", "requests", "errors", "load", "round trip"):
            table.add_column(heading, justify="right")
        table.add_column("line")
        for poller in self._hub.pollers:
            table.add_row(*_channel_row(poller.snapshot()))
        return table

    def _troubles(self) -> RenderableType:
        lines = Text()
        units = self._hub.engine.units_in(TROUBLES)
        for unit in units[:TROUBLES_SHOWN]:
            state, error = self._hub.engine.state_of(unit)
            lines.append(f"{self._hub.plant.units[unit].id}  ", style="bold")
            lines.append(f"{self._hub.plant.units[unit].name}: ")
            lines.append(f"{state.name.lower().replace('_', ' ')}; {error}\n", style=STATE_COLOURS[state])
        if len(units) > TROUBLES_SHOWN:
            lines.append(f"and {len(units) - TROUBLES_SHOWN} more\n", style="dim")
        return Panel(lines, title="not well", title_align="left") if units else Text()

    def _foot(self) -> Text:
        if self.meters_alive:
            return Text(
                f"simulated meters are process {self._meters_pid}: kill it and watch. Ctrl-C stops.", style="dim"
            )
        return Text(f"the simulated meters are gone; bring them back with: {self._meters_command}", style="bold red")

    def _values_per_s(self) -> float:
        now_ns = self._hub.clock.monotonic_ns()
        elapsed_s = (now_ns - self._before_ns) / 1e9
        if elapsed_s >= 0.5:
            self._rate = (self._hub.engine.values_applied - self._values_before) / elapsed_s
            self._before_ns, self._values_before = now_ns, self._hub.engine.values_applied
        return self._rate

    def _history(self) -> str:
        recorder = self._hub.recorder
        return "history off" if recorder is None else f"{recorder.counters.committed:,} values stored"

    def _clients(self) -> str:
        return f"{self._hub.opcua.session_count} clients, {self._hub.opcua.item_count} monitored items"


def _channel_row(snapshot: ChannelSnapshot) -> tuple[str, ...]:
    devices = snapshot.devices
    line = "[green]up[/]" if snapshot.up else f"[red]{snapshot.error or 'down'}[/]"
    return (
        snapshot.channel,
        str(sum(devices.values())),
        str(devices.get(DeviceState.ONLINE, 0)),
        str(devices.get(DeviceState.DEGRADED, 0)),
        str(devices.get(DeviceState.OFFLINE, 0)),
        f"{snapshot.requests:,}",
        f"{sum(snapshot.errors.values()):,}",
        f"{snapshot.utilisation:.0%}",
        f"{snapshot.round_trip_ms:.1f} ms",
        line,
    )
