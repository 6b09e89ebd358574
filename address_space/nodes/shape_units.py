"""The shape of metering units: what their type demands, one variable per point, and history's configuration."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from asyncua import ua

from address_space.model.hierarchy import MeteringUnit
from address_space.model.point import PointSpec
from address_space.model.quantity import SYSTEM, DataType, Kind, Quantity
from address_space.model.state import CommandState, Medium, SwitchState, ValveState
from address_space.nodes.catalogue import Catalogue
from address_space.nodes.shape_nodes import hierarchy_bindings
from address_space.nodes.shapes import Constant, Live, Member, Reported, Shape, ShapeBuilder, Source, Supplied
from address_space.nodes.standard import (
    AGGREGATES,
    HAS_COMPONENT,
    HAS_HISTORICAL_CONFIGURATION,
    NS_STANDARD,
    NS_TYPES,
    NUMERIC_AGGREGATES,
    READ,
    READ_HISTORY,
    SUBSCRIBE_TO_EVENTS,
    VARIANTS,
    eu_information,
)
from address_space.nodes.types_model import TypeModel

UNIT_TYPES = {
    Medium.ELECTRICITY: "ElectricityMeterType",
    Medium.WATER: "WaterMeterType",
    Medium.HOT_WATER: "WaterMeterType",
    Medium.GAS: "GasMeterType",
    Medium.HEAT: "HeatMeterType",
    Medium.COOLING: "HeatMeterType",
    Medium.STEAM: "SteamMeterType",
    Medium.COMPRESSED_AIR: "CompressedAirMeterType",
    Medium.OTHER: "OtherMeterType",
}
HISTORY_PATH = "HAConfiguration"
"""Last part of the node id of a variable's `HA Configuration`."""
OF_DEVICE = ("State", "Requests", "Errors", "Timeouts", "BadFrames", "Refusals", "NotConnected", "SlotsMissed")
OF_DAY = ("SlotsExpected", "SlotsMissing", "SlotsFilled", "Completeness", "LastGap")
OF_COUNTERS = ("CounterAnomalies", "LastCounterAnomaly", "LastCounterAnomalyTime")
REPORTED = OF_DEVICE + OF_DAY + OF_COUNTERS
"""Variables of `Communication` that a report on the unit gives; they are asked for when somebody looks."""
_DEMAND_PERIOD_MS = 900_000.0
_FIFTEEN_MINUTES = frozenset({Quantity.DEMAND_IMPORT})


def unit_shape(model: TypeModel, catalogue: Catalogue, unit: MeteringUnit) -> Shape:
    """Shape of every unit with this one's template, medium and kinds of attribute."""
    template = unit.template
    bindings = hierarchy_bindings(unit)
    bindings.update(_identification(unit))
    bindings.update(_communication(unit, catalogue))
    bindings["SyncClock"] = Constant(None)
    bindings.update(_control(template.points))
    for quantity in SYSTEM:
        bindings[quantity.path] = Live(template.offsets[quantity.path])
    for offset, spec in enumerate(template.points):
        bindings[spec.quantity.path] = Live(offset)
        bindings.update(_point(spec, catalogue))
    builder = ShapeBuilder(model, catalogue, bindings)
    builder.top(UNIT_TYPES[unit.medium], event_notifier=SUBSCRIBE_TO_EVENTS)
    for offset, spec in enumerate(template.points):
        _variable(builder, model, catalogue, offset, spec)
    return builder.finish()


def value_type(spec: PointSpec) -> str:
    """Variable type of a measured point."""
    data_type = spec.quantity.value.data_type
    if data_type is DataType.BOOLEAN:
        return "TwoStateDiscreteType"
    if data_type is not DataType.DOUBLE:
        return "BaseDataVariableType"
    if spec.quantity.unit is None:
        return "DataItemType"
    if spec.quantity in _FIFTEEN_MINUTES:
        return "DemandValueType"
    return "CounterValueType" if spec.quantity.kind is Kind.COUNTER else "MeteredValueType"


