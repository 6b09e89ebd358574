"""Browse in pages, browse paths, and registered nodes (OPC 10000-4 5.9)."""

from __future__ import annotations

import pytest
from asyncua import ua
from asyncua.ua.uaerrors import UaStatusCodeError

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
