"""Browse, BrowseNext, TranslateBrowsePaths, Read and RegisterNodes as a foreign client sees them (Part 4 5.9, 5.11)."""

from __future__ import annotations

from typing import Any

import pytest

from foreign import ForeignClient
from services import BOTH, VALUE, ask, fault, reads, refused

pytestmark = pytest.mark.interop

FEEDER = "ns=2;s=f1"
POWER = "ns=2;s=m0000.ActivePower"
NAMESPACES = "i=2255"
FORWARD, INVERSE, BOTH_WAYS = 0, 1, 2


def browse(client: ForeignClient, nodes: list[str], most: int = 0, **more: Any) -> list[dict[str, Any]]:
    """Browse along hierarchical references; raw results."""
    described = [
        {
            "nodeId": node,
            "browseDirection": FORWARD,
            "referenceTypeId": "i=33",
            "includeSubtypes": True,
            "nodeClassMask": 0,
            "resultMask": 63,
            **more,
        }
        for node in nodes
    ]
    answer = ask(client, "Browse", requestedMaxReferencesPerNode=most, nodesToBrowse=described)
    results: list[dict[str, Any]] = answer["results"]
    return results


def names(result: dict[str, Any]) -> list[str]:
    return [reference["nodeId"] for reference in result["references"]]


def go_on(client: ForeignClient, points: list[str], *, release: bool = False) -> list[dict[str, Any]]:
    answer = ask(
        client,
        "BrowseNext",
        releaseContinuationPoints=release,
        continuationPoints=[{"$bytes": point} for point in points],
    )
    results: list[dict[str, Any]] = answer["results"]
    return results


def test_a_browse_is_paged_as_asked_and_nothing_is_lost_or_doubled(caller: ForeignClient) -> None:
    whole = names(browse(caller, [FEEDER])[0])
    assert len(whole) > 12
    page = browse(caller, [FEEDER], most=5)[0]
    found = names(page)
    assert len(found) == 5
    while page["continuationPoint"]:
        page = go_on(caller, [page["continuationPoint"]])[0]
        assert page["statusCode"] == "Good"
        assert len(page["references"]) <= 5
        found += names(page)
    assert found == whole


def test_several_nodes_are_paged_side_by_side(caller: ForeignClient) -> None:
    nodes = [FEEDER, "ns=2;s=f2", "i=84"]
    whole = [names(one) for one in browse(caller, nodes)]
    pages = browse(caller, nodes, most=2)
    found = [names(page) for page in pages]
    open_points = {index: page["continuationPoint"] for index, page in enumerate(pages) if page["continuationPoint"]}
    while open_points:
        answers = go_on(caller, list(open_points.values()))
        for index, answer in zip(list(open_points), answers, strict=True):
            found[index] += names(answer)
            if answer["continuationPoint"]:
                open_points[index] = answer["continuationPoint"]
            else:
                del open_points[index]
    assert found == whole


def test_a_released_continuation_point_is_gone(caller: ForeignClient) -> None:
    point = browse(caller, [FEEDER], most=3)[0]["continuationPoint"]
    released = go_on(caller, [point], release=True)[0]
    assert released["statusCode"] == "Good"
    assert not released["references"]
    assert go_on(caller, [point])[0]["statusCode"] == "BadContinuationPointInvalid"
    assert go_on(caller, ["bm9uc2Vuc2U="])[0]["statusCode"] == "BadContinuationPointInvalid"


