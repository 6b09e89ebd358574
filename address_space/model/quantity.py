"""What can be measured or told about a metering unit: one enumeration, and all that is known of each member.

A quantity is shown in its UNECE unit (kWh) and kept exact in its base unit (Wh); both are tied by `Unit.per_unit`.
OBIS codes are those of IEC 62056-61, measurement ids those of OPC 34100 (ECM).
"""

from __future__ import annotations

from enum import Enum

from address_space.model.definition import LOCALES, DataType, Kind, Names, QuantityDef
from address_space.model.state import Phase
from address_space.model.status_names import STATUS_NAMES
from address_space.model.units import UNITS, Unit

__all__ = [
    "ALL",
    "LOCALES",
    "MEASURED",
    "SYSTEM",
    "DataType",
    "Kind",
    "Names",
    "Quantity",
    "QuantityDef",
    "by_path",
]

COUNTER, GAUGE, STATE, TEXT = Kind.COUNTER, Kind.GAUGE, Kind.STATE, Kind.TEXT
L1, L2, L3, N, L1L2, L2L3, L3L1 = Phase.L1, Phase.L2, Phase.L3, Phase.N, Phase.L1L2, Phase.L2L3, Phase.L3L1
_TARIFF = Names("tariff", "тариф", "tarif", "费率")


def _q(
    path: str,
    unit: str,
    kind: Kind,
    decimals: int,
    obis: str,
    measurement_id: int,
    eu_range: tuple[float, float],
    names: Names,
    phase: Phase = Phase.TOTAL,
    tariff: int = 0,
) -> QuantityDef:
    if tariff:
        names = Names(*(f"{name}, {word} {tariff}" for name, word in zip(names, _TARIFF, strict=True)))
    elif phase is not Phase.TOTAL:
        names = names.suffixed(phase.name if len(phase.name) < 3 else f"{phase.name[:2]}-{phase.name[2:]}")
    low, high = eu_range
    return QuantityDef(
        path,
        kind,
        DataType.DOUBLE,
        UNITS[unit],
        decimals,
        names,
        obis,
        measurement_id,
        (float(low), float(high)),
        phase,
    )


def _energy(
    path: str, unit: str, obis: str, names: Names, phase: Phase = Phase.TOTAL, *, tariff: int = 0, ecm: int = 0
) -> QuantityDef:
    return _q(path, unit, COUNTER, 3, obis, ecm, (0, 1e9), names, phase, tariff)


def _state(path: str, data_type: DataType, names: Names, enumeration: str = "", unit: str = "") -> QuantityDef:
    kind = TEXT if data_type in (DataType.STRING, DataType.LOCALIZED_TEXT) else STATE
    return QuantityDef(path, kind, data_type, UNITS[unit] if unit else None, 0, names, enumeration=enumeration)


def _flag(path: str) -> QuantityDef:
    return _state(path, DataType.BOOLEAN, STATUS_NAMES[path])


def _count(path: str) -> QuantityDef:
    return _state(path, DataType.UINT32, STATUS_NAMES[path])


def _position(path: str, enumeration: str) -> QuantityDef:
    return _state(path, DataType.INT32, STATUS_NAMES[path], enumeration)


def _credit(path: str, unit: str = "") -> QuantityDef:
    kept = UNITS[unit] if unit else None
    return QuantityDef(path, STATE, DataType.DOUBLE, kept, 2, STATUS_NAMES[path], eu_range=(0.0, 1e6 if unit else 0.0))


