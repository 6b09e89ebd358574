"""Object types of metering units and of the abilities they may have."""

from __future__ import annotations

from address_space.model.quantity import ALL, DataType
from address_space.nodes.types import Argument, O, ObjectType, add_in, method, obj, prop, var

_UNIT = "MeteringUnitType"
_REASON = Argument("Reason", "String")
_OUTCOME = (Argument("CommandId", "String"), Argument("State", "Int32"), Argument("Detail", "LocalizedText"))

_TWO_STATES = "TwoStateDiscreteType"

_LAST_COMMAND = (
    prop("LastCommandId", "String", O),
    prop("LastCommandAt", "UtcTime", O),
    prop("LastCommandBy", "String", O),
    prop("LastCommandDetail", "LocalizedText", O),
)

METERING_TYPES = (
    ObjectType(
        _UNIT,
        "HierarchyNodeType",
        (
            obj("Identification", "IdentificationType"),
            obj("Communication", "CommunicationType"),
            var("Quality", "MeterStateEnum"),
            var("Medium", "MediumEnum"),
            obj("Alarms", "FolderType"),
            obj("Configuration", "FolderType"),
            method("ReadNow", (), (Argument("Online", "Boolean"), Argument("ReadAt", "UtcTime"))),
            method("SyncClock", (_REASON,), (Argument("DriftBefore", "Duration"),), O),
            var("ActiveTariff", "UInt16", O),
            add_in("Switch", "SwitchControlType"),
            add_in("Valve", "ValveControlType"),
            add_in("Prepayment", "PrepaymentType"),
            obj("Status", "MeterStatusType", O),
        ),
        abstract=True,
    ),
    ObjectType("ElectricityMeterType", _UNIT),
    ObjectType("WaterMeterType", _UNIT),
    ObjectType("GasMeterType", _UNIT),
    ObjectType("HeatMeterType", _UNIT),
    ObjectType("SteamMeterType", _UNIT),
    ObjectType("CompressedAirMeterType", _UNIT),
    ObjectType("OtherMeterType", _UNIT),
    ObjectType(
        "IdentificationType",
        "BaseObjectType",
        (
            prop("Manufacturer", "LocalizedText"),
            prop("Model", "LocalizedText"),
            prop("SerialNumber", "String"),
            prop("HardwareRevision", "String"),
            prop("SoftwareRevision", "String"),
            prop("DeviceClass", "String"),
            prop("AssetId", "String"),
            prop("YearOfConstruction", "UInt16", O),
            prop("VerificationDue", "UtcTime", O),
        ),
    ),
    ObjectType(
        "CommunicationType",
        "BaseObjectType",
        (
            var("Protocol", "ProtocolEnum"),
            var("LineId", "String"),
            var("Address", "String"),
            var("Online", "Boolean", type_name=_TWO_STATES),
            var("LastSuccess", "DateTime"),
            var("LastAttempt", "DateTime"),
            var("ConsecutiveFailures", "UInt32"),
            var("SuccessRate", "Double", type_name="AnalogUnitType"),
            var("RoundTrip", "Duration"),
            var("SignalStrength", "Double", O, "AnalogUnitType"),
            var("PollPeriod", "Duration"),
            var("LastError", "LocalizedText"),
            var("State", "CommunicationStateEnum", O),
            *(
                var(name, "UInt32", O)
                for name in ("Requests", "Errors", "Timeouts", "BadFrames", "Refusals", "NotConnected", "SlotsMissed")
            ),
            *(var(name, "UInt32", O) for name in ("SlotsExpected", "SlotsMissing", "SlotsFilled")),
            var("Completeness", "Double", O, "AnalogUnitType"),
            var("LastGap", "DateTime", O),
            var("CounterAnomalies", "UInt32", O),
            var("LastCounterAnomaly", "LocalizedText", O),
            var("LastCounterAnomalyTime", "DateTime", O),
        ),
    ),
    ObjectType(
        "SwitchControlType",
        "BaseObjectType",
        (
            var("State", "SwitchStateEnum"),
            var("Commanded", "SwitchStateEnum", O),
            var("CommandState", "CommandStateEnum"),
            *_LAST_COMMAND,
            var("KeepPowerActive", "Boolean", O, _TWO_STATES),
            method("Trip", (_REASON,), _OUTCOME),
            method("Close", (_REASON,), _OUTCOME),
            method("KeepPower", (Argument("Enable", "Boolean"), _REASON), _OUTCOME, O),
            method("ResumePrepaid", (_REASON,), _OUTCOME, O),
        ),
    ),
    ObjectType(
        "ValveControlType",
        "BaseObjectType",
        (
            var("State", "ValveStateEnum"),
            var("Position", "Double", O, "AnalogUnitType"),
            var("CommandState", "CommandStateEnum"),
            *_LAST_COMMAND,
            method("Open", (_REASON,), _OUTCOME),
            method("Close", (_REASON,), _OUTCOME),
            method("SetPosition", (Argument("Position", "Double"), _REASON), _OUTCOME, O),
        ),
    ),
    ObjectType(
        "PrepaymentType",
        "BaseObjectType",
        (
            var("MeterCredit", "Double", O, "DataItemType"),
            var("MeterOverdraft", "Double", O, "DataItemType"),
            var("MeterCreditEnergy", "Double", O, "MeteredValueType"),
            var("MeterOverdraftEnergy", "Double", O, "MeteredValueType"),
            var("PurchaseCount", "UInt32", O),
            var("Mode", "PrepayModeEnum", O),
            *(var(name, "Double", O, "MoneyType") for name in ("Balance", "CreditLimit", "WarnLevel1", "WarnLevel2")),
            var("ActiveTariffId", "String", O),
            var("PricePerUnit", "Double", O, "MoneyType"),
            var("LastRechargeTime", "DateTime", O),
            var("LastRechargeAmount", "Double", O, "MoneyType"),
            method("SetCreditLimit", (Argument("Limit", "Double"), _REASON), _OUTCOME, O),
            method("SetWarnLevels", (Argument("Warn1", "Double"), Argument("Warn2", "Double"), _REASON), _OUTCOME, O),
            method(
                "SetTariff",
                (Argument("TariffId", "String"), Argument("EffectiveFrom", "UtcTime"), _REASON),
                _OUTCOME,
                O,
            ),
            method(
                "Recharge",
                (
                    Argument("TransactionId", "String"),
                    Argument("Amount", "Double"),
                    Argument("Currency", "String"),
                    _REASON,
                ),
                (*_OUTCOME, Argument("Balance", "Double")),
                O,
            ),
        ),
    ),
    ObjectType(
        "MeterStatusType",
        "BaseObjectType",
        tuple(
            var(quantity.path.partition(".")[2], "Boolean", O, _TWO_STATES)
            if quantity.value.data_type is DataType.BOOLEAN
            else var(quantity.path.partition(".")[2], "UInt32", O)
            for quantity in ALL
            if quantity.path.startswith("Status.")
        ),
    ),
)
