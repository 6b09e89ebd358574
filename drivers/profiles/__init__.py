"""Profiles: what each make of device measures and how, as data files."""

from drivers.profiles.commands import COMMANDS, OTHER, SECRETS, Command, CommandMeaning, Danger, Effect, Step
from drivers.profiles.loader import Origin, ProfileLibrary, load_library
from drivers.profiles.profile import (
    PollClass,
    Profile,
    ProfilePoint,
    Source,
    Variant,
    default_class,
)
from drivers.profiles.template import new_profile
from drivers.profiles.units import shown_unit, size_in_base

__all__ = [
    "COMMANDS",
    "OTHER",
    "SECRETS",
    "Command",
    "CommandMeaning",
    "Danger",
    "Effect",
    "Origin",
    "PollClass",
    "Profile",
    "ProfileLibrary",
    "ProfilePoint",
    "Source",
    "Step",
    "Variant",
    "default_class",
    "load_library",
    "new_profile",
    "shown_unit",
    "size_in_base",
]
