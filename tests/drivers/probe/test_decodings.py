"""Registers read in every way: what a meter measures is found among all the numbers that the bytes could be."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

import pytest

from drivers.codec import NumberType, Order, arrange, encode, to_words
from drivers.probe import Decoding, Movement, decodings, texts


def registers(*values: tuple[int, NumberType, Order, float]) -> dict[int, int]:
    words: dict[int, int] = {}
    for address, kind, order, value in values:
        data = arrange(encode(kind, value), order)
        words |= {address + step: word for step, word in enumerate(to_words(data))}
    return words


def likely(found: list[Decoding]) -> dict[int, tuple[str, NumberType, Order, float, float]]:
    """What is marked, by address."""
    return {
        one.address: (best.what, one.type, one.order, best.scale, best.value)
        for one in found
        if (best := one.best) is not None and best.likely
    }


@pytest.mark.parametrize("order", Order)
def test_three_float_voltages_and_the_frequency_are_found_in_every_word_order(order: Order) -> None:
    f = NumberType.FLOAT32
    words = registers((10, f, order, 229.4), (12, f, order, 231.1), (14, f, order, 230.2), (16, f, order, 49.98))
    found = likely(decodings(words))
    assert [found[at][:3] for at in (10, 12, 14)] == [("voltage", f, order)] * 3
    if order in (Order.ABCD, Order.CDAB):
        assert found[16][:3] == ("frequency", f, order)
    assert found[12][4] == pytest.approx(231.1, abs=0.01)


def test_whole_numbers_are_scaled() -> None:
    u = NumberType.UINT16
    rows = [(0, 2301), (1, 2296), (2, 2310), (3, 5001), (4, 3981), (5, 3990), (6, 3975)]
    found = likely(decodings(registers(*((at, u, Order.ABCD, value) for at, value in rows))))
    assert found[0] == ("voltage", u, Order.ABCD, 0.1, 230.1)
    assert found[3] == ("frequency", u, Order.ABCD, 0.01, 50.01)
    assert found[5] == ("line voltage", u, Order.ABCD, 0.1, 399.0)


@pytest.mark.parametrize("order", [Order.ABCD, Order.CDAB])
def test_an_energy_is_what_grows_at_every_read(order: Order) -> None:
    reads = [registers((100, NumberType.UINT32, order, 7_123_456 + grown)) for grown in (0, 3, 5, 9)]
    found = decodings(reads[0], *reads[1:])
    assert likely(found)[100][:3] == ("energy", NumberType.UINT32, order)
    assert 100 not in likely(decodings(reads[0]))


def test_a_number_that_jumps_is_no_voltage() -> None:
    first = registers((0, NumberType.FLOAT32, Order.ABCD, 230.0))
    second = registers((0, NumberType.FLOAT32, Order.ABCD, 110.0))
    assert likely(decodings(first, second)) == {}
    assert likely(decodings(first, first)) != {}


def test_every_type_and_order_is_there() -> None:
    words = {at: 0x1234 + at for at in range(4)}
    found = {(one.type, one.order) for one in decodings(words) if one.address == 0}
    for kind in (NumberType.UINT32, NumberType.INT32, NumberType.FLOAT32, NumberType.UINT64, NumberType.FLOAT64):
        assert {(kind, order) for order in Order} <= found
    assert {kind for kind, _ in found} >= {NumberType.UINT16, NumberType.INT16, NumberType.BCD16, NumberType.BCD32}


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ({0: 0xFFFF}, NumberType.UINT16),
        ({0: 0x8000}, NumberType.INT16),
        ({0: 0xFFFF, 1: 0xFFFF}, NumberType.UINT32),
        ({0: 0x7FFF, 1: 0xFFFF}, NumberType.INT32),
    ],
)
def test_what_devices_send_in_the_place_of_a_value_is_said(words: dict[int, int], kind: NumberType) -> None:
    (one,) = [each for each in decodings(words) if (each.address, each.type, each.order) == (0, kind, Order.ABCD)]
    assert one.note == "no data"
    assert one.meanings == ()


def test_a_float_that_is_none_is_said() -> None:
    (one,) = [
        each for each in decodings({0: 0x7FC0, 1: 0}) if (each.type, each.order) == (NumberType.FLOAT32, Order.ABCD)
    ]
    assert (one.raw, one.note) == (None, "no number")


def test_texts_are_shown() -> None:
    words = {20 + at: int.from_bytes(b"PM-100 v"[2 * at : 2 * at + 2], "big") for at in range(4)}
    assert texts({10: 2301, **words, 24: 0xFFFF}) == [(20, 4, "PM-100 v")]


def test_floats_that_spell_something_are_floats_all_the_same() -> None:
    f = NumberType.FLOAT32
    words = registers(*((2 * at, f, Order.ABCD, 229.2 + at / 5) for at in range(3)))
    assert "Ce33" in texts(words)[0][2]
    assert {at: told[0] for at, told in likely(decodings(words)).items()} == dict.fromkeys((0, 2, 4), "voltage")


def test_any_registers_can_be_looked_at() -> None:
    dice = Random(645)
    for _ in range(60):
        first: Mapping[int, int] = {at: dice.choice([0, 0xFFFF, dice.randrange(0x10000)]) for at in range(12)}
        second = {at: (word + dice.choice([0, 1, 900])) & 0xFFFF for at, word in first.items()}
        for one in decodings(first, second):
            assert one.movement is not Movement.UNKNOWN or one.raw is None
            assert [each.points for each in one.meanings] == sorted((e.points for e in one.meanings), reverse=True)


def test_no_register_belongs_to_two_likely_numbers() -> None:
    f = NumberType.FLOAT32
    words = registers(*((2 * at, f, Order.ABCD, 228.0 + at / 7) for at in range(6)))
    owned = [place for one in decodings(words) if one.best and one.best.likely for place in _places(one)]
    assert sorted(owned) == sorted(set(owned))
    assert set(owned) == set(range(12))


def _places(one: Decoding) -> range:
    return range(one.address, one.address + one.type.words)
