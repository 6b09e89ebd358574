"""Commissioning: from an unknown meter on a wire to a profile. Everything here only reads."""

from drivers.probe.asker import Asker
from drivers.probe.decodings import Decoding, Meaning, Movement, decodings, texts
from drivers.probe.draft import Draft, Pick, draft, parse_pick
from drivers.probe.errors import ProbeMistake
from drivers.probe.fit import Fit
from drivers.probe.fitting import candidates, fitting
from drivers.probe.line import SETTINGS, Confidence, Diagnosis, Search, diagnose, longest_s, search
from drivers.probe.modbus_frames import Framing
from drivers.probe.options import line_options
from drivers.probe.questions import questions
from drivers.probe.registers import Registers, read_again, read_registers
from drivers.probe.scan import FoundDevice, Unclear, scan_cjt188, scan_dlt645, scan_modbus
from drivers.probe.walk import Answered, walk_cjt188, walk_dlt645

__all__ = [
    "SETTINGS",
    "Answered",
    "Asker",
    "Confidence",
    "Decoding",
    "Diagnosis",
    "Draft",
    "Fit",
    "FoundDevice",
    "Framing",
    "Meaning",
    "Movement",
    "Pick",
    "ProbeMistake",
    "Registers",
    "Search",
    "Unclear",
    "candidates",
    "decodings",
    "diagnose",
    "draft",
    "fitting",
    "line_options",
    "longest_s",
    "parse_pick",
    "questions",
    "read_again",
    "read_registers",
    "scan_cjt188",
    "scan_dlt645",
    "scan_modbus",
    "search",
    "texts",
    "walk_cjt188",
    "walk_dlt645",
]
