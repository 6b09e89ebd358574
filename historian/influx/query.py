"""InfluxQL over /query, the one read language of InfluxDB 1, 2 and 3."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from historian.errors import StoreDenied, StoreFailed, StoreUnreachable
from historian.influx.server import DENIED, InfluxServer, place_of, told

_BUSY = frozenset({429, 500, 502, 503, 504})
_NO_DATABASE = (
    "run `joulehub history setup`; on InfluxDB 2 a token without the right to read the bucket does not see it"
)


@dataclass(frozen=True, slots=True)
class Result:
    """One series of an answer: rows of `values` under `columns`; the first column is the time in ms."""

    name: str
    tags: Mapping[str, str]
    columns: tuple[str, ...]
    values: list[list[Any]]

    def column(self, name: str) -> list[Any]:
        """One column."""
        at = self.columns.index(name)
        return [row[at] for row in self.values]


class InfluxQl:
    """Queries to one database, from any thread."""

    def __init__(self, server: InfluxServer, database: str) -> None:
        self._server = server
        self._database, self._policy = place_of(database)

    def ask(self, statement: str) -> list[Result]:
        """All series of the answer, each whole; raises HistoryError."""
        found: list[Result] = []
        for series in self._series(statement):
            last = found[-1] if found else None
            if last is not None and (last.name, last.tags, last.columns) == (series.name, series.tags, series.columns):
                last.values.extend(series.values)  # a further chunk of it
            else:
                found.append(series)
        return found

    def _series(self, statement: str) -> Iterator[Result]:
        fields = {"q": statement, "db": self._database, "epoch": "ms", "chunked": "true", "chunk_size": "10000"}
        if self._policy:
            fields["rp"] = self._policy
        answer = self._server.request("POST", "/query", fields=fields)
        if answer.status >= 300:
            kind = StoreUnreachable if answer.status in _BUSY else StoreFailed
            kind = StoreDenied if answer.status in DENIED else kind
            raise kind(
                f"InfluxDB refuses a query: {answer.status} {told(answer)}",
                where=self._server.url,
                hint="check the database's name and the credentials",
            )
        for line in answer.data.splitlines():
            if line.strip():
                yield from _read(_document(line, self._server.url), self._server.url)


def quoted(identifier: str) -> str:
    """An identifier in InfluxQL."""
    return '"' + identifier.replace("\\", "\\\\").replace('"', '\\"') + '"'


def literal(text: str) -> str:
    """A string in InfluxQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _document(line: bytes, where: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise StoreFailed(
            f"InfluxDB's answer is no JSON: {line[:80]!r}",
            where=where,
            hint="check the address: a proxy may stand there",
        ) from error


def _read(document: Any, where: str) -> Iterator[Result]:
    if not isinstance(document, dict):
        raise StoreFailed("InfluxDB's answer cannot be read", where=where)
    if "error" in document:
        raise StoreFailed(f"InfluxDB refuses a query: {document['error']}", where=where)
    for result in document.get("results", ()):
        if "error" in result:
            hint = _NO_DATABASE if "database not found" in str(result["error"]) else ""
            raise StoreFailed(f"InfluxDB refuses a query: {result['error']}", where=where, hint=hint)
        for series in result.get("series", ()):
            yield Result(
                series.get("name", ""), series.get("tags", {}), tuple(series["columns"]), series.get("values", [])
            )
