"""The address space as NodeSet2 XML (OPC 10000-6 F), made from the same declarations as the server's nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from xml.sax.saxutils import escape, quoteattr

from asyncua import ua

from address_space.model.plant import Plant
from address_space.model.quantity import LOCALES, Names
from address_space.nodes.attributes import SystemInfo, unknown_start
from address_space.nodes.catalogue import Catalogue
from address_space.nodes.errors import ExportError
from address_space.nodes.export_texts import definition_xml, texts_xml, translations_xml
from address_space.nodes.export_values import value_xml
from address_space.nodes.nodeids import plant_id
from address_space.nodes.places import Place, Places
from address_space.nodes.references import groups
from address_space.nodes.shapes import Constant, Supplied
from address_space.nodes.standard import (
    HAS_TYPE_DEFINITION,
    NS_PLANT,
    NS_STANDARD,
    NS_TYPES,
    PLANT_URI,
    STANDARD_PUBLISHED,
    STANDARD_URI,
    STANDARD_VERSION,
    TYPES_PUBLISHED,
    TYPES_URI,
    TYPES_VERSION,
)
from address_space.nodes.types_model import TypeModel
from address_space.nodes.types_nodes import TypeNode, type_nodes

TYPES_FILE = "JouleHub.Types.NodeSet2.xml"
_NODE_SET = (
    '<?xml version="1.0" encoding="utf-8"?>\n'
    '<UANodeSet xmlns="http://opcfoundation.org/UA/2011/03/UANodeSet.xsd"'
    ' xmlns:uax="http://opcfoundation.org/UA/2008/02/Types.xsd">\n'
)
_STANDARD_MODEL = (STANDARD_URI, STANDARD_VERSION, STANDARD_PUBLISHED)
_TYPES_MODEL = (TYPES_URI, TYPES_VERSION, TYPES_PUBLISHED)


@dataclass(frozen=True, slots=True)
class _Numbering:
    """How the server's namespace indices are numbered in one file."""

    indices: Mapping[int, int]

    def node(self, node_id: ua.NodeId) -> str:
        index = self._index(node_id.NamespaceIndex)
        kind = "s" if isinstance(node_id.Identifier, str) else "i"
        return f"{f'ns={index};' if index else ''}{kind}={node_id.Identifier}"

    def name(self, name: ua.QualifiedName) -> str:
        index = self._index(name.NamespaceIndex)
        return f"{index}:{name.Name}" if index else str(name.Name)

    def _index(self, namespace: int) -> int:
        index = self.indices.get(namespace)
        if index is None:
            raise ExportError(f"namespace {namespace} has no place in this node set")
        return index


@dataclass(frozen=True, slots=True)
class _Facts:
    """What values of the plant's nodes are made from, as far as they do not change while the hub runs."""

    plant: Plant
    node_versions: dict[str, int] = field(default_factory=dict)
    system: SystemInfo = field(default_factory=SystemInfo)
    archive_start: Callable[[], datetime] = unknown_start


def types_nodeset(model: TypeModel | None = None, catalogue: Catalogue | None = None) -> str:
    """The type model as one file: models, ids, names in all languages, modelling rules, enumeration fields."""
    model = model if model is not None else TypeModel()
    catalogue = catalogue if catalogue is not None else Catalogue()
    numbering = _Numbering({NS_STANDARD: 0, NS_TYPES: 1})
    parts = [_NODE_SET, *_header((TYPES_URI,), _TYPES_MODEL, (_STANDARD_MODEL,))]
    parts.extend(_type_node(node, numbering, catalogue) for node in type_nodes(model, catalogue))
    parts.append("</UANodeSet>\n")
    return "".join(parts)


def plant_nodeset(plant: Plant, *, published: str = TYPES_PUBLISHED) -> Iterator[str]:
    """The plant's instances, node by node, for offline engineering; measured values are left out.

    The node set needs the types' and has none of the nodes of namespace 0.
    """
    places = Places(plant, TypeModel(), Catalogue())
    numbering = _Numbering({NS_STANDARD: 0, NS_PLANT: 1, NS_TYPES: 2})
    facts = _Facts(plant)
    yield _NODE_SET
    yield from _header((PLANT_URI, TYPES_URI), (PLANT_URI, TYPES_VERSION, published), (_STANDARD_MODEL, _TYPES_MODEL))
    for owner in (*places.folders.values(), *plant.subtree(None)):
        for path in places.shape(owner).members:
            place = places.resolve(f"{owner.id}.{path}" if path else owner.id)
            if place is not None:
                yield _plant_node(place, places, facts, numbering)
    yield "</UANodeSet>\n"


