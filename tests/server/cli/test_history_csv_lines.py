"""History read from CSV as people have it: saved by spreadsheets, cut short, damaged, in another encoding."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from address_space.model import NodeUid
from config.errors import Problem, Report
from server.cli.history_csv_lines import MOST_CHARACTERS, CsvLines
from server.cli.history_lines import Checks, Line

NOON_MS = 1_767_268_800_000
LATEST_MS = NOON_MS + 10 * 86_400_000
HEADER = "time,unit,quantity,value,uom,status\n"
ROW = "2026-01-01T12:00:00Z,m1,ActivePower,1.5,kW,Good\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "f.csv"


def read(path: Path, data: str | bytes) -> tuple[list[Line], list[Problem]]:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    report = Report()
    checks = Checks(report, {NodeUid("m1"), NodeUid("m2")}, LATEST_MS)
    return list(CsvLines(checks).lines(path)), report.problems


def told(path: Path, data: str | bytes) -> str:
    """The only thing that is wrong, without the folder."""
    _, problems = read(path, data)
    (problem,) = problems
    return str(problem).removeprefix(f"{path.parent}/")


@pytest.mark.parametrize("mark", ["", "\N{ZERO WIDTH NO-BREAK SPACE}"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_what_spreadsheets_save_is_read(path: Path, mark: str, end: str, delimiter: str) -> None:
    text = mark + (HEADER + ROW + ROW.replace("m1", "m2")).replace(",", delimiter).replace("\n", end)
    lines, problems = read(path, text)
    assert problems == []
    assert [(line.time_ms, line.unit, line.value) for line in lines] == [(NOON_MS, "m1", 1.5), (NOON_MS, "m2", 1.5)]


def test_the_last_line_may_have_no_end(path: Path) -> None:
    assert len(read(path, HEADER + ROW.rstrip())[0]) == 1


@pytest.mark.parametrize(
    ("cell", "value"), [("1,5", 1.5), ("-0,25", -0.25), ("1.5", 1.5), ("7", 7.0), ("1,5e3", 1500.0)]
)
def test_a_decimal_comma_is_one_where_commas_part_no_cells(path: Path, cell: str, value: float) -> None:
    for delimiter in (";", "\t"):
        text = (HEADER + ROW.replace("1.5", "{}")).replace(",", delimiter).format(cell)
        lines, problems = read(path, text)
        assert problems == []
        assert [line.value for line in lines] == [value]


@pytest.mark.parametrize(
    "cell", ["1.234,5", "1,234,567", "1 234,5", "1\N{NO-BREAK SPACE}234", "1_000", "1,5 kW", "янв.25"]
)
def test_a_number_with_thousands_apart_is_not_guessed_at(path: Path, cell: str) -> None:
    text = (HEADER + ROW.replace("1.5", "{}")).replace(",", ";").format(cell)
    assert told(path, text) == f"f.csv:2:value: {cell!r} is no number; write 1234.5"


def test_a_decimal_comma_where_commas_part_cells_is_told(path: Path) -> None:
    what = "f.csv:2:1: the row has 7 cells, the header 6; quote a cell that holds ',', and write 1234.5"
    assert told(path, HEADER + ROW.replace("1.5", "1,5")) == what
    assert told(path, HEADER + ROW.replace("1.5", '"1,5"')) == "f.csv:2:value: '1,5' is no number; write 1234.5"


def test_blank_rows_and_columns_that_a_spreadsheet_leaves_are_passed_over(path: Path) -> None:
    text = HEADER.replace("\n", ",,\n") + ",,,,,,,\n\n" + ROW.replace("\n", ",,\n") + ",,,,,\n" + ROW
    lines, problems = read(path, text)
    assert problems == []
    assert len(lines) == 2
    assert told(path, text + ROW.replace("m1", "m9")).startswith("f.csv:7:unit: ")
    assert "the row has 8 cells, the header 6" in told(path, text + ROW.replace("\n", ",,x\n"))


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"PK\x03\x04rest", "is a spreadsheet or archive, not CSV; save it as CSV in UTF-8"),
        (b"\xd0\xcf\x11\xe0", "is an old spreadsheet, not CSV; save it as CSV in UTF-8"),
        (b"\x1f\x8b\x08", "is compressed, not CSV; save it as CSV in UTF-8"),
        ((HEADER + ROW).encode("utf-16"), "is UTF-16, not CSV; save it as CSV in UTF-8"),
        ((HEADER + ROW).encode("utf-16-le"), "is no text, not CSV; save it as CSV in UTF-8"),
        ((HEADER + ROW).encode() + bytes(100), "is no text, not CSV; save it as CSV in UTF-8"),
    ],
)
def test_what_is_no_csv_is_told(path: Path, head: bytes, what: str) -> None:
    assert told(path, head) == f"f.csv: {what}"


def test_another_encoding_is_told_with_the_row_where_it_shows(path: Path) -> None:
    text = HEADER + ROW * 3000 + ROW.replace("kW", "кВт") + ROW
    assert told(path, text.encode("cp1251")) == "f.csv:3002:1: is not UTF-8 text; save it as CSV in UTF-8"


def test_nul_bytes_far_behind_the_beginning_are_mistakes_of_their_row(path: Path) -> None:
    lines, problems = read(path, (HEADER + ROW * 2000).encode() + ROW.encode().replace(b"m1", b"m\0") + ROW.encode())
    assert len(lines) == 2001
    assert [(problem.line, problem.what) for problem in problems] == [(2002, "no unit has the id 'm\\x00'")]


def test_a_row_without_an_end_takes_no_memory(path: Path) -> None:
    for cell in ("x" * MOST_CHARACTERS, "x," * MOST_CHARACTERS, '"\n",' * MOST_CHARACTERS):
        assert told(path, HEADER + ROW + cell + ROW) == (
            f"f.csv:3:1: the row has more than {MOST_CHARACTERS} characters; "
            "write one value a line, and close double quotes"
        )


def test_a_quote_that_is_not_closed_is_told_where_it_opens(path: Path) -> None:
    text = HEADER + ROW + ROW.replace("m1", '"m1') + ROW * 3
    assert told(path, text) == "f.csv:3:1: cannot be read: unexpected end of data; check the double quotes of this row"
    assert "f.csv:3:1: cannot be read: field larger than field limit" in told(path, text + ROW * 10_000)


def test_quotes_are_read_as_spreadsheets_write_them(path: Path) -> None:
    lines, problems = read(path, HEADER + '"2026-01-01T12:00:00Z","m1","ActivePower","1.5","kW",""\r\n')
    assert (len(lines), problems) == (1, [])
    assert told(path, HEADER + ROW.replace("m1", '"m""1, north"')).startswith(
        "f.csv:2:unit: no unit has the id 'm\"1, north'"
    )


def test_a_row_that_spans_lines_is_told_where_it_begins(path: Path) -> None:
    text = HEADER + ROW.replace("m1", '"m\n9"') + ROW.replace("m1", "m8")
    assert [problem.line for problem in read(path, text)[1]] == [2, 4]


@pytest.mark.parametrize(
    "cell", ["2026-10-25T02:30:00", "2026-10-25 02:30", "25.10.2026 02:30", "46320.1041", "2026-10-25T24:00Z"]
)
def test_a_time_that_may_be_two_or_none_is_not_guessed_at(path: Path, cell: str) -> None:
    assert told(path, HEADER + ROW.replace("2026-01-01T12:00:00Z", cell)).startswith(
        f"f.csv:2:time: {cell!r} is no time with a zone; write 2026-01-31T08:00:00Z or …+05:00"
    )


def test_the_hour_that_a_zone_has_twice_is_told_apart_by_its_offset(path: Path) -> None:
    text = HEADER + "".join(
        ROW.replace("2026-01-01T12:00:00Z", f"2025-10-26T02:30:00{one}") for one in ("+02:00", "+01:00")
    )
    first, second = read(path, text)[0]
    assert second.time_ms - first.time_ms == 3_600_000


def test_a_long_cell_is_told_by_its_beginning(path: Path) -> None:
    assert len(told(path, HEADER + ROW.replace("m1", "m" * 10_000))) < 200


def test_an_empty_file_has_no_columns(path: Path) -> None:
    _, problems = read(path, "")
    assert [problem.what for problem in problems] == [
        f"there is no column {name!r}" for name in ("time", "unit", "quantity", "value")
    ]


def pieces() -> Iterator[str]:
    yield from (HEADER, ROW, ROW.replace(",", ";"), '"', "\n", "\r", ",", "\0", "\N{ZERO WIDTH NO-BREAK SPACE}", "é")


@settings(max_examples=150, deadline=None)
@given(parts=st.lists(st.sampled_from([*pieces()]) | st.text(max_size=8), max_size=12), cut=st.integers(0, 600))
def test_any_bytes_at_all_are_read_or_told(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str], cut: int
) -> None:
    data = "".join(parts).encode("utf-8", "surrogatepass")[:cut]
    path = tmp_path_factory.getbasetemp() / "any.csv"
    lines, problems = read(path, data)
    assert all(line.unit in {"m1", "m2"} for line in lines)
    assert lines or problems or not b"".join(data.split(HEADER.encode())).strip(b"\r\n\t ,;\xef\xbb\xbf")
