"""The plant as OPC UA nodes: declared types as real nodes, everything of the plant answered on demand."""

from address_space.nodes.attributes import Report, SystemInfo
from address_space.nodes.catalogue import Catalogue, match_locale
from address_space.nodes.export import plant_nodeset, types_nodeset
from address_space.nodes.types_model import TypeModel
from address_space.nodes.types_server import build_types, fill_namespaces
from address_space.nodes.virtual import VirtualAddressSpace

__all__ = [
    "Catalogue",
    "Report",
    "SystemInfo",
    "TypeModel",
    "VirtualAddressSpace",
    "build_types",
    "fill_namespaces",
    "match_locale",
    "plant_nodeset",
    "types_nodeset",
]
