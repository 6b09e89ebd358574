"""Reading: blocks and what replaces them, answers found among everything else, refusals that are remembered."""

from __future__ import annotations

import math

import pytest

from address_space.model.quality import GOOD, Reason
from drivers.dlt645.answers import Answer
from drivers.dlt645.frame import Frame, encode
from drivers.dlt645.refusals import refusal
from drivers.errors import BadFrame, DeviceRefused, NoAnswer

PHASES = """\
dlt645: {version: 2007}
points:
  VoltageL1: {di: 0x02010100}
  VoltageL2: {di: 0x02010200}
  VoltageL3: {di: 0x02010300}
"""
ENERGY = """\
dlt645: {version: 2007}
points:
  ActiveEnergyImport: {di: 0x00010000}
"""
OLD = """\
dlt645: {version: 1997}
points:
  ActiveEnergyImport: {di: 0x9010}
  ActiveEnergyImportT1: {di: 0x9011}
  ReactivePower: {di: 0xB640}
"""


async def test_values_come_out_in_base_units(bench, compiled):
    bench.meter.holds = {0x00010000: bytes.fromhex("78563412"), 0x02030000: bytes.fromhex("563480")}
    reading = await bench.read(compiled(ENERGY + "  ActivePower: {di: 0x02030000}\n"))
    assert reading.status.tolist() == [GOOD, GOOD]
    assert reading.values.tolist() == [123_456_780.0, pytest.approx(-345.6)]


async def test_two_values_of_a_block_are_read_with_one_request(bench, compiled):
    bench.meter.holds = {0x0201FF00: bytes.fromhex("342212230000")}
    reading = await bench.read(compiled(PHASES))
    assert reading.values.tolist() == [223.4, 231.2, 0.0]
    assert bench.meter.read_identifiers() == ["0201FF00"]


async def test_a_single_value_of_a_block_is_read_alone(bench, compiled):
    bench.meter.holds = {0x02010100: bytes.fromhex("3422")}
    await bench.read(compiled("dlt645: {version: 2007}\npoints: {VoltageL1: {di: 0x02010100}}\n"))
    assert bench.meter.read_identifiers() == ["02010100"]


async def test_phases_that_a_meter_leaves_out_or_fills_with_ff_are_not_supported(bench, compiled):
    bench.meter.holds = {0x0201FF00: bytes.fromhex("5622FFFF")}
    reading = await bench.read(compiled(PHASES))
    assert reading.status.tolist() == [GOOD, Reason.NOT_SUPPORTED.status, Reason.NOT_SUPPORTED.status]
    assert math.isnan(reading.values[1])


async def test_digits_that_are_none_are_no_number(bench, compiled):
    bench.meter.holds = {0x00010000: bytes.fromhex("0A000000")}
    reading = await bench.read(compiled(ENERGY))
    assert reading.status.tolist() == [Reason.OUT_OF_RANGE.status]


async def test_a_meter_without_the_block_is_read_piece_by_piece_and_the_block_not_asked_for_again(bench, compiled):
    bench.meter.holds = {0x02010100: bytes.fromhex("3422"), 0x02010200: bytes.fromhex("1223")}
    profile = compiled(PHASES)
    first, second = await bench.read(profile), await bench.read(profile)
    for reading in (first, second):
        assert reading.values.tolist()[:2] == [223.4, 231.2]
        assert reading.status.tolist() == [GOOD, GOOD, Reason.NOT_SUPPORTED.status]
    assert bench.meter.read_identifiers() == [
        *("0201FF00", "02010100", "02010200", "02010300"),
        *("02010100", "02010200"),
    ]


async def test_a_missing_identifier_is_told_once_and_then_remembered(bench, compiled, device_of):
    profile = compiled(ENERGY)
    device = device_of(profile)
    request = bench.driver.plan(device, (0,)).requests[0]
    with pytest.raises(DeviceRefused, match="no such data") as caught:
        await bench.driver.request(device, request)
    assert caught.value.reason is Reason.NOT_SUPPORTED
    again = await bench.driver.request(device, request)
    assert bench.driver.decode(device, bench.driver.plan(device, (0,)), {request: again}).status.tolist() == [
        Reason.NOT_SUPPORTED.status
    ]
    assert len(bench.meter.asked) == 1


