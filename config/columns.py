"""What can be said about a metering unit: the columns of a meter list, and the keys below `metering_units`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class CellForm(Enum):
    """How a cell is written."""

    TEXT = "text"
    POSITIVE = "number above 0"
    FLAG = "true or false"
    YEAR = "year"
    DATE = "date"
    MOMENT = "date or date-time"
    UUID = "UUID"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `default` is what an empty cell means."""

    name: str
    meaning: str
    form: CellForm = CellForm.TEXT
    required: bool = False
    default: str = ""


COLUMNS = (
    Column("id", "immutable id, unique in the plant", required=True),
    Column("name", "name shown to people", default="the id"),
    Column("parent", "id of the hierarchy node it hangs below", required=True),
    Column("profile", "profile of the meter, `vendor/model`", required=True),
    Column("channel", "id of the channel it is read through", required=True),
    Column("address", "address on the channel, as the protocol writes it (Modbus: unit id 1 to 247)", required=True),
    Column("serial_number", "serial number on the name plate"),
    Column("asset_id", "number in the owner's asset register"),
    Column("ct", "ratio of the current transformer: 60 for 300/5 A", CellForm.POSITIVE, default="1"),
    Column("pt", "ratio of the voltage transformer: 100 for 10000/100 V", CellForm.POSITIVE, default="1"),
    Column("ratio_since", "from when `ct` and `pt` hold, in the plant's time zone", CellForm.MOMENT),
    Column("ct_before", "`ct` until `ratio_since`", CellForm.POSITIVE, default="1"),
    Column("pt_before", "`pt` until `ratio_since`", CellForm.POSITIVE, default="1"),
    Column("rated_current_a", "rated current of the metered line in A", CellForm.POSITIVE),
    Column("rated_power_kw", "rated or contracted power in kW", CellForm.POSITIVE),
    Column("enabled", "whether it is polled", CellForm.FLAG, default="true"),
    Column("year_of_construction", "year the meter was built", CellForm.YEAR),
    Column("verification_due", "day the verification runs out, `2031-06-30`", CellForm.DATE),
    Column("cim_mrid", "mRID of the same object in a CIM model (IEC 61970)", CellForm.UUID),
    Column("poll_group", "poll group of `plant.yaml` whose schedules and periods it has"),
    Column("note", "remark for the people who keep the list; the hub does not read it"),
)
COLUMN_NAMES = tuple(column.name for column in COLUMNS)
REQUIRED_COLUMNS = tuple(column.name for column in COLUMNS if column.required)
YEARS = (1950, 2100)
"""Years a meter can have been built in, inclusive."""
