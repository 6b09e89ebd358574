"""`python -m tests.scale`: measure speed and memory, and print one table."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence

from rich.console import Console

from tests.scale import (
    browsing,
    bulk_read,
    bus,
    codecs,
    dial_in,
    history_reads,
    kills,
    notifications,
    polling,
    recording,
    rollups,
    spooling,
    startup,
    updates,
)
from tests.scale.contenders import Lineup, contenders, running
from tests.scale.progress import Steps
from tests.scale.size import Size
from tests.scale.table import Row, table

ALONE = {
    module.NAME: module.run
    for module in (startup, updates, polling, bus, codecs, dial_in, recording, spooling, history_reads, rollups, kills)
}
BESIDE = {module.NAME: module.run for module in (bulk_read, notifications, browsing)}
"""Those that measure other servers too."""
BENCHMARKS = [
    startup.NAME,
    bulk_read.NAME,
    updates.NAME,
    notifications.NAME,
    polling.NAME,
    bus.NAME,
    codecs.NAME,
    dial_in.NAME,
    recording.NAME,
    spooling.NAME,
    history_reads.NAME,
    rollups.NAME,
    kills.NAME,
    browsing.NAME,
]
WIDTH = 140


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; 0 where everything could be measured, whatever the figures."""
    given = _parser().parse_args(arguments)
    logging.disable(logging.CRITICAL)
    names = given.only or BENCHMARKS
    size = Size.QUICK if given.quick else Size.FULL
    rows: list[Row] = []
    failed: list[str] = []
    lineup = Lineup(contenders(given.peer))
    errors = Console(stderr=True)
    with Steps(len(names) + given.million, errors) as steps:
        for name in names:
            try:
                rows += BESIDE[name](size, steps, lineup) if name in BESIDE else ALONE[name](size, steps)
            except Exception as error:  # noqa: BLE001 - one benchmark that fails does not take the others with it
                failed.append(f"{name}: {type(error).__name__}: {error}")
            steps.done()
        if given.million:
            rows += startup.million(steps)
            steps.done()
    if given.json:
        json.dump([row.as_data() for row in rows], sys.stdout, indent=2, ensure_ascii=False)
        sys.stdout.write("\n")
    else:
        out = Console() if sys.stdout.isatty() else Console(width=WIDTH)
        out.print(table(rows, lineup.absent))
        out.print("± half the distance between the lowest and the highest round; n × how many times better ours is.")
        out.print("What a row means: docs/performance.md")
    for line in failed + lineup.problems:
        errors.print(f"not measured: {line}", style="red", markup=False)
    return 1 if failed or lineup.problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.scale", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, no 100,000 metering points")
    parser.add_argument("--million", action="store_true", help="also start with 1,000,000 metering points")
    parser.add_argument(
        "--peer",
        type=running,
        action="append",
        default=[],
        metavar="NAME=URL,PID",
        help="also measure a server that runs already, with the model of docs/performance.md",
    )
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
