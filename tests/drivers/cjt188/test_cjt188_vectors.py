"""Frames from public sources, each decoded as its source or its checksum says; the malformed ones refused."""

from __future__ import annotations

from typing import Any

from drivers.cjt188 import Decoder, Frame
from drivers.cjt188.explain import explain


def test_every_sound_frame_says_what_it_should(vectors: list[dict[str, Any]]) -> None:
    sound = [vector for vector in vectors if vector["class"] == "valid"]
    assert len(sound) >= 18
    for vector in sound:
        told = explain(vector["hex"]).to_dict()
        assert told["valid"], vector["id"]
        assert told["protocol"] == "cjt188"
        assert {key: told[key] for key in vector["expected"]} == vector["expected"], vector["id"]


def test_every_malformed_frame_is_refused_with_the_reason(vectors: list[dict[str, Any]]) -> None:
    broken = [vector for vector in vectors if vector["class"] == "malformed"]
    assert len(broken) >= 2
    for vector in broken:
        explanation = explain(vector["hex"])
        assert not explanation.sound
        assert "checksum" in explanation.to_dict()["errors"][0]
        assert "value" not in explanation.to_dict()


def test_the_streaming_decoder_agrees_on_every_frame(vectors: list[dict[str, Any]]) -> None:
    for vector in vectors:
        decoder = Decoder()
        data = bytes.fromhex(vector["hex"])
        found = [each for each in decoder.feed(data) + decoder.flush() if isinstance(each, Frame)]
        assert len(found) == (vector["class"] == "valid"), vector["id"]


def test_all_of_them_in_one_stream_are_found_in_order(vectors: list[dict[str, Any]]) -> None:
    decoder = Decoder()
    stream = b"".join(bytes.fromhex(vector["hex"]) for vector in vectors)
    found = [each for byte in stream for each in decoder.feed(bytes((byte,))) if isinstance(each, Frame)]
    expected = [vector["expected"]["address"] for vector in vectors if vector["class"] == "valid"]
    assert [frame.address for frame in found] == expected
