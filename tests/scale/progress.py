"""How far the run is, on standard error."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class Steps:
    """One bar over all benchmarks, with what is being measured beside it."""

    def __init__(self, benchmarks: int, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(20),
            TextColumn("{task.completed}/{task.total}"),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("", total=benchmarks)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, what: str) -> None:
        """Say what is being measured."""
        self._progress.update(self._task, description=what)

    def done(self) -> None:
        """One benchmark more is finished."""
        self._progress.advance(self._task)
