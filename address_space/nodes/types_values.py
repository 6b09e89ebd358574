"""Variable types, enumerations, reference types and event types."""

from __future__ import annotations

from enum import IntEnum

from address_space.model.state import (
    CommandState,
    CommunicationState,
    Medium,
    MeterState,
    Phase,
    PrepayMode,
    Protocol,
    SwitchState,
    ValveState,
)
from address_space.nodes.types import Enumeration, O, ObjectType, ReferenceType, VariableType, prop, standard_prop

VARIABLE_TYPES = (
    VariableType(
        "MeteredValueType",
        "AnalogUnitRangeType",
        "Double",
        (
            prop("MeasurementId", "UInt16", O),
            prop("ObisCode", "String", O),
            prop("SourceAddress", "String", O),
            standard_prop("ValuePrecision", "Double", O),
            prop("Phase", "PhaseEnum", O),
        ),
    ),
    VariableType(
        "CounterValueType",
        "MeteredValueType",
        "Double",
        (prop("Multiplier", "Double"), prop("RolloverAt", "Double", O), prop("LastResetTime", "UtcTime", O)),
    ),
    VariableType(
        "DemandValueType", "MeteredValueType", "Double", (prop("Period", "Duration"), prop("DemandTime", "UtcTime", O))
    ),
    VariableType("MoneyType", "DataItemType", "Double", (standard_prop("CurrencyUnit", "CurrencyUnitType"),)),
)

_PROTOCOLS = {
    Protocol.MODBUS_RTU: "ModbusRtu",
    Protocol.MODBUS_TCP: "ModbusTcp",
    Protocol.DLT645_1997: "Dlt645_1997",
    Protocol.DLT645_2007: "Dlt645_2007",
    Protocol.CJT188: "Cjt188",
    Protocol.MQTT: "Mqtt",
    Protocol.VIRTUAL: "Virtual",
}


def _enumeration(name: str, members: type[IntEnum], *, keep: bool = False) -> Enumeration:
    fields = (member.name if keep else member.name.title().replace("_", "") for member in members)
    return Enumeration(name, tuple(fields))


ENUMERATIONS = (
    _enumeration("MediumEnum", Medium),
    _enumeration("MeterStateEnum", MeterState),
    _enumeration("SwitchStateEnum", SwitchState),
    _enumeration("ValveStateEnum", ValveState),
    _enumeration("CommandStateEnum", CommandState),
    Enumeration("ProtocolEnum", tuple(_PROTOCOLS[member] for member in Protocol)),
    _enumeration("PrepayModeEnum", PrepayMode),
    _enumeration("PhaseEnum", Phase, keep=True),
    Enumeration("ConsumerCategoryEnum", ("Residential", "Commercial", "Industrial", "Public", "Other")),
    _enumeration("CommunicationStateEnum", CommunicationState),
    Enumeration("CounterAnomalyEnum", ("Rollover", "Reset", "Replaced", "Glitch")),
)

REFERENCE_TYPES = (ReferenceType("Feeds", "FedBy"), ReferenceType("MeasuredBy", "Measures"))

EVENT_TYPES = (
    ObjectType("MeterCommunicationAlarmType", "OffNormalAlarmType"),
    ObjectType("LowCreditAlarmType", "ExclusiveLevelAlarmType"),
    ObjectType("TamperAlarmType", "OffNormalAlarmType"),
    ObjectType(
        "MeterStatusEventType",
        "BaseEventType",
        (
            prop("Quantity", "String"),
            prop("OldValue", "BaseDataType"),
            prop("NewValue", "BaseDataType"),
            prop("Suppressed", "UInt32"),
        ),
    ),
    ObjectType(
        "CounterAnomalyEventType",
        "BaseEventType",
        (
            prop("Quantity", "String"),
            prop("Anomaly", "CounterAnomalyEnum"),
            prop("OldValue", "Double"),
            prop("NewValue", "Double"),
            prop("Booked", "Double"),
            standard_prop("EngineeringUnits", "EUInformation"),
            prop("Suppressed", "UInt32"),
        ),
    ),
    ObjectType(
        "MeterLogEventType",
        "BaseEventType",
        (
            prop("Log", "String"),
            prop("Code", "UInt32"),
            prop("Active", "Boolean"),
            prop("Value", "Double"),
            standard_prop("EngineeringUnits", "EUInformation"),
            prop("Record", "UInt32"),
        ),
    ),
    ObjectType(
        "CommandEventType",
        "AuditUpdateMethodEventType",
        (prop("CommandId", "String"), prop("Target", "NodeId"), prop("ResultState", "CommandStateEnum")),
    ),
    ObjectType(
        "ConfigurationChangedEventType",
        "SystemEventType",
        (
            prop("ConfigVersion", "String"),
            prop("Added", "UInt32"),
            prop("Removed", "UInt32"),
            prop("Changed", "UInt32"),
        ),
    ),
)

MEDIUM_FIELDS = ENUMERATIONS[0].fields
"""Browse name of a medium by its code."""
