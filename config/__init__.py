"""What is wanted: settings of the hub, and the plant as its engineer wrote it."""

from config.errors import ConfigErrors, Location, Problem
from config.loader import load_plant
from config.plant import ChannelConfig, MeterConfig, PlantConfig
from config.sections import (
    HistorySettings,
    LogFormat,
    LogLevel,
    LogSettings,
    OpcUaSettings,
    PollingSettings,
    PollPeriods,
)
from config.settings import HubSettings, load_settings

__all__ = [
    "ChannelConfig",
    "ConfigErrors",
    "HistorySettings",
    "HubSettings",
    "Location",
    "LogFormat",
    "LogLevel",
    "LogSettings",
    "MeterConfig",
    "OpcUaSettings",
    "PlantConfig",
    "PollPeriods",
    "PollingSettings",
    "Problem",
    "load_plant",
    "load_settings",
]
