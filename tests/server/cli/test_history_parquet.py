"""History as Parquet: ours comes back to the bit, pandas' and polars' is taken, everything else is told plainly."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from address_space.model import NodeUid, Quantity
from address_space.model.quality import Reason
from config.errors import Problem, Report
from server.cli.history_csv import HEADER, CsvRows
from server.cli.history_csv_lines import CsvLines
from server.cli.history_lines import Checks, FileLines, Line, base_value
from server.cli.history_parquet import ParquetRows
from server.cli.history_parquet_lines import ParquetLines, is_parquet
from server.cli.history_rows import Page
from server.cli.history_times import writer_of
from tests.server.cli.test_history_commands import SLOTS, Run, Site, filled, rows, run, site

__all__ = ["filled", "run", "site"]

ROOT = Path(__file__).parents[3]
NOON_MS = 1_767_268_200_000
LATEST_MS = NOON_MS + 10 * 86_200_000
POWER, ENERGY = Quantity.ACTIVE_POWER, Quantity.ACTIVE_ENERGY_IMPORT
UTC_MS = pa.timestamp("ms", "UTC")
TIMES = pa.array([NOON_MS, NOON_MS + 1000], UTC_MS)


def read(path: Path, reader: Callable[[Checks], FileLines] = ParquetLines) -> tuple[list[Line], list[Problem]]:
    report = Report()
    checks = Checks(report, {NodeUid("m1"), NodeUid("m2")}, LATEST_MS)
    return list(reader(checks).lines(path, lambda _: None)), report.problems


def table(**columns: Any) -> pa.Table:
    """Two powers of m1, with other columns than that."""
    given = {"time": TIMES, "unit": ["m1", "m1"], "quantity": ["ActivePower"] * 2, "value": [1.5, -2.0]} | columns
    return pa.table({name: column for name, column in given.items() if column is not None})


def written(path: Path, data: pa.Table, **options: Any) -> Path:
    pq.write_table(data, path, **options)
    return path


def told(path: Path, data: pa.Table, **options: Any) -> str:
    lines, problems = read(written(path, data, **options))
    assert lines == []
    return str(problems[0])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "f.parquet"


def test_an_export_is_imported_into_another_hub_and_is_the_same_there_to_the_bit(
    filled: Site, run: Run, tmp_path: Path
) -> None:
    exported, again = tmp_path / "all.parquet", tmp_path / "again.parquet"
    run("export", "m1", "m2", "--output", exported)
    files = filled.data / "history"
    filled.data = tmp_path / "other"
    filled.configure()
    status, out, err = run("import", exported)
    assert (status, out) == (0, f"{4 * SLOTS} values of 2 units checked, no mistakes\n")
    assert "--apply" in err
    assert not (filled.data / "history").exists()
    for _ in range(2):
        status, out, _ = run("import", exported, "--apply", "--json")
        assert (status, json.loads(out)) == (0, {"ok": True, "applied": True, "values": 4 * SLOTS, "units": 2})
        run("export", "--output", again)
        assert pq.read_table(again).to_pylist() == pq.read_table(exported).to_pylist()
    assert files.is_dir()


def test_it_holds_the_same_as_csv(filled: Site, run: Run, path: Path) -> None:
    assert run("export", "--output", path)[0] == 0
    _, text, _ = run("export", "--zone", "UTC")
    for row, same in zip(pq.read_table(path).to_pylist(), rows(text), strict=True):
        words = ("unit", "quantity", "uom", "status")
        assert [row[word] for word in words] == [same[word] for word in words]
        assert ("" if row["value"] is None else repr(row["value"])) == same["value"]


@pytest.mark.parametrize("form", ["parquet", "UTC", "Europe/Berlin"])
def test_values_statuses_and_times_go_through_a_file_to_the_bit(path: Path, form: str) -> None:
    random = np.random.default_rng(5)
    base = np.concatenate(
        [random.integers(0, 2**52, 400), np.round(random.uniform(-1e6, 1e6, 400), 3), random.uniform(0, 9e4, 400)]
    )
    base[800:] = base[800:].astype(np.float32)
    base[:2] = 0.0, -0.0
    status = random.choice([0, 0x40000000, 0x00000480, 0x40930001, Reason.TIMEOUT.status], len(base)).astype(np.uint32)
    times = NOON_MS + np.arange(len(base))
    page = Page(NodeUid("m1"), (POWER,), times, np.zeros(len(base), np.int64), base / POWER.per_unit, status)
    if form == "parquet":
        with ParquetRows(path) as file:
            file.write(page)
        lines, problems = read(path)
    else:
        path.write_text(HEADER + "".join(CsvRows(writer_of(ZoneInfo(form))).lines(page)), encoding="utf-8")
        lines, problems = read(path, CsvLines)
    assert problems == []
    assert [line.time_ms for line in lines] == times.tolist()
    assert [line.status for line in lines] == status.tolist()
    assert np.array([base_value(line.value, POWER) for line in lines]).tobytes() == base.tobytes()


def test_any_value_shows_the_same_after_an_import() -> None:
    for shown in (np.random.default_rng(6).uniform(-1e7, 1e7, 2000) / POWER.per_unit).tolist():
        stored = shown * POWER.per_unit / POWER.per_unit * POWER.per_unit / POWER.per_unit
        assert base_value(stored, POWER) / POWER.per_unit == stored


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tashkent", "+05:00"])
def test_times_may_be_of_any_unit_and_zone(path: Path, unit: str, zone: str) -> None:
    times = TIMES.cast(pa.timestamp(unit, zone))
    assert [line.time_ms for line in read(written(path, table(time=times)))[0]] == [NOON_MS, NOON_MS + 1000]


def test_what_is_finer_than_a_millisecond_is_cut_off_as_in_csv(path: Path) -> None:
    fine = pa.array([NOON_MS * 1_000_000 + 999_999, -1], pa.timestamp("ns", "UTC"))
    lines, problems = read(written(path, table(time=fine)))
    assert [line.time_ms for line in lines] == [NOON_MS]
    assert "is before 1970" in problems[0].what


def test_a_time_that_no_calendar_knows_is_told(path: Path) -> None:
    far = pa.array([2**62, -(2**62)], pa.timestamp("us", "UTC"))
    _, problems = read(written(path, table(time=far)))
    assert [problem.what.partition("Z ")[2] for problem in problems] == ["lies in the future", "is before 1970"]


WORDS = [
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.dictionary(pa.int8(), pa.string()),
    pa.dictionary(pa.uint32(), pa.large_string()),
]


@pytest.mark.parametrize("kind", WORDS, ids=str)
def test_texts_may_be_plain_or_categories(path: Path, kind: pa.DataType) -> None:
    columns = {
        "unit": ["m1", " m2 "],
        "quantity": ["ActivePower", "ActiveEnergyImport"],
        "uom": ["kW", None],
        "status": [None, "Uncertain"],
    }
    given = table(**{name: pa.array(column).cast(kind) for name, column in columns.items()})
    for store_schema in (True, False):
        lines, problems = read(written(path, given, store_schema=store_schema))
        assert problems == []
        assert [(line.unit, line.quantity, line.status) for line in lines] == [
            ("m1", POWER, 0),
            ("m2", ENERGY, 0x40000000),
        ]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (pa.array([np.float32(0.1), np.float32(2)]), [float(np.float32(0.1)), 2.0]),
        (pa.array(np.array([0.5, 2], np.float16)), [0.5, 2.0]),
        (pa.array([2**53, -7], pa.int64()), [2.0**53, -7.0]),
        (pa.array([255, 0], pa.uint8()), [255.0, 0.0]),
        (pa.array([Decimal("123.45"), Decimal("-0.07")]), [123.45, -0.07]),
        (pa.array(["12.5", " 1e3 "]), [12.5, 1000.0]),
    ],
    ids=["float32", "float16", "int64", "uint8", "decimal", "text"],
)
def test_values_may_be_numbers_of_any_kind(path: Path, column: pa.Array, values: list[float]) -> None:
    lines, problems = read(written(path, table(value=column)))
    assert problems == []
    assert [line.value for line in lines] == values


def test_no_value_is_null_and_needs_a_bad_status(path: Path) -> None:
    for column in (pa.array([None, None], pa.float64()), pa.nulls(2), pa.array([None, None], pa.int32())):
        given = table(value=column, status=["BadNoCommunication", None])
        lines, problems = read(written(path, given))
        assert [(line.value == line.value, line.status) for line in lines] == [(False, 0x80310000)]
        assert [(problem.line, problem.column_name, problem.what) for problem in problems] == [
            (2, "value", "there is no value")
        ]


def test_every_row_with_nulls_is_told(path: Path) -> None:
    given = table(time=TIMES.filter([True, False]).take(pa.array([0, None])), unit=["m1", None], quantity=[None, None])
    _, problems = read(written(path, given))
    assert [(problem.line, problem.column_name) for problem in problems] == [
        (1, "quantity"),
        (2, "time"),
        (2, "unit"),
        (2, "quantity"),
    ]
    assert problems[1].what == "there is no time"


GOOD_ROW = {"time": "2026-01-01T12:00:00Z", "unit": "m1", "quantity": "ActivePower", "value": "1", "uom": "kW"}


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"time": "1969-12-31T23:59:59Z"},
        {"time": "2926-01-01T00:00:00Z"},
        {"time": "2026-01-01T00:00:00"},
        {"time": "01.01.2026 08:00"},
        {"unit": "m9"},
        {"quantity": "Warmth"},
        {"quantity": "Communication.LastError"},
        {"uom": "MW"},
        {"value": "much"},
        {"value": "nan"},
        {"value": "1_000"},
        {"value": ""},
        {"status": "Well"},
        {"status": "0x180310000"},
        {"unit": "m9", "value": "x", "status": "y"},
    ],
)
def test_a_row_is_judged_as_the_same_row_in_csv(tmp_path: Path, wrong: dict[str, str]) -> None:
    row = GOOD_ROW | {"status": "Good"} | wrong
    csv = tmp_path / "f.csv"
    csv.write_text(f"{','.join(row)}\n{','.join(row.values())}\n")
    parquet = written(tmp_path / "f.parquet", pa.table({name: [cell] for name, cell in row.items()}))
    lines, problems = read(parquet)
    same, same_problems = read(csv, CsvLines)
    assert lines == same
    assert [(one.column_name, one.what, one.hint) for one in problems] == [
        (one.column_name, one.what, one.hint) for one in same_problems
    ]
    assert bool(problems) == bool(wrong)


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        ({"time": pa.array([0, 1], pa.timestamp("us"))}, "the column 'time' has no time zone"),
        ({"time": [NOON_MS, NOON_MS]}, "the column 'time' is 'int64', no time"),
        ({"time": TIMES.cast(pa.date64()).cast(pa.date32())}, "the column 'time' is 'date32[day]', no time"),
        ({"unit": [1, 2]}, "the column 'unit' is 'int64', no text"),
        ({"unit": [b"m1", b"m1"]}, "the column 'unit' is 'binary', no text"),
        ({"value": [True, False]}, "the column 'value' is 'bool', no number"),
        ({"value": [[1.0], [2.0]]}, "the column 'value' is 'list<element: double>', no number"),
        ({"value": [{"a": 1.0}, {"a": 2.0}]}, "the column 'value' is 'struct<a: double>', no number"),
        ({"status": [["Good"], []]}, "the column 'status' is 'list<element: string>', no text"),
        ({"colour": ["red", "red"]}, "no column is named 'colour'"),
        ({"__index_level_0__": [4, 5]}, "no column is named '__index_level_0__'"),
        ({"quantity": None}, "there is no column 'quantity'"),
        ({"VALUE": [1.0, 2.0]}, "the column 'value' is there twice"),
    ],
)
def test_columns_that_cannot_be_used_are_named(path: Path, columns: dict[str, Any], what: str) -> None:
    assert told(path, table(**columns)).startswith(f"{path}: {what}; ")


def test_old_timestamps_that_say_no_zone_are_not_guessed_at(path: Path) -> None:
    assert "has no time zone" in told(path, table(), use_deprecated_int96_timestamps=True)


def test_names_of_columns_may_have_capitals_blanks_and_dots_beside_them(path: Path) -> None:
    given = table().rename_columns([" Time", "UNIT", "Quantity ", "Value"])
    assert len(read(written(path, given))[0]) == 2


def test_rows_are_counted_through_all_row_groups(path: Path) -> None:
    units = ["m1"] * 50
    units[37] = "m9"
    times = pa.array([NOON_MS + one for one in range(50)], UTC_MS)
    data = table(time=times, unit=units, quantity=["ActivePower"] * 50, value=list(range(50)))
    lines, problems = read(written(path, data, row_group_size=7))
    assert len(lines) == 49
    assert [str(problem) for problem in problems] == [
        f"{path}:38:unit: no unit has the id 'm9'; use ids of the plant or of its history"
    ]


def test_mistakes_are_all_counted_and_no_more_told_than_a_person_can_bear(path: Path) -> None:
    many = written(path, pa.concat_tables([table(unit=["m9", "m8"])] * 30_000))
    report = Report(1000)
    assert list(ParquetLines(Checks(report, {NodeUid("m1")}, LATEST_MS)).lines(many)) == []
    assert (len(report.problems), report.more) == (1000, 59_000)


def test_what_is_no_parquet_is_told(path: Path) -> None:
    for data, what in (
        (b"", f"{path}: is empty, not Parquet"),
        (b"time,unit,quantity,value\n", f"{path}: cannot be read as Parquet: "),
        (b"PAR1", f"{path}: cannot be read as Parquet: "),
        (b"PAR1" + bytes(100) + b"PAR1", f"{path}: cannot be read as Parquet: "),
    ):
        path.write_bytes(data)
        lines, problems = read(path)
        assert lines == []
        assert str(problems[0]).startswith(what)
        assert "\n" not in str(problems[0])


def test_a_file_is_known_by_how_it_begins_too(tmp_path: Path) -> None:
    other = written(tmp_path / "export.bin", table())
    (tmp_path / "f.csv").write_text("time,unit,quantity,value\n")
    assert is_parquet(other)
    assert not is_parquet(tmp_path / "f.csv")


def exported(path: Path, count: int = 3000) -> None:
    with ParquetRows(path) as file:
        for first in range(0, count, 1000):
            values = np.random.default_rng(first).uniform(0, 1, 1000)
            times = NOON_MS + np.arange(first, first + 1000)
            nothing = np.zeros(1000, np.int64)
            file.write(Page(NodeUid("m1"), (POWER,), times, nothing, values, nothing.astype(np.uint32)))


def test_a_file_cut_short_anywhere_is_told(path: Path) -> None:
    exported(path)
    whole = path.read_bytes()
    for length in np.linspace(1, len(whole) - 1, 60).astype(int).tolist():
        path.write_bytes(whole[:length])
        lines, problems = read(path)
        assert (lines, len(problems)) == ([], 1)


def test_a_damaged_file_is_told_and_damaged_pages_never_give_other_values(path: Path) -> None:
    exported(path)
    whole = path.read_bytes()
    sound, _ = read(path)
    pages = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    random = np.random.default_rng(8)
    for place in random.integers(4, len(whole), 400).tolist():
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(random.integers(8))
        path.write_bytes(damaged)
        lines, problems = read(path)
        if place < pages and not problems:
            assert lines == sound


def test_rows_that_a_damaged_file_hides_are_missed(path: Path) -> None:
    exported(path)
    whole = path.read_bytes()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    count, less = b"\xf0\x2e", b"\xb0\x2d"  # 3000 and 2904 as they stand there
    hidden = [at for at in range(footer, len(whole) - 1) if whole[at : at + 2] == count]
    sound, _ = read(path)
    missed = 0
    for place in hidden:
        path.write_bytes(whole[:place] + less + whole[place + 2 :])
        lines, problems = read(path)
        assert problems or lines == sound
        missed += bool(problems)
    assert missed >= 8  # of the file, of its row group, and of every column


def test_progress_is_told_in_bytes_of_the_file(path: Path) -> None:
    exported(path, 50_000)
    reached: list[int] = []
    assert len(list(ParquetLines(Checks(Report(), {NodeUid("m1")}, LATEST_MS)).lines(path, reached.append))) == 50_000
    assert reached == sorted(reached)
    assert len(reached) == 3
    assert reached[-1] == path.stat().st_size


def test_many_small_units_share_a_row_group(path: Path) -> None:
    with ParquetRows(path) as file:
        for number in range(300):
            one = np.zeros(1, np.int64)
            file.write(Page(NodeUid(f"u{number}"), (POWER,), one + NOON_MS, one, one + 0.5, one.astype(np.uint32)))
    found = pq.ParquetFile(path)
    assert found.num_row_groups == 1
    assert found.read().column("unit").to_pylist() == [f"u{number}" for number in range(300)]


# in a process of its own: what is imported, and how much memory is taken, is of a process

MEMORY = """
import resource, sys
from pathlib import Path
from config.errors import Report
from server.cli.history_lines import Checks
from server.cli.history_parquet_lines import ParquetLines

