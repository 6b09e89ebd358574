"""How well the hub does its work, as one number for OPC UA clients and one picture for a person."""

from __future__ import annotations

SERVICE_LEVEL_HEALTHY = 255
SERVICE_LEVEL_NO_DATA = 1
SERVICE_LEVEL_STOPPING = 0


def service_level(online: int, enabled: int) -> int:
    """ServiceLevel (OPC 10000-4 6.6.2.4.2) from the share of meters that answer.

    255 while all answer (or there are none to ask), 1 while none does, between them 100 to 198.
    """
    if enabled == 0 or online >= enabled:
        return SERVICE_LEVEL_HEALTHY
    if online == 0:
        return SERVICE_LEVEL_NO_DATA
    return 100 + 99 * online // enabled
