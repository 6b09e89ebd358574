"""Memory that is free goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

RESIDENT = """
import sys, threading
import numpy as np
from server import heap

def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) * 1024
"""
THREADS = """
kept = []
def work():
    made = [np.ones(100_000, np.uint8) for _ in range(1000)]
    kept.extend(made[::50])
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
before = resident()
heap.settle()
print(before, resident())
"""
LARGE = """
before = resident()
for _ in range(2):
    big = np.ones(8_000_000, np.uint8)
    del big
print(before, resident())
"""
only_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is resident this way")


def resident(*parts: str) -> list[int]:
    """What a process of its own tells, in bytes."""
    code = "\n".join((RESIDENT, *parts))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=240)
    return [int(number) for number in done.stdout.split()]


@only_linux
def test_what_threads_used_and_freed_during_a_start_is_given_back() -> None:
    before, after = resident(THREADS)

    assert before > 300_000_000
    assert after < 100_000_000


@only_linux
def test_a_large_block_is_given_back_as_soon_as_it_is_freed() -> None:
    before, after = resident(LARGE)
    prepared_before, prepared_after = resident("heap.prepare()", LARGE)

    assert after - before > 7_000_000
    assert prepared_after - prepared_before < 1_000_000
