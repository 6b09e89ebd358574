"""What holds for the tests of every room."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A busy machine may take a second for what takes a millisecond: how long an example took says nothing about it.
settings.register_profile("house", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")
