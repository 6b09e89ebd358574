"""What another implementation of DL/T 645-2007 makes of our frames, and of the identifiers of the standard."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.codec.frame68 import address_bytes
from drivers.dlt645.frame import DIGITS, Decoder, Frame, encode
from drivers.dlt645.identifiers import find
from drivers.dlt645.item import Item

other = pytest.importorskip("dlt645.protocol.protocol", reason="needs the package dlt645")
define = pytest.importorskip("dlt645.model.data.define")

PLACES = re.compile("[^XYMDWhmsNSHC0-3]")
FRAMES = st.builds(Frame, st.text("0123456789", min_size=12, max_size=12), st.integers(0, 255), st.binary(max_size=255))


@given(FRAMES, st.integers(0, 4))
def test_both_read_the_same_out_of_our_frames(frame: Frame, preamble: int) -> None:
    read = other.DLT645Protocol.deserialize(encode(frame, preamble))
    assert bytes(read.addr) == address_bytes(frame.address, DIGITS)
    assert (read.ctrl_code, bytes(read.data)) == (frame.control, frame.data)


@given(FRAMES, st.integers(0, 4))
def test_both_build_the_same_frames(frame: Frame, preamble: int) -> None:
    built = other.DLT645Protocol.build_frame(address_bytes(frame.address, DIGITS), frame.control, frame.data, preamble)
    assert bytes(built) == encode(frame, preamble)
    assert Decoder().feed(bytes(built)) == [frame]


def described() -> list[tuple[int, str]]:
    """Identifiers of single values that the other implementation describes, with its format."""
    found: dict[int, Any] = define.DIMap
    return [(di, item.data_format) for di, item in found.items() if not isinstance(item, list) and item.data_format]


def test_both_know_the_same_sizes_and_decimals() -> None:
    """Demands are told without their moment there; nothing else differs."""
    compared = 0
    for di, shape in described():
        ours = find(di)
        if not isinstance(ours, Item):
            continue
        digits = len(PLACES.sub("", shape.replace("C0C1C2C3", "N" * 8)))
        assert 2 * ours.format.size == digits, f"{di:08X} {ours.name} {shape}"
        if re.fullmatch(r"[X.]+", shape):
            assert ours.format.decimals == len(shape.partition(".")[2]), f"{di:08X} {ours.name} {shape}"
        compared += 1
    assert compared > 15_000


def test_hardly_an_identifier_is_known_there_and_unknown_here() -> None:
    unknown = [f"{di:08X}" for di, _ in described() if find(di) is None]
    assert unknown == []
