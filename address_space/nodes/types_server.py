"""The type model and the namespaces as real nodes of a server's address space."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from asyncua import ua
from asyncua.server.address_space import AddressSpace, AttributeValue, NodeData

from address_space.model.clock import to_datetime
from address_space.model.quantity import Names
from address_space.nodes.attributes import in_locale
from address_space.nodes.catalogue import DEFAULT_LOCALE, Catalogue
from address_space.nodes.errors import TypeModelError
from address_space.nodes.nodeids import ROOT, plant_id
from address_space.nodes.standard import (
    HAS_COMPONENT,
    HAS_MODELLING_RULE,
    HAS_NOTIFIER,
    HAS_PROPERTY,
    HAS_TYPE_DEFINITION,
    NAMESPACE_ARRAY,
    NS_SERVER,
    NS_STANDARD,
    OBJECTS,
    ORGANIZES,
    PLANT_URI,
    PROPERTY_TYPE,
    SERVER,
    SERVER_NAMESPACES,
    STANDARD_URI,
    TYPES_PUBLISHED,
    TYPES_URI,
    TYPES_VERSION,
    standard,
)
from address_space.nodes.types_model import TypeModel
from address_space.nodes.types_nodes import TypeNode, enum_definition, namespace_properties, type_nodes
from address_space.nodes.virtual import VirtualAddressSpace

_A = ua.AttributeIds
_T = ua.VariantType
_YES, _NO = True, False


def build_types(aspace: AddressSpace, now_ns: int) -> None:
    """Insert the whole type model as real nodes, below the types of namespace 0, which must be there.

    `now_ns` is the time that their values show, UTC nanoseconds.
    """
    now = to_datetime(now_ns)
    virtual = aspace if isinstance(aspace, VirtualAddressSpace) else None
    model = virtual.model if virtual else TypeModel()
    catalogue = virtual.catalogue if virtual else Catalogue()
    nodes = type_nodes(model, catalogue)
    for node in nodes:
        _insert(aspace, node, catalogue, now)
    for node in nodes:
        _link(aspace, node)
    if virtual:
        virtual.type_nodes = {node.node_id.Identifier: node for node in nodes}
        virtual.subtypes.forget()


def fill_namespaces(aspace: AddressSpace, application_uri: str, now_ns: int) -> None:
    """Fixed namespace table, metadata of the plant's namespace, and the root object below Objects and Server."""
    uris = [STANDARD_URI, application_uri, PLANT_URI, TYPES_URI]
    array = aspace[NAMESPACE_ARRAY].attributes[_A.Value]
    now = to_datetime(now_ns)
    array.value = ua.DataValue(ua.Variant(uris, _T.String, is_array=True), ua.StatusCode(), now, now)
    _plant_metadata(aspace, now)
    root = plant_id(ROOT)
    _refer(aspace, OBJECTS, ORGANIZES, root, forward=True)
    _refer(aspace, SERVER, HAS_NOTIFIER, root, forward=True)


def _insert(aspace: AddressSpace, node: TypeNode, catalogue: Catalogue, now: datetime) -> None:
    if node.node_id in aspace:
        raise TypeModelError(f"{node.symbol} ({node.node_id.to_string()}) is in the address space already")
    data = NodeData(node.node_id)
    _common(data, node.node_class, node.browse_name, node.names, node.descriptions)
    _class_attributes(data, node, catalogue, now)
    aspace[node.node_id] = data


def _link(aspace: AddressSpace, node: TypeNode) -> None:
    ordered = sorted(node.references, key=lambda entry: entry[0] != HAS_TYPE_DEFINITION)
    for reference, forward, target in ordered:
        _refer(aspace, node.node_id, reference, target, forward=forward)
        if reference not in (HAS_TYPE_DEFINITION, HAS_MODELLING_RULE):
            _refer(aspace, target, reference, node.node_id, forward=not forward)


def _common(
    data: NodeData, node_class: ua.NodeClass, name: ua.QualifiedName, names: Names, descriptions: Names | None
) -> None:
    _set(data, _A.NodeId, data.nodeid, _T.NodeId)
    _set(data, _A.NodeClass, int(node_class), _T.Int32)
    _set(data, _A.BrowseName, name, _T.QualifiedName)
    _set(data, _A.DisplayName, ua.LocalizedText(names.en, DEFAULT_LOCALE), _T.LocalizedText)
    text = ua.LocalizedText() if descriptions is None else ua.LocalizedText(descriptions.en, DEFAULT_LOCALE)
    _set(data, _A.Description, text, _T.LocalizedText)
    _set(data, _A.WriteMask, 0, _T.UInt32)
    _set(data, _A.UserWriteMask, 0, _T.UInt32)


