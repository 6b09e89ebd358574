"""Frames of real meters: every key of what they are known to say is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from drivers.dlt645.explain import explain
from drivers.dlt645.frame import Decoder, Frame, encode

GOLDEN: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "golden" / "dlt645" / "frames.json").read_text(encoding="utf-8")
)["vectors"]


def of(kind: str) -> list[Any]:
    return [pytest.param(each, id=each["id"]) for each in GOLDEN if each["class"] == kind]


@pytest.mark.parametrize("vector", of("valid"))
def test_a_frame_is_told_as_it_is_known(vector: dict[str, Any]) -> None:
    told = explain(vector["hex"])
    shown = told.to_dict()
    assert (shown["valid"], shown["errors"], shown["protocol"]) == (True, [], vector["protocol"])
    assert {key: shown.get(key, "missing") for key in vector["expected"]} == vector["expected"]
    assert told.lines()
    json.dumps(shown)


@pytest.mark.parametrize("vector", of("valid"))
def test_a_frame_comes_out_of_the_stream_and_goes_back_into_the_same_bytes(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    (frame,) = [each for each in Decoder().feed(data) if isinstance(each, Frame)]
    assert data.endswith(encode(frame, 0))


@pytest.mark.parametrize("vector", of("malformed"))
def test_a_broken_frame_is_refused_and_it_is_said_why(vector: dict[str, Any]) -> None:
    told = explain(vector["hex"])
    assert not told.sound
    assert told.problems[0].startswith(("checksum", "the frame is cut off"))
    assert told.to_dict()["valid"] is False


def test_answers_of_several_meters_are_found_between_noise() -> None:
    (stream,) = [each for each in GOLDEN if each["class"] == "stream"]
    shown = explain(stream["hex"]).to_dict()
    assert [frame["address"] for frame in shown["frames"]] == ["564102061120", "360621121120", "360621121120"]
    assert [frame["control"] for frame in shown["frames"]] == ["81", "C5", "C5"]
    assert "3 bytes that belong to no frame" in shown["notes"][0]


def test_every_kind_of_frame_is_among_the_golden_ones() -> None:
    classes = [each["class"] for each in GOLDEN]
    assert (classes.count("valid"), classes.count("malformed"), classes.count("stream")) == (52, 4, 1)
