"""The type model as nodes: every type, instance declaration and property with its id, names and references.

One list from which both the server's address space (`types_server`) and the node set file (`export`) are made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from asyncua import ua

from address_space.model.quantity import Names
from address_space.nodes.attributes import in_locale
from address_space.nodes.catalogue import Catalogue
from address_space.nodes.shapes import arguments_value
from address_space.nodes.standard import (
    HAS_COMPONENT,
    HAS_MODELLING_RULE,
    HAS_PROPERTY,
    HAS_SUBTYPE,
    HAS_TYPE_DEFINITION,
    NS_STANDARD,
    NS_TYPES,
    SERVER_NAMESPACES,
    TYPES_ID_RANGE,
    TYPES_PUBLISHED,
    TYPES_URI,
    TYPES_VERSION,
    standard,
)
from address_space.nodes.types import (
    Argument,
    Declaration,
    Enumeration,
    M,
    ObjectType,
    ReferenceType,
    Rule,
    VariableType,
)
from address_space.nodes.types_model import TypeModel


@dataclass(frozen=True, slots=True, eq=False)
class TypeNode:
    """One node of the type model. `references` are (type, is forward, target); the first leads to the parent.

    `value` may hold `Names` or `ArgumentText`, shown in the session's language.
    """

    symbol: str
    node_id: ua.NodeId
    node_class: ua.NodeClass
    browse_name: ua.QualifiedName
    names: Names
    descriptions: Names | None
    references: tuple[tuple[ua.NodeId, bool, ua.NodeId], ...]
    data_type: ua.NodeId | None = None
    variant: ua.VariantType = ua.VariantType.Null
    rank: int = ua.ValueRank.Scalar
    value: Any = None
    abstract: bool = False
    event_notifier: int = 0
    inverse_names: Names | None = None
    definition: Enumeration | None = None

    @property
    def parent(self) -> ua.NodeId:
        """Node below which this one stands."""
        return self.references[0][2]


def type_nodes(model: TypeModel, catalogue: Catalogue) -> list[TypeNode]:
    """The whole model, parents before children; raises TypeModelError where a node has no frozen id."""
    return list(_Expansion(model, catalogue).all())


def symbols(model: TypeModel, catalogue: Catalogue) -> list[tuple[str, ua.NodeClass]]:
    """Symbol and class of every node of the model, without asking for ids: what the id file must hold."""
    anyone = TypeModel(tuple(model), _AnyId())
    return [(node.symbol, node.node_class) for node in type_nodes(anyone, catalogue)]


class _AnyId(dict[str, int]):
    def get(self, key: str, default: Any = None) -> Any:  # noqa: ARG002
        return 1


class _Expansion:
    def __init__(self, model: TypeModel, catalogue: Catalogue) -> None:
        self._model = model
        self._catalogue = catalogue

    def all(self) -> Iterator[TypeNode]:
        yield from self._namespace()
        for entry in self._model:
            yield self._type(entry.name)
            if isinstance(entry, Enumeration):
                yield self._enum_strings(entry)
            elif isinstance(entry, ObjectType | VariableType):
                for member in entry.members:
                    yield from self._member(entry.name, entry.name, member, self._model.own_id(entry.name))

    def _type(self, name: str) -> TypeNode:
        model, entry = self._model, self._model.types[name]
        base = (HAS_SUBTYPE, False, model.node_id(entry.base))
        inverse = entry.inverse if isinstance(entry, ReferenceType) else ""
        is_variable = isinstance(entry, VariableType)
        return TypeNode(
            name,
            model.own_id(name),
            model.node_class(name),
            ua.QualifiedName(name, NS_TYPES),
            self._catalogue.type(name),
            self._catalogue.description(name),
            (base,),
            data_type=model.node_id(entry.data_type) if isinstance(entry, VariableType) else None,
            variant=model.variant(entry.data_type) if isinstance(entry, VariableType) else ua.VariantType.Null,
            rank=ua.ValueRank.Scalar if is_variable else ua.ValueRank.Any,
            abstract=isinstance(entry, ObjectType) and entry.abstract,
            inverse_names=self._catalogue.type(inverse) if inverse else None,
            definition=entry if isinstance(entry, Enumeration) else None,
        )

    def _enum_strings(self, entry: Enumeration) -> TypeNode:
        texts = tuple(self._catalogue.field(entry.name, field) for field in entry.fields)
        return self._property(
            f"{entry.name}_EnumStrings",
            "EnumStrings",
            self._model.own_id(entry.name),
            "LocalizedText",
            texts,
            rank=ua.ValueRank.OneDimension,
        )

    def _member(self, type_name: str, prefix: str, member: Declaration, parent: ua.NodeId) -> Iterator[TypeNode]:
        model, symbol = self._model, f"{prefix}_{member.name}"
        node_id = model.own_id(symbol)
        references = [(member.reference, False, parent)]
        if member.type_name:
            references.append((HAS_TYPE_DEFINITION, True, model.node_id(member.type_name)))
        references.append((HAS_MODELLING_RULE, True, standard(member.rule.value)))
        yield TypeNode(
            symbol,
            node_id,
            member.node_class,
            ua.QualifiedName(member.name, member.namespace),
            self._catalogue.member(type_name, member.name),
            self._catalogue.description(member.type_name),
            tuple(references),
            data_type=model.node_id(member.data_type) if member.data_type else None,
            variant=model.variant(member.data_type) if member.data_type else ua.VariantType.Null,
            rank=ua.ValueRank.OneDimension if member.array else ua.ValueRank.Scalar,
            event_notifier=member.event_notifier,
        )
        yield from self._arguments(symbol, "InputArguments", member.inputs, node_id)
        yield from self._arguments(symbol, "OutputArguments", member.outputs, node_id)
        if member.type_name and member.rule is not Rule.OPTIONAL_PLACEHOLDER:
            for inner in model.members(member.type_name).values():
                if inner.rule is M:
                    yield from self._member(member.type_name, symbol, inner, node_id)

    def _arguments(
        self, prefix: str, name: str, arguments: tuple[Argument, ...], parent: ua.NodeId
    ) -> Iterator[TypeNode]:
        if arguments:
            value = arguments_value(self._model, self._catalogue, arguments)
            yield self._property(
                f"{prefix}_{name}", name, parent, "Argument", value, rank=ua.ValueRank.OneDimension, rule=True
            )

    def _property(
        self,
        symbol: str,
        name: str,
        parent: ua.NodeId,
        data_type: str,
        value: object,
        *,
        rank: int = ua.ValueRank.Scalar,
        rule: bool = False,
    ) -> TypeNode:
        references = [
            (HAS_PROPERTY, False, parent),
            (HAS_TYPE_DEFINITION, True, self._model.node_id("PropertyType")),
        ]
        if rule:
            references.append((HAS_MODELLING_RULE, True, standard(M.value)))
        return TypeNode(
            symbol,
            self._model.own_id(symbol),
            ua.NodeClass.Variable,
            ua.QualifiedName(name, NS_STANDARD),
            self._catalogue.member("", name),
            None,
            tuple(references),
            data_type=self._model.node_id(data_type),
            variant=self._model.variant(data_type),
            rank=rank,
            value=value,
        )

    def _namespace(self) -> Iterator[TypeNode]:
        symbol = "NamespaceMetadata"
        node_id = self._model.own_id(symbol)
        name = Names(*(TYPES_URI,) * len(Names._fields))
        yield TypeNode(
            symbol,
            node_id,
            ua.NodeClass.Object,
            ua.QualifiedName(TYPES_URI, NS_TYPES),
            name,
            None,
            (
                (HAS_COMPONENT, False, SERVER_NAMESPACES),
                (HAS_TYPE_DEFINITION, True, self._model.node_id("NamespaceMetadataType")),
            ),
        )
        for property_name, data_type, variant, rank, value in namespace_properties(
            TYPES_URI, TYPES_VERSION, TYPES_PUBLISHED, subset=False, id_type=ua.IdType.Numeric
        ):
            yield TypeNode(
                f"{symbol}_{property_name}",
                self._model.own_id(f"{symbol}_{property_name}"),
                ua.NodeClass.Variable,
                ua.QualifiedName(property_name, NS_STANDARD),
                Names(*(property_name,) * len(Names._fields)),
                None,
                (
                    (HAS_PROPERTY, False, node_id),
                    (HAS_TYPE_DEFINITION, True, self._model.node_id("PropertyType")),
                ),
                data_type=self._model.node_id(data_type),
                variant=variant,
                rank=rank,
                value=value,
            )


def enum_definition(enumeration: Enumeration, catalogue: Catalogue, locale: str) -> ua.EnumDefinition:
    """DataTypeDefinition of an enumeration, its display names in `locale`."""
    fields = []
    for number, name in enumerate(enumeration.fields):
        text = catalogue.field(enumeration.name, name).in_locale(locale)
        fields.append(ua.EnumField(Value=number, DisplayName=ua.LocalizedText(text, locale), Name=name))
    return ua.EnumDefinition(Fields=fields)


def in_language(node: TypeNode, attribute: int, locale: str, catalogue: Catalogue) -> ua.Variant | None:
    """An attribute with its texts in `locale`; None where it holds no text of the hub's."""
    texts = {
        ua.AttributeIds.DisplayName: node.names,
        ua.AttributeIds.Description: node.descriptions,
        ua.AttributeIds.InverseName: node.inverse_names,
    }
    text = texts.get(ua.AttributeIds(attribute))
    if text is not None:
        return in_locale(text, ua.VariantType.LocalizedText, locale)
    if attribute == ua.AttributeIds.DataTypeDefinition and node.definition is not None:
        return ua.Variant(enum_definition(node.definition, catalogue, locale), ua.VariantType.ExtensionObject)
    if attribute == ua.AttributeIds.Value and isinstance(node.value, tuple):
        return in_locale(node.value, node.variant, locale)
    return None


def namespace_properties(
    uri: str, version: str, published: str, *, subset: bool, id_type: ua.IdType
) -> list[tuple[str, str, ua.VariantType, int, Any]]:
    """Properties of a NamespaceMetadata object (OPC 10000-5 6.3.13): name, data type, variant, rank, value."""
    numeric = id_type is ua.IdType.Numeric
    scalar, vector = ua.ValueRank.Scalar, ua.ValueRank.OneDimension
    return [
        ("NamespaceUri", "String", ua.VariantType.String, scalar, uri),
        ("NamespaceVersion", "String", ua.VariantType.String, scalar, version),
        ("NamespacePublicationDate", "DateTime", ua.VariantType.DateTime, scalar, datetime.fromisoformat(published)),
        ("IsNamespaceSubset", "Boolean", ua.VariantType.Boolean, scalar, subset),
        ("StaticNodeIdTypes", "IdType", ua.VariantType.Int32, vector, [int(id_type)]),
        ("StaticNumericNodeIdRange", "NumericRange", ua.VariantType.String, vector, [TYPES_ID_RANGE] * numeric),
        ("StaticStringNodeIdPattern", "String", ua.VariantType.String, scalar, "" if numeric else ".*"),
    ]
