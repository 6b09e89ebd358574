from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from config.plant import EarlierRatio

HEADER = "id,name,parent,profile,channel,address,ct,pt\n"
BASE = """
hierarchy: [{id: f1, kind: feeder}]
channels:
  gw1: {driver: modbus, options: {host: 127.0.0.1}}
meters: meters/*.csv
"""


def test_a_row_becomes_a_metering_unit_with_its_place(town: Any) -> None:
    town.write(
        "meters/a.csv",
        "id,name,parent,profile,channel,address,serial_number,asset_id,ct,pt,rated_current_a,rated_power_kw,enabled,"
        "year_of_construction,verification_due,cim_mrid,note\n"
        "m1, Entrance ,f1,abb/b23,gw1,7,S1,A1,60,100,300,5100,no,2021,2031-06-30,"
        "5e1c2d70-0f0e-4a0e-9c2e-2f6d6c1a9b11,spare key\n",
    )
    (meter,) = town.load().meters
    assert (meter.id, meter.name, meter.parent, meter.profile) == ("m1", "Entrance", "f1", "abb/b23")
    assert (meter.channel, meter.address, meter.serial_number, meter.asset_id) == ("gw1", "7", "S1", "A1")
    assert (meter.ratio, meter.enabled, meter.year_of_construction) == ((60.0, 100.0), False, 2021)
    assert meter.attributes == {
        "rated_current_a": 300.0,
        "rated_power_kw": 5100.0,
        "verification_due": "2031-06-30",
        "cim_mrid": "5e1c2d70-0f0e-4a0e-9c2e-2f6d6c1a9b11",
    }
    assert str(meter.problem("address", "wrong", "right")) == f"{town.path}/meters/a.csv:2:address: wrong; right"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_delimiters_byte_order_mark_and_line_ends_are_found(town: Any, delimiter: str, mark: str, end: str) -> None:
    ratio = "1.5" if delimiter == "," else "1,5"
    header = ["id", "name", "parent", "profile", "channel", "address", "ct"]
    rows = [header, ["m1", "Ҳисоблагич", "f1", "abb/b23", "gw1", "7", ratio]]
    town.write("meters/a.csv", (mark + "".join(delimiter.join(row) + end for row in rows)).encode())
    (meter,) = town.load().meters
    assert (meter.name, meter.ct, meter.pt) == ("Ҳисоблагич", 1.5, 1.0)


def test_rows_are_numbered_as_in_the_file_whatever_stands_between(town: Any) -> None:
    town.write(
        "meters/a.csv",
        '# a comment, with "quotes\n\n' + HEADER + "\n,,,,\n# m0\nm1,,f1,abb/b23,gw9,1,,\n"
        'm2,"two\nlines",f1,abb/b23,gw9,2,,\n',
    )
    assert [mistake.split(": ")[0] for mistake in town.mistakes()] == [
        "meters/a.csv:7:channel",
        "meters/a.csv:8:channel",
    ]


def test_every_mistake_of_a_sheet_is_told_at_row_and_column(town: Any) -> None:
    town.write(
        "meters/a.csv",
        "id,name,parent,profile,channel,address,ct,pt,enabled,year_of_construction,verification_due,cim_mrid\n"
        "m 1,,f1,abb/b23,gw1,1,,,,,,\n"
        "m2,,f9,abb/b32,gw3,2,,,,,,\n"
        "m3,,f1,abb/b23,gw1,3,-60,x,,,,\n"
        "m4,,f1,abb/b23,gw1,4,0,,perhaps,21,2031-02-30,xyz\n"
        "M3,,f1,abb/b23,gw1,5,,,,,,\n"
        "f1,,f1,abb/b23,gw1,6,,,,,,\n"
        "m7,,f1,abb/b23,gw1,007,,,,,,\n"
        "m8,,f1,abb/b23,gw1,7,,,,,,\n"
        "m9,,,,,,,,,,,\n"
        ",,f1,abb/b23,gw1,10,,,,,,\n"
        "m11,,f1,abb/b23,gw1,11,1,5,true,2020,,,surplus\n",
    )
    mistakes = town.mistakes()
    told = [mistake.split("; ")[0].removeprefix("meters/a.csv:") for mistake in mistakes]
    assert (
        told
        == [
            "2:id: 'm 1' is not a valid id",
            "3:parent: there is no node 'f9'",
            "3:profile: there is no profile 'abb/b32'",
            "3:channel: there is no channel 'gw3'",
            "4:ct: ct is -60, outside 0 … 1e+09",
            "4:pt: pt must be a number, not 'x'",
            "5:ct: ct is 0, outside 0 … 1e+09",
            "5:enabled: enabled must be true or false, not 'perhaps'",
            "5:year_of_construction: '21' is no year a meter was built in",
            "5:verification_due: '2031-02-30' is no date",
            "5:cim_mrid: 'xyz' is no UUID",
            "6:id: the id 'M3' is already used at meters/a.csv, row 4",
            "7:id: the id 'f1' is already used at plant.yaml:5:14",
            "9:address: 'm8' and 'm7' (meters/a.csv:8:id) both have the address '7' on the channel 'gw1'",
            "10:parent: parent is empty",
            "10:profile: profile is empty",
            "10:channel: channel is empty",
            "10:address: address is empty",
            "11:id: id is empty",
            "12:1: the row has 13 cells under 12 columns",
        ]
        or _normal(told, town) == told
    )


