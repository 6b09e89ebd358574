"""Packets of modems in a stream: found where they are, taken out whole, whatever surrounds them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.transport.packets import SHORT, Found, Packet

BEAT = b"HEARTBEAT"
others = st.binary(max_size=40).filter(lambda data: not set(data) & set(BEAT))


@settings(max_examples=200)
@given(st.lists(others, min_size=1, max_size=6))
def test_a_stream_without_its_heartbeats_is_what_stood_between_them(pieces):
    kept, count = Packet("HEARTBEAT", "text", "").strip(BEAT.join(pieces))
    assert (kept, count) == (b"".join(pieces), len(pieces) - 1)


@settings(max_examples=200)
@given(st.binary(max_size=60))
def test_hexadecimal_patterns_match_whole_bytes_only(data):
    packet = Packet("68AA16EE", "hex", "")
    at = data.find(b"\x68\xaa\x16\xee")
    assert packet.find(data) == (Found(at, at + 4) if at >= 0 else None)


@settings(max_examples=300)
@given(st.binary(max_size=80), st.sampled_from([("(?P<id>[0-9]+)?", "text"), ("(?P<id>..)*FE", "hex"), ("$", "text")]))
def test_any_bytes_at_all_are_searched_without_harm(data, how):
    packet = Packet(*how, "")
    kept, count = packet.strip(data)
    assert len(kept) <= len(data)
    assert count == 0 or len(kept) < len(data)


@given(st.binary(min_size=1, max_size=30))
def test_short_heartbeats_count_only_alone(data):
    packet = Packet("FE", "hex", "")
    kept, count = packet.strip(data)
    if set(data) == {0xFE}:
        assert (kept, count) == (b"", len(data))
    else:
        assert (kept, count) == (data, 0)
    assert len(b"\xfe") < SHORT


@given(st.binary(max_size=20), st.integers(2, len(BEAT) - 1))
def test_the_beginning_of_a_heartbeat_is_known_at_the_end_of_what_came(data, size):
    assert Packet("HEARTBEAT", "text", "").begun(data + BEAT[:size]) >= size


def test_a_pattern_of_many_packets_has_no_known_beginning():
    assert Packet("BEAT[0-9]", "text", "").begun(b"xxBEAT") == 0


def test_replies_are_written_as_the_packets_are():
    assert Packet("x", "text", "OK\r\n").reply == b"OK\r\n"
    assert Packet("68", "hex", "68 01 16").reply == b"\x68\x01\x16"
