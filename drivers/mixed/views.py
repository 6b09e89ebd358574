"""One line seen by several drivers: each opens and closes only its own view, and finds its own speed when it sends."""

from __future__ import annotations

from address_space.model.clock import Clock
from drivers.errors import ChannelDown
from drivers.transport import LineOptions, Lines, Link, SerialSettings


class SharedLine:
    """The line, and the speed and format that it was tuned to last."""

    def __init__(self, link: Link, settings: SerialSettings) -> None:
        self.link = link
        self._settings = settings

    def tune(self, settings: SerialSettings) -> None:
        """Change speed and format where they differ; raises ChannelDown."""
        if settings != self._settings:
            self.link.tune(settings)
            self._settings = settings


class View:
    """`Link` for one of the drivers. Closing it leaves the line open for the others."""

    def __init__(self, line: SharedLine, settings: SerialSettings) -> None:
        self._line = line
        self._settings = settings
        self._open = False

    @property
    def name(self) -> str:
        """That of the line."""
        return self._line.link.name

    @property
    def connected(self) -> bool:
        """Whether line and view are open."""
        return self._open and self._line.link.connected

    @property
    def character_s(self) -> float:
        """By the settings of this driver, where the line has a speed."""
        return self._settings.character_s if self._line.link.character_s else 0.0

    async def open(self) -> None:
        """Open the line unless it is open already; raises ChannelDown."""
        if not self._line.link.connected:
            await self._line.link.open()
        self._open = True

    def close(self) -> None:
        """Close the view."""
        self._open = False

    def send(self, data: bytes) -> None:
        """Send with the speed and format of this driver; raises ChannelDown."""
        if not self._open:
            raise ChannelDown("not open", where=self.name)
        self._line.tune(self._settings)
        self._line.link.send(data)

    async def receive(self, limit_s: float) -> bytes:
        """As `Link.receive`."""
        return await self._line.link.receive(limit_s)

    def discard(self) -> bytes:
        """As `Link.discard`."""
        return self._line.link.discard()

    def tune(self, settings: SerialSettings) -> None:
        """Use other settings from the next request on."""
        self._settings = settings


class Views(Lines):
    """`Lines` as the drivers of one bus are given them: whatever they ask for, they get a view of that bus."""

    def __init__(self, line: SharedLine, clock: Clock) -> None:
        super().__init__(clock)
        self._line = line

    def link(self, channel: str, options: LineOptions) -> Link:  # noqa: ARG002 - there is but one line
        """A view with the options' speed and format."""
        return View(self._line, options.serial)
