"""Times on the command line: what a clock of the zone never shows is not guessed at."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from server.cli.history_times import instant_ms, iso
from server.cli.main import main
from server.errors import ServerError

BERLIN, SANTIAGO, UTC = ZoneInfo("Europe/Berlin"), ZoneInfo("America/Santiago"), ZoneInfo("UTC")


@pytest.mark.parametrize("time", ["2026-03-29T02:00", "2026-03-29T02:30", "2026-03-29 02:59:59.999"])
def test_a_time_that_spring_leaves_out_is_refused_with_one_that_there_is(time: str) -> None:
    with pytest.raises(ServerError, match=r"does not exist in Europe/Berlin: clocks are put forward over it") as told:
        instant_ms(time, BERLIN)
    given = told.value.hint.removeprefix("write ").partition(",")[0]
    assert given.startswith("2026-03-29T03:")
    assert iso(instant_ms(given, UTC), BERLIN) == given


@pytest.mark.parametrize(
    ("time", "told"),
    [
        ("2026-03-29", "2026-03-29T00:00:00.000+01:00"),
        ("2026-03-29T01:59:59", "2026-03-29T01:59:59.000+01:00"),
        ("2026-03-29T03:00", "2026-03-29T03:00:00.000+02:00"),
        ("2026-03-29T02:30+01:00", "2026-03-29T03:30:00.000+02:00"),
        ("2026-03-29T02:30Z", "2026-03-29T04:30:00.000+02:00"),
        ("2026-10-25T02:30", "2026-10-25T02:30:00.000+02:00"),
    ],
)
def test_times_beside_it_are_taken(time: str, told: str) -> None:
    assert iso(instant_ms(time, BERLIN), BERLIN) == told


@pytest.mark.parametrize("time", ["2026-09-06", "2026-09-06T00:00"])
def test_a_day_whose_midnight_is_left_out_begins_with_its_first_time(time: str) -> None:
    assert iso(instant_ms(time, SANTIAGO), SANTIAGO) == "2026-09-06T01:00:00.000-03:00"


@pytest.mark.parametrize("option", ["--from", "--to"])
def test_the_command_line_says_so_instead_of_speaking_of_an_order(
    tmp_path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    (tmp_path / "hub.toml").write_text(f'plant = "."\ndata_dir = "{tmp_path / "data"}"\n')
    other = ["--to", "2026-03-29T03:00"] if option == "--from" else ["--from", "2026-03-29T03:00"]
    times = [option, "2026-03-29T02:30", *other, "--zone", "Europe/Berlin"]
    assert main(["history", "read", "m1", *times, "--config", str(tmp_path)]) == 1
    err = capsys.readouterr().err
    assert "'2026-03-29T02:30' does not exist in Europe/Berlin" in err
    assert "write 2026-03-29T03:30:00.000+02:00" in err