def _normal(told: list[str], town: Any) -> list[str]:
    return [text.replace(f"{town.path}/", "") for text in told]


def test_an_unknown_column_is_told_and_read_as_the_one_meant(town: Any) -> None:
    town.write("meters/a.csv", "id,parent,profil,channel,adress\nm1,f1,abb/b32,gw1,1\n")
    assert town.mistakes() == [
        "meters/a.csv:1:profil: 'profil' is no column of a meter list; did you mean 'profile'?",
        "meters/a.csv:1:adress: 'adress' is no column of a meter list; did you mean 'address'?",
        "meters/a.csv:2:profile: there is no profile 'abb/b32'; did you mean 'abb/b23'?",
    ]


def test_missing_and_doubled_columns_are_told(town: Any) -> None:
    town.write("meters/a.csv", "ID,Parent,profile,profile\nm1,f1,abb/b23,\n")
    assert town.mistakes() == [
        "meters/a.csv:1:profile: the column 'profile' stands twice; remove one of them",
        "meters/a.csv:1:channel: the column 'channel' is missing; add it to the header and fill it in every row",
        "meters/a.csv:1:address: the column 'address' is missing; add it to the header and fill it in every row",
    ]


def test_a_disabled_unit_leaves_its_address_to_its_successor(town: Any) -> None:
    town.write(
        "meters/a.csv",
        "id,parent,profile,channel,address,enabled\nold,f1,abb/b23,gw1,7,false\nnew,f1,abb/b23,gw1,7,\n",
    )
    assert [meter.enabled for meter in town.load().meters] == [False, True]


def test_the_same_address_on_two_channels_is_right(town: Any) -> None:
    town.write("meters/a.csv", "id,parent,profile,channel,address\na,f1,abb/b23,gw1,7\nb,f1,abb/b23,gw2,7\n")
    assert len(town.load().meters) == 2


def test_an_id_equal_to_the_code_of_a_sibling_is_refused(town: Any) -> None:
    text = (town.path / "plant.yaml").read_text()
    town.write("plant.yaml", text)
    town.write("meters/a.csv", "id,parent,profile,channel,address\nF1x,north,abb/b23,gw1,7\n")
    assert len(town.load().meters) == 1
    town.write("plant.yaml", text.replace("code: F1", "code: F1x"))
    assert town.mistakes() == ["meters/a.csv:2:id: a node below 'north' already has the code 'F1x'; change that code"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.xlsx", b"PK\x03\x04", "meters/a.xlsx: .xlsx files are not read; save it from the spreadsheet as CSV UTF-8"),
        ("a.csv", b"PK\x03\x04", "meters/a.csv: is a spreadsheet or archive, not CSV"),
        ("a.csv", "id;name\n".encode("utf-16"), "meters/a.csv: is UTF-16, not CSV"),
        ("a.csv", "id,name\nm1,Счётчик\n".encode("cp1251"), "meters/a.csv:2:4: is not UTF-8 text"),
        ("a.csv", b"", "meters/a.csv:1:1: the file holds no rows"),
        ("a.csv", HEADER.encode() + b'm1,"open,f1\n', "meters/a.csv:2:1: cannot be read: unexpected end of data"),
    ],
)
def test_a_file_that_is_no_csv_is_told(town: Any, name: str, content: bytes, told: str) -> None:
    text = (town.path / "plant.yaml").read_text().replace("*.csv", "*")
    town.write("plant.yaml", text)
    town.write(f"meters/{name}", content)
    assert any(mistake.startswith(told) for mistake in town.mistakes()), town.mistakes()


def test_a_list_named_twice_is_read_once(town: Any) -> None:
    text = (town.path / "plant.yaml").read_text().replace("meters/*.csv", "[meters/*.csv, meters/a.csv]")
    town.write("plant.yaml", text)
    town.write("meters/a.csv", "id,parent,profile,channel,address\na,f1,abb/b23,gw1,7\n")
    assert len(town.load().meters) == 1


