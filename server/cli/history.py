"""`joulehub history …`: what was recorded, read and written, and what waits for the database."""

from __future__ import annotations

from typing import Any

from server.cli import (
    history_anomalies,
    history_export,
    history_gaps,
    history_import,
    history_order,
    history_orders,
    history_read,
    history_setup,
    history_spool,
)

PARTS = (
    history_setup,
    history_read,
    history_export,
    history_import,
    history_gaps,
    history_anomalies,
    history_order,
    history_orders,
    history_spool,
)


def add_to(commands: Any) -> None:
    """Add this command and those below it."""
    command = commands.add_parser("history", help="set up, read, export, import and check the history")
    below = command.add_subparsers(dest="about", required=True, metavar="ABOUT", help="what to do")
    for part in PARTS:
        part.add_to(below)
