"""Identifiers: the naming rule, and point ids taken apart again."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from address_space.model.errors import InvalidId
from address_space.model.ids import MAX_UID_LENGTH, RESERVED_UIDS, is_uid, point_id, split_point_id, uid
from address_space.model.quantity import Quantity

ALPHABET = string.ascii_letters + string.digits + "_-"
uids = st.text(ALPHABET, min_size=1, max_size=MAX_UID_LENGTH).filter(lambda text: text.lower() not in RESERVED_UIDS)


@given(uids)
def test_every_text_of_the_alphabet_is_an_id(text: str) -> None:
    assert uid(text) == text


@given(st.text(max_size=130))
def test_an_id_is_valid_exactly_when_it_obeys_the_rule(text: str) -> None:
    assert is_uid(text) == (1 <= len(text) <= MAX_UID_LENGTH and all(letter in ALPHABET for letter in text))


@pytest.mark.parametrize("text", ["", "a b", "a.b", "m0042\n", "счётчик", "m٤٢", "x" * 121, "a/b"])
def test_an_id_that_breaks_the_rule_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(InvalidId) as caught:
        uid(text)
    assert "letters, digits" in caught.value.hint


@pytest.mark.parametrize("text", ["root", "Root", "SYSTEM", "by-medium", "By-Line"])
def test_the_hub_keeps_its_own_ids_in_any_case(text: str) -> None:
    with pytest.raises(InvalidId, match="reserved"):
        uid(text)


@given(uids, st.sampled_from(list(Quantity)))
def test_a_point_id_splits_into_what_it_was_made_of(unit: str, quantity: Quantity) -> None:
    assert split_point_id(point_id(uid(unit), quantity.path)) == (unit, quantity.path)


def test_a_point_id_without_a_dot_has_no_path() -> None:
    assert split_point_id(point_id(uid("m1"), "")) == ("m1", "")
