from __future__ import annotations

from config.spelling import Spelling

WORDS = ("rated_power_kva", "vector_group", "address")


def test_the_nearest_name_is_suggested_and_none_where_none_is_near() -> None:
    spelling = Spelling()
    assert spelling.nearest("rated_powr_kva", WORDS) == "rated_power_kva"
    assert spelling.nearest("Vector-Group", WORDS) == "vector_group"
    assert spelling.nearest("zzz", WORDS) == ""


def test_advice_lists_few_names_and_counts_many() -> None:
    spelling = Spelling()
    assert spelling.hint("zzz", WORDS) == "use one of address, rated_power_kva, vector_group"
    assert spelling.hint("zzz", ()) == "there is none yet"
    assert spelling.hint("zzz", [f"name{i}" for i in range(100)]) == "100 names are known, none is near it"


def test_suggesting_stops_when_its_budget_is_spent() -> None:
    spelling = Spelling(budget=2 * len(WORDS))
    assert [spelling.nearest(word, WORDS) for word in ("adress", "vector_grup", "addres")] == [
        "address",
        "vector_group",
        "",
    ]
    assert spelling.nearest("adress", WORDS) == "address"
