"""Consumer classes: how the load of a household, an office or a feeder runs through day, week and year."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import pi

import numpy as np

from drivers.simulators.noise import Floats, Ints, fraction

HOURS_A_DAY = 24
_EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday."""


def _shape(text: str) -> tuple[float, ...]:
    """24 digits, one an hour: 0 is nothing, 9 is the peak."""
    return tuple(int(digit) / 9 for digit in text)


@dataclass(frozen=True, slots=True)
class LoadShape:
    """What distinguishes a class of consumers.

    workday, saturday, sunday  relative load at each local hour; empty where the sun decides (street lighting)
    winter, summer             share that heating and cooling add at the middle of the season
    peak_w                     range of the highest load of one consumer, before its rating limits it
    standby                    share of the peak that is never switched off
    power_factor               at the peak, and at standby
    daily, hourly, ripple      how much days, hours and minutes differ from the curve
    imbalance                  how unevenly the phases are loaded
    """

    workday: tuple[float, ...]
    saturday: tuple[float, ...]
    sunday: tuple[float, ...]
    winter: float
    summer: float
    peak_w: tuple[float, float]
    standby: float
    power_factor: tuple[float, float]
    daily: float
    hourly: float
    ripple: float
    imbalance: float


class ConsumerClass(Enum):
    """Who stands behind a meter."""

    HOUSEHOLD = LoadShape(
        _shape("211112464333343334688875"),
        _shape("321111135655555445678875"),
        _shape("321111124667765445678874"),
        winter=0.25,
        summer=0.20,
        peak_w=(1800.0, 5200.0),
        standby=0.04,
        power_factor=(0.97, 0.82),
        daily=0.15,
        hourly=0.25,
        ripple=0.45,
        imbalance=0.35,
    )
    OFFICE = LoadShape(
        _shape("111111237899989998631111"),
        _shape("111111123344443322111111"),
        _shape("111111111122221111111111"),
        winter=0.15,
        summer=0.35,
        peak_w=(6000.0, 22000.0),
        standby=0.10,
        power_factor=(0.95, 0.80),
        daily=0.06,
        hourly=0.08,
        ripple=0.10,
        imbalance=0.20,
    )
    SHOP = LoadShape(
        _shape("222222335788888888899853"),
        _shape("222222335788999999999853"),
        _shape("222222234678888888887643"),
        winter=0.10,
        summer=0.30,
        peak_w=(4000.0, 16000.0),
        standby=0.15,
        power_factor=(0.93, 0.85),
        daily=0.06,
        hourly=0.08,
        ripple=0.18,
        imbalance=0.25,
    )
    INDUSTRY = LoadShape(
        _shape("444445788999788999876555"),
        _shape("444445677777666655444444"),
        _shape("333333333333333333333333"),
        winter=0.08,
        summer=0.05,
        peak_w=(15000.0, 38000.0),
        standby=0.20,
        power_factor=(0.88, 0.72),
        daily=0.05,
        hourly=0.07,
        ripple=0.20,
        imbalance=0.06,
    )
    STREET_LIGHTING = LoadShape(
        (),
        (),
        (),
        winter=0.0,
        summer=0.0,
        peak_w=(2500.0, 9000.0),
        standby=0.0,
        power_factor=(0.94, 0.94),
        daily=0.01,
        hourly=0.01,
        ripple=0.01,
        imbalance=0.10,
    )
    FEEDER = LoadShape(
        _shape("443334567777777777899986"),
        _shape("443333456777776667888875"),
        _shape("443333445666666667888875"),
        winter=0.18,
        summer=0.18,
        peak_w=(20000.0, 38000.0),
        standby=0.25,
        power_factor=(0.94, 0.90),
        daily=0.04,
        hourly=0.03,
        ripple=0.03,
        imbalance=0.05,
    )


def likely_class(key: int, phases: int, ratio: tuple[float, float]) -> ConsumerClass:
    """A class that fits the installation: transformers speak for feeders and industry, one phase for homes."""
    ct, pt = ratio
    if pt > 1 or ct >= 100:
        return ConsumerClass.FEEDER
    if ct > 1:
        return (ConsumerClass.INDUSTRY, ConsumerClass.OFFICE)[fraction(key, "class") < 0.5]
    if phases == 1:
        return (ConsumerClass.HOUSEHOLD, ConsumerClass.SHOP)[fraction(key, "class") < 0.1]
    direct = [ConsumerClass.HOUSEHOLD] * 4 + [ConsumerClass.OFFICE] * 2 + [ConsumerClass.SHOP] * 2
    direct += [ConsumerClass.INDUSTRY, ConsumerClass.STREET_LIGHTING]
    return direct[int(fraction(key, "class") * len(direct))]


def relative_load(shape: LoadShape, local_hours: Ints) -> Floats:
    """Load at the beginning of each local hour since 1970, as a share of the peak (0 … 1), same shape."""
    day = local_hours // HOURS_A_DAY
    hour = local_hours - day * HOURS_A_DAY
    year_angle = ((day % 1461) % 365.25).astype(np.float64) * (2 * pi / 365.25)
    if not shape.workday:
        return _after_dark(hour, year_angle)
    weekday = (day + _EPOCH_WEEKDAY) % 7
    table = np.array((shape.workday, shape.saturday, shape.sunday))
    kind = np.where(weekday < 5, 0, weekday - 4)
    level = table[kind, hour]
    winter = np.maximum(np.cos(year_angle - 0.26), 0.0)
    summer = np.maximum(np.cos(year_angle - 3.53), 0.0)
    season = 1 + shape.winter * winter + shape.summer * summer
    highest = 1 + max(shape.winter, shape.summer)
    load: Floats = shape.standby + (1 - shape.standby) * level * season / highest
    return load


def _after_dark(hour: Ints, year_angle: Floats) -> Floats:
    """Lamps: full from dusk, half from midnight to five, off by day (sunset as at 41 degrees north)."""
    half_day = (12 + 2.9 * np.sin(year_angle - 1.38)) / 2
    dark = np.clip(np.abs(hour - 12.5) - half_day + 0.5, 0.0, 1.0)
    lamps: Floats = np.where(hour < 5, 0.5, 1.0) * dark
    return lamps
