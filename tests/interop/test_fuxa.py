"""FUXA, a whole SCADA program, with an OPC UA device that is the hub."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from foreign import ForeignClient, Town, until
from programs import Fuxa, require_heavy

pytestmark = [pytest.mark.interop, pytest.mark.timeout(240)]

TAGS = [
    "ns=2;s=m0000.ActivePower",
    "ns=2;s=m0001.ActiveEnergyImport",
    "ns=2;s=m0001.Communication.Online",
    "ns=2;s=m0001.Quality",
    "ns=2;s=m0000.Identification.Model",
]


@pytest.fixture(scope="module")
def fuxa(calm_town: Town, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuxa]:
    """FUXA with the calm town as its device."""
    require_heavy("@frangoteam/fuxa")
    program = Fuxa(tmp_path_factory.mktemp("fuxa"), calm_town.url, TAGS)
    try:
        yield program
    finally:
        program.stop()


def shown(fuxa: Fuxa) -> dict[str, Any]:
    """All values, once there are any."""

    def all_there() -> dict[str, Any]:
        values = fuxa.values(TAGS)
        return values if None not in values.values() else {}

    return until(all_there, 60, "FUXA shows every tag")


def test_fuxa_shows_the_values_of_its_opc_ua_device(fuxa: Fuxa, caller: ForeignClient) -> None:
    values = shown(fuxa)
    assert float(values["ns=2;s=m0001.ActiveEnergyImport"]) > 0
    assert str(values["ns=2;s=m0001.Communication.Online"]).lower() in ("true", "1")
    assert int(values["ns=2;s=m0001.Quality"]) == 1
    model = caller("read", nodeIds=["ns=2;s=m0000.Identification.Model"])["answers"][0]["value"]
    assert values["ns=2;s=m0000.Identification.Model"] == model


def test_fuxa_follows_a_changing_value(fuxa: Fuxa) -> None:
    first = shown(fuxa)["ns=2;s=m0000.ActivePower"]
    until(lambda: fuxa.values(TAGS)["ns=2;s=m0000.ActivePower"] not in (None, first), 60, "the value changes")
