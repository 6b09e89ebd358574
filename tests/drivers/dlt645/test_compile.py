"""Profiles in DL/T 645's own words: what they may leave out, and how mistakes are told."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from address_space.model.ids import UnitHandle
from address_space.model.quality import GOOD, Reason
from drivers.api import Device
from drivers.dlt645 import identifiers, identifiers_1997, plugin
from drivers.dlt645.answers import Answer, _raw, _Source, _taker, assemble, build_plan
from drivers.dlt645.blocks import block_of
from drivers.dlt645.item import Block
from drivers.dlt645.standard import format_of
from drivers.errors import ProfileError
from drivers.profiles import load_library

OLD = plugin.compile(load_library().get("generic/dlt645-1997"))

BARE = """\
points:
  ActiveEnergyImport: {di: 0x00010000}
  ActivePower: {di: 0x02030000}
  PowerFactor: {di: 0x02060000}
  Prepayment.MeterCredit: {di: 0x00900200}
  ThdVoltageL1: {di: 0x02080100}
"""


def test_a_point_may_be_just_an_identifier(compiled):
    profile = compiled(BARE)
    scales = [point.scale for point in profile.points]
    assert scales == [10, Fraction(1, 10), Fraction(1, 1000), Fraction(1, 100), Fraction(1, 100)]
    assert [point.spots[0].format.signed for point in profile.points] == [False, True, True, False, False]


def test_counters_start_again_where_their_digits_end(compiled):
    profile = compiled(BARE + "  ActiveEnergyTotal: {di: 0x00000000}\n")
    assert plugin.capacities(profile) == (1_000_000.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    own = compiled("points: {ActiveEnergyImport: {di: 0x00010000, format: XXXXXXX.X, unit: kWh}}\n")
    assert plugin.capacities(own) == (10_000_000.0,)


def test_what_a_profile_states_wins_over_the_standard(compiled):
    own = compiled("points: {VoltageL1: {di: 0xFF010203, format: XXXX.XX, signed: true, unit: kV}}\n").points[0]
    assert (own.spots[0].format.size, own.spots[0].format.decimals, own.spots[0].format.signed) == (3, 2, True)
    assert own.scale == 10


def test_a_part_of_a_vendors_block_is_taken_by_its_number(compiled):
    profile = compiled(
        "points:\n"
        "  VoltageL1: {di: 0x070A0000, part: 0, format: XXX.X, unit: V}\n"
        "  VoltageL2: {di: 0x070A0000, part: 1, format: XXX.X, unit: V}\n"
        "  Frequency: {di: 0x070A0000, skip: 4, format: XX.XX, unit: Hz}\n"
    )
    plan = build_plan(profile, (0, 1, 2))
    assert [request.label for request in plan.requests] == ["070A0000"]
    answer = {plan.requests[0]: Answer(bytes.fromhex("012303240550"))}
    assert assemble(_device(profile), plan, answer).values.tolist() == [230.1, 240.3, 50.05]


def test_blocks_can_be_forbidden(compiled):
    text = "dlt645: {blocks: false}\npoints: {VoltageL1: {di: 0x02010100}, VoltageL2: {di: 0x02010200}}\n"
    assert [request.label for request in build_plan(compiled(text), (0, 1)).requests] == ["02010100", "02010200"]


def test_one_of_several_bits_is_enough_and_phases_that_are_not_there_do_not_count(compiled):
    bits = ", ".join(f"{{di: 0x0400050{word}, bit: 0}}" for word in (4, 5, 6))
    profile = compiled(f"points: {{Status.VoltageLoss: {{any: [{bits}]}}}}\n")
    plan = build_plan(profile, (0,))
    assert [request.label for request in plan.requests] == ["040005FF"]

    def shown(words):
        answer = {plan.requests[0]: Answer(bytes(6) + bytes.fromhex(words))}
        reading = assemble(_device(profile), plan, answer)
        return reading.values[0], int(reading.status[0])

    assert shown("000001000000") == (1.0, GOOD)
    assert shown("000000000000") == (0.0, GOOD)
    assert shown("0000FFFFFFFF") == (0.0, GOOD)
    assert shown("FFFFFFFFFFFF")[1] == Reason.NOT_SUPPORTED.status


def test_the_length_of_an_answer_decides_between_formats_of_1997(compiled):
    profile = compiled("dlt645: {version: 1997}\npoints: {CurrentL1: {di: 0xB621}, ReactivePower: {di: 0xB640}}\n")
    plan = build_plan(profile, (0, 1))
    short, long = bytes.fromhex("0105"), bytes.fromhex("345612")
    for data, values in ((short, [5.01, 5010.0]), (long, [125.634, 12_563.4])):
        reading = assemble(_device(profile), plan, dict.fromkeys(plan.requests, Answer(data)))
        assert reading.values.tolist() == pytest.approx(values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("points: {VoltageL1: {di: 0x02019900}}", "the standard has no value 02019900; state its format"),
        ("points: {VoltageL1: {di: 0x0201FF00}}", "the standard has no value 0201FF00"),
        (
            "points: {VoltageL1: {di: 0x02020100}}",
            "VoltageL1 has no unit, and for 02020100 the standard knows current_A in A",
        ),
        ("points: {VoltageL1: {di: 0x04000401}}", "04000401 is no number"),
        ("points: {VoltageL1: {di: 0x02010100, format: XXX.XX}}", "an even number of digits"),
        ("points: {VoltageL1: {di: 0x02010100, format: 12.3}}", "format"),
        ("points: {VoltageL1: {di: 0x02010100, bit: 3}}", "bits are taken from binary data"),
        ("points: {Switch.State: {di: 0x04000503, bit: 16}}", "bit 16 lies beyond 2 bytes"),
        ("points: {Switch.State: {di: 0x04000503, bit: 1, bits: [2]}}", "either one bit or several bits"),
        ("points: {VoltageL1: {di: 0x02010100, forma: XXX.X}}", "unknown key 'forma'; did you mean 'format'?"),
        ("points: {VoltageL1: {di: 0x02010100, ratio: ptct}}", "ratio"),
        ("points: {VoltageL1: {di: 0x02010100, scale: 0}}", "a scale of 0 loses the value"),
        ("dlt645: {version: 1997}\npoints: {VoltageL1: {di: 0x02010100}}", "no identifier of 1997"),
        ("dlt645: {version: 2013}\npoints: {VoltageL1: {di: 0x02010100}}", "version"),
        ("dlt645: {relay: {payload: level secret}}\npoints: {VoltageL1: {di: 0x02010100}}", "payload"),
        ("points: {VoltageL1: {di: 0x02010100}}\ncommands: {freeze: {steps: [{write: {melt: now}}]}}", "melt"),
        (
            "points: {VoltageL1: {di: 0x02010100}}\ncommands: {other_x: {steps: [{write: {di: 0x04001003}}]}}",
            "either value or argument",
        ),
        (
            "dlt645: {version: 1997}\npoints: {VoltageL1: {di: 0xB611}}\n"
            "commands: {open_supply: {steps: [{write: {relay: trip}}]}}",
            "control code 1C is of DL/T 645-2007",
        ),
        ("points: {VoltageL1: {di: 0x02010100}}\nvariants: {x: {when: [{di: 1}]}}", "`extends` this one"),
    ],
)
def test_a_mistake_is_told_with_its_place(compiled, text, expected):
    with pytest.raises(ProfileError) as caught:
        compiled(text + "\n")
    assert expected in str(caught.value)
    assert "meter.yaml:" in str(caught.value)


def test_mistakes_are_told_all_at_once(compiled):
    with pytest.raises(ProfileError) as caught:
        compiled("points: {VoltageL1: {di: 0x02019900}, VoltageL2: {di: 0x02019901}}\n")
    assert len(caught.value.mistakes) == 2


@pytest.mark.parametrize(
    ("text", "size", "decimals"),
    [("XXXXXX.XX", 4, 2), ("XXX.X", 2, 1), ("XXXX", 2, 0), ("bits16", 2, 0), ("bits8", 1, 0)],
)
def test_formats_are_written_as_the_standard_prints_them(text, size, decimals):
    chosen = format_of(text, signed=False)
    assert (chosen.size, chosen.decimals) == (size, decimals)


@pytest.mark.parametrize("version", ["2007", "1997"])
def test_every_value_lies_in_its_block_where_the_standard_puts_it(version):
    find = identifiers.find if version == "2007" else identifiers_1997.find
    groups = (0x0000, 0x0001, 0x0002, 0x0015, 0x0101, *range(0x0201, 0x020D), 0x0400)
    some_2007 = (group << 16 | low for group in groups for low in range(0x0500 + 0x10))
    found = 0
    for di in some_2007 if version == "2007" else range(0x9000, 0xC000):
        block = block_of(di, version)
        if block is None or find(di) is None:
            continue
        whole = find(block.di)
        assert isinstance(whole, Block), f"{di:X}"
        assert whole.items[block.part].di == di
        assert len({item.size for item in whole.items}) == 1
        found += 1
    assert found > 50


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(st.binary(max_size=40), st.sampled_from([each for each in Reason if each is not Reason.FRESH])),
        min_size=9,
        max_size=9,
    )
)
def test_any_answers_at_all_give_values_or_reasons(answers):
    profile = OLD
    plan = build_plan(profile, tuple(range(len(profile.points))))
    given = {
        request: answer if isinstance(answer, Reason) else Answer(answer)
        for request, answer in zip(plan.requests, answers, strict=False)
    }
    reading = assemble(_device(profile), plan, given)
    good = reading.status == GOOD
    assert np.array_equal(np.isnan(reading.values), ~good)


def _device(profile):
    return Device(UnitHandle(0), 0, "meter", profile, "123456789012")


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(OLD.points), st.binary(max_size=8), st.booleans())
def test_the_usual_way_takes_what_the_thorough_way_takes(point, data, in_block):
    source = _Source(0, point.spots[0], in_block and point.spots[0].block is not None)
    assert _taker([source])([Answer(data)]) == _raw(source, [Answer(data)])
