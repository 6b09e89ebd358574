"""How a request is chosen whose answer cannot be confused with one that is owed."""

from __future__ import annotations

import pytest

from drivers.modbus.overdue import Overdue, answer_size
from drivers.modbus.plan import Read


@pytest.mark.parametrize("fc", [1, 2, 3, 4])
@pytest.mark.parametrize("words", [1, 2, 3, 8, 9, 16, 125])
def test_the_telling_request_has_a_length_of_its_own_however_often_it_fails(fc: int, words: int) -> None:
    overdue, read = Overdue(), Read(fc, 100, words)
    owed = [answer_size(read)]
    overdue.note(7, owed[0])
    for _ in range(5):
        telling = overdue.telling(7, read)
        assert telling.address == read.address
        assert telling.words > 0
        assert answer_size(telling) not in (*owed[-2:], answer_size(read))
        owed.append(answer_size(telling))
        overdue.note(7, owed[-1])


def test_only_the_unit_that_owes_is_doubted_until_it_is_in_step() -> None:
    overdue = Overdue()
    overdue.note(7, 4)
    assert overdue.owes(7)
    assert not overdue.owes(8)
    overdue.settle(7)
    assert not overdue.owes(7)


def test_a_new_connection_owes_nothing() -> None:
    overdue = Overdue()
    overdue.note(7, 4)
    overdue.clear()
    assert not overdue.owes(7)
