"""DL/T 645-2007 and 1997: electricity meters of the Chinese market on RS-485, by serial line, gateway or modem."""

from drivers.dlt645.compile import compile_profile
from drivers.dlt645.driver import Dlt645Driver
from drivers.dlt645.layout import CompiledPoint, CompiledProfile, Spot
from drivers.dlt645.options import Options
from drivers.dlt645.plugin import Dlt645Plugin

plugin = Dlt645Plugin()

__all__ = [
    "CompiledPoint",
    "CompiledProfile",
    "Dlt645Driver",
    "Dlt645Plugin",
    "Options",
    "Spot",
    "compile_profile",
    "plugin",
]
