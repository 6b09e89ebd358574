"""CJ/T 188-2004 and -2018: water, gas, heat and cooling meters read, told apart by their answers, valves moved."""

from drivers.cjt188.compile import compile_profile
from drivers.cjt188.driver import Cjt188Driver
from drivers.cjt188.frame import ANY, ANY_TYPE, Cause, Decoder, Flaw, Frame, encode
from drivers.cjt188.identifiers import DiOrder
from drivers.cjt188.options import Options
from drivers.cjt188.plugin import Cjt188Plugin
from drivers.cjt188.profile import CompiledPoint, CompiledProfile
from drivers.cjt188.requests import who_is_there

plugin = Cjt188Plugin()

__all__ = [
    "ANY",
    "ANY_TYPE",
    "Cause",
    "Cjt188Driver",
    "Cjt188Plugin",
    "CompiledPoint",
    "CompiledProfile",
    "Decoder",
    "DiOrder",
    "Flaw",
    "Frame",
    "Options",
    "compile_profile",
    "encode",
    "plugin",
    "who_is_there",
]