def _header(
    uris: Iterable[str], model: tuple[str, str, str], required: Iterable[tuple[str, str, str]]
) -> Iterator[str]:
    yield "  <NamespaceUris>\n"
    for uri in uris:
        yield f"    <Uri>{escape(uri)}</Uri>\n"
    yield "  </NamespaceUris>\n  <Models>\n"
    yield f"    <Model {_model(model)}>\n"
    for entry in required:
        yield f"      <RequiredModel {_model(entry)}/>\n"
    yield "    </Model>\n  </Models>\n"


def _model(entry: tuple[str, str, str]) -> str:
    uri, version, published = entry
    return f'ModelUri={quoteattr(uri)} Version="{version}" PublicationDate="{published}"'


def _type_node(node: TypeNode, numbering: _Numbering, catalogue: Catalogue) -> str:
    attributes = {"SymbolicName": node.symbol} if node.symbol.replace("_", "").isalnum() else {}
    if node.node_class in (ua.NodeClass.Object, ua.NodeClass.Variable, ua.NodeClass.Method):
        attributes["ParentNodeId"] = numbering.node(node.parent)
    if node.abstract:
        attributes["IsAbstract"] = "true"
    if node.event_notifier:
        attributes["EventNotifier"] = str(node.event_notifier)
    if node.data_type is not None:
        attributes.update(_data_attributes(node.data_type, node.rank, numbering))
    references = [(numbering.node(r), forward, numbering.node(target)) for r, forward, target in node.references]
    tail = ""
    if node.node_class is ua.NodeClass.Variable:
        tail = value_xml(node.value, node.variant, numbering.node) + translations_xml(node.value)
    if node.definition is not None:
        tail += definition_xml(node.definition, catalogue)
    about = "" if node.descriptions is None else texts_xml("Description", node.descriptions)
    if node.inverse_names is not None:
        tail += texts_xml("InverseName", node.inverse_names)
    return _element(
        node.node_class,
        {"NodeId": numbering.node(node.node_id), "BrowseName": numbering.name(node.browse_name), **attributes},
        texts_xml("DisplayName", node.names) + about,
        references,
        tail,
    )


def _plant_node(place: Place, places: Places, facts: _Facts, numbering: _Numbering) -> str:
    member = place.member
    references: list[tuple[str, bool, str]] = []
    parent = ""
    for group in groups(places, place):
        if group.forward and group.reference != HAS_TYPE_DEFINITION:
            continue
        for target in group.targets:
            text = numbering.node(plant_id(target) if isinstance(target, str) else target)
            parent = parent or text
            references.append((numbering.node(group.reference), group.forward, text))
    attributes = {
        "NodeId": numbering.node(plant_id(place.id)),
        "BrowseName": numbering.name(places.browse_name(place)),
        "ParentNodeId": parent,
    }
    if member.event_notifier:
        attributes["EventNotifier"] = str(member.event_notifier)
    tail = ""
    if member.data_type is not None:
        attributes.update(_data_attributes(member.data_type, member.rank, numbering))
        attributes["AccessLevel"] = str(member.access_level)
        attributes["MinimumSamplingInterval"] = f"{member.sampling_ms:g}"
        attributes["Historizing"] = "true" if member.access_level & 4 else "false"
        value = _value(place, facts)
        tail = value_xml(value, member.variant, numbering.node) + translations_xml(value)
    names = Names(*(places.display_name(place, locale) for locale in LOCALES))
    return _element(member.node_class, attributes, texts_xml("DisplayName", names), references, tail)


def _value(place: Place, facts: _Facts) -> object:
    source = place.member.source
    if isinstance(source, Supplied):
        return source.supply(place.owner, facts)
    return source.value if isinstance(source, Constant) else None


def _data_attributes(data_type: ua.NodeId, rank: int, numbering: _Numbering) -> dict[str, str]:
    found = {"DataType": numbering.node(data_type), "ValueRank": str(int(rank))}
    if rank > 0:
        found["ArrayDimensions"] = "0"
    return found


def _element(
    node_class: ua.NodeClass,
    attributes: Mapping[str, str],
    texts: str,
    references: Iterable[tuple[str, bool, str]],
    tail: str,
) -> str:
    tag = f"UA{node_class.name}"
    given = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
    lines = [f"  <{tag}{given}>\n", texts, "    <References>\n"]
    for reference, forward, target in references:
        direction = "" if forward else ' IsForward="false"'
        lines.append(f'      <Reference ReferenceType="{reference}"{direction}>{escape(target)}</Reference>\n')
    lines.append("    </References>\n")
    lines.append(tail)
    lines.append(f"  </{tag}>\n")
    return "".join(lines)
