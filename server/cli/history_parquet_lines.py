"""History read from Parquet, also as pandas, polars and others write it: a batch of rows in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from config.errors import Location
from server.cli.history_lines import Cells, Checks, Line, cut
from server.cli.history_parquet import arrow

ENDINGS = (".parquet", ".pq")
ROWS_AT_ONCE = 20_000
_BUFFER = 1 << 20
_MAGIC = (b"PAR1", b"PARE")
_MS = {"s": (1000, 1), "ms": (1, 1), "us": (1, 1000), "ns": (1, 1_000_000)}
"""By unit of time, by what it is multiplied and by what divided."""
_TOLD = 200
_HINT = "; pandas: to_parquet(…, index=False)"


def is_parquet(path: Path) -> bool:
    """Whether a file is one by its name, or by how it begins."""
    if path.suffix.lower() in ENDINGS:
        return True
    with path.open("rb") as file:
        return file.read(4) in _MAGIC


def _promised(metadata: Any) -> int:
    """How many rows there are in all row groups; -1 where the file as a whole or a column says otherwise."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    rows = sum(group.num_rows for group in groups)
    whole = all(group.column(at).num_values == group.num_rows for group in groups for at in range(group.num_columns))
    return rows if whole and rows == metadata.num_rows else -1


class ParquetLines:
    """Reads Parquet files of one import. Raises ServerError where pyarrow is not installed."""

    def __init__(self, checks: Checks) -> None:
        self._checks = checks
        self._arrow, self._parquet = arrow()
        self._columns: Mapping[str, int] = {}

    def lines(self, path: Path, progress: Callable[[int], None] = lambda _: None) -> Iterator[Line]:
        """The lines without mistakes; tells `progress` now and then how many bytes are behind it. Raises OSError."""
        size = path.stat().st_size
        place = Location(str(path))
        if not size:
            self._checks.wrong_row(place, "is empty, not Parquet", "export or copy it again")
            return
        done = 0
        try:
            with self._arrow.OSFile(str(path)) as source:
                file = self._opened(source, place)
                if file is None:
                    return
                for batch in file.iter_batches(ROWS_AT_ONCE, use_threads=False):
                    yield from self._lines(batch, done)
                    done += batch.num_rows
                    progress(size * done // max(file.metadata.num_rows, 1))
                if done != _promised(file.metadata):
                    what = f"has {done} rows, and says of itself that there are others"
                    self._checks.wrong_row(place, what, "it is damaged: export or copy it again")
        except (self._arrow.ArrowException, OSError, ValueError) as error:
            told = (str(error).splitlines() or [type(error).__name__])[0][:_TOLD]
            at = Location(str(path), done + 1, 1) if done else place
            self._checks.wrong_row(at, f"cannot be read as Parquet: {told}", "export or copy it again, whole")

    def _opened(self, source: Any, place: Location) -> Any:
        """The file, its columns judged; None, and told, where they cannot be used."""
        file = self._parquet.ParquetFile(source, pre_buffer=False)
        schema = file.schema_arrow
        self._columns = self._checks.header(schema.names, place, _HINT)
        if not self._columns:
            return None
        wrong = False
        for name, at in self._columns.items():
            what = self._foreign(name, schema.field(at).type)
            if what is not None:
                self._checks.wrong_row(Location(place.file, 0, at + 1, name), *what)
                wrong = True
        if wrong:
            return None
        words = [schema.field(at) for name, at in self._columns.items() if name not in ("time", "value")]
        return self._parquet.ParquetFile(
            source,
            metadata=file.metadata,
            read_dictionary=[field.name for field in words if self._is_text(field.type)],
            buffer_size=_BUFFER,
            pre_buffer=False,
            page_checksum_verification=True,
        )

    # what a column may be

    def _foreign(self, name: str, kind: Any) -> tuple[str, str] | None:
        """Why a column of this type cannot be the one with this name, and what to do; None where it can."""
        types = self._arrow.types
        if types.is_null(kind) or self._is_text(kind):
            return None
        if name == "time":
            if not types.is_timestamp(kind):
                return f"the column 'time' is {cut(kind)}, no time", "make it timestamps with a time zone"
            if kind.tz is None:
                what = "the column 'time' has no time zone"
                return what, "give it one: pandas dt.tz_localize(…), polars dt.replace_time_zone(…)"
            return None
        if name == "value":
            numbers = types.is_floating(kind) or types.is_integer(kind) or types.is_decimal(kind)
            return None if numbers else (f"the column 'value' is {cut(kind)}, no number", "make it float64")
        if types.is_dictionary(kind) and (self._is_text(kind.value_type) or types.is_null(kind.value_type)):
            return None
        return f"the column {name!r} is {cut(kind)}, no text", "make it text"

    def _is_text(self, kind: Any) -> bool:
        types = self._arrow.types
        return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))

    # rows

    def _lines(self, batch: Any, before: int) -> Iterator[Line]:
        """The lines of a batch that has so many rows before it."""
        columns: dict[str, list[Any]] = {}
        for name, at in self._columns.items():
            column = batch.column(at)
            if name == "time":
                columns[name] = self._times(column)
            elif name == "value":
                columns[name] = self._values(column)
            else:
                columns[name] = self._words(column)
        none = [""] * batch.num_rows
        cells = zip(
            columns["time"],
            columns["unit"],
            columns["quantity"],
            columns["value"],
            columns.get("uom", none),
            columns.get("status", none),
            strict=True,
        )
        for row, found in enumerate(cells, before + 1):
            line = self._checks.line(row, Cells(*found))
            if line is not None:
                yield line

    def _times(self, column: Any) -> list[Any]:
        """In ms, what is finer cut off; None where there is none. Texts as they are."""
        if not self._arrow.types.is_timestamp(column.type):
            return self._words(column)
        factor, divisor = _MS[column.type.unit]
        ticks = column.cast(self._arrow.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        return self._with_gaps(column, (ticks * factor // divisor).tolist())

    def _values(self, column: Any) -> list[Any]:
        """Numbers as floats, exactly where a float can; None where there is none. Texts as they are."""
        types = self._arrow.types
        if types.is_floating(column.type):
            floats = column.cast(self._arrow.float64()).fill_null(0.0).to_numpy(zero_copy_only=False).tolist()
            return self._with_gaps(column, floats)
        if types.is_integer(column.type) or types.is_decimal(column.type):
            return [None if one is None else float(one) for one in column.to_pylist()]
        return self._words(column)

    def _words(self, column: Any) -> list[str]:
        """Texts without blanks around them; empty where there is none."""
        if not self._arrow.types.is_dictionary(column.type):
            return [(one or "").strip() for one in column.to_pylist()]
        words = [(one or "").strip() for one in column.dictionary.to_pylist()]
        places = column.indices.fill_null(len(words)) if column.null_count else column.indices
        words.append("")
        return [words[place] for place in places.to_numpy(zero_copy_only=False).tolist()]

    def _with_gaps(self, column: Any, found: list[Any]) -> list[Any]:
        if column.null_count:
            for place in np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False)).tolist():
                found[place] = None
        return found
