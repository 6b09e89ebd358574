"""Write (OPC 10000-4 5.11.4)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from asyncua import Client, ua
from asyncua.crypto.permission_rules import UserRole
from asyncua.ua.uaerrors import UaStatusCodeError

from server.opcua.access import HubUser, Right
from server.opcua.writing import fit

pytestmark = pytest.mark.asyncio(loop_scope="session")

_STATUS = ua.StatusCodes
_VALUE = ua.AttributeIds.Value
_POWER = ua.NodeId("m00.ActivePower", 2)
_SETPOINT = ua.NodeId(78_001, 1)
_T = ua.VariantType


async def _write(client: Client, node: ua.NodeId, value: Any, attribute: int = _VALUE, part: str | None = None) -> int:
    variant = value if isinstance(value, ua.Variant) else ua.Variant(value)
    asked = ua.WriteValue(node, attribute, part, ua.DataValue(variant))
    (status,) = await client.uaclient.write(ua.WriteParameters([asked]))
    return int(status.value)


@pytest_asyncio.fixture(loop_scope="session")
async def setpoint(hub) -> AsyncIterator[ua.NodeId]:
    """A writable variable of -10 to 10."""
    objects = hub.server._server.get_objects_node()
    node = await objects.add_variable(_SETPOINT, ua.QualifiedName("Setpoint", 1), 1.0)
    await node.add_property(ua.NodeId(78_002, 1), ua.QualifiedName("EURange", 0), ua.Range(-10.0, 10.0))
    await node.set_writable()
    yield _SETPOINT
    for gone in (_SETPOINT, ua.NodeId(78_002, 1)):
        del hub.server.aspace[gone]
    held = hub.server.aspace[objects.nodeid]
    held.references = [one for one in held.references if one.NodeId != _SETPOINT]


@pytest_asyncio.fixture(loop_scope="session")
async def operator(hub) -> AsyncIterator[Client]:
    """A client whose user may control."""
    async with hub.client() as client:
        session = hub.server._iserver.sessions()[-1]
        session.user = HubUser(role=UserRole.User, name="operator", rights=frozenset(Right))
        yield client


@pytest.mark.parametrize(
    ("node", "attribute", "part", "code"),
    [
        (ua.NodeId("nowhere", 2), _VALUE, None, _STATUS.BadNodeIdUnknown),
        (_POWER, 99, None, _STATUS.BadAttributeIdInvalid),
        (_POWER, ua.AttributeIds.Executable, None, _STATUS.BadAttributeIdInvalid),
        (ua.NodeId("m00", 2), _VALUE, None, _STATUS.BadAttributeIdInvalid),
        (_POWER, _VALUE, "2:1", _STATUS.BadIndexRangeInvalid),
        (_POWER, _VALUE, None, _STATUS.BadNotWritable),
        (_POWER, ua.AttributeIds.DisplayName, None, _STATUS.BadNotWritable),
        (ua.NodeId(ua.ObjectIds.Server_ServiceLevel), _VALUE, None, _STATUS.BadNotWritable),
    ],
)
async def test_each_node_says_why_it_is_not_written(client, node, attribute: int, part: str | None, code: int) -> None:
    assert await _write(client, node, 1.0, attribute, part) == code


async def test_an_anonymous_client_writes_nothing_even_where_it_is_writable(client, setpoint) -> None:
    assert await _write(client, setpoint, 2.0) == _STATUS.BadUserAccessDenied
    assert await client.get_node(setpoint).read_value() == 1.0


async def test_who_may_control_writes_within_type_and_range(operator, setpoint) -> None:
    assert await _write(operator, setpoint, 2.5) == 0
    assert await operator.get_node(setpoint).read_value() == 2.5
    assert await _write(operator, setpoint, ua.Variant(3, _T.Int16)) == 0
    assert await operator.get_node(setpoint).read_value() == 3.0
    for value, code in (
        ("much", _STATUS.BadTypeMismatch),
        (ua.Variant(Value=True, VariantType=_T.Boolean), _STATUS.BadTypeMismatch),
        (10.5, _STATUS.BadOutOfRange),
        (ua.Variant(-11, _T.Int64), _STATUS.BadOutOfRange),
    ):
        assert await _write(operator, setpoint, value) == code
    assert await _write(operator, setpoint, 1.0, part="0") == _STATUS.BadWriteNotSupported
    assert await operator.get_node(setpoint).read_value() == 3.0


async def test_limits_of_writing_are_faults(hub, client) -> None:
    most = hub.options.limits.nodes_per_write
    for count, code in ((0, _STATUS.BadNothingToDo), (most + 1, _STATUS.BadTooManyOperations)):
        nodes = [ua.WriteValue(_POWER, _VALUE, None, ua.DataValue(ua.Variant(1.0)))] * count
        with pytest.raises(UaStatusCodeError) as refused:
            await client.uaclient.write(ua.WriteParameters(nodes))
        assert refused.value.code == code


@pytest.mark.parametrize(
    ("given", "wanted", "fitted"),
    [
        (ua.Variant(7, _T.Int16), _T.Double, 7.0),
        (ua.Variant(7.0, _T.Double), _T.Int32, 7),
        (ua.Variant(7.5, _T.Double), _T.Int32, None),
        (ua.Variant(256, _T.UInt16), _T.Byte, None),
        (ua.Variant(-1, _T.Int16), _T.UInt32, None),
        (ua.Variant(2**53 + 1, _T.Int64), _T.Double, None),
        (ua.Variant(float("nan"), _T.Double), _T.Int32, None),
        (ua.Variant("7", _T.String), _T.Int32, None),
        (ua.Variant(7, _T.Int16), _T.String, None),
    ],
)
async def test_numbers_are_fitted_to_the_type_only_without_loss(given: Any, wanted: Any, fitted: Any) -> None:
    found = fit(given, wanted)
    assert (None if found is None else found.Value) == fitted
    assert found is None or found.VariantType == wanted
