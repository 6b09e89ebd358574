"""Cost of a frame of the meters' own protocols, and broken bytes by the million.

`python -m tests.scale.codecs 10000000` feeds so many random and mutated byte strings to each decoder, and watches that
it neither fails, nor hangs, nor keeps what it was fed.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from drivers.cjt188 import frame as cjt188
from drivers.dlt645 import frame as dlt645
from tests.scale.measure import own_cpu_per, rss_bytes
from tests.scale.size import Size
from tests.scale.table import Row

NAME = "codecs"
FRAMES = {Size.FULL: 20_000, Size.QUICK: 5_000, Size.TINY: 500}
ROUNDS = {Size.FULL: 7, Size.QUICK: 3, Size.TINY: 2}
LONGEST_STRING = 120
SLOW_S = 0.5
"""A single string that takes so long hangs, for all that a bus can wait."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of feeding broken bytes to a decoder.

    longest_kept  bytes that it kept at most between two strings
    slowest_s     the longest that one string took, of processor time
    grown_bytes   by how much the process grew between the first tenth and the end
    """

    strings: int
    frames: int
    flaws: int
    longest_kept: int
    slowest_s: float
    grown_bytes: int
    seconds: float


def run(size: Size, step: Callable[[str], None]) -> list[Row]:
    """CPU a frame, of a block of five energies with its preamble."""
    step("codecs")
    frames, rounds = FRAMES[size], ROUNDS[size]
    block = dlt645.Frame("123456789012", 0x91, bytes.fromhex("00FF0100") + bytes.fromhex("78563412") * 5)
    wire = dlt645.encode(block)

    def encoded() -> int:
        for _ in range(frames):
            dlt645.encode(block)
        return frames

    def decoded() -> int:
        decoder = dlt645.Decoder()
        for _ in range(frames):
            decoder.feed(wire)
        return frames

    def decoded_cjt188() -> int:
        decoder = cjt188.Decoder()
        for _ in range(frames):
            decoder.feed(water)
        return frames

    note = "36 bytes and 4 of preamble, five energies"
    of_water = "35 bytes and 3 of preamble, a water meter's reading"
    water = cjt188.encode(
        cjt188.Frame(0x10, "00123456789012", 0x81, bytes.fromhex("1F9001" + "785634122C" * 2) + bytes(9))
    )
    return [
        Row(NAME, "DL/T 645 frame encoded", "µs", own_cpu_per(encoded, rounds), note=note),
        Row(NAME, "DL/T 645 frame decoded", "µs", own_cpu_per(decoded, rounds), note=note),
        Row(NAME, "CJ/T 188 frame decoded", "µs", own_cpu_per(decoded_cjt188, rounds), note=of_water),
    ]


def mutated(chance: random.Random, sound: Sequence[bytes]) -> bytes:
    """A random string, or a sound frame with some bytes changed, lost, doubled or cut."""
    if chance.random() < 0.3:
        return chance.randbytes(chance.randrange(LONGEST_STRING))
    frame = bytearray(chance.choice(sound))
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(frame)) if frame else 0
        match chance.randrange(5):
            case 0 if frame:
                frame[at] ^= 1 << chance.randrange(8)
            case 1:
                frame[at : at + chance.randrange(4)] = b""
            case 2:
                frame[at:at] = chance.randbytes(chance.randrange(6))
            case 3:
                frame[at:at] = frame[at : at + chance.randrange(12)]
            case _:
                frame = frame[:at]
    return bytes(frame)


def fuzz_dlt645(strings: int, seed: int = 1) -> Outcome:
    """So many strings through one decoder of DL/T 645; an error in it is not caught."""
    chance = random.Random(seed)
    sound = [
        dlt645.encode(dlt645.Frame("123456789012", control, chance.randbytes(length)), chance.randrange(8))
        for control in (0x11, 0x91, 0xB1, 0xD1, 0x01, 0x81, 0x1C, 0x93)
        for length in (0, 1, 4, 8, 24, 60)
    ]
    return _fuzzed(dlt645.Decoder(), dlt645.Frame, sound, strings, chance)


def fuzz_cjt188(strings: int, seed: int = 1) -> Outcome:
    """So many strings through one decoder of CJ/T 188; an error in it is not caught."""
    chance = random.Random(seed)
    sound = [
        cjt188.encode(cjt188.Frame(kind, "00123456789012", control, chance.randbytes(length)), chance.randrange(8))
        for kind, control in ((0x10, 0x01), (0x10, 0x81), (0x20, 0x81), (0x30, 0x84), (0xAA, 0x03), (0x11, 0xC1))
        for length in (0, 3, 5, 22, 46, 100)
    ]
    return _fuzzed(cjt188.Decoder(), cjt188.Frame, sound, strings, chance)


def _fuzzed(
    decoder: dlt645.Decoder | cjt188.Decoder,
    sort: type[object],
    sound: Sequence[bytes],
    strings: int,
    chance: random.Random,
) -> Outcome:
    frames = flaws = longest = before = 0
    slowest = 0.0
    began = time.perf_counter()
    for number in range(strings):
        string = mutated(chance, sound)
        at = time.process_time()
        found: list[object] = [*decoder.feed(string)]
        if number % 8 == 0:
            found += decoder.flush()
        slowest = max(slowest, time.process_time() - at)
        for each in found:
            if isinstance(each, sort):
                frames += 1
            else:
                flaws += 1
        longest = max(longest, decoder.kept)
        if number == strings // 10:
            before = rss_bytes(os.getpid())
    grown = rss_bytes(os.getpid()) - before if before else 0
    return Outcome(strings, frames, flaws, longest, slowest, grown, time.perf_counter() - began)


FUZZED: dict[str, Callable[[int, int], Outcome]] = {"dlt645": fuzz_dlt645, "cjt188": fuzz_cjt188}


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz each decoder, print what came of it; 1 where one hung or grew."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    strings = int(given[0]) if given else 100_000
    bad = 0
    for name in given[1:] or FUZZED:
        outcome = FUZZED[name](strings, 1)
        sys.stdout.write(json.dumps({"decoder": name} | asdict(outcome)) + "\n")
        bad += outcome.slowest_s > SLOW_S or outcome.grown_bytes > 20_000_000
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