_ACTIVE_IMPORT = Names("Active energy import", "Активная энергия, приём", "Aktiv energiya, qabul", "正向有功电能")
_ACTIVE_EXPORT = Names("Active energy export", "Активная энергия, отдача", "Aktiv energiya, uzatish", "反向有功电能")
_ACTIVE_TOTAL = Names("Active energy total", "Активная энергия, сумма", "Aktiv energiya, jami", "组合有功电能")
_REACTIVE_IMPORT = Names(
    "Reactive energy import", "Реактивная энергия, приём", "Reaktiv energiya, qabul", "正向无功电能"
)
_REACTIVE_EXPORT = Names(
    "Reactive energy export", "Реактивная энергия, отдача", "Reaktiv energiya, uzatish", "反向无功电能"
)
_REACTIVE_TOTAL = Names("Reactive energy total", "Реактивная энергия, сумма", "Reaktiv energiya, jami", "组合无功电能")
_APPARENT_ENERGY = Names("Apparent energy", "Полная энергия", "Toʻla energiya", "视在电能")
_VOLTAGE_OF = Names("Voltage", "Напряжение", "Kuchlanish", "电压")
_VOLTAGE = Names("Voltage, mean", "Напряжение, среднее", "Oʻrtacha kuchlanish", "平均电压")
_CURRENT_OF = Names("Current", "Ток", "Tok kuchi", "电流")
_CURRENT = Names("Current, mean", "Ток, средний", "Oʻrtacha tok kuchi", "平均电流")
_FREQUENCY = Names("Frequency", "Частота", "Chastota", "频率")
_ACTIVE_POWER = Names("Active power", "Активная мощность", "Aktiv quvvat", "有功功率")
_REACTIVE_POWER = Names("Reactive power", "Реактивная мощность", "Reaktiv quvvat", "无功功率")
_APPARENT_POWER = Names("Apparent power", "Полная мощность", "Toʻla quvvat", "视在功率")
_POWER_FACTOR = Names("Power factor", "Коэффициент мощности", "Quvvat koeffitsiyenti", "功率因数")
_PHASE_ANGLE = Names("Phase angle", "Фазовый угол", "Faza burchagi", "相位角")
_DEMAND_IMPORT = Names("Demand import, 15 min", "Мощность за 15 мин, приём", "15 daqiqalik quvvat, qabul", "15分钟需量")
_THD_VOLTAGE = Names(
    "Voltage THD", "Коэффициент гармоник напряжения", "Kuchlanish garmonikalari koeffitsiyenti", "电压总谐波畸变率"
)
_THD_CURRENT = Names("Current THD", "Коэффициент гармоник тока", "Tok garmonikalari koeffitsiyenti", "电流总谐波畸变率")
_VOLUME = Names("Volume", "Объём", "Hajm", "累积流量")
_VOLUME_REVERSE = Names("Volume, reverse", "Объём, обратный поток", "Teskari hajm", "反向累积流量")
_VOLUME_FLOW = Names("Volume flow", "Объёмный расход", "Hajmiy sarf", "瞬时流量")
_HEAT_ENERGY = Names("Heat energy", "Тепловая энергия", "Issiqlik energiyasi", "热量")
_COOLING_ENERGY = Names("Cooling energy", "Энергия охлаждения", "Sovitish energiyasi", "冷量")
_HEAT_POWER = Names("Heat power", "Тепловая мощность", "Issiqlik quvvati", "热功率")
_SUPPLY_TEMPERATURE = Names(
    "Supply temperature", "Температура в подающем трубопроводе", "Uzatuvchi quvurdagi harorat", "供水温度"
)
_RETURN_TEMPERATURE = Names(
    "Return temperature", "Температура в обратном трубопроводе", "Qaytuvchi quvurdagi harorat", "回水温度"
)
_MASS = Names("Mass", "Масса", "Massa", "质量")
_MASS_FLOW = Names("Mass flow", "Массовый расход", "Massaviy sarf", "质量流量")
_PRESSURE = Names("Pressure", "Давление", "Bosim", "压力")
_TEMPERATURE = Names("Temperature", "Температура", "Harorat", "温度")
_BATTERY_VOLTAGE = Names("Battery voltage", "Напряжение батареи", "Batareya kuchlanishi", "电池电压")
_OPERATING_TIME = Names("Operating time", "Время работы", "Ish vaqti", "工作时间")


