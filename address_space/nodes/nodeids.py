"""Node ids of the plant: `ns=2;s=<uid>`, `<uid>.<Var>`, `<uid>.<Var>.<Prop>`; nothing in them tells the place.

The hub's own: `root`, `system`, `system.Drivers.<channel>`, `by-medium`, `by-medium.<Medium>`, `by-line`,
`by-line.<channel>`.
"""

from __future__ import annotations

from asyncua import ua

from address_space.nodes.standard import NS_PLANT

DRIVERS = "Drivers"
"""Path below `system` of the folder with the lines."""
ROOT, SYSTEM, BY_MEDIUM, BY_LINE = "root", "system", "by-medium", "by-line"


def split(identifier: str) -> tuple[str, str]:
    """Owner and path below it; the path of the owner itself is empty."""
    owner, _, path = identifier.partition(".")
    return owner, path


def join(owner: str, path: str) -> str:
    """Identifier of what lies at `path` below `owner`."""
    return f"{owner}.{path}" if path else owner


def line_id(channel: str) -> str:
    """Identifier of the node that tells how a line is doing."""
    return f"{SYSTEM}.{DRIVERS}.{channel}"


def plant_id(identifier: str) -> ua.NodeId:
    """Node id in the plant's namespace."""
    return ua.NodeId(identifier, NS_PLANT)
