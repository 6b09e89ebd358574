"""CJ/T 188-2004 and -2018: water, gas, heat and cooling meters read, told apart by their answers, valves moved."""

from drivers.cjt188.compile import compile_profile
from drivers.cjt188.driver import Cjt188Driver
from drivers.cjt188.frame import Decoder, Frame
from drivers.cjt188.identifiers import DiOrder
from drivers.cjt188.options import Options
from drivers.cjt188.plugin import Cjt188Plugin
from drivers.cjt188.profile import CompiledPoint, CompiledProfile

plugin = Cjt188Plugin()

__all__ = [
    "Cjt188Driver",
    "Cjt188Plugin",
    "CompiledPoint",
    "CompiledProfile",
    "Decoder",
    "DiOrder",
    "Frame",
    "Options",
    "compile_profile",
    "plugin",
]