def _class_attributes(data: NodeData, node: TypeNode, catalogue: Catalogue, now: datetime) -> None:
    node_class = node.node_class
    if node_class in (ua.NodeClass.ObjectType, ua.NodeClass.VariableType, ua.NodeClass.DataType):
        _set(data, _A.IsAbstract, node.abstract, _T.Boolean)
    if node_class is ua.NodeClass.ReferenceType:
        _set(data, _A.IsAbstract, node.abstract, _T.Boolean)
        _set(data, _A.Symmetric, _NO, _T.Boolean)
        inverse = node.inverse_names or node.names
        _set(data, _A.InverseName, ua.LocalizedText(inverse.en, DEFAULT_LOCALE), _T.LocalizedText)
    if node_class is ua.NodeClass.DataType and node.definition is not None:
        definition = enum_definition(node.definition, catalogue, DEFAULT_LOCALE)
        _set(data, _A.DataTypeDefinition, definition, _T.ExtensionObject)
    if node_class is ua.NodeClass.Object:
        _set(data, _A.EventNotifier, node.event_notifier, _T.Byte)
    if node_class is ua.NodeClass.Method:
        _set(data, _A.Executable, _YES, _T.Boolean)
        _set(data, _A.UserExecutable, _YES, _T.Boolean)
    if node_class in (ua.NodeClass.Variable, ua.NodeClass.VariableType):
        _set(data, _A.DataType, node.data_type, _T.NodeId)
        _set(data, _A.ValueRank, int(node.rank), _T.Int32)
        if node.rank > 0:
            data.attributes[_A.ArrayDimensions] = AttributeValue(
                ua.DataValue(ua.Variant([0], _T.UInt32, is_array=True))
            )
    if node_class is ua.NodeClass.Variable:
        _set(data, _A.AccessLevel, 1, _T.Byte)
        _set(data, _A.UserAccessLevel, 1, _T.Byte)
        _set(data, _A.MinimumSamplingInterval, 0.0, _T.Double)
        _set(data, _A.Historizing, _NO, _T.Boolean)
        variant = in_locale(node.value, node.variant, DEFAULT_LOCALE)
        data.attributes[_A.Value] = AttributeValue(ua.DataValue(variant, ua.StatusCode(), now, now))


def _set(data: NodeData, attribute: ua.AttributeIds, value: Any, variant: ua.VariantType) -> None:
    data.attributes[attribute] = AttributeValue(ua.DataValue(ua.Variant(value, variant)))


def _refer(aspace: AddressSpace, source: ua.NodeId, reference: ua.NodeId, target: ua.NodeId, *, forward: bool) -> None:
    node, other = aspace.get(source), aspace.get(target)
    if node is None or other is None:
        missing = source if node is None else target
        raise TypeModelError(f"{missing.to_string()} is referred to and is not in the address space")
    attributes = other.attributes
    description = ua.ReferenceDescription(
        ReferenceTypeId=reference,
        IsForward=forward,
        NodeId=target,
        BrowseName=attributes[_A.BrowseName].value.Value.Value,
        DisplayName=attributes[_A.DisplayName].value.Value.Value,
        NodeClass=ua.NodeClass(attributes[_A.NodeClass].value.Value.Value),
    )
    if reference != HAS_TYPE_DEFINITION:
        description.TypeDefinition = _type_definition(other)
    node.references.append(description)


def _type_definition(node: NodeData) -> ua.NodeId:
    for found in node.references:
        if found.IsForward and found.ReferenceTypeId == HAS_TYPE_DEFINITION:
            return found.NodeId
    return ua.NodeId()


def _plant_metadata(aspace: AddressSpace, now: datetime) -> None:
    """NamespaceMetadata of the plant's namespace (OPC 10000-5 6.3.13); that of the types is part of their model."""
    top = ua.NodeId("plant", NS_SERVER)
    _metadata_node(aspace, top, PLANT_URI, ua.NodeClass.Object, SERVER_NAMESPACES, HAS_COMPONENT, standard(11616))
    for name, data_type, variant, rank, value in namespace_properties(
        PLANT_URI, TYPES_VERSION, TYPES_PUBLISHED, subset=True, id_type=ua.IdType.String
    ):
        node_id = ua.NodeId(f"plant.{name}", NS_SERVER)
        data = _metadata_node(aspace, node_id, name, ua.NodeClass.Variable, top, HAS_PROPERTY, PROPERTY_TYPE)
        _set(data, _A.DataType, standard(getattr(ua.ObjectIds, data_type)), _T.NodeId)
        _set(data, _A.ValueRank, rank, _T.Int32)
        _set(data, _A.AccessLevel, 1, _T.Byte)
        _set(data, _A.UserAccessLevel, 1, _T.Byte)
        _set(data, _A.Historizing, _NO, _T.Boolean)
        stored = ua.DataValue(in_locale(value, variant, DEFAULT_LOCALE), ua.StatusCode(), now, now)
        data.attributes[_A.Value] = AttributeValue(stored)


def _metadata_node(
    aspace: AddressSpace,
    node_id: ua.NodeId,
    name: str,
    node_class: ua.NodeClass,
    parent: ua.NodeId,
    reference: ua.NodeId,
    type_definition: ua.NodeId,
) -> NodeData:
    data = NodeData(node_id)
    namespace = NS_SERVER if node_class is ua.NodeClass.Object else NS_STANDARD
    _common(data, node_class, ua.QualifiedName(name, namespace), Names(name, name, name, name), None)
    if node_class is ua.NodeClass.Object:
        _set(data, _A.EventNotifier, 0, _T.Byte)
    aspace[node_id] = data
    _refer(aspace, node_id, HAS_TYPE_DEFINITION, type_definition, forward=True)
    _refer(aspace, node_id, reference, parent, forward=False)
    _refer(aspace, parent, reference, node_id, forward=True)
    return data