def test_a_mistake_in_an_id_is_told_once_not_at_every_reference(folder: Any) -> None:
    folder.write(
        "plant.yaml",
        "hierarchy: [{id: tp 12, kind: site}]\nchannels: {gw1: {driver: modbus}}\nmeters: a.csv\n",
    )
    folder.write("a.csv", "id,parent,profile,channel,address\na,tp 12,abb/b23,gw1,7\nb,tp 12,abb/b23,gw1,8\n")
    (mistake,) = folder.mistakes()
    assert mistake.startswith("plant.yaml:1:18: 'tp 12' is not a valid id")


def test_progress_runs_to_the_number_of_rows(town: Any) -> None:
    rows = "".join(f"m{i},f1,abb/b23,gw1,{i}\n" for i in range(25_000))
    town.write("meters/a.csv", "id,parent,profile,channel,address\n" + rows)
    seen: list[tuple[int, int]] = []
    town.load(progress=lambda done, total: seen.append((done, total)))
    assert seen == [(10_000, 25_001), (20_000, 25_001), (25_001, 25_001)]


def test_a_mistake_in_every_row_is_told_in_every_row(town: Any) -> None:
    rows = "".join(f"m{i},x{i},abb/b23,line{i},{i}\n" for i in range(5_000))
    town.write("meters/a.csv", "id,parent,profile,channel,address\n" + rows)
    assert len(town.mistakes()) == 10_000


def test_the_ratios_before_a_date_stand_beside_those_of_today(town: Any) -> None:
    town.write(
        "meters/a.csv",
        "id,parent,profile,channel,address,ct,pt,ratio_since,ct_before,pt_before\n"
        "m1,f1,abb/b23,gw1,1,60,100,2031-06-30,30,\n"
        "m2,f1,abb/b23,gw1,2,60,,2031-06-30T14:30,,\n"
        "m3,f1,abb/b23,gw1,3,60,,2031-06-30 14:30:15,,50\n"
        "m4,f1,abb/b23,gw1,4,60,,,,\n",
    )
    first, second, third, fourth = town.load().meters
    assert first.ratio == (60.0, 100.0)
    assert first.earlier == EarlierRatio(datetime.fromisoformat("2031-06-30"), 30.0, 1.0)
    assert second.earlier == EarlierRatio(datetime.fromisoformat("2031-06-30T14:30"), 1.0, 1.0)
    assert third.earlier == EarlierRatio(datetime.fromisoformat("2031-06-30T14:30:15"), 1.0, 50.0)
    assert fourth.earlier is None
    assert first.earlier.until_s(ZoneInfo("Asia/Tashkent")) == first.earlier.until_s(ZoneInfo("UTC")) - 5 * 3600


def test_ratios_before_no_date_and_dates_that_are_none_are_mistakes_at_their_cells(town: Any) -> None:
    town.write(
        "meters/a.csv",
        "id,parent,profile,channel,address,ct,ratio_since,ct_before,pt_before\n"
        "m1,f1,abb/b23,gw1,1,60,,30,\n"
        "m2,f1,abb/b23,gw1,2,60,31.12.2030,,\n"
        "m3,f1,abb/b23,gw1,3,60,2031-02-30,,\n"
        "m4,f1,abb/b23,gw1,4,60,2031-02-03T10:00Z,0,x\n"
        "m5,f1,abb/b23,gw1,5,60,0001-01-01,,\n",
    )
    told = [mistake.split("; ")[0].removeprefix("meters/a.csv:") for mistake in town.mistakes()]
    assert told == [
        "2:ct_before: ct_before is given and ratio_since is empty",
        "3:ratio_since: '31.12.2030' is no date or date-time",
        "4:ratio_since: '2031-02-30' is no date or date-time",
        "5:ct_before: ct_before is 0, outside 0 … 1e+09",
        "5:pt_before: pt_before must be a number, not 'x'",
        "5:ratio_since: '2031-02-03T10:00Z' is no date or date-time",
        "6:ratio_since: '0001-01-01' is no date or date-time",
    ]


def test_a_unit_of_the_plant_file_has_earlier_ratios_too(town: Any) -> None:
    unit = "id: m1, parent: f1, profile: abb/b23, channel: gw1, address: 1, ct: 60"
    hierarchy = BASE.replace("meters: meters/*.csv\n", "")
    town.write("plant.yaml", f"{hierarchy}metering_units:\n  - {{{unit}, ratio_since: 2031-06-30, ct_before: 30}}\n")
    (meter,) = town.load().meters
    assert meter.earlier == EarlierRatio(datetime.fromisoformat("2031-06-30"), 30.0, 1.0)
    town.write("plant.yaml", f"{hierarchy}metering_units:\n  - {{{unit}, ct_before: 30}}\n")
    (told,) = town.mistakes()
    assert told.startswith("plant.yaml:5:89: ct_before is given and ratio_since is empty")
