"""Profiles: what each make of device measures and how, as data files."""

from drivers.profiles.loader import ProfileLibrary, load_library
from drivers.profiles.profile import (
    Command,
    Danger,
    PollClass,
    Profile,
    ProfilePoint,
    Source,
    Step,
    Variant,
    default_class,
)
from drivers.profiles.units import size_in_base

__all__ = [
    "Command",
    "Danger",
    "PollClass",
    "Profile",
    "ProfileLibrary",
    "ProfilePoint",
    "Source",
    "Step",
    "Variant",
    "default_class",
    "load_library",
    "size_in_base",
]
