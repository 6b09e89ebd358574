"""Object types of metering units and of the abilities they may have."""

from __future__ import annotations

from address_space.nodes.types import Argument, O, ObjectType, add_in, method, obj, prop, var

_UNIT = "MeteringUnitType"
_REASON = Argument("Reason", "String")
_OUTCOME = (Argument("CommandId", "String"), Argument("State", "Int32"), Argument("Detail", "LocalizedText"))

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
            var("Online", "Boolean", type_name="TwoStateDiscreteType"),
            var("LastSuccess", "DateTime"),
            var("LastAttempt", "DateTime"),
            var("ConsecutiveFailures", "UInt32"),
            var("SuccessRate", "Double", type_name="AnalogUnitType"),
            var("RoundTrip", "Duration"),
            var("SignalStrength", "Double", O, "AnalogUnitType"),
            var("PollPeriod", "Duration"),
            var("LastError", "LocalizedText"),
        ),
    ),
    ObjectType(
        "SwitchControlType",
        "BaseObjectType",
        (
            var("State", "SwitchStateEnum"),
            var("CommandState", "CommandStateEnum"),
            *_LAST_COMMAND,
            var("KeepPowerActive", "Boolean", O),
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
            var("Mode", "PrepayModeEnum"),
            var("Balance", "Double", type_name="MoneyType"),
            var("CreditLimit", "Double", type_name="MoneyType"),
            var("WarnLevel1", "Double", type_name="MoneyType"),
            var("WarnLevel2", "Double", type_name="MoneyType"),
            var("ActiveTariffId", "String"),
            var("PricePerUnit", "Double", type_name="MoneyType"),
            var("PurchaseCount", "UInt32"),
            var("LastRechargeTime", "DateTime"),
            var("LastRechargeAmount", "Double", type_name="MoneyType"),
            method("SetCreditLimit", (Argument("Limit", "Double"), _REASON), _OUTCOME),
            method("SetWarnLevels", (Argument("Warn1", "Double"), Argument("Warn2", "Double"), _REASON), _OUTCOME),
            method(
                "SetTariff",
                (Argument("TariffId", "String"), Argument("EffectiveFrom", "UtcTime"), _REASON),
                _OUTCOME,
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
            ),
        ),
    ),
)
