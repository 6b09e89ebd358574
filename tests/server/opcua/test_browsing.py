"""Browse in pages, browse paths, and registered nodes (OPC 10000-4 5.9)."""

from __future__ import annotations

import asyncio

import pytest
from asyncua import ua
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary
from asyncua.ua.uaerrors import UaStatusCodeError

from address_space.nodes.browse_wire import ReferenceWriter
from server.opcua import Limits

pytestmark = pytest.mark.asyncio(loop_scope="session")

_STATUS = ua.StatusCodes


def _children(identifier: str = "north") -> ua.BrowseDescription:
    return ua.BrowseDescription(
        ua.NodeId(identifier, 2),
        ua.BrowseDirection.Forward,
        ua.NodeId(ua.ObjectIds.HasComponent),
        True,
        int(ua.NodeClass.Object),
        int(ua.BrowseResultMask.All),
    )


async def _browse(client, *descriptions: ua.BrowseDescription, most: int = 0) -> list[ua.BrowseResult]:
    params = ua.BrowseParameters()
    params.RequestedMaxReferencesPerNode = most
    params.NodesToBrowse = list(descriptions)
    results: list[ua.BrowseResult] = await client.uaclient.browse(params)
    return results


async def _next(client, *points: bytes, release: bool = False) -> list[ua.BrowseResult]:
    params = ua.BrowseNextParameters(release, list(points))
    results: list[ua.BrowseResult] = await client.uaclient.browse_next(params)
    return results


async def test_pages_hold_no_more_than_asked_and_together_everything_once(client) -> None:
    (whole,) = await _browse(client, _children())
    assert not whole.ContinuationPoint
    (page,) = await _browse(client, _children(), most=7)
    found = list(page.References)
    assert len(found) == 7
    while page.ContinuationPoint:
        (page,) = await _next(client, page.ContinuationPoint)
        assert len(page.References) <= 7
        found += page.References
    assert [one.NodeId for one in found] == [one.NodeId for one in whole.References]
    assert len({one.NodeId for one in found}) >= 30


async def test_a_continuation_point_is_good_once(client) -> None:
    (page,) = await _browse(client, _children(), most=3)
    await _next(client, page.ContinuationPoint)
    (again,) = await _next(client, page.ContinuationPoint)
    assert again.StatusCode.value == _STATUS.BadContinuationPointInvalid


async def test_a_released_continuation_point_is_invalid(client) -> None:
    (page,) = await _browse(client, _children(), most=3)
    (released,) = await _next(client, page.ContinuationPoint, release=True)
    assert released.StatusCode.is_good()
    assert not released.References
    (after,) = await _next(client, page.ContinuationPoint)
    assert after.StatusCode.value == _STATUS.BadContinuationPointInvalid


async def test_a_session_holds_no_more_continuation_points_than_there_are(make_hub) -> None:
    hub = make_hub(Limits(browse_points=4))
    await hub.server.start()
    try:
        async with hub.client() as client:
            points = [(await _browse(client, _children(), most=3))[0].ContinuationPoint for _ in range(5)]
            (oldest,) = await _next(client, points[0])
            (newest,) = await _next(client, points[-1])
            assert oldest.StatusCode.value == _STATUS.BadContinuationPointInvalid
            assert newest.StatusCode.is_good()
            results = await _browse(client, *[_children()] * 6, most=3)
            assert [one.StatusCode.value for one in results] == [0] * 4 + [_STATUS.BadNoContinuationPoints] * 2
    finally:
        await hub.server.stop()


async def test_another_session_cannot_use_the_continuation_point(hub, client) -> None:
    (page,) = await _browse(client, _children(), most=3)
    async with hub.client() as other:
        (stolen,) = await _next(other, page.ContinuationPoint)
    assert stolen.StatusCode.value == _STATUS.BadContinuationPointInvalid


async def test_an_unknown_node_is_unknown_and_a_wrong_reference_type_is_told(client) -> None:
    wrong = _children()
    wrong.ReferenceTypeId = ua.NodeId(ua.ObjectIds.Server)
    results = await _browse(client, _children("nowhere"), wrong)
    assert [one.StatusCode.value for one in results] == [_STATUS.BadNodeIdUnknown, _STATUS.BadReferenceTypeIdInvalid]


