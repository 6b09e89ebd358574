"""The table of reasons against OPC UA's own table of status codes."""

from __future__ import annotations

import ast
import inspect
import itertools

import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st

from address_space.model import quality
from address_space.model.quality import GOOD, Quality, Reason, quality_of, reason_of

EXPECTED = {
    Reason.FRESH: 0x0000_0000,
    Reason.NEVER_READ: 0x8032_0000,
    Reason.STALE: 0x4090_0000,
    Reason.HELD: 0x408F_0000,
    Reason.TIMEOUT: 0x8031_0000,
    Reason.BAD_FRAME: 0x8005_0000,
    Reason.NOT_CONNECTED: 0x808A_0000,
    Reason.MISCONFIGURED: 0x8089_0000,
    Reason.DEVICE_ERROR: 0x808B_0000,
    Reason.NOT_SUPPORTED: 0x803D_0000,
    Reason.SENSOR_FAILURE: 0x808C_0000,
    Reason.RANGE_EXCEEDED: 0x4094_0000,
    Reason.OUT_OF_RANGE: 0x803C_0000,
    Reason.SUBSTITUTED: 0x4091_0000,
    Reason.RESTORED: 0x4092_0000,
    Reason.INCOMPLETE: 0x4095_0000,
    Reason.OUT_OF_SERVICE: 0x808D_0000,
    Reason.SIMULATED: 0x4209_0000,
}


def documented_names() -> dict[str, str]:
    """The OPC UA name at the head of the docstring under each member of Reason."""
    body = next(
        node.body
        for node in ast.parse(inspect.getsource(quality)).body
        if isinstance(node, ast.ClassDef) and node.name == "Reason"
    )
    names = {}
    for member, text in itertools.pairwise(body):
        if isinstance(member, ast.Assign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            target = member.targets[0]
            assert isinstance(target, ast.Name)
            names[target.id] = str(text.value.value).partition(":")[0].rstrip(".")
    return names


def test_the_status_table_is_complete() -> None:
    assert {reason: reason.status for reason in Reason} == EXPECTED


@pytest.mark.parametrize("reason", list(Reason), ids=lambda reason: reason.name)
def test_a_reason_is_documented_with_the_opc_ua_name_of_its_code(reason: Reason) -> None:
    assert getattr(ua.StatusCodes, documented_names()[reason.name]) == reason.status


@pytest.mark.parametrize("reason", list(Reason), ids=lambda reason: reason.name)
def test_severity_agrees_with_the_opc_ua_name(reason: Reason) -> None:
    assert documented_names()[reason.name].startswith(reason.quality.name.capitalize())


def test_good_is_exactly_zero_and_has_no_other_form() -> None:
    assert GOOD == 0
    assert [reason for reason in Reason if reason.quality is Quality.GOOD] == [Reason.FRESH]


@pytest.mark.parametrize("reason", list(Reason), ids=lambda reason: reason.name)
def test_a_status_leads_back_to_its_reason_whatever_its_info_bits(reason: Reason) -> None:
    assert reason_of(reason.status) is reason
    assert reason_of(reason.status | 0x0480) is reason


def test_a_status_the_hub_never_uses_has_no_reason() -> None:
    assert reason_of(ua.StatusCodes.BadUserAccessDenied) is None


@given(st.integers(0, 2**32 - 1))
def test_any_status_has_a_severity(status: int) -> None:
    expected = (Quality.GOOD, Quality.UNCERTAIN, Quality.BAD, Quality.BAD)[status >> 30]
    assert quality_of(status) is expected