for name in sys.argv[1:]:
    for _ in ParquetLines(Checks(Report(), {"m1"}, 2**42)).lines(Path(name)):
        pass
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def python(source: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", source, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_row_group_of_any_size_is_read_in_the_same_memory(tmp_path: Path) -> None:
    files = []
    for count in (50_000, 200_000):
        numbers = np.arange(count)
        data = pa.table(
            {
                "time": pa.array(NOON_MS - numbers, UTC_MS),
                "unit": ["m1"] * count,
                "quantity": ["ActivePower"] * count,
                "value": np.sqrt(numbers),
            }
        )
        files.append(written(tmp_path / f"{count}.parquet", data, row_group_size=count))
    found = python(MEMORY, *files)
    small, large = map(int, found.stdout.split())
    assert large - small < 20, found.stderr


WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pyarrow":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from server.cli.main import main

folder, csv, parquet, new = sys.argv[1:]
for words in (["export", "--output", csv], ["import", csv], ["import", parquet], ["export", "--output", new]):
    print(main(["history", *words, "--config", folder]))
"""


def test_without_pyarrow_all_else_works_and_parquet_says_how_to_have_it(filled: Site, path: Path) -> None:
    csv, new = path.with_suffix(".csv"), path.with_name("new.parquet")
    found = python(WITHOUT, filled.folder, csv, written(path, table()), new)
    assert [line for line in found.stdout.splitlines() if len(line) == 1] == ["0", "0", "1", "1"]
    says = "Parquet needs pyarrow, which is not installed; pip install 'joulehub[parquet]', or use csv"
    assert found.stderr.splitlines()[-2:] == [says, says]
    assert not new.exists()


@pytest.mark.parametrize("name", ["full.parquet", "full.csv"])
def test_nothing_is_left_of_an_export_that_has_no_room(filled: Site, run: Run, name: str) -> None:
    folder = filled.folder / "out"
    folder.mkdir()
    (folder / f"{name}.part").symlink_to("/dev/full")
    status, _, err = run("export", "--output", folder / name)
    assert (status, err) == (1, f"{folder / name}: no space left on device; name a file that can be written\n")
    assert list(folder.iterdir()) == []
