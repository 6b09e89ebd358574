"""The language of the type model: what a type is called, what it derives from, and what its instances have.

The model itself is data in the `types_*` modules; `types_model.MODEL` is the whole of it. Names are resolved
among the declared types first and in namespace 0 after that.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from asyncua import ua

from address_space.nodes.standard import HAS_ADD_IN, HAS_COMPONENT, HAS_PROPERTY, NS_STANDARD, NS_TYPES


class Rule(Enum):
    """Modelling rules; the value is the rule's node id in namespace 0."""

    MANDATORY = 78
    OPTIONAL = 80
    OPTIONAL_PLACEHOLDER = 11508


M, O = Rule.MANDATORY, Rule.OPTIONAL  # noqa: E741


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a method; `array` makes it one-dimensional."""

    name: str
    data_type: str
    array: bool = False


@dataclass(frozen=True, slots=True)
class Declaration:
    """One instance declaration below a type. Standard properties (`EURange`, …) are in namespace 0, ours in 3."""

    name: str
    node_class: ua.NodeClass
    reference: ua.NodeId
    type_name: str = ""
    data_type: str = ""
    rule: Rule = M
    namespace: int = NS_TYPES
    inputs: tuple[Argument, ...] = ()
    outputs: tuple[Argument, ...] = ()
    event_notifier: int = 0
    array: bool = False


@dataclass(frozen=True, slots=True)
class ObjectType:
    """An ObjectType (event types are object types too)."""

    name: str
    base: str
    members: tuple[Declaration, ...] = ()
    abstract: bool = False


@dataclass(frozen=True, slots=True)
class VariableType:
    """A VariableType with scalar values of `data_type`."""

    name: str
    base: str
    data_type: str
    members: tuple[Declaration, ...] = ()


@dataclass(frozen=True, slots=True)
class Enumeration:
    """An enumeration, 0-based and without gaps."""

    name: str
    fields: tuple[str, ...]
    base: str = "Enumeration"


@dataclass(frozen=True, slots=True)
class ReferenceType:
    """A reference type with its name in the other direction."""

    name: str
    inverse: str
    base: str = "NonHierarchicalReferences"


Declared = ObjectType | VariableType | Enumeration | ReferenceType


def prop(name: str, data_type: str, rule: Rule = M, *, namespace: int = NS_TYPES) -> Declaration:
    """A property."""
    return Declaration(name, ua.NodeClass.Variable, HAS_PROPERTY, "PropertyType", data_type, rule, namespace)


def standard_prop(name: str, data_type: str, rule: Rule = M) -> Declaration:
    """A property whose browse name is in namespace 0."""
    return prop(name, data_type, rule, namespace=NS_STANDARD)


def var(name: str, data_type: str, rule: Rule = M, type_name: str = "BaseDataVariableType") -> Declaration:
    """A variable below an object."""
    return Declaration(name, ua.NodeClass.Variable, HAS_COMPONENT, type_name, data_type, rule)


def var_array(name: str, data_type: str, rule: Rule = M) -> Declaration:
    """A variable below an object with a one-dimensional array as value."""
    return Declaration(name, ua.NodeClass.Variable, HAS_COMPONENT, "BaseDataVariableType", data_type, rule, array=True)


def obj(name: str, type_name: str, rule: Rule = M) -> Declaration:
    """An object below an object."""
    return Declaration(name, ua.NodeClass.Object, HAS_COMPONENT, type_name, "", rule)


def add_in(name: str, type_name: str) -> Declaration:
    """An optional object with a fixed name that adds an ability (OPC 10000-3 4.9)."""
    return Declaration(name, ua.NodeClass.Object, HAS_ADD_IN, type_name, "", O)


def method(
    name: str, inputs: tuple[Argument, ...] = (), outputs: tuple[Argument, ...] = (), rule: Rule = M
) -> Declaration:
    """A method."""
    return Declaration(name, ua.NodeClass.Method, HAS_COMPONENT, "", "", rule, NS_TYPES, inputs, outputs)
