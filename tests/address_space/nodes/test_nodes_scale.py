"""What an address space costs does not grow with the plant: figures are printed, ratios are compared."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from time import process_time

import pytest
from asyncua import ua

from address_space.model import (
    HierarchyNode,
    LiveTable,
    ManualClock,
    MeteringUnit,
    NodeKind,
    NodeUid,
    Plant,
    PointSpec,
    Template,
)
from address_space.model.quantity import MEASURED
from address_space.nodes import VirtualAddressSpace

SMALL, LARGE, PAGE = 1_000, 100_000, 500
HAS_COMPONENT = ua.NodeId(47)


def flat_plant(units: int) -> Plant:
    """All units below one node, 20 variables each."""
    template = Template("flat", [PointSpec(quantity) for quantity in MEASURED[:12]])
    region = NodeUid("r")
    return Plant(
        [HierarchyNode(region, NodeKind.REGION, "Region")],
        [MeteringUnit(NodeUid(f"m{i}"), f"Meter {i}", region, template, channel=f"c{i % 50}") for i in range(units)],
    )


def microseconds(work: Callable[[], object], times: int) -> float:
    """Least CPU time of three runs, per piece of work."""
    spent = []
    for _ in range(3):
        start = process_time()
        work()
        spent.append(process_time() - start)
    return min(spent) / times * 1e6


@pytest.fixture(scope="module")
def spaces() -> dict[int, VirtualAddressSpace]:
    clock, made = ManualClock(), {}
    for size in (SMALL, LARGE):
        plant = flat_plant(size)
        live = LiveTable(plant, clock.now_ns())
        gc.collect()
        tracemalloc.start()
        made[size] = VirtualAddressSpace(plant, live, clock)
        taken = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        print(f"\n{size} units, {plant.size} variables: {taken / plant.size:.2f} bytes a variable")
        if size == LARGE:
            assert taken / plant.size < 10
    return made


def _ratio(
    spaces: dict[int, VirtualAddressSpace], what: str, cost: Callable[[VirtualAddressSpace, int], float]
) -> float:
    cost(spaces[LARGE], LARGE)
    small, large = cost(spaces[SMALL], SMALL), cost(spaces[LARGE], LARGE)
    print(f"\n{what}: {small:.2f} µs at {SMALL} units, {large:.2f} µs at {LARGE}")
    return large / small


def test_a_read_costs_the_same_in_a_large_plant(spaces: dict[int, VirtualAddressSpace]) -> None:
    path = MEASURED[3].path

    def cost(space: VirtualAddressSpace, units: int) -> float:
        nodes = [ua.NodeId(f"m{i * 7 % units}.{path}", 2) for i in range(2_000)]
        return microseconds(lambda: [space.read_attribute_value(n, ua.AttributeIds.Value) for n in nodes], len(nodes))

    assert _ratio(spaces, "read", cost) < 5


def test_finding_a_handle_costs_the_same_in_a_large_plant(spaces: dict[int, VirtualAddressSpace]) -> None:
    path = MEASURED[3].path

    def cost(space: VirtualAddressSpace, units: int) -> float:
        names = [f"m{i * 7 % units}.{path}" for i in range(10_000)]
        return microseconds(lambda: [space.handle_of(name) for name in names], len(names))

    assert _ratio(spaces, "handle_of", cost) < 5


def test_a_page_costs_the_same_wherever_it_lies(spaces: dict[int, VirtualAddressSpace]) -> None:
    def cost(space: VirtualAddressSpace, units: int) -> float:
        asked = ua.BrowseDescription(NodeId=ua.NodeId("r", 2), ReferenceTypeId=HAS_COMPONENT, ResultMask=63)
        return microseconds(lambda: space.browse_page(asked, units - PAGE, PAGE), PAGE)

    assert _ratio(spaces, "browse, last page", cost) < 5


def test_a_step_of_a_path_costs_the_same_in_a_large_plant(spaces: dict[int, VirtualAddressSpace]) -> None:
    def cost(space: VirtualAddressSpace, units: int) -> float:
        elements = [
            ua.RelativePathElement(HAS_COMPONENT, False, True, ua.QualifiedName(f"m{i * 7 % units}", 2))
            for i in range(200)
        ]
        node = ua.NodeId("r", 2)
        return microseconds(lambda: [space.children_by_name(node, element) for element in elements], len(elements))

    assert _ratio(spaces, "path step", cost) < 5