async def test_a_late_refusal_is_not_taken_for_one_of_the_next_identifier(bench, compiled, device_of):
    device = device_of(compiled(ENERGY))
    request = bench.driver.plan(device, (0,)).requests[0]
    bench.meter.mute = True
    with pytest.raises(NoAnswer):
        await bench.driver.request(device, request)
    bench.meter.mute = False
    bench.meter.holds = {0x00010000: bytes.fromhex("01000000")}
    usual, late = bench.meter.answer, [Frame(bench.meter.address, 0xD1, b"\x02")]
    bench.meter.answer = lambda frame: late.pop() if late else usual(frame)
    answer = await bench.driver.request(device, request)
    assert answer.data == bytes.fromhex("01000000")
    assert len(bench.meter.asked) == 3


async def test_a_meter_that_may_be_dead_is_asked_even_for_what_it_lacks(bench, compiled, device_of):
    device = device_of(compiled(ENERGY))
    request = bench.driver.plan(device, (0,)).requests[0]
    with pytest.raises(DeviceRefused):
        await bench.driver.request(device, request)
    bench.driver._known[device.unit][1].heard_ns -= 60 * 10**9
    bench.meter.mute = True
    with pytest.raises(NoAnswer):
        await bench.driver.request(device, request)


async def test_a_wrong_password_is_no_missing_data(bench, compiled):
    bench.meter.refuse = {0x00010000: 0x04}
    with pytest.raises(DeviceRefused, match=r"wrong password or not authorised.*check level") as caught:
        await bench.read(compiled(ENERGY))
    assert (caught.value.code, caught.value.reason) == (4, Reason.DEVICE_ERROR)


async def test_noise_echo_answers_of_others_and_old_answers_are_passed_over(bench, compiled):
    bench.meter.holds = {0x00010000: bytes.fromhex("01000000")}
    head = bytes.fromhex("00000100")
    bench.meter.before = b"".join(
        (
            b"\x00\xff\x68\x12",
            encode(Frame(bench.meter.address, 0x11, head)),
            encode(Frame("000000000161", 0x91, head + bytes.fromhex("99999999"))),
            encode(Frame(bench.meter.address, 0x91, bytes.fromhex("00000200") + bytes.fromhex("88888888"))),
            encode(Frame(bench.meter.address, 0x94)),
        )
    )
    reading = await bench.read(compiled(ENERGY))
    assert reading.values.tolist() == [10.0]


async def test_silence_is_no_answer(bench, compiled):
    bench.meter.mute = True
    with pytest.raises(NoAnswer, match="no answer within 500 ms"):
        await bench.read(compiled(ENERGY))


async def test_only_an_echo_is_no_answer_and_the_error_says_so(bench, compiled):
    bench.meter.mute = True
    bench.meter.answer = lambda frame: frame
    bench.meter.mute = False
    with pytest.raises(NoAnswer, match="only the request's own echo"):
        await bench.read(compiled(ENERGY))


async def test_a_broken_answer_is_told_with_what_is_wrong_with_it(bench, compiled):
    bench.meter.holds = {0x00010000: bytes.fromhex("01000000")}
    bench.meter.spoil = lambda frame: frame[:-2] + bytes([frame[-2] ^ 1]) + frame[-1:]
    with pytest.raises(BadFrame, match="checksum"):
        await bench.read(compiled(ENERGY))


async def test_an_answer_of_another_length_is_no_value(bench, compiled):
    bench.meter.holds = {0x00010000: bytes.fromhex("0100000000")}
    reading = await bench.read(compiled(ENERGY))
    assert reading.status.tolist() == [Reason.BAD_FRAME.status]


async def test_follow_up_frames_are_collected_in_order(bench, compiled):
    bench.meter.pieces = {0x0001FF00: [bytes.fromhex("01000000"), bytes.fromhex("02000000"), bytes.fromhex("03000000")]}
    text = ENERGY + "  ActiveEnergyImportT1: {di: 0x00010100}\n  ActiveEnergyImportT2: {di: 0x00010200}\n"
    reading = await bench.read(compiled(text))
    assert reading.values.tolist() == [10.0, 20.0, 30.0]
    assert [frame.data[4:] for frame in bench.meter.asked[1:]] == [b"\x01", b"\x02"]


async def test_a_follow_up_with_a_wrong_sequence_number_is_not_taken(bench, compiled):
    bench.meter.pieces = {0x00010000: [bytes.fromhex("0100"), bytes.fromhex("0000")]}
    bench.meter.wrong_number = 1
    with pytest.raises(NoAnswer, match="another sequence number"):
        await bench.read(compiled(ENERGY))


async def test_a_meter_that_never_ends_its_answer_is_given_up(bench, compiled):
    bench.meter.pieces = {0x00010000: [b"\x01"] * 400}
    with pytest.raises(BadFrame, match="more than 255 frames"):
        await bench.read(compiled(ENERGY))