def test_browse_obeys_direction_class_reference_and_result_masks(caller: ForeignClient) -> None:
    meter = "ns=2;s=m0000"
    inverse = browse(caller, [meter], browseDirection=INVERSE)[0]["references"]
    assert {FEEDER} <= {one["nodeId"] for one in inverse}
    assert not any(one["isForward"] for one in inverse)
    both = browse(caller, [meter], browseDirection=BOTH_WAYS)[0]["references"]
    assert {one["isForward"] for one in both} == {True, False}
    methods = browse(caller, [meter], nodeClassMask=4)[0]["references"]
    assert {one["nodeClass"] for one in methods} == {4}
    exact = browse(caller, [meter], referenceTypeId="i=33", includeSubtypes=False)[0]
    assert (exact["statusCode"], exact["references"] or []) == ("Good", [])
    bare = browse(caller, [meter], resultMask=0)[0]["references"][0]
    assert not (bare["displayName"] or {}).get("text")
    assert (bare["browseName"] or {}).get("name") in (None, "")


@pytest.mark.parametrize(
    ("node", "more", "status"),
    [
        ("ns=2;s=nobody", {}, "BadNodeIdUnknown"),
        ("ns=9;i=1", {}, "BadNodeIdUnknown"),
        ("i=84", {"referenceTypeId": "ns=2;s=root"}, "BadReferenceTypeIdInvalid"),
    ],
)
def test_browse_says_what_is_wrong_with_one_node_and_answers_the_others(
    caller: ForeignClient, node: str, more: dict[str, Any], status: str
) -> None:
    assert browse(caller, [node], **more)[0]["statusCode"] == status
    assert browse(caller, ["i=84", node])[0]["statusCode"] == "Good"


def path(start: str, *elements: tuple[int, str]) -> dict[str, Any]:
    """A BrowsePath along hierarchical references."""
    return {
        "startingNode": start,
        "relativePath": {
            "elements": [
                {
                    "referenceTypeId": "i=33",
                    "isInverse": False,
                    "includeSubtypes": True,
                    "targetName": {"namespaceIndex": index, "name": name},
                }
                for index, name in elements
            ]
        },
    }


def translate(client: ForeignClient, *paths: dict[str, Any]) -> list[tuple[str, list[str]]]:
    answer = ask(client, "TranslateBrowsePathsToNodeIds", browsePaths=list(paths))
    return [(one["statusCode"], [target["targetId"] for target in one["targets"] or []]) for one in answer["results"]]


def test_browse_paths_lead_from_objects_to_a_property_of_a_value(caller: ForeignClient) -> None:
    root = caller("read", nodeIds=["ns=2;s=root"], attribute="BrowseName")["answers"][0]["value"]
    codes = [
        caller("read", nodeIds=[node], attribute="BrowseName")["answers"][0]["value"]
        for node in ("ns=2;s=north", "ns=2;s=sub-1", "ns=2;s=f1")
    ]
    steps = [(name["namespaceIndex"], name["name"]) for name in (root, *codes)]
    unit = [*steps, (2, "m0000"), (3, "ActivePower"), (0, "EURange")]
    assert translate(caller, path("i=85", *unit), path("i=85", *unit[:-2])) == [
        ("Good", ["ns=2;s=m0000.ActivePower.EURange"]),
        ("Good", ["ns=2;s=m0000"]),
    ]


def test_wrong_browse_paths_have_their_own_codes(caller: ForeignClient) -> None:
    answers = translate(
        caller,
        path("ns=2;s=m0000", (3, "Nowhere")),
        path("ns=2;s=nobody", (3, "ActivePower")),
        path("ns=2;s=m0000"),
        path("ns=2;s=m0000", (2, "ActivePower")),
    )
    assert [status for status, _ in answers] == ["BadNoMatch", "BadNodeIdUnknown", "BadNothingToDo", "BadNoMatch"]


@pytest.mark.parametrize("age", [0, 500, 100_000, 2**31])
def test_every_max_age_is_answered_with_the_newest_value(caller: ForeignClient, age: float) -> None:
    answer = ask(caller, "Read", maxAge=age, timestampsToReturn=BOTH, nodesToRead=reads([POWER]))["results"][0]
    assert answer["statusName"] == "Good"
    assert answer["server"] >= answer["source"]


def test_a_negative_max_age_is_refused(caller: ForeignClient) -> None:
    assert fault(caller, "Read", maxAge=-1, timestampsToReturn=BOTH, nodesToRead=reads([POWER])) == "BadMaxAgeInvalid"


