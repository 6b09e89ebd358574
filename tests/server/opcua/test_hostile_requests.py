"""The largest requests that are allowed, and those a little larger: nobody waits long for either."""

from __future__ import annotations

import asyncio
import datetime as dt
import struct
import time
from typing import Any

import pytest
from asyncua import ua

from address_space.model.quantity import Quantity
from server.opcua.bounds import NESTING, inspect
from tests.server.opcua.corpus import recordings
from tests.server.opcua.wire import Wire

pytestmark = pytest.mark.asyncio(loop_scope="session")

_STATUS = ua.StatusCodes
_SERVER = ua.NodeId(ua.ObjectIds.Server_ServerStatus)


async def _said(wire: Wire, request: Any) -> tuple[int, float]:
    """Service result of a request of any size, and the longest work during which nobody else had a turn."""
    body = wire.written(request)
    pieces = [body[at : at + 60_000] for at in range(0, len(body), 60_000)]
    for number, piece in enumerate(pieces):
        wire.say(wire.ask(piece, last=b"F" if number == len(pieces) - 1 else b"C", new=number == 0))
    answer = asyncio.create_task(wire.answer())
    blocked = 0.0
    while not answer.done():
        before = time.thread_time()
        await asyncio.sleep(0.001)
        blocked = max(blocked, time.thread_time() - before)
    return (await answer)[1], blocked


def _read(count: int) -> Any:
    request = ua.ReadRequest()
    request.Parameters.NodesToRead = [ua.ReadValueId(_SERVER, ua.AttributeIds.Value)] * count
    return request


def _browse(count: int) -> Any:
    request = ua.BrowseRequest()
    one = ua.BrowseDescription(ua.NodeId("north", 2), ua.BrowseDirection.Both, ua.NodeId(), True, 0, 63)
    request.Parameters.NodesToBrowse = [one] * count
    return request


def _write(count: int) -> Any:
    request = ua.WriteRequest()
    value = ua.DataValue(ua.Variant([1.0] * 10))
    request.Parameters.NodesToWrite = [ua.WriteValue(_SERVER, ua.AttributeIds.Value, None, value)] * count
    return request


def _translate(count: int) -> Any:
    request = ua.TranslateBrowsePathsToNodeIdsRequest()
    step = ua.RelativePathElement(ua.NodeId(33), False, True, ua.QualifiedName("ServerStatus", 0))
    path = ua.BrowsePath(ua.NodeId(2253), ua.RelativePath([step]))
    request.Parameters.BrowsePaths = [path] * count
    return request


def _register(count: int) -> Any:
    request = ua.RegisterNodesRequest()
    request.Parameters.NodesToRegister = [ua.NodeId("m00.ActivePower", 2)] * count
    return request


def _call(count: int) -> Any:
    request = ua.CallRequest()
    one = ua.CallMethodRequest(ua.NodeId("m00", 2), ua.NodeId("m00.ReadNow", 2), [ua.Variant([1] * 100)] * 10)
    request.Parameters.MethodsToCall = [one] * count
    return request


def _history(count: int) -> Any:
    request = ua.HistoryReadRequest()
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    details = ua.ReadRawModifiedDetails(False, start, start + dt.timedelta(days=1), 0, True)
    request.Parameters.HistoryReadDetails = details
    request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
    request.Parameters.NodesToRead = [ua.HistoryReadValueId(ua.NodeId("m00.ActivePower", 2))] * count
    return request


@pytest.mark.parametrize(
    ("make", "limit"),
    [
        (_read, "nodes_per_read"),
        (_browse, "nodes_per_browse"),
        (_write, "nodes_per_write"),
        (_translate, "nodes_per_translate"),
        (_register, "nodes_per_register"),
        (_call, "nodes_per_call"),
        (_history, "nodes_per_history_read"),
    ],
)
async def test_the_largest_request_leaves_others_their_turn_and_a_larger_one_is_refused(hub, make, limit) -> None:
    start_ms = round(dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp() * 1000)
    hub.history.keep("m00", Quantity.ACTIVE_POWER, [(start_ms + n * 1_000, float(n), 0) for n in range(2_000)])
    most = getattr(hub.options.limits, limit)
    async with Wire(hub.server.port) as wire:
        await wire.enter()
        code, blocked_s = await _said(wire, make(most))
        print(f"{limit}={most}: blocked {blocked_s * 1000:.0f} ms")
        assert code == 0
        refused = [await _said(wire, make(most + 1)) for _ in range(3)]
        assert {code for code, _ in refused} == {_STATUS.BadTooManyOperations}
        # found out by counting, not by decoding
        assert min(refused_s for _, refused_s in refused) < max(blocked_s, 0.05)


