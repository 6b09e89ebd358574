"""The simulated meters of a plant in a process of their own."""

from __future__ import annotations

import logging
from pathlib import Path

from address_space.model import SystemClock
from config.settings import load_settings
from drivers.profiles import load_library
from drivers.simulators import Fleet
from server.app import draw, site_profiles
from server.cli.loop import run_loop
from server.simulation import fleet_of
from tests.scale.commands import arguments, obey, say


async def play(fleet: Fleet) -> None:
    """Play until the parent ends."""
    async with fleet:
        say({"meters": len(fleet.meters)})
        await obey({})


def main() -> None:
    """Play the plant of the configuration given."""
    settings = load_settings(Path(arguments()["config"]))
    library = load_library(*site_profiles(settings.plant))
    run_loop(play(fleet_of(draw(settings, library=library), library, SystemClock())))


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    main()