async def test_limits_of_the_view_services_are_faults(hub, client) -> None:
    for descriptions, code in (([], _STATUS.BadNothingToDo), ([_children()] * 1001, _STATUS.BadTooManyOperations)):
        with pytest.raises(UaStatusCodeError) as refused:
            await _browse(client, *descriptions)
        assert refused.value.code == code


async def test_a_view_that_does_not_exist_is_a_fault(client) -> None:
    params = ua.BrowseParameters()
    params.View.ViewId = ua.NodeId(87)
    params.NodesToBrowse = [_children()]
    with pytest.raises(UaStatusCodeError) as refused:
        await client.uaclient.browse(params)
    assert refused.value.code == _STATUS.BadViewIdUnknown


def _path(*names: ua.QualifiedName) -> ua.BrowsePath:
    path = ua.BrowsePath()
    path.StartingNode = ua.NodeId(ua.ObjectIds.ObjectsFolder)
    path.RelativePath.Elements = [
        ua.RelativePathElement(ua.NodeId(ua.ObjectIds.HierarchicalReferences), False, True, name) for name in names
    ]
    return path


async def test_browse_paths_lead_from_objects_to_a_value_and_its_range(client) -> None:
    steps = [
        ua.QualifiedName("EnergyMetering", 2),
        ua.QualifiedName("north", 2),
        ua.QualifiedName("m03", 2),
        ua.QualifiedName("ActivePower", 3),
        ua.QualifiedName("EURange", 0),
    ]
    found, missing, empty = await client.uaclient.translate_browsepaths_to_nodeids(
        [_path(*steps), _path(ua.QualifiedName("Nothing", 2)), _path()]
    )
    assert found.StatusCode.is_good()
    assert found.Targets[0].TargetId.Identifier == "m03.ActivePower.EURange"
    assert missing.StatusCode.value == _STATUS.BadNoMatch
    assert empty.StatusCode.value == _STATUS.BadNothingToDo


async def test_registered_nodes_are_the_nodes_themselves(client, point) -> None:
    registered = await client.uaclient.register_nodes([point] * 1500)
    assert registered == [point] * 1500
    await client.uaclient.unregister_nodes(registered)


async def test_a_direction_that_is_none_is_told_for_its_node_alone(client) -> None:
    wrong = _children()
    wrong.BrowseDirection = ua.BrowseDirection.Invalid
    results = await _browse(client, wrong, _children())
    assert results[0].StatusCode.value == _STATUS.BadBrowseDirectionInvalid
    assert results[1].References


@pytest.mark.parametrize("mask", [0, 1, 2, 4, 8, 16, 32, 63])
async def test_only_the_fields_of_the_result_mask_are_filled(client, mask: int) -> None:
    asked = _children()
    asked.ResultMask = mask
    (result,) = await _browse(client, asked)
    one = result.References[0]
    filled = (
        not one.ReferenceTypeId.is_null(),
        one.IsForward,
        one.NodeClass != ua.NodeClass.Unspecified,
        bool(one.BrowseName.Name),
        bool(one.DisplayName.Text),
        not one.TypeDefinition.is_null(),
    )
    assert filled == tuple(bool(mask & 1 << bit) for bit in range(6))
    assert not one.NodeId.is_null()


async def test_node_classes_that_are_not_asked_for_do_not_come(client) -> None:
    asked = _children("m00")
    asked.ReferenceTypeId = ua.NodeId()
    found = {}
    for node_class in (ua.NodeClass.Object, ua.NodeClass.Variable, ua.NodeClass.Method, ua.NodeClass.ObjectType):
        asked.NodeClassMask = int(node_class)
        (result,) = await _browse(client, asked)
        found[node_class] = {one.NodeClass for one in result.References}
    assert all(classes == {wanted} for wanted, classes in found.items())


async def test_inverse_references_lead_back(client) -> None:
    asked = _children("m03.ActivePower")
    asked.BrowseDirection, asked.NodeClassMask = ua.BrowseDirection.Inverse, 0
    (result,) = await _browse(client, asked)
    assert [(one.NodeId.Identifier, one.IsForward) for one in result.References] == [("m03", False)]