@pytest.mark.parametrize("on_points", [True, False])
async def test_the_most_monitored_items_in_one_call_leave_others_their_turn(hub, on_points: bool) -> None:
    most = hub.options.limits.items_per_call
    async with Wire(hub.server.port) as wire:
        await wire.enter()
        _, _, body = await wire.call(ua.CreateSubscriptionRequest())
        (subscription,) = struct.unpack_from("<I", body, len(body) - 20)
        request = ua.CreateMonitoredItemsRequest()
        node = ua.NodeId("m00.ActivePower", 2) if on_points else _SERVER
        item = ua.MonitoredItemCreateRequest(
            ua.ReadValueId(node, ua.AttributeIds.Value),
            ua.MonitoringMode.Reporting,
            ua.MonitoringParameters(1, float("inf"), ua.DataChangeFilter(), 2**32 - 1, True),
        )
        for count, expected in ((most, 0), (most + 1, _STATUS.BadTooManyOperations)):
            request.Parameters = ua.CreateMonitoredItemsParameters(
                subscription, ua.TimestampsToReturn.Both, [item] * count
            )
            code, blocked_s = await _said(wire, request)
            print(f"items_per_call={count} points={on_points}: blocked {blocked_s * 1000:.0f} ms")
            assert code == expected


async def test_long_browse_paths_leave_others_their_turn(hub) -> None:
    steps = [
        ua.RelativePathElement(ua.NodeId(33), back, True, ua.QualifiedName(name, 0))
        for back, name in ((False, "ServerStatus"), (True, "Server"))
    ]
    request = ua.TranslateBrowsePathsToNodeIdsRequest()
    request.Parameters.BrowsePaths = [ua.BrowsePath(ua.NodeId(2253), ua.RelativePath(steps * 45))] * 100
    async with Wire(hub.server.port) as wire:
        await wire.enter()
        code, blocked_s = await _said(wire, request)
        print(f"9,000 steps of browse paths: blocked {blocked_s * 1000:.0f} ms")
        assert code == 0


async def test_a_session_that_asks_for_no_number_of_seconds_ends_all_the_same(hub) -> None:
    for asked in (float("nan"), float("inf"), float("-inf"), -1.0, 0.0, 1e300):
        async with Wire(hub.server.port) as wire:
            await wire.greet()
            await wire.open()
            revised = (await wire.create_session(asked)).RevisedSessionTimeout
            assert 0 < revised <= hub.server._iserver.max_session_timeout_ms


async def test_what_clients_really_send_is_let_through() -> None:
    kinds = {
        number: name for name, number in vars(ua.ObjectIds).items() if name.endswith("Request_Encoding_DefaultBinary")
    }
    for recording in recordings():
        for body in recording.bodies(recording.token):
            name = kinds[struct.unpack_from("<H", body, 2)[0]].removesuffix("_Encoding_DefaultBinary")
            inspect(getattr(ua, name), body, 0, elements=1_000)


def _nested(levels: int) -> bytes:
    return b"\x98\x01\x00\x00\x00" * levels + b"\x01\x01"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"\x80" + struct.pack("<i", 2**31 - 1), _STATUS.BadDecodingError),
        (b"\x8b" + struct.pack("<i", 2**31 - 1), _STATUS.BadDecodingError),
        (b"\x8c" + struct.pack("<i", 3) + struct.pack("<i", -4) * 3, _STATUS.BadDecodingError),
        (b"\x0c" + struct.pack("<i", 2) + b"\xff\xff", _STATUS.BadDecodingError),
        (b"\x0c" + struct.pack("<i", 2**31 - 1), _STATUS.BadDecodingError),
        (b"\x98" + struct.pack("<i", 5_000) + b"\0" * 5_000, _STATUS.BadEncodingLimitsExceeded),
        (_nested(NESTING + 1), _STATUS.BadEncodingLimitsExceeded),
        (_nested(100_000), _STATUS.BadEncodingLimitsExceeded),
        (b"\x41\x01" + struct.pack("<ii", 1, 1), _STATUS.BadDecodingError),
        (b"\xc1" + struct.pack("<i", 1) + b"\1" + struct.pack("<iii", 2, 1_000, 1_000), _STATUS.BadDecodingError),
        (b"\xc1" + struct.pack("<i", 1) + b"\1" + struct.pack("<iii", 2, -1, -1), _STATUS.BadDecodingError),
        (b"\x18\x01\x01", _STATUS.BadDecodingError),
        (b"\x11\x03\x00\x00" + struct.pack("<i", -7), _STATUS.BadDecodingError),
        (b"\x16\x01\x00\x57\x02\x01" + struct.pack("<i", 2**31 - 1), _STATUS.BadDecodingError),
        (b"\x01", _STATUS.BadDecodingError),
    ],
)
async def test_a_value_that_would_explode_is_refused_before_it_is_made(body: bytes, code: int) -> None:
    with pytest.raises(ua.UaStatusCodeError) as refused:
        inspect(ua.LiteralOperand, body, 0, elements=4_000)
    assert refused.value.code == code


async def test_nesting_up_to_the_limit_is_decoded() -> None:
    body = _nested(NESTING - 1)
    inspect(ua.LiteralOperand, body, 0, elements=1_000)
    ua.ua_binary.struct_from_binary(ua.LiteralOperand, ua.utils.Buffer(body))
