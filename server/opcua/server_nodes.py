"""The nodes under Server (Part 5 8): every mandatory one has a value of its type, and the values are true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncua import ua
from asyncua.server.address_space import AddressSpace, AttributeValue

from address_space.model.clock import to_datetime
from address_space.model.quantity import LOCALES
from address_space.nodes.standard import AGGREGATES, ORGANIZES, READ_EVENT_HISTORY, SUBSCRIBE_TO_EVENTS
from server.opcua import diagnostics

if TYPE_CHECKING:
    from server.opcua.internal import HubInternalServer
    from server.opcua.options import Limits, OpcUaOptions

_T = ua.VariantType
_PRODUCT = "urn:joulehub"
_PROFILES = (
    "http://opcfoundation.org/UA-Profile/Server/StandardUA2017",
    "http://opcfoundation.org/UA-Profile/Server/HistoricalRawData",
)
_SUMMARY = "Server_ServerDiagnostics_ServerDiagnosticsSummary"
_SUMMARY_FIELDS = tuple(
    field for field in ua.ServerDiagnosticsSummaryDataType.__dataclass_fields__ if field != "Encoding"
)
_MAX_TEXT = 1_048_576
_MIN_SAMPLE_MS = 100.0
_DATA_TYPES = {
    "Boolean": _T.Boolean,
    "Byte": _T.Byte,
    "UInt16": _T.UInt16,
    "UInt32": _T.UInt32,
    "Double": _T.Double,
    "String": _T.String,
}


def fill_server_nodes(aspace: AddressSpace, options: OpcUaOptions, now_ns: int) -> None:
    """Set what stays the same for the life of the server."""
    _withhold(aspace)
    for name, value, variant in (*_identity(options), *_capabilities(options.limits), *_fixed()):
        put(aspace, name, value, variant, now_ns)
    status = ua.ServerStatusDataType()
    status.StartTime = status.CurrentTime = to_datetime(now_ns)
    status.State = ua.ServerState.Running
    status.BuildInfo = build_info(options, now_ns)
    put(aspace, "Server_ServerStatus", status, _T.ExtensionObject, now_ns)
    put(aspace, "Server_ServerStatus_BuildInfo", status.BuildInfo, _T.ExtensionObject, now_ns)
    put(aspace, "Server_ServerStatus_StartTime", status.StartTime, _T.DateTime, now_ns)
    put(aspace, "Server_ServerStatus_CurrentTime", status.CurrentTime, _T.DateTime, now_ns)
    put(aspace, "Server_ServerStatus_State", int(status.State), _T.Int32, now_ns)
    put(aspace, "Server_ServerStatus_SecondsTillShutdown", 0, _T.UInt32, now_ns)
    put(aspace, "Server_ServerStatus_ShutdownReason", ua.LocalizedText(""), _T.LocalizedText, now_ns)
    info = status.BuildInfo
    for field in ("ProductUri", "ManufacturerName", "ProductName", "SoftwareVersion", "BuildNumber"):
        put(aspace, f"Server_ServerStatus_BuildInfo_{field}", getattr(info, field), _T.String, now_ns)
    put(aspace, "Server_ServerStatus_BuildInfo_BuildDate", info.BuildDate, _T.DateTime, now_ns)
    _diagnostics(aspace, ua.ServerDiagnosticsSummaryDataType(), now_ns)
    _offer_aggregates(aspace)
    _fill_rest(aspace, now_ns)


def build_info(options: OpcUaOptions, now_ns: int) -> ua.BuildInfo:
    """Who made this server."""
    return ua.BuildInfo(_PRODUCT, "JouleHub", options.name, options.version, options.version, to_datetime(now_ns))


async def refresh(iserver: HubInternalServer, now_ns: int) -> None:
    """Bring the clock and the counts up to date, for those who read and those who monitor."""
    now = to_datetime(now_ns)
    aspace = iserver.aspace
    held = aspace.read_attribute_value(ua.NodeId(ua.ObjectIds.Server_ServerStatus), ua.AttributeIds.Value).Value.Value
    status = ua.ServerStatusDataType(
        held.StartTime, now, held.State, held.BuildInfo, held.SecondsTillShutdown, held.ShutdownReason
    )
    await _write(aspace, ua.ObjectIds.Server_ServerStatus, ua.Variant(status, _T.ExtensionObject), now_ns)
    await _write(aspace, ua.ObjectIds.Server_ServerStatus_CurrentTime, ua.Variant(now, _T.DateTime), now_ns)
    await _tell_summary(aspace, diagnostics.summary(iserver), now_ns)


async def _tell_summary(aspace: AddressSpace, told: ua.ServerDiagnosticsSummaryDataType, now_ns: int) -> None:
    top = getattr(ua.ObjectIds, _SUMMARY)
    held = aspace.read_attribute_value(ua.NodeId(top), ua.AttributeIds.Value).Value.Value
    if held == told:
        return
    await _write(aspace, top, ua.Variant(told, _T.ExtensionObject), now_ns)
    for field in _SUMMARY_FIELDS:
        number = getattr(told, field)
        if number != getattr(held, field):
            await _write(aspace, getattr(ua.ObjectIds, f"{_SUMMARY}_{field}"), ua.Variant(number, _T.UInt32), now_ns)


def serve_diagnostics(iserver: HubInternalServer) -> None:
    """Let the diagnostics of subscriptions be put together when they are read."""

    def subscriptions(*_: Any) -> ua.DataValue:
        now = to_datetime(iserver.clock.now_ns())
        told = [diagnostics.subscription(one) for one in iserver.subscription_service.hub_subscriptions()]
        return ua.DataValue(ua.Variant(told, _T.ExtensionObject, is_array=True), ua.StatusCode(), now, now)

    array = ua.NodeId(ua.ObjectIds.Server_ServerDiagnostics_SubscriptionDiagnosticsArray)
    iserver.aspace.set_attribute_value_callback(array, ua.AttributeIds.Value, subscriptions)


async def set_state(
    aspace: AddressSpace, state: ua.ServerState, seconds_left: int, now_ns: int, reason: str = "", back_ns: int = 0
) -> None:
    """Tell that the server is about to stop and why, or runs; `back_ns` is when it is expected to be back."""
    held = aspace.read_attribute_value(ua.NodeId(ua.ObjectIds.Server_ServerStatus), ua.AttributeIds.Value).Value.Value
    said = ua.LocalizedText(reason, "en" if reason else None)
    told = ua.ServerStatusDataType(held.StartTime, to_datetime(now_ns), state, held.BuildInfo, seconds_left, said)
    status = "Server_ServerStatus"
    for name, variant in (
        (
            "Server_EstimatedReturnTime",
            ua.Variant(to_datetime(back_ns) if back_ns else ua.get_win_epoch(), _T.DateTime),
        ),
        (f"{status}_SecondsTillShutdown", ua.Variant(seconds_left, _T.UInt32)),
        (f"{status}_ShutdownReason", ua.Variant(said, _T.LocalizedText)),
        (f"{status}_State", ua.Variant(int(state), _T.Int32)),
        (status, ua.Variant(told, _T.ExtensionObject)),
    ):
        await _write(aspace, getattr(ua.ObjectIds, name), variant, now_ns)


async def set_level(aspace: AddressSpace, level: int, now_ns: int) -> None:
    """ServiceLevel (Part 4 6.6.2.4.2): 0 to 255."""
    await _write(aspace, ua.ObjectIds.Server_ServiceLevel, ua.Variant(level, _T.Byte), now_ns)


def put(aspace: AddressSpace, name: str, value: Any, variant: ua.VariantType, now_ns: int) -> None:
    """Set a standard variable where this address space has it."""
    number = getattr(ua.ObjectIds, name, None)
    node = aspace.get(ua.NodeId(number)) if number is not None else None
    if node is None:
        return
    now = to_datetime(now_ns)
    written = ua.Variant(value, variant, is_array=isinstance(value, list))
    node.attributes[ua.AttributeIds.Value] = AttributeValue(ua.DataValue(written, ua.StatusCode(), now, now))


async def _write(aspace: AddressSpace, number: int, variant: ua.Variant, now_ns: int) -> None:
    now = to_datetime(now_ns)
    value = ua.DataValue(variant, ua.StatusCode(), now, now)
    await aspace.write_attribute_value(ua.NodeId(number), ua.AttributeIds.Value, value)


def _identity(options: OpcUaOptions) -> list[tuple[str, Any, ua.VariantType]]:
    return [
        ("Server_ServerArray", [options.application_uri], _T.String),
        ("Server_ServiceLevel", 255, _T.Byte),
        ("Server_Auditing", False, _T.Boolean),
        ("Server_EstimatedReturnTime", ua.get_win_epoch(), _T.DateTime),
        ("Server_ServerRedundancy_RedundancySupport", 0, _T.Int32),
        ("Server_UrisVersion", 0, _T.UInt32),
        ("Server_ServerCapabilities_LocaleIdArray", sorted(LOCALES, key=lambda one: one != options.locale), _T.String),
    ]


def _capabilities(limits: Limits) -> list[tuple[str, Any, ua.VariantType]]:
    capability = "Server_ServerCapabilities_"
    operation = capability + "OperationLimits_"
    rows: list[tuple[str, Any, ua.VariantType]] = [
        (capability + "ServerProfileArray", list(_PROFILES), _T.String),
        (capability + "MinSupportedSampleRate", _MIN_SAMPLE_MS, _T.Double),
        (capability + "MaxBrowseContinuationPoints", limits.browse_points, _T.UInt16),
        (capability + "MaxQueryContinuationPoints", 0, _T.UInt16),
        (capability + "MaxHistoryContinuationPoints", limits.history_points, _T.UInt16),
        (capability + "SoftwareCertificates", [], _T.ExtensionObject),
        (capability + "MaxArrayLength", _MAX_TEXT, _T.UInt32),
        (capability + "MaxStringLength", _MAX_TEXT, _T.UInt32),
        (capability + "MaxByteStringLength", _MAX_TEXT, _T.UInt32),
        (capability + "MaxSessions", limits.sessions, _T.UInt32),
        (capability + "MaxSubscriptions", limits.subscriptions, _T.UInt32),
        (capability + "MaxMonitoredItems", limits.items, _T.UInt32),
        (capability + "MaxSubscriptionsPerSession", limits.subscriptions_per_session, _T.UInt32),
        (capability + "MaxMonitoredItemsPerSubscription", limits.items_per_subscription, _T.UInt32),
        (capability + "MaxSelectClauseParameters", 100, _T.UInt32),
        (capability + "MaxWhereClauseParameters", 100, _T.UInt32),
        (capability + "MaxMonitoredItemsQueueSize", limits.item_queue, _T.UInt32),
        (capability + "ConformanceUnits", [], _T.QualifiedName),
        (operation + "MaxNodesPerRead", limits.nodes_per_read, _T.UInt32),
        (operation + "MaxNodesPerWrite", limits.nodes_per_write, _T.UInt32),
        (operation + "MaxNodesPerBrowse", limits.nodes_per_browse, _T.UInt32),
        (operation + "MaxNodesPerMethodCall", limits.nodes_per_call, _T.UInt32),
        (operation + "MaxNodesPerHistoryReadData", limits.nodes_per_history_read, _T.UInt32),
        (operation + "MaxNodesPerHistoryReadEvents", limits.nodes_per_history_read, _T.UInt32),
        (operation + "MaxNodesPerHistoryUpdateData", limits.nodes_per_history_read, _T.UInt32),
        (operation + "MaxNodesPerHistoryUpdateEvents", limits.nodes_per_history_read, _T.UInt32),
        (operation + "MaxNodesPerRegisterNodes", limits.nodes_per_register, _T.UInt32),
        (operation + "MaxNodesPerTranslateBrowsePathsToNodeIds", limits.nodes_per_translate, _T.UInt32),
        (operation + "MaxNodesPerNodeManagement", 1, _T.UInt32),
        (operation + "MaxMonitoredItemsPerCall", limits.items_per_call, _T.UInt32),
    ]
    history = "HistoryServerCapabilities_"
    for name in (history, capability + history):
        rows += [(name + flag, flag == "AccessHistoryDataCapability", _T.Boolean) for flag in _HISTORY_FLAGS]
        rows.append((name + "MaxReturnDataValues", limits.history_values, _T.UInt32))
        rows.append((name + "MaxReturnEventValues", 0, _T.UInt32))
    return rows


_HISTORY_FLAGS = (
    "AccessHistoryDataCapability",
    "AccessHistoryEventsCapability",
    "InsertDataCapability",
    "ReplaceDataCapability",
    "UpdateDataCapability",
    "DeleteRawCapability",
    "DeleteAtTimeCapability",
    "InsertEventCapability",
    "ReplaceEventCapability",
    "UpdateEventCapability",
    "DeleteEventCapability",
    "InsertAnnotationCapability",
    "ServerTimestampSupported",
)


def _fixed() -> list[tuple[str, Any, ua.VariantType]]:
    return [
        ("Server_ServerDiagnostics_EnabledFlag", True, _T.Boolean),
        ("Server_ServerDiagnostics_SubscriptionDiagnosticsArray", [], _T.ExtensionObject),
    ]


def _diagnostics(aspace: AddressSpace, told: ua.ServerDiagnosticsSummaryDataType, now_ns: int) -> None:
    put(aspace, _SUMMARY, told, _T.ExtensionObject, now_ns)
    for field in _SUMMARY_FIELDS:
        put(aspace, f"{_SUMMARY}_{field}", getattr(told, field), _T.UInt32, now_ns)


def offer_event_history(aspace: AddressSpace, most: int, now_ns: int) -> None:
    """Tell that events are kept, and that those of all sources can be read at Server."""
    for name in ("HistoryServerCapabilities_", "Server_ServerCapabilities_HistoryServerCapabilities_"):
        told = (("AccessHistoryEventsCapability", True, _T.Boolean), ("MaxReturnEventValues", most, _T.UInt32))
        for flag, value, variant in told:
            put(aspace, name + flag, value, variant, now_ns)
    bits = ua.Variant(SUBSCRIBE_TO_EVENTS | READ_EVENT_HISTORY, _T.Byte)
    server = aspace[ua.NodeId(ua.ObjectIds.Server)]
    server.attributes[ua.AttributeIds.EventNotifier] = AttributeValue(ua.DataValue(bits))


def _offer_aggregates(aspace: AddressSpace) -> None:
    """Let both folders of aggregate functions lead to those that HistoryRead answers."""
    for folder in (
        ua.ObjectIds.Server_ServerCapabilities_AggregateFunctions,
        ua.ObjectIds.HistoryServerCapabilities_AggregateFunctions,
    ):
        parent = aspace[ua.NodeId(folder)]
        for number in AGGREGATES:
            function = aspace[ua.NodeId(number)]
            name, shown = (
                function.attributes[which].value.Value.Value
                for which in (ua.AttributeIds.BrowseName, ua.AttributeIds.DisplayName)
            )
            kind = ua.NodeId(ua.ObjectIds.AggregateFunctionType)
            parent.references.append(
                ua.ReferenceDescription(
                    ORGANIZES,
                    IsForward=True,
                    NodeId=function.nodeid,
                    BrowseName=name,
                    DisplayName=shown,
                    NodeClass=ua.NodeClass.Object,
                    TypeDefinition=kind,
                )
            )


def _withhold(aspace: AddressSpace) -> None:
    """Take away what a full namespace 0 promises below Server and the hub does not do."""
    parents = [aspace[ua.NodeId(number)] for number in (ua.ObjectIds.Server, ua.ObjectIds.Server_ServerDiagnostics)]
    for number in _NOT_OFFERED:
        top = ua.NodeId(number)
        if top not in aspace:
            continue
        gone = set(below(aspace, top))
        for parent in parents:
            parent.references = [one for one in parent.references if one.NodeId not in gone]
        for node in gone:
            del aspace[node]


_NOT_OFFERED = (
    ua.ObjectIds.PublishSubscribe,
    ua.ObjectIds.ServerConfiguration,
    ua.ObjectIds.UserManagement,
    ua.ObjectIds.Server_ServerDiagnostics_SamplingIntervalDiagnosticsArray,
)


def _fill_rest(aspace: AddressSpace, now_ns: int) -> None:
    """Give what is still null below Server an empty value of its own type."""
    for nodeid in below(aspace, ua.NodeId(ua.ObjectIds.Server)):
        node = aspace[nodeid]
        held = node.attributes.get(ua.AttributeIds.Value)
        if held is None or held.value is None or held.value.Value.Value is not None:
            continue
        data_type = node.attributes[ua.AttributeIds.DataType].value.Value.Value
        rank = node.attributes[ua.AttributeIds.ValueRank].value.Value.Value
        variant = _EMPTY.get(data_type.Identifier)
        now = to_datetime(now_ns)
        if rank is not None and rank > 0:
            kind = (
                ua.VariantType(data_type.Identifier) if data_type.Identifier <= _LAST_BUILT_IN else _T.ExtensionObject
            )
            filled = ua.Variant([], kind, is_array=True)
        elif variant is not None:
            filled = variant
        else:
            continue
        held.value = ua.DataValue(filled, ua.StatusCode(), now, now)


_LAST_BUILT_IN = 25
_EMPTY = {
    1: ua.Variant(Value=False, VariantType=_T.Boolean),
    3: ua.Variant(0, _T.Byte),
    5: ua.Variant(0, _T.UInt16),
    6: ua.Variant(0, _T.Int32),
    7: ua.Variant(0, _T.UInt32),
    8: ua.Variant(0, _T.Int64),
    11: ua.Variant(0.0, _T.Double),
    12: ua.Variant("", _T.String),
    13: ua.Variant(ua.get_win_epoch(), _T.DateTime),
    15: ua.Variant(b"", _T.ByteString),
    20: ua.Variant(ua.QualifiedName(""), _T.QualifiedName),
    21: ua.Variant(ua.LocalizedText(""), _T.LocalizedText),
    290: ua.Variant(0.0, _T.Double),
    294: ua.Variant(ua.get_win_epoch(), _T.DateTime),
    95: ua.Variant(0, _T.UInt16),
    851: ua.Variant(0, _T.Int32),
    8912: ua.Variant(ua.TimeZoneDataType(), _T.ExtensionObject),
}
"""Empty values by data type in namespace 0, with Duration, UtcTime, AccessRestriction, RedundancySupport, TimeZone."""


def below(aspace: AddressSpace, top: ua.NodeId) -> list[ua.NodeId]:
    """Real nodes of namespace 0 reached from `top` over forward aggregations."""
    aggregates = {
        ua.NodeId(ua.ObjectIds.HasComponent),
        ua.NodeId(ua.ObjectIds.HasProperty),
        ua.NodeId(ua.ObjectIds.HasOrderedComponent),
    }
    found: dict[ua.NodeId, None] = {}
    stack = [top]
    while stack:
        current = stack.pop()
        if current in found or current.NamespaceIndex != 0:
            continue
        found[current] = None
        node = aspace.get(current)
        if node is not None:
            stack += [one.NodeId for one in node.references if one.IsForward and one.ReferenceTypeId in aggregates]
    return list(found)
