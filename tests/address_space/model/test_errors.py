"""What an error tells a person."""

from __future__ import annotations

import pytest

from address_space.model.errors import DuplicateId, HierarchyCycle, HubError, InvalidId, ModelError, UnknownId


@pytest.mark.parametrize(
    ("where", "hint", "told"),
    [
        ("plant.yaml:3:5", "rename one", "plant.yaml:3:5: it is wrong; rename one"),
        ("", "rename one", "it is wrong; rename one"),
        ("plant.yaml:3:5", "", "plant.yaml:3:5: it is wrong"),
        ("", "", "it is wrong"),
    ],
)
def test_an_error_says_where_what_and_what_to_do(where: str, hint: str, told: str) -> None:
    assert str(HubError("it is wrong", where=where, hint=hint)) == told


@pytest.mark.parametrize("error", [InvalidId, DuplicateId, UnknownId, HierarchyCycle])
def test_errors_of_the_model_share_one_root(error: type[HubError]) -> None:
    assert issubclass(error, ModelError)
    assert issubclass(ModelError, HubError)
