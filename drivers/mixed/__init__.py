"""Meters of several protocols on one bus: each is asked in its own, with its own speed and patience."""

from drivers.mixed.driver import MixedDriver
from drivers.mixed.options import Options
from drivers.mixed.parts import MixedProfile, installed
from drivers.mixed.plugin import MixedPlugin

plugin = MixedPlugin()

__all__ = ["MixedDriver", "MixedPlugin", "MixedProfile", "Options", "installed", "plugin"]
