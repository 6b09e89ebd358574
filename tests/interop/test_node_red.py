"""Node-RED's OPC UA nodes against a running hub: read, browse, subscribe, history."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from foreign import Town, until
from programs import NodeRed, require_heavy

pytestmark = [pytest.mark.interop, pytest.mark.timeout(240)]

POWER = "ns=2;s=m0000.ActivePower"


@pytest.fixture(scope="module")
def node_red(calm_town: Town, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeRed]:
    """Node-RED with a flow whose OPC UA client is connected to the calm town."""
    require_heavy("node-red")
    require_heavy("node-red-contrib-opcua")
    program = NodeRed(tmp_path_factory.mktemp("node_red"), calm_town.url)
    try:
        yield program
    finally:
        program.stop()


def test_node_red_reads_a_value(node_red: NodeRed) -> None:
    answer = node_red.client("read", f"{POWER};datatype=Double")
    assert isinstance(answer["payload"], float)
    assert "Good" in answer["status"]


def test_node_red_browses_the_plant(node_red: NodeRed) -> None:
    members = {one["browseName"]["name"]: one for one in node_red.browse("ns=2;s=m0000.Identification")}
    assert {"Manufacturer", "Model", "SerialNumber"} <= set(members)
    assert members["Model"]["value"]
    assert members["SerialNumber"]["dataType"] == "String"


def test_node_red_follows_a_subscription(node_red: NodeRed) -> None:
    node_red.subscribe(f"{POWER};datatype=Double", 250)

    def values() -> set[float]:
        return {one["payload"] for one in node_red.seen() if isinstance(one["payload"], float)}

    assert len(until(lambda: found if len(found := values()) >= 3 else set(), 60, "three changes")) >= 3


def test_node_red_reads_raw_history(node_red: NodeRed) -> None:
    answer = node_red.client("history", POWER, aggregate="raw", numValuesPerNode=5)
    values = answer["payload"]["historyData"]["dataValues"]
    assert 1 <= len(values) <= 5
    assert all(isinstance(one["value"]["value"], float) for one in values)


@pytest.mark.parametrize("aggregate", ["min", "max", "ave", "interpolative"])
def test_node_red_reads_aggregates(node_red: NodeRed, aggregate: str) -> None:
    payload = node_red.client("history", POWER, aggregate=aggregate)["payload"]
    assert payload["statusCode"]["value"] == 0
    (value,) = payload["historyData"]["dataValues"]
    # It asks for one interval that begins long before the town does: there is nothing to interpolate from.
    assert isinstance(value.get("value", {}).get("value"), float) is (aggregate != "interpolative")
