"""DataChangeFilters: which are taken, and what they come to (Part 4 7.22.2, Part 8 7.2)."""

from __future__ import annotations

from typing import Any

from asyncua import ua

from address_space.model.errors import HubError
from address_space.nodes.monitored_rows import Trigger
from server.opcua.item_requests import WrongFilter

NO_DEADBAND = -1.0
_MAX_PERCENT = 100.0


class Refused(HubError):
    """One item cannot be had; carries the status code."""

    def __init__(self, code: int) -> None:
        super().__init__(hex(code))
        self.code = code


def is_null(asked: Any) -> bool:
    """Whether no filter was asked for."""
    return asked is None or (isinstance(asked, ua.ExtensionObject) and asked.TypeId.Identifier in (0, None))


def change_filter(asked: Any, *, numeric: bool, span: float | None) -> tuple[Trigger, float]:
    """Trigger and absolute deadband, NO_DEADBAND where there is none; raises Refused.

    `numeric` tells whether the values are numbers, `span` is the width of EURange where there is one.
    """
    if is_null(asked):
        return Trigger.STATUS_VALUE, NO_DEADBAND
    if isinstance(asked, WrongFilter):
        raise Refused(ua.StatusCodes.BadMonitoredItemFilterInvalid)
    if not hasattr(asked, "DeadbandType"):
        raise Refused(ua.StatusCodes.BadMonitoredItemFilterUnsupported)
    try:
        trigger = Trigger(asked.Trigger)
    except ValueError as unknown:
        raise Refused(ua.StatusCodes.BadMonitoredItemFilterInvalid) from unknown
    if asked.DeadbandType == ua.DeadbandType.None_:
        return trigger, NO_DEADBAND
    if not numeric:
        raise Refused(ua.StatusCodes.BadFilterNotAllowed)
    value = asked.DeadbandValue
    if value != value or value < 0:
        raise Refused(ua.StatusCodes.BadDeadbandFilterInvalid)
    if asked.DeadbandType == ua.DeadbandType.Absolute:
        return trigger, value
    if asked.DeadbandType != ua.DeadbandType.Percent or value > _MAX_PERCENT:
        raise Refused(ua.StatusCodes.BadDeadbandFilterInvalid)
    if span is None:
        raise Refused(ua.StatusCodes.BadMonitoredItemFilterUnsupported)
    return trigger, value / _MAX_PERCENT * span