def _identification(unit: MeteringUnit) -> dict[str, Source]:
    def plate(name: str) -> Source:
        return Supplied(lambda owner, _: getattr(owner.identification, name))

    found: dict[str, Source] = {
        "Identification.Manufacturer": plate("manufacturer"),
        "Identification.Model": plate("model"),
        "Identification.SerialNumber": Supplied(lambda owner, _: owner.serial_number),
        "Identification.HardwareRevision": plate("hardware_revision"),
        "Identification.SoftwareRevision": plate("software_revision"),
        "Identification.DeviceClass": plate("device_class"),
        "Identification.AssetId": Supplied(lambda owner, _: owner.asset_id),
    }
    if unit.identification.year_of_construction:
        found["Identification.YearOfConstruction"] = plate("year_of_construction")
    if "verification_due" in unit.attributes:
        found["Identification.VerificationDue"] = Supplied(_verification_due)
    return found


def _communication(unit: MeteringUnit, catalogue: Catalogue) -> dict[str, Source]:
    polls = [spec.poll_s for spec in unit.template.points]
    return {
        "Medium": Supplied(lambda owner, _: int(owner.medium)),
        "Communication.Protocol": Supplied(lambda owner, _: int(owner.protocol)),
        "Communication.LineId": Supplied(lambda owner, _: owner.channel),
        "Communication.Address": Supplied(lambda owner, _: owner.address),
        "Communication.PollPeriod": Constant(min(polls, default=0.0) * 1000),
        **{f"Communication.{name}": Reported(name) for name in REPORTED},
        "Communication.SuccessRate.EngineeringUnits": _units(Quantity.SUCCESS_RATE),
        "Communication.Completeness.EngineeringUnits": _units(Quantity.SUCCESS_RATE),
        "Communication.Online.TrueState": Constant(catalogue.state("online")),
        "Communication.Online.FalseState": Constant(catalogue.state("offline")),
    }


def _control(points: Iterable[PointSpec]) -> dict[str, Source]:
    """What a unit's abilities show where its template has no point for it: an unknown position, no command."""
    abilities = {spec.quantity.path.partition(".")[0] for spec in points}
    found: dict[str, Source] = {}
    if "Switch" in abilities:
        found["Switch.State"] = Constant(int(SwitchState.UNKNOWN))
        found["Switch.CommandState"] = Constant(int(CommandState.IDLE))
    if "Valve" in abilities:
        found["Valve.State"] = Constant(int(ValveState.UNKNOWN))
        found["Valve.CommandState"] = Constant(int(CommandState.IDLE))
    return found


def _point(spec: PointSpec, catalogue: Catalogue) -> dict[str, Source]:
    """Bindings of the properties of one measured variable."""
    quantity, path = spec.quantity, spec.quantity.path
    low, high = spec.range
    given: dict[str, Any] = {}
    if quantity.value.data_type is DataType.BOOLEAN:
        given["TrueState"] = catalogue.state("yes")
        given["FalseState"] = catalogue.state("no")
    if quantity.unit is not None:
        given["EURange"] = ua.Range(Low=low, High=high)
        given["EngineeringUnits"] = eu_information(quantity.unit)
        given["ValuePrecision"] = 10.0**-quantity.value.decimals
        given["Phase"] = int(quantity.value.phase)
    if quantity.value.obis:
        given["ObisCode"] = quantity.value.obis
    if quantity.value.measurement_id:
        given["MeasurementId"] = quantity.value.measurement_id
    if spec.source:
        given["SourceAddress"] = spec.source
    if spec.rollover:
        given["RolloverAt"] = spec.rollover
    if quantity in _FIFTEEN_MINUTES:
        given["Period"] = _DEMAND_PERIOD_MS
    found: dict[str, Source] = {f"{path}.{name}": Constant(value) for name, value in given.items()}
    if quantity.kind is Kind.COUNTER:
        found[f"{path}.Multiplier"] = Supplied(lambda owner, _: owner.ratio[0] * owner.ratio[1])
    if historised(spec):
        found.update(_history(path, spec))
    return found


