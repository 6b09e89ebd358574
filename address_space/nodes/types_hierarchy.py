"""Object types of the hierarchy: places, equipment, consumers, and the hub itself."""

from __future__ import annotations

from asyncua import ua

from address_space.nodes.standard import HAS_COMPONENT
from address_space.nodes.types import (
    Argument,
    Declaration,
    O,
    ObjectType,
    Rule,
    method,
    obj,
    prop,
    standard_prop,
    var,
    var_array,
)

_BASE = "HierarchyNodeType"

_CHILD = Declaration(
    "<Child>", ua.NodeClass.Object, HAS_COMPONENT, _BASE, rule=Rule.OPTIONAL_PLACEHOLDER, event_notifier=1
)

HIERARCHY_TYPES = (
    ObjectType(
        _BASE,
        "BaseObjectType",
        (
            prop("Uid", "String"),
            prop("Code", "String"),
            prop("Path", "String"),
            standard_prop("NodeVersion", "String"),
            prop("Enabled", "Boolean"),
            prop("CimMrid", "String", O),
            prop("CimClass", "String", O),
            obj("Location", "LocationType", O),
            obj("Summary", "SummaryType", O),
            _CHILD,
        ),
        abstract=True,
    ),
    ObjectType("RegionType", _BASE),
    ObjectType("SiteType", _BASE),
    ObjectType("SubstationType", _BASE, (prop("VoltageLevels", "String", O),)),
    ObjectType(
        "TransformerType",
        _BASE,
        (
            var("RatedPower", "Double", O, "AnalogUnitType"),
            var("PrimaryVoltage", "Double", O, "AnalogUnitType"),
            var("SecondaryVoltage", "Double", O, "AnalogUnitType"),
            prop("VectorGroup", "String", O),
        ),
    ),
    ObjectType("FeederType", _BASE, (var("RatedCurrent", "Double", O, "AnalogUnitType"),)),
    ObjectType("BuildingType", _BASE, (prop("Address", "LocalizedText", O),)),
    ObjectType(
        "ConsumerType",
        _BASE,
        (
            prop("AccountNo", "String", O),
            prop("ContractNo", "String", O),
            prop("Category", "ConsumerCategoryEnum", O),
        ),
    ),
    ObjectType("BusbarType", _BASE, (var("RatedVoltage", "Double", O, "AnalogUnitType"),)),
    ObjectType("FloorType", _BASE),
    ObjectType("DivisionType", _BASE),
    ObjectType("CabinetType", _BASE),
    ObjectType("BreakerType", _BASE, (var("RatedCurrent", "Double", O, "AnalogUnitType"),)),
    ObjectType("ValveType", _BASE),
    ObjectType("GatewayType", _BASE),
    ObjectType(
        "LocationType",
        "BaseObjectType",
        (prop("Latitude", "Double", O), prop("Longitude", "Double", O), prop("Address", "LocalizedText", O)),
    ),
    ObjectType(
        "SummaryType",
        "BaseObjectType",
        (
            var("ActivePower", "Double", O, "AnalogUnitType"),
            var("EnergyToday", "Double", O, "AnalogUnitType"),
            var("EnergyMonth", "Double", O, "AnalogUnitType"),
            var("MetersTotal", "UInt32"),
            var("MetersOnline", "UInt32"),
            var("MetersAlarm", "UInt32"),
        ),
    ),
    ObjectType(
        "SystemType",
        "BaseObjectType",
        (
            method(
                "ReloadConfig",
                (Argument("DryRun", "Boolean"),),
                (
                    Argument("Added", "UInt32"),
                    Argument("Removed", "UInt32"),
                    Argument("Changed", "UInt32"),
                    Argument("Problems", "String", array=True),
                    Argument("ConfigVersion", "String"),
                ),
                O,
            ),
            var("ConfigVersion", "String"),
            var("ConfigLoadedAt", "DateTime"),
            var("LastReloadResult", "String"),
            var("ActiveRole", "String"),
            obj("Drivers", "FolderType"),
            obj("History", "HistoryStateType"),
        ),
    ),
    ObjectType(
        "HistoryStateType",
        "BaseObjectType",
        (
            var("Trouble", "String"),
            *(var(name, "UInt64") for name in ("Accepted", "Committed", "Lost", "DroppedInst", "DroppedEnergy")),
            var("Lag", "Duration"),
            *(var(name, "UInt64") for name in ("LinesWaiting", "BytesWaiting")),
            var("OldestWaiting", "DateTime"),
            *(
                var(name, "UInt64")
                for name in ("LinesSent", "PostsFailed", "DeadLetters", "LinesDamaged", "ShedInst", "ShedEnergy")
            ),
            var("LastSuccess", "DateTime"),
            *(var(name, "UInt64") for name in ("SlotsExpected", "SlotsMissing", "SlotsFilled")),
            *(
                var(name, "UInt64")
                for name in ("CounterRollovers", "CounterResets", "CounterReplacements", "CounterGlitches")
            ),
            *(var(name, "UInt64") for name in ("OrdersOpen", "OrderedSlots", "OrderedSlotsLeft")),
            var("LastOrderEnded", "DateTime"),
        ),
    ),
    ObjectType(
        "ChannelType",
        "BaseObjectType",
        (
            var("State", "CommunicationStateEnum"),
            *(
                var(name, "UInt32")
                for name in ("Requests", "Errors", "Timeouts", "BadFrames", "Refusals", "NotConnected")
            ),
            var("SuccessRate", "Double", type_name="AnalogUnitType"),
            var("RoundTrip", "Duration"),
            var("Utilisation", "Double", type_name="AnalogUnitType"),
            var("LastGood", "DateTime"),
            var("LastError", "LocalizedText"),
            *(var(name, "UInt32") for name in ("DevicesTotal", "DevicesOnline", "DevicesDegraded", "DevicesOffline")),
            var("SlotsMissed", "UInt32"),
            var("Reconnects", "UInt32"),
            var_array("Sessions", "String"),
        ),
    ),
)
