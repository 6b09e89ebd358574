"""What plain asyncua does where the hub has its own dispatcher and filters: if one fails, an override may go."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from asyncua import Node, Server, ua
from asyncua.server.monitored_item_service import WhereClauseEvaluator

pytestmark = pytest.mark.asyncio(loop_scope="module")

_S = ua.StatusCodes
ALARM = ua.NodeId(ua.ObjectIds.AlarmConditionType)
OFF_NORMAL = ua.NodeId(ua.ObjectIds.OffNormalAlarmType)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stock() -> AsyncIterator[Server]:
    """asyncua's own server, which listens nowhere."""
    server = Server()
    await server.init()
    yield server
    server.iserver.method_service.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def method(stock: Server) -> Node:
    """A method that takes one Double."""

    async def take(_parent: ua.NodeId, _value: ua.Variant) -> list[ua.Variant]:
        return []

    return await stock.nodes.objects.add_method(2, "Take", take, [ua.VariantType.Double], [])


async def called(stock: Server, method: Node, *inputs: ua.Variant, of: int = ua.ObjectIds.ObjectsFolder) -> Any:
    request = ua.CallMethodRequest(ua.NodeId(of), method.nodeid, list(inputs))
    (result,) = await stock.iserver.method_service.call([request])
    return result


async def test_arguments_of_the_wrong_type_reach_the_callback(stock, method) -> None:
    assert (await called(stock, method, ua.Variant("no number", ua.VariantType.String))).StatusCode.is_good()


async def test_too_few_and_too_many_arguments_are_an_unexpected_error(stock, method) -> None:
    one = ua.Variant(1.0, ua.VariantType.Double)
    for inputs in ((), (one, one)):
        assert (await called(stock, method, *inputs)).StatusCode.value == _S.BadUnexpectedError


async def test_a_method_runs_for_any_object_and_where_it_is_not_executable(stock, method) -> None:
    one = ua.Variant(1.0, ua.VariantType.Double)
    no = ua.DataValue(ua.Variant(Value=False, VariantType=ua.VariantType.Boolean))
    await method.write_attribute(ua.AttributeIds.Executable, no)
    assert (await called(stock, method, one, of=ua.ObjectIds.Server)).StatusCode.is_good()


async def test_of_type_misses_events_of_derived_types(stock) -> None:
    literal = ua.LiteralOperand(ua.Variant(ALARM))
    clause = ua.ContentFilter([ua.ContentFilterElement(ua.FilterOperator.OfType, [literal])])
    generator = await stock.get_event_generator(OFF_NORMAL)
    evaluator = WhereClauseEvaluator(logging.getLogger(__name__), stock.iserver.aspace, clause)
    assert not evaluator.eval(generator.event)


async def test_an_event_of_an_object_is_not_seen_at_the_server(stock) -> None:
    source = await stock.nodes.objects.add_object(2, "Source")
    heard: list[Any] = []

    class Handler:
        def event_notification(self, event: Any) -> None:
            heard.append(event)

    subscription = await stock.create_subscription(100, Handler())
    await subscription.subscribe_events()
    generator = await stock.get_event_generator(emitting_node=source)
    await generator.trigger(message="here")
    for held in stock.iserver.subscription_service.subscriptions.values():
        assert not held._triggered_events
    await subscription.delete()
    assert heard == []