@pytest.mark.parametrize(("locale", "mask", "classes"), [("en", 63, 0), ("ru", 63, 2), ("zh", 27, 5), ("uz", 0, 0)])
async def test_references_are_written_byte_for_byte_as_asyncua_writes_them(hub, locale, mask, classes) -> None:
    space = hub.server.aspace
    writer = ReferenceWriter(space)
    written = 0
    others = tuple(f"m{number:02d}" for number in range(1, 30))
    nodes = [node for node in space.nodes() if not node.Identifier.startswith(others)]
    for node in nodes:
        for direction in (ua.BrowseDirection.Forward, ua.BrowseDirection.Inverse, ua.BrowseDirection.Both):
            asked = ua.BrowseDescription(node, direction, ua.NodeId(), True, classes, mask)
            whole, _ = space.browse_page(asked, 0, 0, locale)
            assert writer.page(asked, 0, 0, locale) == ([struct_to_binary(one) for one in whole], None)
            written += len(whole)
            start = 0
            for _ in range(3 if len(whole) > 3 else 0):
                expected, following = space.browse_page(asked, start, 2, locale)
                assert writer.page(asked, start, 2, locale) == ([struct_to_binary(one) for one in expected], following)
                start = following or start
    assert written > 50


async def test_continuation_points_end_with_their_session(hub) -> None:
    async with hub.client() as first:
        (page,) = await _browse(first, _children(), most=3)
        session = hub.server._iserver.sessions()[-1]
        assert len(session.browse_points) == 1
    assert len(session.browse_points) == 0
    async with hub.client() as second:
        (after,) = await _next(second, page.ContinuationPoint)
    assert after.StatusCode.value == _STATUS.BadContinuationPointInvalid


async def test_a_crippled_browse_request_is_a_decoding_error_and_the_session_lives(client) -> None:
    request = ua.BrowseRequest()
    request.Parameters.NodesToBrowse = [_children()]
    protocol = client.uaclient.protocol
    protocol._setup_request_header(request.RequestHeader, 5)
    encoded = struct_to_binary(request)
    for cut in range(1, 60, 7):
        protocol._request_id += 1
        answer = asyncio.get_running_loop().create_future()
        protocol._callbackmap[protocol._request_id] = answer
        binary = protocol._connection.message_to_binary(encoded[:-cut], request_id=protocol._request_id)
        protocol.transport.write(binary)
        fault = struct_from_binary(ua.ServiceFault, await asyncio.wait_for(answer, 60))
        assert fault.ResponseHeader.ServiceResult.value == _STATUS.BadDecodingError
    assert (await _browse(client, _children()))[0].References


async def test_paths_follow_inverse_steps_exact_types_and_refuse_empty_names(client) -> None:
    up = _path(ua.QualifiedName("north", 2))
    up.StartingNode = ua.NodeId("m03", 2)
    up.RelativePath.Elements[0].IsInverse = True
    exact = _path(ua.QualifiedName("EnergyMetering", 2))
    exact.RelativePath.Elements[0].IncludeSubtypes = False
    nameless = _path(ua.QualifiedName("EnergyMetering", 2), ua.QualifiedName())
    lost = _path(ua.QualifiedName("EnergyMetering", 2))
    lost.StartingNode = ua.NodeId("nowhere", 2)
    results = await client.uaclient.translate_browsepaths_to_nodeids([up, exact, nameless, lost])
    assert [one.StatusCode.value for one in results] == [
        _STATUS.Good,
        _STATUS.BadNoMatch,
        _STATUS.BadBrowseNameInvalid,
        _STATUS.BadNodeIdUnknown,
    ]
    assert results[0].Targets[0].TargetId.Identifier == "north"
    assert results[0].Targets[0].RemainingPathIndex == 0xFFFF_FFFF


async def test_limits_of_paths_and_registrations_are_faults(hub, client) -> None:
    limits = hub.options.limits
    uaclient = client.uaclient
    for work, one, most in (
        (uaclient.translate_browsepaths_to_nodeids, _path(), limits.nodes_per_translate),
        (uaclient.register_nodes, ua.NodeId("m00", 2), limits.nodes_per_register),
    ):
        for count, code in ((0, _STATUS.BadNothingToDo), (most + 1, _STATUS.BadTooManyOperations)):
            with pytest.raises(UaStatusCodeError) as refused:
                await work([one] * count)
            assert refused.value.code == code
