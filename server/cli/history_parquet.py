"""History as a Parquet file; needs pyarrow, which `pip install joulehub[parquet]` brings."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from server.cli.history_rows import Page, status_word
from server.errors import ServerError

ROWS_AT_ONCE = 250_000
"""Values of a row group, or a page more: a file of very many small ones is slow to open."""


def arrow() -> tuple[Any, Any]:
    """pyarrow and its part for Parquet, imported only where a file of that form is; raises ServerError without it."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise ServerError(
            "Parquet needs pyarrow, which is not installed", hint="pip install 'joulehub[parquet]', or use csv"
        ) from None
    except ImportError as error:
        raise ServerError(f"pyarrow cannot be used: {error}", hint="install it again, or use csv") from None
    return pyarrow, pyarrow.parquet


class ParquetRows:
    """One file; use with `with`. Raises ServerError where pyarrow is not installed."""

    def __init__(self, path: Path) -> None:
        self._arrow, parquet = arrow()
        made = self._arrow
        words = made.dictionary(made.int32(), made.string())
        self._schema = made.schema(
            [
                ("time", made.timestamp("ms", "UTC")),
                ("unit", words),
                ("quantity", words),
                ("value", made.float64()),
                ("uom", words),
                ("status", words),
            ]
        )
        self._writer = parquet.ParquetWriter(path, self._schema, compression="zstd", write_page_checksum=True)
        self._waiting: list[Any] = []
        self._rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._writer.close()

    def write(self, page: Page) -> None:
        """Rows at the end; a value that is not there is null."""
        made = self._arrow
        count = len(page.time_ms)
        units = [quantity.unit.symbol if quantity.unit is not None else "" for quantity in page.quantities]
        codes = sorted(set(page.status.tolist()))
        places = {code: place for place, code in enumerate(codes)}
        columns = [
            made.array(page.time_ms, made.timestamp("ms", "UTC")),
            self._worded([0] * count, [str(page.unit)]),
            self._worded(page.which.tolist(), [quantity.path for quantity in page.quantities]),
            made.array(page.values, made.float64(), from_pandas=True),
            self._worded(page.which.tolist(), units),
            self._worded([places[code] for code in page.status.tolist()], [status_word(code) for code in codes]),
        ]
        self._waiting.append(made.RecordBatch.from_arrays(columns, schema=self._schema))
        self._rows += count
        if self._rows >= ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        """Write what waits as one row group."""
        if self._waiting:
            table = self._arrow.Table.from_batches(self._waiting).unify_dictionaries()
            self._waiting, self._rows = [], 0
            self._writer.write_table(table, row_group_size=table.num_rows)

    def _worded(self, places: list[int], words: list[str]) -> Any:
        made = self._arrow
        return made.DictionaryArray.from_arrays(made.array(places, made.int32()), made.array(words, made.string()))