async def test_the_edition_of_1997_is_spoken_with_two_byte_identifiers(bench, compiled):
    bench.meter.di_size = 2
    bench.meter.holds = {0x901F: bytes.fromhex("39000000AA00000000AA03000000AA"), 0xB640: bytes.fromhex("563480")}
    reading = await bench.read(compiled(OLD))
    assert bench.meter.read_identifiers() == ["901F", "B640"]
    assert reading.values.tolist() == [390.0, 0.0, pytest.approx(-345.6)]


async def test_an_answer_with_aa_for_an_address_counts_only_where_the_channel_is_not_strict(open_bench, compiled):
    for strict in (True, False):
        async with open_bench(strict=strict) as bench:
            bench.meter.holds = {0x00010000: bytes.fromhex("01000000")}
            bench.meter.address = "A" * 12
            if strict:
                with pytest.raises(NoAnswer, match="an answer of AAAAAAAAAAAA"):
                    await bench.read(compiled(ENERGY))
            else:
                assert (await bench.read(compiled(ENERGY))).values.tolist() == [10.0]


async def test_one_meter_on_the_line_is_read_without_its_number(bench, compiled):
    bench.meter.holds = {0x00010000: bytes.fromhex("01000000")}
    assert (await bench.read(compiled(ENERGY), address="AAAAAAAAAAAA")).values.tolist() == [10.0]


async def test_leading_zeros_of_an_address_may_be_missing(bench, compiled):
    bench.meter.address = "000000000161"
    bench.meter.holds = {0x00010000: bytes.fromhex("01000000")}
    assert (await bench.read(compiled(ENERGY), address="161")).values.tolist() == [10.0]


async def test_ratios_multiply_exactly(bench, compiled):
    bench.meter.holds = {0x00010000: bytes.fromhex("33000000")}
    text = "dlt645: {version: 2007}\npoints: {ActiveEnergyImport: {di: 0x00010000, ratio: ctpt}}\n"
    assert (await bench.read(compiled(text), ratio=(40.0, 100.0))).values.tolist() == [1_320_000.0]


async def test_a_lost_line_is_told_as_such(bench, compiled):
    await bench.driver.close()
    assert not bench.driver.connected
    await bench.driver.open()
    bench.meter.holds = {0x00010000: bytes.fromhex("01000000")}
    assert bench.driver.connected


async def test_requests_of_a_plan_say_how_many_bytes_go_over_the_wire(bench, compiled, device_of):
    device = device_of(compiled(ENERGY))
    request = bench.driver.plan(device, (0,)).requests[0]
    assert (request.label, request.sent, request.received) == ("00010000", 4 + 12 + 4, 4 + 12 + 8)


async def test_plans_are_shared_by_all_meters_of_a_profile(bench, compiled, device_of):
    profile = compiled(PHASES)
    one = bench.driver.plan(device_of(profile), (0, 1))
    assert bench.driver.plan(device_of(profile, "1"), (0, 1)) is one


async def test_a_failed_request_gives_its_points_the_reason(bench, compiled, device_of):
    device = device_of(compiled(PHASES + "  Frequency: {di: 0x02800002}\n"))
    plan = bench.driver.plan(device, (0, 1, 2, 3))
    block, single = plan.requests
    reading = bench.driver.decode(device, plan, {block: Reason.BAD_FRAME, single: Answer(bytes.fromhex("0050"))})
    assert reading.status.tolist() == [Reason.BAD_FRAME.status] * 3 + [GOOD]
    assert reading.values[3] == 50.0


async def test_a_probe_tells_address_type_and_a_first_value(bench, compiled, device_of):
    bench.meter.holds = {
        0x04000401: bytes.fromhex(bench.meter.address)[::-1],
        0x0400040B: b"DDS-1234  "[::-1],
        0x00010000: bytes.fromhex("56340000"),
    }
    told = await bench.driver.probe(device_of(compiled(ENERGY), "AAAAAAAAAAAA"))
    assert bench.meter.asked[0] == Frame("A" * 12, 0x13)
    assert "address 123456789012" in told
    assert "DDS-1234" in told
    assert "ActiveEnergyImport = 34560 Wh" in told


