"""Shapes: the tree of nodes below one kind of owner, made once from its type and shared by all owners alike.

An owner (a unit, a hierarchy node, a folder) times a member of its shape is one virtual node. What differs
between owners is not in the shape: `Live` members read the live table, `Supplied` ones ask the owner.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from asyncua import ua

from address_space.model.hierarchy import HierarchyNode, MeteringUnit
from address_space.model.quantity import Names
from address_space.nodes.catalogue import Catalogue
from address_space.nodes.standard import HAS_PROPERTY, NS_STANDARD, READ
from address_space.nodes.types import Argument, Declaration, M, Rule
from address_space.nodes.types_model import TypeModel


@dataclass(frozen=True, slots=True)
class Folder:
    """A node of the hub's own in the plant's namespace; `names` are its display names."""

    id: str
    parent: str
    names: Names
    browse_name: str
    event_notifier: int = 0
    type_name: str = "FolderType"


REPORTED_MS = 2_000.0
"""How often reports on lines and devices are made."""

Owner = MeteringUnit | HierarchyNode | Folder


@dataclass(frozen=True, slots=True)
class Live:
    """The value stands in the live table, `offset` columns after the unit's first."""

    offset: int


@dataclass(frozen=True, slots=True)
class Constant:
    """The value is the same for all owners; `Names` are shown in the session's language."""

    value: Any


@dataclass(frozen=True, slots=True)
class Supplied:
    """The value is made from the owner and what the address space knows (`address_space.nodes.virtual.Facts`)."""

    supply: Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class Reported:
    """The value stands under `name` in the latest report on the owner (`address_space.nodes.attributes.Report`)."""

    name: str


Source = Live | Constant | Supplied | Reported


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One node of a shape. `names` is None for the owner itself, which has names of its own."""

    path: str
    parent: str
    browse_name: ua.QualifiedName
    node_class: ua.NodeClass
    reference: ua.NodeId
    type_definition: ua.NodeId
    names: Names | None
    descriptions: Names | None = None
    data_type: ua.NodeId | None = None
    variant: ua.VariantType = ua.VariantType.Null
    rank: int = ua.ValueRank.Scalar
    source: Source = Constant(None)
    access_level: int = READ
    sampling_ms: float = 0.0
    event_notifier: int = 0
    children: tuple[tuple[ua.NodeId, tuple[str, ...]], ...] = ()
    """Paths of the children by the type of reference that leads to them."""
    organizes: tuple[ua.NodeId, ...] = ()
    """Nodes of namespace 0 that it organizes."""

    @property
    def offset(self) -> int:
        """Column in the live table, -1 where the value is not there."""
        return self.source.offset if isinstance(self.source, Live) else -1


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """Members by path below the owner; the owner itself is at the empty path."""

    members: Mapping[str, Member]
    by_name: Mapping[tuple[str, int, str], str]
    """Path of a child by its parent's path and its own browse name (namespace, name)."""

    @property
    def top(self) -> Member:
        """The owner's own node."""
        return self.members[""]


