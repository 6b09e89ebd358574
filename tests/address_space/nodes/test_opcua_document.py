"""docs/opcua.md tells of every type, method and status that clients meet."""

from __future__ import annotations

from pathlib import Path

import pytest
from asyncua import ua

from address_space.model import Reason
from address_space.nodes.types import ObjectType
from address_space.nodes.types_model import TypeModel

DOCUMENT = (Path(__file__).parents[3] / "docs" / "opcua.md").read_text("utf-8")


@pytest.mark.parametrize("entry", list(TypeModel()), ids=lambda entry: entry.name)
def test_every_type_stands_in_the_document_with_its_id(entry: ObjectType) -> None:
    number = TypeModel().ids[entry.name]
    assert any(str(number) in line and f"`{entry.name}`" in line for line in DOCUMENT.splitlines())


def test_every_method_stands_in_the_document() -> None:
    types = [entry for entry in TypeModel() if isinstance(entry, ObjectType)]
    methods = {m.name for entry in types for m in entry.members if m.node_class is ua.NodeClass.Method}
    assert not {name for name in methods if f"`{name}`" not in DOCUMENT}


@pytest.mark.parametrize("reason", Reason)
def test_every_status_code_stands_in_the_document(reason: Reason) -> None:
    assert f"0x{reason.status:08X}" in DOCUMENT