CAPTURED = [
    ("000000000161", "2007", {"ActiveEnergyImport": 0x00010000}, "6861010000000068910833333433593333338A16", [260.0]),
    (
        "000000000161",
        "2007",
        {"ReactiveEnergyImport": 0x00030000},
        "6861010000000068910833333633593334338D16",
        [100_260.0],
    ),
    ("000000000161", "2007", {"CurrentL1": 0x02020100}, "6861010000000068910733343535CC7C331616", [4.999]),
    ("000000000161", "2007", {"ApparentPower": 0x02050000}, "68610100000000689107333338353983338C16", [500.6]),
    (
        "201000000012",
        "2007",
        {
            f"ActiveEnergyImport{tariff}": 0x00010000 | place << 8
            for place, tariff in enumerate(("", "T1", "T2", "T3", "T4"))
        },
        "68120000001020689118333234335C343333953333339333333336333333353333337416",
        [1290.0, 620.0, 600.0, 30.0, 20.0],
    ),
    (
        "201000000012",
        "2007",
        {"VoltageL1": 0x02010100, "VoltageL2": 0x02010200, "VoltageL3": 0x02010300},
        "6812000000102068910A333234358955323232322116",
        [225.6, math.nan, math.nan],
    ),
    (
        "201000000012",
        "2007",
        {"Prepayment.MeterCredit": 0x00900200},
        "681200000010206891083335C33389CB3433C416",
        [198.56],
    ),
    (
        "201709320072",
        "2007",
        {"ActiveEnergyImport": 0x00010000},
        "FEFE6872003209172068910833333433B93433336D16",
        [1860.0],
    ),
    ("005223440001", "2007", {"VoltageL3": 0x02010300}, "68010044235200689106333634359555DD16", [226.2]),
    ("123456789012", "1997", {"ActiveEnergyImport": 0x9010}, "6812907856341268810643C333333433E016", [100_000.0]),
    ("000000063295", "1997", {"ActiveEnergyImport": 0x9010}, "6895320600000068810643C3483333330B16", [150.0]),
    (
        "000000063295",
        "1997",
        {f"ActiveEnergyImport{tariff}": 0x9010 + place for place, tariff in enumerate(("", "T1", "T2", "T3", "T4"))},
        "6895320600000068811652C36C33333333333333363333335733333345333333B716",
        [390.0, 0.0, 30.0, 240.0, 120.0],
    ),
    ("AAAAAAAAAAAA", "1997", {"ActiveEnergyImport": 0x9010}, "68AAAAAAAAAAAA68810643C394A53533FA16", [272_610.0]),
    (
        "151800161485",
        "1997",
        {"ActiveEnergyImport": 0x9010},
        "FEFEFEFE6885141600181568810643C37B954333BF16",
        [1_062_480.0],
    ),
]
"""Answers of meters as public sources give them: address, edition, identifiers, answer, values in base units."""


@pytest.mark.parametrize(("address", "version", "points", "answer", "values"), CAPTURED)
async def test_a_captured_answer_reads_right(bench, compiled, address, version, points, answer, values):
    raw = bytes.fromhex(answer)
    bench.meter.answer = lambda frame: frame
    bench.meter.spoil = lambda frame: raw
    lines = "".join(f"  {name}: {{di: 0x{di:04X}}}\n" for name, di in points.items())
    profile = compiled(f"dlt645: {{version: {version}}}\npoints:\n{lines}")
    reading = await bench.read(profile, address=address)
    assert reading.values.tolist() == pytest.approx(values, nan_ok=True)


@pytest.mark.parametrize(
    ("address", "version", "answer", "code"),
    [
        ("910004920760", "2007", "FEFEFEFE6860079204009168D101376716", 0x04),
        ("000000063295", "1997", "6895320600000068C101359416", 0x02),
    ],
)
async def test_a_captured_refusal_is_understood(bench, compiled, address, version, answer, code):
    raw = bytes.fromhex(answer)
    bench.meter.answer = lambda frame: frame
    bench.meter.spoil = lambda frame: raw
    di = "0x00010000" if version == "2007" else "0x9010"
    profile = compiled(f"dlt645: {{version: {version}}}\npoints: {{ActiveEnergyImport: {{di: {di}}}}}\n")
    with pytest.raises(DeviceRefused) as caught:
        await bench.read(profile, address=address)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("control", "data", "said", "reason"),
    [
        (0xD1, b"\x02", "no such data", Reason.NOT_SUPPORTED),
        (0xD1, b"\x06", "no such data, wrong password", Reason.DEVICE_ERROR),
        (0xD1, b"", "no error bit", Reason.DEVICE_ERROR),
        (0xD7, b"\x08", "baud not changeable", Reason.DEVICE_ERROR),
        (0xC3, b"\x02\x00", "recharged twice", Reason.DEVICE_ERROR),
        (0xC3, b"\x20\x00", "recharge count mismatch", Reason.DEVICE_ERROR),
        (0xC3, b"\x01", "other", Reason.DEVICE_ERROR),
    ],
)
def test_every_error_answer_is_put_into_words(control, data, said, reason):
    error = refusal(Frame("000000000001", control, data), "meter 1")
    assert said in str(error)
    assert error.reason is reason