def _history(path: str, spec: PointSpec) -> dict[str, Source]:
    below = f"{path}.{HISTORY_PATH}"
    given: dict[str, Any] = {
        "Stepped": spec.quantity.kind is not Kind.GAUGE,
        "MinTimeInterval": spec.poll_s * 1000,
        "MaxTimeInterval": (spec.heartbeat_s or spec.poll_s) * 1000,
        "AggregateConfiguration.TreatUncertainAsBad": False,
        "AggregateConfiguration.PercentDataBad": 100,
        "AggregateConfiguration.PercentDataGood": 100,
        "AggregateConfiguration.UseSlopedExtrapolation": False,
    }
    if spec.deadband:
        given["ExceptionDeviation"] = spec.deadband
        given["ExceptionDeviationFormat"] = int(ua.ExceptionDeviationFormat.AbsoluteValue)
        if not spec.heartbeat_s:
            del given["MaxTimeInterval"]
    if spec.source:
        given["Definition"] = spec.source
    found: dict[str, Source] = {f"{below}.{name}": Constant(value) for name, value in given.items()}
    for name in ("StartOfArchive", "StartOfOnlineArchive"):
        found[f"{below}.{name}"] = Supplied(lambda _, facts: facts.archive_start())
    found[f"{below}.AggregateFunctions"] = Constant(None)
    return found


def _variable(builder: ShapeBuilder, model: TypeModel, catalogue: Catalogue, offset: int, spec: PointSpec) -> None:
    quantity, path, type_name = spec.quantity, spec.quantity.path, value_type(spec)
    definition = quantity.value
    parent, _, name = path.rpartition(".")
    member = Member(
        path,
        parent,
        ua.QualifiedName(name, NS_TYPES),
        ua.NodeClass.Variable,
        HAS_COMPONENT,
        model.node_id(type_name),
        builder.names(path) or definition.names,
        catalogue.description(type_name),
        data_type=model.node_id(definition.enumeration)
        if definition.enumeration
        else ua.NodeId(int(definition.data_type)),
        variant=VARIANTS[definition.data_type],
        source=Live(offset),
        access_level=READ_HISTORY if historised(spec) else READ,
        sampling_ms=spec.poll_s * 1000,
    )
    builder.put(member)
    builder.expand(path, type_name)
    if historised(spec):
        history = f"{path}.{HISTORY_PATH}"
        builder.add(
            Member(
                history,
                path,
                ua.QualifiedName("HA Configuration", NS_STANDARD),
                ua.NodeClass.Object,
                HAS_HISTORICAL_CONFIGURATION,
                model.node_id("HistoricalDataConfigurationType"),
                catalogue.member("", "HA Configuration"),
            )
        )
        builder.expand(history, "HistoricalDataConfigurationType")
        builder.organize(f"{history}.AggregateFunctions", aggregate_functions(quantity))


def historised(spec: PointSpec) -> bool:
    """Whether a point's values are kept; texts have no history."""
    return spec.record and spec.quantity.kind is not Kind.TEXT


def aggregate_functions(quantity: Quantity) -> tuple[ua.NodeId, ...]:
    """Aggregates that can be made of a quantity; those made of numbers only are not for states and times."""
    definition = quantity.value
    numeric = not definition.enumeration and definition.data_type not in (DataType.BOOLEAN, DataType.DATETIME)
    return tuple(ua.NodeId(number) for number in AGGREGATES if numeric or number not in NUMERIC_AGGREGATES)


def _units(quantity: Quantity) -> Source:
    unit = quantity.unit
    return Constant(None if unit is None else eu_information(unit))


def _verification_due(owner: MeteringUnit, _: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(owner.attributes["verification_due"]))
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
