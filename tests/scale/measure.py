"""Measuring tools: processor time and memory of other processes, figures with their spread, children to be measured.

Processor time is read from the clock that Linux keeps for each process, so that the measured process does nothing for
it, and time that other programs take from it does not count.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[2]
END_S = 10.0
_PROCESS_CPU = 2


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure: the median of its rounds, and the lowest and highest of them."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, rounds: Sequence[float]) -> Figure:
        """The figure of some rounds; raises ValueError where there are none."""
        if not rounds:
            raise ValueError("nothing was measured")
        return cls(statistics.median(rounds), min(rounds), max(rounds))

    @classmethod
    def once(cls, value: float) -> Figure:
        """A figure that was measured once."""
        return cls(value, value, value)

    @property
    def spread(self) -> float:
        """Half of the distance between lowest and highest round, as a share of the median."""
        return (self.high - self.low) / 2.0 / self.value if self.value else 0.0


def cpu_s(pid: int) -> float:
    """Processor seconds of all threads of a process since its start, to the nanosecond (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | _PROCESS_CPU)


def rss_bytes(pid: int) -> int:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(f"process {pid} has no resident memory")


def own_cpu_per(work: Callable[[], int], rounds: int) -> Figure:
    """Processor microseconds of this process for each thing that `work` did; it returns how many there were."""
    work()
    figures = []
    for _ in range(rounds):
        before = time.process_time()
        done = work()
        figures.append((time.process_time() - before) / done * 1e6)
    return Figure.of(figures)


class Child:
    """A module of this package, or any command, in a process of its own, spoken to in lines of JSON.

    Its first line says that it is ready (`ready`); after that each command is answered with one line.
    """

    def __init__(self, module: str | Sequence[str], **arguments: Any) -> None:
        command = [sys.executable, "-m", f"tests.scale.{module}"] if isinstance(module, str) else module
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            [*command, json.dumps(arguments)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.ready: dict[str, Any] = self._answer()
        self.ready_s = time.perf_counter() - self.began
        """Wall time from the start of the process until it was ready."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __call__(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Run one command; raises RuntimeError where the child ended instead of answering."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.process.stdin.flush()
        return self._answer()

    @property
    def url(self) -> str:
        """Where a server listens, as it said."""
        url: str = self.ready["url"]
        return url

    @property
    def cpu_s(self) -> float:
        """Processor seconds it has used."""
        return cpu_s(self.process.pid)

    @property
    def rss_bytes(self) -> int:
        """Its resident memory."""
        return rss_bytes(self.process.pid)

    def stop(self) -> None:
        """End it: its standard input closes, and it is killed if it does not take the hint."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.stop()
            raise RuntimeError(f"{' '.join(self.process.args[:-1])} ended with code {self.process.returncode}")
        answer: dict[str, Any] = json.loads(line)
        return answer
