"""History as a Parquet file; needs pyarrow, which `pip install joulehub[parquet]` brings."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from server.cli.history_rows import Page
from server.errors import ServerError
from server.opcua.client import status_name


class ParquetRows:
    """One file, a row group a page; use with `with`. Raises ServerError where pyarrow is not installed."""

    def __init__(self, path: Path) -> None:
        try:
            self._arrow: Any = importlib.import_module("pyarrow")
            parquet: Any = importlib.import_module("pyarrow.parquet")
        except ImportError:
            raise ServerError(
                "Parquet needs pyarrow, which is not installed", hint="pip install 'joulehub[parquet]', or use csv"
            ) from None
        arrow = self._arrow
        words = arrow.dictionary(arrow.int32(), arrow.string())
        self._schema = arrow.schema(
            [
                ("time", arrow.timestamp("ms", "UTC")),
                ("unit", words),
                ("quantity", words),
                ("value", arrow.float64()),
                ("uom", words),
                ("status", words),
            ]
        )
        self._writer = parquet.ParquetWriter(path, self._schema, compression="zstd")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def write(self, page: Page) -> None:
        """Rows at the end; a value that is not there is null."""
        arrow = self._arrow
        count = len(page.time_ms)
        units = [quantity.unit.symbol if quantity.unit is not None else "" for quantity in page.quantities]
        codes = sorted(set(page.status.tolist()))
        places = {code: place for place, code in enumerate(codes)}
        columns = [
            arrow.array(page.time_ms, arrow.timestamp("ms", "UTC")),
            self._worded([0] * count, [str(page.unit)]),
            self._worded(page.which.tolist(), [quantity.path for quantity in page.quantities]),
            arrow.array(page.values, arrow.float64(), from_pandas=True),
            self._worded(page.which.tolist(), units),
            self._worded([places[code] for code in page.status.tolist()], [status_name(code) for code in codes]),
        ]
        self._writer.write_table(arrow.Table.from_arrays(columns, schema=self._schema))

    def _worded(self, places: list[int], words: list[str]) -> Any:
        arrow = self._arrow
        return arrow.DictionaryArray.from_arrays(arrow.array(places, arrow.int32()), arrow.array(words, arrow.string()))
