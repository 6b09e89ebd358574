"""Frames out of streams, and streams out of frames."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.codec.frame68 import Cause, Flaw, address_bytes
from drivers.dlt645.frame import ANY, BROADCAST, DIGITS, LONGEST, Decoder, Frame, encode, matches

READ = bytes.fromhex("68129078563412681104333334336816")
ADDRESSES = st.text("0123456789", min_size=12, max_size=12) | st.just(ANY) | st.just(BROADCAST)
FRAMES = st.builds(Frame, ADDRESSES, st.integers(0, 255), st.binary(max_size=255))


def frames(found: list[Frame | Flaw]) -> list[Frame]:
    return [each for each in found if isinstance(each, Frame)]


def flaws(found: list[Frame | Flaw]) -> list[Flaw]:
    return [each for each in found if isinstance(each, Flaw)]


def test_a_read_is_encoded_as_the_standard_writes_it() -> None:
    assert encode(Frame("123456789012", 0x11, bytes.fromhex("00000100")), 0) == READ
    assert encode(Frame("123456789012", 0x11, bytes.fromhex("00000100"))) == b"\xfe" * 4 + READ


@given(FRAMES, st.integers(0, 20))
def test_decoding_undoes_encoding(frame: Frame, preamble: int) -> None:
    assert Decoder().feed(encode(frame, preamble)) == [frame]


@given(st.lists(FRAMES, max_size=4), st.data())
@settings(deadline=None)
def test_it_does_not_matter_how_a_stream_is_cut(sent: list[Frame], data: st.DataObject) -> None:
    stream = b"".join(encode(frame, 2) for frame in sent)
    decoder, found, at = Decoder(), [], 0
    while at < len(stream):
        step = data.draw(st.integers(1, 60))
        found += decoder.feed(stream[at : at + step])
        at += step
    assert found == sent


@given(st.lists(st.binary(max_size=700), max_size=5))
def test_any_bytes_are_judged_and_little_is_kept(pieces: list[bytes]) -> None:
    decoder = Decoder()
    for piece in pieces:
        for each in decoder.feed(piece):
            assert isinstance(each, Frame | Flaw)
        assert len(decoder._rest) < LONGEST
    decoder.flush()
    assert decoder._rest == b""


@given(st.binary(max_size=80).filter(lambda noise: b"\x68" not in noise), FRAMES, st.binary(max_size=5))
def test_noise_without_a_start_never_hides_a_frame(noise: bytes, frame: Frame, tail: bytes) -> None:
    decoder = Decoder()
    assert frames(decoder.feed(noise + encode(frame) + tail) + decoder.flush())[0] == frame


def test_a_false_start_does_not_swallow_the_frame_behind_it() -> None:
    false = bytes.fromhex("68 01 02 03 04 05 06 68 91 FF")
    decoder = Decoder()
    found = decoder.feed(false + READ)
    assert [frame.control for frame in frames(found)] == [0x11]
    assert flaws(found)[0].cause is Cause.NOISE


def test_the_search_goes_on_one_byte_after_a_broken_frame() -> None:
    """What is announced as 8 bytes of data holds the whole next frame."""
    broken = bytes.fromhex("68 01 02 03 04 05 06 68 91 10")
    assert [frame.control for frame in frames(Decoder().feed(broken + READ + b"\0" * 20))] == [0x11]


@pytest.mark.parametrize(
    ("stream", "cause", "offset", "said"),
    [
        (READ[:-2] + b"\x00\x16", Cause.CHECKSUM, 0, "checksum 00 should be 68"),
        (READ[:-1] + b"\x17", Cause.END, 0, "ends with 17 instead of 16"),
        (b"\xfe\xfe" + READ[:12], Cause.CUT, 2, "cut off after 12 of 16 bytes"),
        (READ[:7], Cause.CUT, 0, "after 7 of its first 10 bytes"),
        (b"\x12\x34\x56", Cause.NOISE, 0, "3 bytes that belong to no frame"),
    ],
)
def test_what_is_no_frame_is_told_with_its_place(stream: bytes, cause: Cause, offset: int, said: str) -> None:
    decoder = Decoder()
    (flaw,) = flaws(decoder.feed(stream) + decoder.flush())
    assert (flaw.cause, flaw.offset) == (cause, offset)
    assert said in flaw.what


def test_offsets_count_from_the_beginning_of_the_stream() -> None:
    decoder = Decoder()
    decoder.feed(READ + READ)
    (flaw,) = flaws(decoder.feed(READ[:-2] + b"\x00\x16"))
    assert flaw.offset == 2 * len(READ)


@pytest.mark.parametrize("fill", [b"\xfe", b"\x00", b"\xff"])
def test_what_fills_a_line_is_no_noise(fill: bytes) -> None:
    assert Decoder().feed(fill * 500 + READ) == Decoder().feed(READ)


def test_a_cut_frame_is_forgotten_once_the_line_was_silent() -> None:
    decoder = Decoder()
    assert decoder.feed(READ[:9]) == []
    assert flaws(decoder.flush())
    assert frames(decoder.feed(READ[9:])) == []
    assert len(frames(decoder.feed(READ))) == 1


@pytest.mark.parametrize(
    ("asked", "answered", "fits"),
    [
        ("123456789012", "123456789012", True),
        ("123456789012", "123456789013", False),
        (ANY, "123456789012", True),
        (ANY, ANY, True),
        (BROADCAST, "000000000001", True),
        ("AAAAAAAA9012", "123456789012", True),
        ("AAAAAAAA9012", "123456789112", False),
        ("123456789012", ANY, False),
        ("1234", "123456789012", False),
    ],
)
def test_wildcards_stand_for_any_two_digits(asked: str, answered: str, *, fits: bool) -> None:
    assert matches(asked, answered) is fits


def test_impossible_frames_are_not_sent() -> None:
    with pytest.raises(ValueError, match="12 digits"):
        address_bytes("123", DIGITS)
    with pytest.raises(ValueError, match="255 bytes"):
        encode(Frame(ANY, 0x11, bytes(256)))
    with pytest.raises(ValueError, match="hex"):
        encode(Frame("12345678901X", 0x11))


def test_the_control_byte_says_who_speaks_and_how() -> None:
    refused, part = Frame(ANY, 0xD1), Frame(ANY, 0xB1)
    assert (refused.from_meter, refused.error, refused.more, refused.function) == (True, True, False, 0x11)
    assert (part.from_meter, part.error, part.more, part.function) == (True, False, True, 0x11)
