"""Profiles from the part of their file that matters to a test."""

from __future__ import annotations

from drivers.profiles import Profile
from drivers.profiles.build import build_profile
from drivers.profiles.document import parse_document


def profile_of(protocol: str, text: str) -> Profile:
    """The profile `test/meter` of `meter.yaml`, where `text` begins in the sixth line."""
    head = f"profile: test/meter\nvendor: Test\nmodel: Meter\nprotocol: {protocol}\nsource: [{{document: this test}}]\n"
    return build_profile(parse_document(head + text, "meter.yaml"))
