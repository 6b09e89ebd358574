"""Where the `history` commands read: the embedded store, also beside a running hub, or InfluxDB."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from address_space.model import Clock
from address_space.model.ids import NodeUid
from address_space.model.quantity import MEASURED, Quantity, by_path
from config.settings import HubSettings
from config.spelling import Spelling
from historian.api import HistoryIndex, HistoryReader
from historian.gaps.file import FILE as LEDGER_FILE
from historian.influx import InfluxReader
from historian.sqlite import SqliteStore
from server.cli.check import settings_at
from server.errors import ServerError
from server.history import server_options, store_options


class Source(HistoryReader, HistoryIndex, Protocol):
    """A store that is read, and knows what it has."""


def add_config(command: argparse.ArgumentParser) -> None:
    """The option that says which hub it is about."""
    command.add_argument("--config", type=Path, default=Path("hub.toml"), help="hub.toml, or its folder")


def add_source(command: argparse.ArgumentParser) -> None:
    """Options that say which hub and which store."""
    add_config(command)
    command.add_argument(
        "--source",
        choices=("auto", "embedded", "influx"),
        default="auto",
        help="which store to read; auto: the one that answers the hub's clients",
    )


def settings_of(arguments: argparse.Namespace) -> HubSettings:
    """Settings of the hub that the command is about; raises HubError."""
    return settings_at(arguments.config)


def ledger_folder(settings: HubSettings) -> Path:
    """The folder of the gap ledger; raises ServerError where there is none yet."""
    folder = settings.data_dir / "history"
    if not (folder / LEDGER_FILE).is_file():
        raise ServerError("there is no history yet", where=str(folder), hint="it begins when the hub first runs")
    return folder


@asynccontextmanager
async def opened(settings: HubSettings, source: str, clock: Clock) -> AsyncIterator[Source]:
    """The store to read; raises HubError where there is none."""
    history = settings.history
    chosen = source if source != "auto" else history.read_from
    if chosen == "auto":
        chosen = "embedded" if history.embedded else "influx"
    if chosen == "embedded":
        folder = settings.data_dir / "history"
        async with SqliteStore(folder, clock, store_options(history), read_only=True) as store:
            yield store
        return
    if not history.influx.url:
        raise ServerError("no InfluxDB is configured", hint="set history.influx.url, or use --source embedded")
    reader = InfluxReader(server_options(history))
    try:
        yield reader
    finally:
        await reader.close()


def chosen(
    kept: Mapping[NodeUid, tuple[Quantity, ...]], names: Iterable[str], only: Iterable[str] = ()
) -> dict[NodeUid, tuple[Quantity, ...]]:
    """What is asked for by `UNIT` or `UNIT.QUANTITY` (nothing: all), and of it only these quantities.

    Raises ServerError where the history knows no such unit or quantity.
    """
    wanted = [quantity_named(name) for name in only]
    found: dict[NodeUid, tuple[Quantity, ...]] = {}
    for name in names:
        unit, _, path = name.partition(".")
        uid = NodeUid(unit)
        if uid not in kept:
            raise no_history_of(unit, kept)
        quantities = kept[uid]
        if path:
            quantity = quantity_named(path)
            if quantity not in quantities:
                raise ServerError(
                    f"there is no history of {name!r}",
                    hint=f"of {unit} there is " + ", ".join(one.path for one in quantities),
                )
            quantities = (*(one for one in found.get(uid, ()) if one is not quantity), quantity)
        found[uid] = quantities
    if not found:
        found = dict(kept)
    if wanted:
        found = {unit: tuple(one for one in wanted if one in quantities) for unit, quantities in found.items()}
    return {unit: quantities for unit, quantities in found.items() if quantities}


def no_history_of(unit: str, kept: Collection[str] = ()) -> ServerError:
    """The error for a unit that the history does not know; `kept` are those that it knows."""
    near = Spelling().nearest(unit, kept)
    listed = "`joulehub history export --list` tells of what there is history"
    return ServerError(f"there is no history of {unit!r}", hint=f"did you mean {near!r}? {listed}" if near else listed)


def quantity_named(path: str) -> Quantity:
    """A quantity by its name; raises ServerError."""
    quantity = by_path(path)
    if quantity is None:
        near = Spelling().nearest(path, [known.path for known in MEASURED])
        hint = f"did you mean {near!r}?" if near else "names are as in node ids, as ActiveEnergyImport"
        raise ServerError(f"no quantity is named {path!r}", hint=hint)
    return quantity