class Quantity(Enum):
    """Every quantity of the hub. The member's value is its definition; browse names are CamelCase and never change."""

    ACTIVE_ENERGY_IMPORT = _energy("ActiveEnergyImport", "KWH", "1-0:1.8.0*255", _ACTIVE_IMPORT, ecm=1002)
    ACTIVE_ENERGY_IMPORT_T1 = _energy("ActiveEnergyImportT1", "KWH", "1-0:1.8.1*255", _ACTIVE_IMPORT, tariff=1)
    ACTIVE_ENERGY_IMPORT_T2 = _energy("ActiveEnergyImportT2", "KWH", "1-0:1.8.2*255", _ACTIVE_IMPORT, tariff=2)
    ACTIVE_ENERGY_IMPORT_T3 = _energy("ActiveEnergyImportT3", "KWH", "1-0:1.8.3*255", _ACTIVE_IMPORT, tariff=3)
    ACTIVE_ENERGY_IMPORT_T4 = _energy("ActiveEnergyImportT4", "KWH", "1-0:1.8.4*255", _ACTIVE_IMPORT, tariff=4)
    ACTIVE_ENERGY_IMPORT_L1 = _energy("ActiveEnergyImportL1", "KWH", "1-0:21.8.0*255", _ACTIVE_IMPORT, L1)
    ACTIVE_ENERGY_IMPORT_L2 = _energy("ActiveEnergyImportL2", "KWH", "1-0:41.8.0*255", _ACTIVE_IMPORT, L2)
    ACTIVE_ENERGY_IMPORT_L3 = _energy("ActiveEnergyImportL3", "KWH", "1-0:61.8.0*255", _ACTIVE_IMPORT, L3)
    ACTIVE_ENERGY_EXPORT = _energy("ActiveEnergyExport", "KWH", "1-0:2.8.0*255", _ACTIVE_EXPORT, ecm=1005)
    ACTIVE_ENERGY_EXPORT_T1 = _energy("ActiveEnergyExportT1", "KWH", "1-0:2.8.1*255", _ACTIVE_EXPORT, tariff=1)
    ACTIVE_ENERGY_EXPORT_T2 = _energy("ActiveEnergyExportT2", "KWH", "1-0:2.8.2*255", _ACTIVE_EXPORT, tariff=2)
    ACTIVE_ENERGY_EXPORT_T3 = _energy("ActiveEnergyExportT3", "KWH", "1-0:2.8.3*255", _ACTIVE_EXPORT, tariff=3)
    ACTIVE_ENERGY_EXPORT_T4 = _energy("ActiveEnergyExportT4", "KWH", "1-0:2.8.4*255", _ACTIVE_EXPORT, tariff=4)
    ACTIVE_ENERGY_EXPORT_L1 = _energy("ActiveEnergyExportL1", "KWH", "1-0:22.8.0*255", _ACTIVE_EXPORT, L1)
    ACTIVE_ENERGY_EXPORT_L2 = _energy("ActiveEnergyExportL2", "KWH", "1-0:42.8.0*255", _ACTIVE_EXPORT, L2)
    ACTIVE_ENERGY_EXPORT_L3 = _energy("ActiveEnergyExportL3", "KWH", "1-0:62.8.0*255", _ACTIVE_EXPORT, L3)
    ACTIVE_ENERGY_TOTAL = _energy("ActiveEnergyTotal", "KWH", "1-0:15.8.0*255", _ACTIVE_TOTAL)
    ACTIVE_ENERGY_TOTAL_T1 = _energy("ActiveEnergyTotalT1", "KWH", "1-0:15.8.1*255", _ACTIVE_TOTAL, tariff=1)
    ACTIVE_ENERGY_TOTAL_T2 = _energy("ActiveEnergyTotalT2", "KWH", "1-0:15.8.2*255", _ACTIVE_TOTAL, tariff=2)
    ACTIVE_ENERGY_TOTAL_T3 = _energy("ActiveEnergyTotalT3", "KWH", "1-0:15.8.3*255", _ACTIVE_TOTAL, tariff=3)
    ACTIVE_ENERGY_TOTAL_T4 = _energy("ActiveEnergyTotalT4", "KWH", "1-0:15.8.4*255", _ACTIVE_TOTAL, tariff=4)
    ACTIVE_ENERGY_TOTAL_L1 = _energy("ActiveEnergyTotalL1", "KWH", "1-0:35.8.0*255", _ACTIVE_TOTAL, L1)
    ACTIVE_ENERGY_TOTAL_L2 = _energy("ActiveEnergyTotalL2", "KWH", "1-0:55.8.0*255", _ACTIVE_TOTAL, L2)
    ACTIVE_ENERGY_TOTAL_L3 = _energy("ActiveEnergyTotalL3", "KWH", "1-0:75.8.0*255", _ACTIVE_TOTAL, L3)
    REACTIVE_ENERGY_IMPORT = _energy("ReactiveEnergyImport", "K3", "1-0:3.8.0*255", _REACTIVE_IMPORT, ecm=1011)
    REACTIVE_ENERGY_IMPORT_T1 = _energy("ReactiveEnergyImportT1", "K3", "1-0:3.8.1*255", _REACTIVE_IMPORT, tariff=1)
    REACTIVE_ENERGY_IMPORT_T2 = _energy("ReactiveEnergyImportT2", "K3", "1-0:3.8.2*255", _REACTIVE_IMPORT, tariff=2)
    REACTIVE_ENERGY_IMPORT_T3 = _energy("ReactiveEnergyImportT3", "K3", "1-0:3.8.3*255", _REACTIVE_IMPORT, tariff=3)
    REACTIVE_ENERGY_IMPORT_T4 = _energy("ReactiveEnergyImportT4", "K3", "1-0:3.8.4*255", _REACTIVE_IMPORT, tariff=4)
    REACTIVE_ENERGY_IMPORT_L1 = _energy("ReactiveEnergyImportL1", "K3", "1-0:23.8.0*255", _REACTIVE_IMPORT, L1)
    REACTIVE_ENERGY_IMPORT_L2 = _energy("ReactiveEnergyImportL2", "K3", "1-0:43.8.0*255", _REACTIVE_IMPORT, L2)
    REACTIVE_ENERGY_IMPORT_L3 = _energy("ReactiveEnergyImportL3", "K3", "1-0:63.8.0*255", _REACTIVE_IMPORT, L3)
    REACTIVE_ENERGY_EXPORT = _energy("ReactiveEnergyExport", "K3", "1-0:4.8.0*255", _REACTIVE_EXPORT, ecm=1014)
    REACTIVE_ENERGY_EXPORT_T1 = _energy("ReactiveEnergyExportT1", "K3", "1-0:4.8.1*255", _REACTIVE_EXPORT, tariff=1)
    REACTIVE_ENERGY_EXPORT_T2 = _energy("ReactiveEnergyExportT2", "K3", "1-0:4.8.2*255", _REACTIVE_EXPORT, tariff=2)
    REACTIVE_ENERGY_EXPORT_T3 = _energy("ReactiveEnergyExportT3", "K3", "1-0:4.8.3*255", _REACTIVE_EXPORT, tariff=3)
    REACTIVE_ENERGY_EXPORT_T4 = _energy("ReactiveEnergyExportT4", "K3", "1-0:4.8.4*255", _REACTIVE_EXPORT, tariff=4)
    REACTIVE_ENERGY_EXPORT_L1 = _energy("ReactiveEnergyExportL1", "K3", "1-0:24.8.0*255", _REACTIVE_EXPORT, L1)
    REACTIVE_ENERGY_EXPORT_L2 = _energy("ReactiveEnergyExportL2", "K3", "1-0:44.8.0*255", _REACTIVE_EXPORT, L2)
    REACTIVE_ENERGY_EXPORT_L3 = _energy("ReactiveEnergyExportL3", "K3", "1-0:64.8.0*255", _REACTIVE_EXPORT, L3)
    REACTIVE_ENERGY_TOTAL = _energy("ReactiveEnergyTotal", "K3", "", _REACTIVE_TOTAL)
    REACTIVE_ENERGY_TOTAL_L1 = _energy("ReactiveEnergyTotalL1", "K3", "", _REACTIVE_TOTAL, L1)
    REACTIVE_ENERGY_TOTAL_L2 = _energy("ReactiveEnergyTotalL2", "K3", "", _REACTIVE_TOTAL, L2)
    REACTIVE_ENERGY_TOTAL_L3 = _energy("ReactiveEnergyTotalL3", "K3", "", _REACTIVE_TOTAL, L3)
    APPARENT_ENERGY = _energy("ApparentEnergy", "C79", "1-0:9.8.0*255", _APPARENT_ENERGY, ecm=1020)
    VOLTAGE_L1 = _q("VoltageL1", "VLT", GAUGE, 1, "1-0:32.7.0*255", 1100, (0, 300), _VOLTAGE_OF, L1)
    VOLTAGE_L2 = _q("VoltageL2", "VLT", GAUGE, 1, "1-0:52.7.0*255", 1106, (0, 300), _VOLTAGE_OF, L2)
    VOLTAGE_L3 = _q("VoltageL3", "VLT", GAUGE, 1, "1-0:72.7.0*255", 1112, (0, 300), _VOLTAGE_OF, L3)
    VOLTAGE_L1L2 = _q("VoltageL1L2", "VLT", GAUGE, 1, "", 1127, (0, 520), _VOLTAGE_OF, L1L2)
    VOLTAGE_L2L3 = _q("VoltageL2L3", "VLT", GAUGE, 1, "", 1133, (0, 520), _VOLTAGE_OF, L2L3)
    VOLTAGE_L3L1 = _q("VoltageL3L1", "VLT", GAUGE, 1, "", 1139, (0, 520), _VOLTAGE_OF, L3L1)
    VOLTAGE = _q("Voltage", "VLT", GAUGE, 1, "1-0:12.7.0*255", 0, (0, 300), _VOLTAGE)
    CURRENT_L1 = _q("CurrentL1", "AMP", GAUGE, 3, "1-0:31.7.0*255", 1200, (0, 100), _CURRENT_OF, L1)
    CURRENT_L2 = _q("CurrentL2", "AMP", GAUGE, 3, "1-0:51.7.0*255", 1206, (0, 100), _CURRENT_OF, L2)
    CURRENT_L3 = _q("CurrentL3", "AMP", GAUGE, 3, "1-0:71.7.0*255", 1212, (0, 100), _CURRENT_OF, L3)
    CURRENT_N = _q("CurrentN", "AMP", GAUGE, 3, "1-0:91.7.0*255", 1233, (0, 100), _CURRENT_OF, N)
    CURRENT = _q("Current", "AMP", GAUGE, 3, "1-0:11.7.0*255", 0, (0, 100), _CURRENT)
    FREQUENCY = _q("Frequency", "HTZ", GAUGE, 2, "1-0:14.7.0*255", 1300, (45, 65), _FREQUENCY)
    ACTIVE_POWER = _q("ActivePower", "KWT", GAUGE, 3, "1-0:1.7.0*255", 1412, (-70, 70), _ACTIVE_POWER)
    ACTIVE_POWER_L1 = _q("ActivePowerL1", "KWT", GAUGE, 3, "1-0:21.7.0*255", 1400, (-25, 25), _ACTIVE_POWER, L1)
    ACTIVE_POWER_L2 = _q("ActivePowerL2", "KWT", GAUGE, 3, "1-0:41.7.0*255", 1403, (-25, 25), _ACTIVE_POWER, L2)
    ACTIVE_POWER_L3 = _q("ActivePowerL3", "KWT", GAUGE, 3, "1-0:61.7.0*255", 1406, (-25, 25), _ACTIVE_POWER, L3)
    REACTIVE_POWER = _q("ReactivePower", "KVR", GAUGE, 3, "1-0:3.7.0*255", 1619, (-70, 70), _REACTIVE_POWER)
    REACTIVE_POWER_L1 = _q("ReactivePowerL1", "KVR", GAUGE, 3, "1-0:23.7.0*255", 0, (-25, 25), _REACTIVE_POWER, L1)
    REACTIVE_POWER_L2 = _q("ReactivePowerL2", "KVR", GAUGE, 3, "1-0:43.7.0*255", 0, (-25, 25), _REACTIVE_POWER, L2)
    REACTIVE_POWER_L3 = _q("ReactivePowerL3", "KVR", GAUGE, 3, "1-0:63.7.0*255", 0, (-25, 25), _REACTIVE_POWER, L3)
    APPARENT_POWER = _q("ApparentPower", "KVA", GAUGE, 3, "1-0:9.7.0*255", 1512, (0, 70), _APPARENT_POWER)
    APPARENT_POWER_L1 = _q("ApparentPowerL1", "KVA", GAUGE, 3, "1-0:29.7.0*255", 0, (0, 25), _APPARENT_POWER, L1)
    APPARENT_POWER_L2 = _q("ApparentPowerL2", "KVA", GAUGE, 3, "1-0:49.7.0*255", 0, (0, 25), _APPARENT_POWER, L2)
    APPARENT_POWER_L3 = _q("ApparentPowerL3", "KVA", GAUGE, 3, "1-0:69.7.0*255", 0, (0, 25), _APPARENT_POWER, L3)
    POWER_FACTOR = _q("PowerFactor", "C62", GAUGE, 3, "1-0:13.7.0*255", 1712, (-1, 1), _POWER_FACTOR)
    POWER_FACTOR_L1 = _q("PowerFactorL1", "C62", GAUGE, 3, "1-0:33.7.0*255", 1700, (-1, 1), _POWER_FACTOR, L1)
    POWER_FACTOR_L2 = _q("PowerFactorL2", "C62", GAUGE, 3, "1-0:53.7.0*255", 1703, (-1, 1), _POWER_FACTOR, L2)
    POWER_FACTOR_L3 = _q("PowerFactorL3", "C62", GAUGE, 3, "1-0:73.7.0*255", 1706, (-1, 1), _POWER_FACTOR, L3)
    PHASE_ANGLE = _q("PhaseAngle", "DD", GAUGE, 1, "", 0, (-360, 360), _PHASE_ANGLE)
    DEMAND_IMPORT = _q("DemandImport15min", "KWT", GAUGE, 3, "1-0:1.4.0*255", 1416, (0, 70), _DEMAND_IMPORT)
    THD_VOLTAGE = _q("ThdVoltage", "P1", GAUGE, 1, "", 0, (0, 100), _THD_VOLTAGE)
    THD_VOLTAGE_L1 = _q("ThdVoltageL1", "P1", GAUGE, 1, "", 1715, (0, 100), _THD_VOLTAGE, L1)
    THD_VOLTAGE_L2 = _q("ThdVoltageL2", "P1", GAUGE, 1, "", 0, (0, 100), _THD_VOLTAGE, L2)
    THD_VOLTAGE_L3 = _q("ThdVoltageL3", "P1", GAUGE, 1, "", 0, (0, 100), _THD_VOLTAGE, L3)
    THD_CURRENT = _q("ThdCurrent", "P1", GAUGE, 1, "", 0, (0, 100), _THD_CURRENT)
    THD_CURRENT_L1 = _q("ThdCurrentL1", "P1", GAUGE, 1, "", 1721, (0, 100), _THD_CURRENT, L1)
    THD_CURRENT_L2 = _q("ThdCurrentL2", "P1", GAUGE, 1, "", 0, (0, 100), _THD_CURRENT, L2)
    THD_CURRENT_L3 = _q("ThdCurrentL3", "P1", GAUGE, 1, "", 0, (0, 100), _THD_CURRENT, L3)
    VOLUME = _q("Volume", "MTQ", COUNTER, 3, "8-0:1.0.0*255", 28686, (0, 1e08), _VOLUME)
    VOLUME_REVERSE = _q("VolumeReverse", "MTQ", COUNTER, 3, "8-0:2.0.0*255", 0, (0, 1e08), _VOLUME_REVERSE)
    VOLUME_FLOW = _q("VolumeFlow", "MQH", GAUGE, 3, "", 2100, (-100, 100), _VOLUME_FLOW)
    HEAT_ENERGY = _q("HeatEnergy", "GV", COUNTER, 3, "6-0:1.0.0*255", 2002, (0, 1e07), _HEAT_ENERGY)
    COOLING_ENERGY = _q("CoolingEnergy", "GV", COUNTER, 3, "5-0:1.0.0*255", 0, (0, 1e07), _COOLING_ENERGY)
    HEAT_POWER = _q("HeatPower", "KWT", GAUGE, 3, "", 0, (0, 5000), _HEAT_POWER)
    SUPPLY_TEMPERATURE = _q("SupplyTemperature", "CEL", GAUGE, 2, "", 28684, (-40, 180), _SUPPLY_TEMPERATURE)
    RETURN_TEMPERATURE = _q("ReturnTemperature", "CEL", GAUGE, 2, "", 0, (-40, 180), _RETURN_TEMPERATURE)
    MASS = _q("Mass", "TNE", COUNTER, 3, "", 28685, (0, 1e08), _MASS)
    MASS_FLOW = _q("MassFlow", "E18", GAUGE, 3, "", 2101, (0, 1000), _MASS_FLOW)
    PRESSURE = _q("Pressure", "BAR", GAUGE, 3, "", 28683, (0, 100), _PRESSURE)
    TEMPERATURE = _q("Temperature", "CEL", GAUGE, 2, "", 0, (-40, 180), _TEMPERATURE)
    BATTERY_VOLTAGE = _q("BatteryVoltage", "VLT", GAUGE, 2, "0-0:96.6.3*255", 0, (0, 10), _BATTERY_VOLTAGE)
    OPERATING_TIME = _q("OperatingTime", "HUR", COUNTER, 2, "0-0:96.8.0*255", 0, (0, 1e7), _OPERATING_TIME)
    ACTIVE_TARIFF = _state(
        "ActiveTariff", DataType.UINT16, Names("Active tariff", "Действующий тариф", "Amaldagi tarif", "当前费率")
    )
    SWITCH_STATE = _position("Switch.State", "SwitchStateEnum")
    SWITCH_COMMANDED = _position("Switch.Commanded", "SwitchStateEnum")
    KEEP_POWER_ACTIVE = _flag("Switch.KeepPowerActive")
    VALVE_STATE = _position("Valve.State", "ValveStateEnum")
    METER_CREDIT = _credit("Prepayment.MeterCredit")
    METER_OVERDRAFT = _credit("Prepayment.MeterOverdraft")
    METER_CREDIT_ENERGY = _credit("Prepayment.MeterCreditEnergy", "KWH")
    METER_OVERDRAFT_ENERGY = _credit("Prepayment.MeterOverdraftEnergy", "KWH")
    PURCHASE_COUNT = _count("Prepayment.PurchaseCount")
    BATTERY_LOW = _flag("Status.BatteryLow")
    CLOCK_BATTERY_LOW = _flag("Status.ClockBatteryLow")
    REVERSE_FLOW = _flag("Status.ReverseFlow")
    VOLTAGE_LOSS = _flag("Status.VoltageLoss")
    UNDERVOLTAGE = _flag("Status.Undervoltage")
    OVERVOLTAGE = _flag("Status.Overvoltage")
    CURRENT_LOSS = _flag("Status.CurrentLoss")
    OVERCURRENT = _flag("Status.Overcurrent")
    OVERLOAD = _flag("Status.Overload")
    PHASE_FAILURE = _flag("Status.PhaseFailure")
    LOW_CREDIT = _flag("Status.LowCredit")
    MAGNETIC_FIELD = _flag("Status.MagneticField")
    LEAKAGE = _flag("Status.Leakage")
    EMPTY_PIPE = _flag("Status.EmptyPipe")
    SENSOR_FAULT = _flag("Status.SensorFault")
    TAMPER = _flag("Status.Tamper")
    PROGRAMMING_ALLOWED = _flag("Status.ProgrammingAllowed")
    COVER_OPEN_COUNT = _count("Status.CoverOpenCount")
    TERMINAL_COVER_OPEN_COUNT = _count("Status.TerminalCoverOpenCount")
    POWER_DOWN_COUNT = _count("Status.PowerDownCount")
    PROGRAMMING_COUNT = _count("Status.ProgrammingCount")
    QUALITY = _state(
        "Quality",
        DataType.INT32,
        Names("Meter state", "Состояние счётчика", "Hisoblagich holati", "表计状态"),
        enumeration="MeterStateEnum",
    )
    ONLINE = _state("Communication.Online", DataType.BOOLEAN, Names("Online", "На связи", "Aloqada", "在线"))
    LAST_SUCCESS = _state(
        "Communication.LastSuccess",
        DataType.DATETIME,
        Names("Last successful reading", "Последнее успешное чтение", "Oxirgi muvaffaqiyatli oʻqish", "上次成功抄读"),
    )
    LAST_ATTEMPT = _state(
        "Communication.LastAttempt",
        DataType.DATETIME,
        Names("Last attempt", "Последняя попытка", "Oxirgi urinish", "上次尝试"),
    )
    CONSECUTIVE_FAILURES = _state(
        "Communication.ConsecutiveFailures",
        DataType.UINT32,
        Names("Failures in a row", "Ошибок подряд", "Ketma-ket xatolar", "连续失败次数"),
    )
    SUCCESS_RATE = _state(
        "Communication.SuccessRate",
        DataType.DOUBLE,
        Names("Success rate", "Доля успешных опросов", "Muvaffaqiyat ulushi", "成功率"),
        unit="P1",
    )
    ROUND_TRIP = _state(
        "Communication.RoundTrip",
        DataType.DOUBLE,
        Names("Round trip", "Время ответа", "Javob vaqti", "往返时间"),
        unit="C26",
    )
    LAST_ERROR = _state(
        "Communication.LastError",
        DataType.LOCALIZED_TEXT,
        Names("Last error", "Последняя ошибка", "Oxirgi xato", "最近错误"),
    )

    @property
    def path(self) -> str:
        """Browse path below the unit, and the tail of the point id."""
        return self.value.path

    @property
    def code(self) -> int:
        """Small number of this quantity inside the process; never stored."""
        return _CODE[self]

    @property
    def kind(self) -> Kind:
        """How its values behave in time."""
        return self.value.kind

    @property
    def unit(self) -> Unit | None:
        """Unit it is shown in; None for states and texts."""
        return self.value.unit

    @property
    def per_unit(self) -> int:
        """Base units in one shown unit (1000 for kWh kept in Wh)."""
        return self.value.unit.per_unit if self.value.unit else 1


ALL = tuple(Quantity)
"""Quantities by code."""
_CODE = {quantity: index for index, quantity in enumerate(ALL)}
_BY_PATH = {quantity.path: quantity for quantity in ALL}

SYSTEM = tuple(
    quantity for quantity in ALL if quantity is Quantity.QUALITY or quantity.path.startswith("Communication.")
)
"""What the hub itself tells of every metering unit; the rest is measured."""
MEASURED = tuple(quantity for quantity in ALL if quantity not in SYSTEM)


def by_path(path: str) -> Quantity | None:
    """The quantity with this browse path, or None."""
    return _BY_PATH.get(path)