class ShapeBuilder:
    """Instantiates types: mandatory members always, optional ones where a binding gives them a value."""

    def __init__(self, model: TypeModel, catalogue: Catalogue, bindings: Mapping[str, Source]) -> None:
        self._model = model
        self._catalogue = catalogue
        self._bindings = bindings
        self._above = {path[:at] for path in bindings for at, sign in enumerate(path) if sign == "."}
        """Paths that have a binding below them."""
        self._members: dict[str, Member] = {}
        self._children: dict[str, list[str]] = {}

    def top(self, type_name: str, *, event_notifier: int) -> None:
        """The owner itself, an object of `type_name`, with the type's members."""
        self.add(
            Member(
                "",
                "",
                ua.QualifiedName("", NS_STANDARD),
                ua.NodeClass.Object,
                ua.NodeId(),
                self._model.node_id(type_name),
                None,
                self._catalogue.description(type_name),
                event_notifier=event_notifier,
            )
        )
        self.expand("", type_name)

    def add(self, member: Member) -> None:
        """One member as it stands; its parent must be there."""
        self._members[member.path] = member
        if member.path:
            self._children.setdefault(member.parent, []).append(member.path)

    def put(self, member: Member) -> None:
        """Like `add`, replacing what the type itself gave at this path."""
        if member.path in self._members:
            self._members[member.path] = member
        else:
            self.add(member)

    def organize(self, path: str, nodes: tuple[ua.NodeId, ...]) -> None:
        """Let the member at `path`, where there is one, organize nodes of namespace 0."""
        if path in self._members:
            self._members[path] = replace(self._members[path], organizes=nodes)

    def names(self, path: str) -> Names | None:
        """Names of the member at `path`, None where none is there yet."""
        member = self._members.get(path)
        return None if member is None else member.names

    def expand(self, path: str, type_name: str) -> None:
        """The members that the type gives to what lies at `path`."""
        for declaration in self._model.members(type_name).values():
            child = f"{path}.{declaration.name}" if path else declaration.name
            if child in self._members or declaration.rule is Rule.OPTIONAL_PLACEHOLDER:
                continue
            if declaration.rule is M or child in self._bindings or child in self._above:
                self.declare(child, path, declaration, type_name)

    def declare(self, path: str, parent: str, declaration: Declaration, type_name: str = "") -> None:
        """The instance of one declaration, and what its type gives it in turn."""
        model = self._model
        member = Member(
            path,
            parent,
            ua.QualifiedName(declaration.name, declaration.namespace),
            declaration.node_class,
            declaration.reference,
            model.node_id(declaration.type_name) if declaration.type_name else ua.NodeId(),
            self._catalogue.member(type_name, declaration.name),
            self._catalogue.description(declaration.type_name),
        )
        if declaration.data_type:
            source = self._bindings.get(path, Constant(None))
            member = replace(
                member,
                data_type=model.node_id(declaration.data_type),
                variant=model.variant(declaration.data_type),
                rank=ua.ValueRank.OneDimension if declaration.array else ua.ValueRank.Scalar,
                source=source,
                sampling_ms=REPORTED_MS if isinstance(source, Reported) else 0.0,
            )
        self.add(member)
        if declaration.node_class is ua.NodeClass.Method:
            self._arguments(path, "InputArguments", declaration.inputs)
            self._arguments(path, "OutputArguments", declaration.outputs)
        elif declaration.type_name:
            self.expand(path, declaration.type_name)

    def finish(self) -> Shape:
        """The shape as built so far."""
        members = {
            path: replace(member, children=self._grouped(self._children.get(path, ())))
            for path, member in self._members.items()
        }
        names = {
            (member.parent, member.browse_name.NamespaceIndex, member.browse_name.Name): path
            for path, member in members.items()
            if path
        }
        return Shape(members, names)

    def _grouped(self, paths: Iterable[str]) -> tuple[tuple[ua.NodeId, tuple[str, ...]], ...]:
        groups: dict[ua.NodeId, list[str]] = {}
        for path in paths:
            groups.setdefault(self._members[path].reference, []).append(path)
        return tuple((reference, tuple(children)) for reference, children in groups.items())

    def _arguments(self, method_path: str, name: str, arguments: Iterable[Argument]) -> None:
        described = arguments_value(self._model, self._catalogue, arguments)
        if not described:
            return
        self.add(
            Member(
                f"{method_path}.{name}",
                method_path,
                ua.QualifiedName(name, NS_STANDARD),
                ua.NodeClass.Variable,
                HAS_PROPERTY,
                self._model.node_id("PropertyType"),
                self._catalogue.member("", name),
                data_type=self._model.node_id("Argument"),
                variant=ua.VariantType.ExtensionObject,
                rank=ua.ValueRank.OneDimension,
                source=Constant(described),
            )
        )


@dataclass(frozen=True, slots=True)
class ArgumentText:
    """One described argument of a method; its text follows the session's language."""

    argument: ua.Argument
    names: Names

    def localized(self, locale: str) -> ua.Argument:
        """The argument as OPC UA tells it."""
        given = self.argument
        return ua.Argument(
            Name=given.Name,
            DataType=given.DataType,
            ValueRank=given.ValueRank,
            ArrayDimensions=given.ArrayDimensions,
            Description=ua.LocalizedText(self.names.in_locale(locale), locale),
        )


def arguments_value(model: TypeModel, catalogue: Catalogue, arguments: Iterable[Argument]) -> tuple[ArgumentText, ...]:
    """Value of an InputArguments or OutputArguments property, in all languages."""
    return tuple(
        ArgumentText(
            ua.Argument(
                Name=argument.name,
                DataType=model.node_id(argument.data_type),
                ValueRank=ua.ValueRank.OneDimension if argument.array else ua.ValueRank.Scalar,
                ArrayDimensions=[0] if argument.array else [],
            ),
            catalogue.argument(argument.name),
        )
        for argument in arguments
    )
