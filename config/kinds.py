"""What can be said about each kind of hierarchy node beside its name: for loader, schema and documentation alike."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from address_space.model.hierarchy import NodeKind


class Form(Enum):
    """How an attribute is written."""

    TEXT = "text"
    NUMBER = "number"
    UUID = "uuid"
    CHOICE = "choice"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute: `kinds` that have it (all where empty), bounds of a number (inclusive), words of a choice."""

    name: str
    form: Form
    meaning: str
    kinds: frozenset[NodeKind] = frozenset()
    low: float = 0.0
    high: float = 1e9
    choices: tuple[str, ...] = ()

    def belongs_to(self, kind: NodeKind) -> bool:
        """Whether a node of `kind` has it."""
        return not self.kinds or kind in self.kinds


CATEGORIES = ("residential", "commercial", "industrial", "public", "other")
"""Categories of consumers."""

_K = NodeKind

ATTRIBUTES: dict[str, Attribute] = {
    attribute.name: attribute
    for attribute in (
        Attribute("address", Form.TEXT, "postal address"),
        Attribute("latitude", Form.NUMBER, "degrees north, WGS 84", low=-90, high=90),
        Attribute("longitude", Form.NUMBER, "degrees east, WGS 84", low=-180, high=180),
        Attribute("cim_mrid", Form.UUID, "mRID of the same object in a CIM model (IEC 61970)"),
        Attribute("cim_class", Form.TEXT, "class of that object, where it is not the usual one of the kind"),
        Attribute(
            "voltage_levels", Form.TEXT, "voltages of the substation in kV: `110/10`", frozenset({_K.SUBSTATION})
        ),
        Attribute("rated_power_kva", Form.NUMBER, "rated power in kVA", frozenset({_K.TRANSFORMER})),
        Attribute("primary_voltage_kv", Form.NUMBER, "voltage of the high side in kV", frozenset({_K.TRANSFORMER})),
        Attribute("secondary_voltage_kv", Form.NUMBER, "voltage of the low side in kV", frozenset({_K.TRANSFORMER})),
        Attribute("vector_group", Form.TEXT, "connection of the windings: `Dyn11`", frozenset({_K.TRANSFORMER})),
        Attribute("rated_voltage_kv", Form.NUMBER, "rated voltage in kV", frozenset({_K.BUSBAR})),
        Attribute("rated_current_a", Form.NUMBER, "rated current in A", frozenset({_K.FEEDER, _K.BREAKER})),
        Attribute("account_no", Form.TEXT, "number of the consumer's account", frozenset({_K.CONSUMER})),
        Attribute("contract_no", Form.TEXT, "number of the supply contract", frozenset({_K.CONSUMER})),
        Attribute("category", Form.CHOICE, "category of the consumer", frozenset({_K.CONSUMER}), choices=CATEGORIES),
    )
}
"""Attributes by name, in the order of the documentation."""

HIERARCHY_KINDS: dict[str, NodeKind] = {kind.value: kind for kind in NodeKind if kind is not NodeKind.METERING_UNIT}
"""Kinds a node of `hierarchy` can have; metering units stand in meter lists."""

LEAF_KINDS = tuple(name for name, kind in HIERARCHY_KINDS.items() if kind.is_leaf)
