"""Values in the XML encoding of OPC 10000-6 5.3, as they stand in a node set."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

from asyncua import ua

from address_space.model.quantity import LOCALES, Names
from address_space.nodes.errors import ExportError
from address_space.nodes.shapes import ArgumentText

_TYPES_XSD = ' xmlns="http://opcfoundation.org/UA/2008/02/Types.xsd"'
_RANGE_XML, _EU_INFORMATION_XML, _ARGUMENT_XML = 885, 888, 297
"""Node ids of the `Default XML` encodings."""

_STRUCTURED = frozenset((ua.VariantType.LocalizedText, ua.VariantType.ExtensionObject))
"""Elements that start with white space: importers exist that take an element without text for an empty one."""

NodeText = Callable[[ua.NodeId], str]


def value_xml(value: Any, variant: ua.VariantType, node: NodeText) -> str:
    """A `Value` element; empty where there is no value. `node` writes node ids as the file numbers them."""
    if value is None:
        return ""
    name = variant.name
    if isinstance(value, list) or (isinstance(value, tuple) and not isinstance(value, Names)):
        body = "".join(f"      <{name}>{_body(item, variant, node)}</{name}>\n" for item in value)
        return f"    <Value><ListOf{name}{_TYPES_XSD}>\n{body}    </ListOf{name}></Value>\n"
    gap = "\n      " if variant in _STRUCTURED else ""
    return f"    <Value><{name}{_TYPES_XSD}>{gap}{_body(value, variant, node)}</{name}></Value>\n"


def _body(value: Any, variant: ua.VariantType, node: NodeText) -> str:
    if variant is ua.VariantType.ExtensionObject:
        return _structure(value, node)
    if variant is ua.VariantType.LocalizedText:
        return _localized(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return escape(repr(value) if isinstance(value, float) else str(value))


def _localized(value: Any) -> str:
    if isinstance(value, Names):
        return f"<Locale>{LOCALES[0]}</Locale><Text>{escape(value.en)}</Text>"
    if isinstance(value, ua.LocalizedText):
        return f"<Text>{escape(value.Text or '')}</Text>"
    return f"<Text>{escape(str(value))}</Text>"


def _structure(value: Any, node: NodeText) -> str:
    if isinstance(value, ua.Range):
        return _extension(_RANGE_XML, f"<Range><Low>{value.Low!r}</Low><High>{value.High!r}</High></Range>")
    if isinstance(value, ua.EUInformation):
        body = (
            f"<NamespaceUri>{escape(value.NamespaceUri)}</NamespaceUri><UnitId>{value.UnitId}</UnitId>"
            f"<DisplayName>{_localized(value.DisplayName)}</DisplayName>"
            f"<Description>{_localized(value.Description)}</Description>"
        )
        return _extension(_EU_INFORMATION_XML, f"<EUInformation>{body}</EUInformation>")
    if isinstance(value, ArgumentText):
        given = value.argument
        dimensions = "".join(f"<UInt32>{size}</UInt32>" for size in given.ArrayDimensions)
        body = (
            f"<Name>{escape(given.Name)}</Name>"
            f"<DataType><Identifier>{node(given.DataType)}</Identifier></DataType>"
            f"<ValueRank>{int(given.ValueRank)}</ValueRank><ArrayDimensions>{dimensions}</ArrayDimensions>"
            f"<Description>{_localized(value.names)}</Description>"
        )
        return _extension(_ARGUMENT_XML, f"<Argument>{body}</Argument>")
    raise ExportError(f"no XML encoding is known for a {type(value).__name__}")


def _extension(encoding: int, body: str) -> str:
    return f"<TypeId><Identifier>i={encoding}</Identifier></TypeId><Body>{body}</Body>"