@pytest.mark.parametrize(
    ("wanted", "kept"), [("0", slice(0, 1)), ("1:2", slice(1, 3)), ("2:900", slice(2, None)), ("0:3", slice(0, 4))]
)
def test_an_index_range_takes_a_part_of_an_array(caller: ForeignClient, wanted: str, kept: slice) -> None:
    whole = caller("read", nodeIds=[NAMESPACES])["answers"][0]["value"]
    part = ask(caller, "Read", maxAge=0, timestampsToReturn=BOTH, nodesToRead=reads([NAMESPACES], indexRange=wanted))[
        "results"
    ][0]
    assert part["value"] == whole[kept]


@pytest.mark.parametrize(
    ("node", "wanted", "status"),
    [
        (NAMESPACES, "90", "BadIndexRangeNoData"),
        (NAMESPACES, "2:1", "BadIndexRangeInvalid"),
        (NAMESPACES, "x", "BadIndexRangeInvalid"),
        (POWER, "0:1", "BadIndexRangeNoData"),
    ],
)
def test_an_index_range_that_cannot_be_has_its_code(caller: ForeignClient, node: str, wanted: str, status: str) -> None:
    asked = reads([node], indexRange=wanted)
    answer = ask(caller, "Read", maxAge=0, timestampsToReturn=BOTH, nodesToRead=asked)["results"][0]
    assert answer["statusName"] == status


def test_a_read_says_what_is_wrong_with_each_node_and_answers_the_others(caller: ForeignClient) -> None:
    asked = [
        *reads([POWER, "ns=2;s=nobody", "ns=7;i=3", "ns=2;s=m0000.Nothing"]),
        *reads([POWER], attribute=23),  # DataTypeDefinition, which variables do not have
        *reads([POWER], attribute=12),  # EventNotifier, which variables do not have
        *reads(["ns=2;s=m0000"]),  # Value, which objects do not have
        *reads([POWER], attribute=1, dataEncoding={"namespaceIndex": 0, "name": "Default XML"}),
        *reads([POWER]),
    ]
    answers = ask(caller, "Read", maxAge=0, timestampsToReturn=BOTH, nodesToRead=asked)["results"]
    assert [answer["statusName"] for answer in answers] == [
        "Good",
        "BadNodeIdUnknown",
        "BadNodeIdUnknown",
        "BadNodeIdUnknown",
        "BadAttributeIdInvalid",
        "BadAttributeIdInvalid",
        "BadAttributeIdInvalid",
        "BadDataEncodingInvalid",
        "Good",
    ]


def test_values_read_by_registered_ids_are_the_values(caller: ForeignClient) -> None:
    points = [f"ns=2;s=m{number:04d}.ActiveEnergyImport" for number in range(24)]
    registered = ask(caller, "RegisterNodes", nodesToRegister=points)["registeredNodeIds"]
    assert len(registered) == 24
    answers = ask(caller, "Read", maxAge=0, timestampsToReturn=BOTH, nodesToRead=reads(registered))["results"]
    assert {answer["statusName"] for answer in answers} == {"Good"}
    assert fault(caller, "UnregisterNodes", nodesToUnregister=registered) == "Good"
    many = [f"ns=2;s=m{number % 24:04d}.{('ActivePower', 'ActiveEnergyImport')[number % 2]}" for number in range(1500)]
    assert len(ask(caller, "RegisterNodes", nodesToRegister=many)["registeredNodeIds"]) == 1500


def test_no_value_of_the_plant_can_be_written_without_the_right(caller: ForeignClient) -> None:
    value = {"value": {"dataType": 11, "value": 1.0}}
    written = [{"nodeId": POWER, "attributeId": VALUE, "value": value}]
    assert refused(caller, "Write", nodesToWrite=written) in (["BadUserAccessDenied"], ["BadNotWritable"])
