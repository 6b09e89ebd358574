"""Frames out of any stream: round trips, noise, halves, and bytes that were never a frame."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.cjt188.frame import ANY, LONGEST, MAX_DATA, Decoder, Frame, encode
from drivers.codec.frame68 import Cause, Flaw, matches

TYPES = [0x10, 0x11, 0x19, 0x20, 0x25, 0x30, 0x49, 0xAA]
addresses = st.one_of(st.from_regex(r"[0-9]{14}", fullmatch=True), st.just(ANY))
frames = st.builds(Frame, st.sampled_from(TYPES), addresses, st.integers(0, 255), st.binary(max_size=MAX_DATA))
SAMPLE = Frame(0x10, "00123456789012", 0x81, bytes.fromhex("1f9001785634122c"))


def sound(found: list[Frame | Flaw]) -> list[Frame]:
    return [each for each in found if isinstance(each, Frame)]


@given(frames, st.integers(0, 40))
def test_decoding_what_was_encoded_gives_the_frame_back(frame: Frame, preamble: int) -> None:
    decoder = Decoder()
    assert sound(decoder.feed(encode(frame, preamble))) == [frame]
    assert decoder.flush() == []


@given(frames, st.binary(max_size=150), st.binary(max_size=60))
def test_a_frame_is_found_in_any_noise(frame: Frame, before: bytes, after: bytes) -> None:
    assert frame in sound(Decoder().feed(before + encode(frame) + after)) or _swallowed(before, frame)


def _swallowed(before: bytes, frame: Frame) -> bool:
    """Whether the noise, with the frame behind it, is by chance another sound frame."""
    return sound(Decoder().feed(before + encode(frame)))[:1] not in ([], [frame])


@given(frames, st.lists(st.integers(1, 40), min_size=1))
def test_it_does_not_matter_in_which_pieces_a_frame_comes(frame: Frame, cuts: list[int]) -> None:
    stream, decoder, found, at, turn = encode(frame), Decoder(), [], 0, 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        found += decoder.feed(stream[at : at + size])
        at, turn = at + size, turn + 1
    assert frame in sound(found)


@given(frames, st.integers(1, 20))
def test_a_frame_cut_short_is_never_taken(frame: Frame, missing: int) -> None:
    stream = encode(frame, 0)
    decoder = Decoder()
    found = sound(decoder.feed(stream[: max(len(stream) - missing, 0)]) + decoder.flush())
    assert frame not in found


@pytest.mark.parametrize("position", range(1, len(encode(SAMPLE, 0))))
def test_a_wrong_byte_anywhere_is_noticed(position: int) -> None:
    broken = bytearray(encode(SAMPLE, 0))
    broken[position] ^= 0x10
    decoder = Decoder()
    assert sound(decoder.feed(bytes(broken)) + decoder.flush()) == []


def test_two_frames_with_a_false_start_between_them_are_both_found() -> None:
    false_start = bytes.fromhex("68101122334455660081")
    decoder = Decoder()
    found = decoder.feed(encode(SAMPLE) + false_start + encode(SAMPLE))
    assert sound(found) == [SAMPLE, SAMPLE]


def test_what_stands_before_and_behind_a_frame_is_no_noise_if_it_is_filling() -> None:
    assert Decoder().feed(b"\x00\x00" + encode(SAMPLE, 13) + b"\x00\xff") == [SAMPLE]


@pytest.mark.parametrize(
    ("stream", "cause"),
    [
        (bytes.fromhex("0102"), Cause.NOISE),
        (bytes.fromhex("6877"), Cause.TYPE),
        (bytes.fromhex("681000112233445566") + b"\x01\x65", Cause.LENGTH),
        (encode(SAMPLE, 0)[:-2] + b"\x00\x16", Cause.CHECKSUM),
        (encode(SAMPLE, 0)[:-1] + b"\x17", Cause.END),
        (encode(SAMPLE, 0)[:-1], Cause.CUT),
    ],
)
def test_a_flaw_names_its_cause(stream: bytes, cause: Cause) -> None:
    decoder = Decoder()
    flaws = [each for each in decoder.feed(stream) + decoder.flush() if isinstance(each, Flaw)]
    assert flaws[0].cause is cause
    assert flaws[0].what


def test_flaws_count_from_the_beginning_of_the_stream() -> None:
    decoder = Decoder()
    decoder.feed(encode(SAMPLE, 2))
    (flaw,) = (each for each in decoder.feed(b"\xfe\x01\x02") if isinstance(each, Flaw))
    assert flaw.offset == len(encode(SAMPLE, 2))


def test_an_endless_stream_of_starts_needs_no_memory() -> None:
    decoder = Decoder()
    for _ in range(200):
        decoder.feed(b"\x68\x10" * 500)
        assert decoder.kept < LONGEST


@pytest.mark.parametrize(
    "frame",
    [
        Frame(0x77, SAMPLE.address, 1),
        Frame(0x10, "123", 1),
        Frame(0x10, SAMPLE.address, 1, bytes(MAX_DATA + 1)),
    ],
)
def test_an_impossible_frame_is_not_sent(frame: Frame) -> None:
    with pytest.raises(ValueError, match=r"meter|digits|data"):
        encode(frame)


def test_an_address_with_wildcards_matches_what_it_leaves_open() -> None:
    assert matches(ANY, "00123456789012")
    assert matches("AAAA3456789012", "00123456789012")
    assert not matches("AAAA3456789012", "00123456789013")
    assert not matches("00123456789012", ANY)


def test_random_and_mutated_streams_never_break_it() -> None:
    dice = random.Random(188)
    decoder, seed = Decoder(), encode(SAMPLE)
    found = 0
    for round_ in range(20_000):
        if round_ % 2:
            data = bytearray(seed)
            for _ in range(dice.randrange(4)):
                data[dice.randrange(len(data))] = dice.randrange(256)
        else:
            data = bytearray(dice.randbytes(dice.randrange(40)))
        found += len(sound(decoder.feed(bytes(data))))
        assert decoder.kept < LONGEST
    assert found > 2_000
