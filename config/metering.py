"""Metering units one by one: cells to `MeterConfig`, checked against everything the plant already holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime

from address_space.model.hierarchy import HierarchyNode
from address_space.model.ids import NodeUid
from config.columns import YEARS
from config.errors import Location, Report
from config.fields import is_uuid, parse_flag, parse_number
from config.identity import Identities, as_uid
from config.plant import EarlierRatio, MeterConfig, meter_location
from config.spelling import Spelling

Locate = Callable[[str], Location]
"""Place of a cell or key by its name."""

_MEMO_LIMIT = 10_000
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?)?", re.ASCII)


class MeterReader:
    """Takes the cells of unit after unit in the order of `COLUMNS`; a bad one is reported and left out.

    Texts that repeat (parents, profiles, channels, addresses, numbers) are kept once for all units.
    """

    def __init__(
        self,
        report: Report,
        spelling: Spelling,
        identities: Identities,
        nodes: Mapping[NodeUid, HierarchyNode],
        profiles: Collection[str],
        channels: Collection[str],
        poll_groups: Collection[str] = (),
    ) -> None:
        self.meters: list[MeterConfig] = []
        self._report = report
        self._spelling = spelling
        self._identities = identities
        self._channels = channels
        self._parents = {uid: uid for uid in nodes}
        self._profiles = {name: name for name in profiles}
        self._addresses: dict[str, dict[str, MeterConfig]] = {name: {} for name in channels}
        self._channel_names = {name: name for name in channels}
        self._poll_groups = {name: name for name in poll_groups}
        self._memo: dict[str, str] = {}
        self._numbers: dict[str, float] = {"": 1.0, "1": 1.0}
        self._codes = _codes_by_parent(nodes)

    def add(
        self,
        cells: Sequence[str],
        file: str,
        line: int,
        column: int = 0,
        *,
        decimal_comma: bool = False,
        locate: Locate | None = None,
    ) -> None:
        """One unit: stripped cells, one per column; `column` 0 where `line` is the row of a sheet."""
        (uid, name, parent, profile, channel, address, serial, asset, ct, pt, *rest) = cells
        since, ct_before, pt_before, amps, kw, *rest = rest
        report = _Cells(self._report, file, line, column, locate)
        sound = True
        if not uid:
            sound = report.wrong("id", "id is empty", "give every metering unit an id that never changes")
        elif not self._identities.take(uid, file, line, column):
            self._identities.explain(uid, report.at("id"))
            sound = False
        known_parent = self._parents.get(as_uid(parent))
        if known_parent is None:
            sound = self._explain_parent(parent, report)
        elif self._codes and uid.lower() in self._codes.get(known_parent, ()):
            sound = report.wrong("id", f"a node below {parent!r} already has the code {uid!r}", "change that code")
        known_profile = self._profiles.get(profile)
        if known_profile is None:
            sound = self._explain(profile, "profile", self._profiles, report)
        known_channel = self._channel_names.get(channel)
        if known_channel is None:
            sound = self._explain(channel, "channel", self._channels, report)
        if not address:
            sound = report.wrong("address", "address is empty", "write the meter's address on its channel")
        address = self._memo.setdefault(address, address) if len(self._memo) < _MEMO_LIMIT else address
        numbers = self._numbers
        ct_ratio, pt_ratio = numbers.get(ct), numbers.get(pt)
        if ct_ratio is None:
            ct_ratio = self._positive("ct", ct, report, decimal_comma=decimal_comma)
        if pt_ratio is None:
            pt_ratio = self._positive("pt", pt, report, decimal_comma=decimal_comma)
        current_a = self._positive("rated_current_a", amps, report, decimal_comma=decimal_comma) if amps else 0.0
        power_kw = self._positive("rated_power_kw", kw, report, decimal_comma=decimal_comma) if kw else 0.0
        earlier: EarlierRatio | None = None
        if since or ct_before or pt_before:
            earlier = self._earlier(since, (ct_before, pt_before), report, decimal_comma=decimal_comma)
        enabled, year, due, mrid, group = (True, 0, "", "", "")
        if any(rest):
            enabled, year, due, mrid, group = self._rarer(rest, report)
        if not sound or known_parent is None or known_profile is None or known_channel is None:
            return
        meter = MeterConfig(
            as_uid(uid), name or uid, known_parent, known_profile, known_channel, address, serial, asset,
            ct_ratio, pt_ratio, current_a, power_kw, enabled, year, due, mrid, file, line, column,
            group, earlier,
        )  # fmt: skip
        if enabled:
            self._check_address(meter, report)
        self.meters.append(meter)

    def _check_address(self, meter: MeterConfig, report: _Cells) -> None:
        address = meter.address
        key = (address.lstrip("0") or "0") if address[0] == "0" and address.isdecimal() else address
        other = self._addresses[meter.channel].setdefault(key, meter)
        if other is not meter:
            report.wrong(
                "address",
                f"{meter.id!r} and {other.id!r} ({other.location}) both have the address {address!r} on the "
                f"channel {meter.channel!r}",
                "correct one, or set `enabled` to false for the one that is no longer there",
            )

    def _explain_parent(self, parent: str, report: _Cells) -> bool:
        if parent in self._identities.refused:
            return False  # its own mistake is already reported
        return self._explain(parent, "parent", self._parents, report)

    def _explain(self, word: str, name: str, valid: Collection[str], report: _Cells) -> bool:
        if not word:
            return report.wrong(name, f"{name} is empty", f"write the {name} of the metering unit")
        what = f"there is no node {word!r}" if name == "parent" else f"there is no {name} {word!r}"
        return report.wrong(name, what, self._spelling.hint(word, valid))

    def _positive(self, name: str, text: str, report: _Cells, *, decimal_comma: bool) -> float:
        number = self._numbers.get(text)
        if number is not None:
            return number
        if decimal_comma:
            text = text.replace(",", ".", 1)
        number = parse_number(text)
        if number is None:
            hint = "write it without unit" if decimal_comma else "write it without unit, with a decimal point"
            report.wrong(name, f"{name} must be a number, not {text!r}", hint)
        elif number <= 0 or number > 1e9:
            report.wrong(name, f"{name} is {number:g}, outside 0 … 1e+09", "write a number above 0, or leave it empty")
        else:
            if len(self._numbers) < _MEMO_LIMIT:
                self._numbers[text] = number
            return number
        return 1.0

    def _earlier(
        self, since: str, before: Sequence[str], report: _Cells, *, decimal_comma: bool
    ) -> EarlierRatio | None:
        """The ratios before `ratio_since`."""
        names = ("ct_before", "pt_before")
        ct, pt = (
            self._positive(name, text, report, decimal_comma=decimal_comma)
            for name, text in zip(names, before, strict=True)
        )
        until = _moment(since)
        if not since:
            for name, text in zip(names, before, strict=True):
                if text:
                    hint = "write there from when `ct` and `pt` hold, or leave this empty"
                    report.wrong(name, f"{name} is given and ratio_since is empty", hint)
        elif until is None:
            hint = "write it as 2031-06-30 or 2031-06-30T14:30, in the plant's time zone"
            report.wrong("ratio_since", f"{since!r} is no date or date-time", hint)
        return EarlierRatio(until, ct, pt) if until is not None else None

    def _rarer(self, cells: Sequence[str], report: _Cells) -> tuple[bool, int, str, str, str]:
        enabled, year, due, mrid, group = cells[:5]
        flag = parse_flag(enabled) if enabled else True
        if flag is None:
            report.wrong("enabled", f"enabled must be true or false, not {enabled!r}", "write true or false")
        built = 0
        if year:
            built = int(year) if year.isdecimal() and len(year) == 4 else 0
            if not YEARS[0] <= built <= YEARS[1]:
                report.wrong("year_of_construction", f"{year!r} is no year a meter was built in", "write it as 2024")
        if due and not _is_date(due):
            report.wrong("verification_due", f"{due!r} is no date", "write it as 2031-06-30")
        if mrid and not is_uuid(mrid):
            report.wrong("cim_mrid", f"{mrid!r} is no UUID", "write it as 8-4-4-4-12 hexadecimal digits")
        if group and group not in self._poll_groups:
            hint = self._spelling.hint(group, self._poll_groups, none="describe it below `poll_groups` in plant.yaml")
            report.wrong("poll_group", f"there is no poll group {group!r}", hint)
        return flag is not False, built, due, mrid, self._poll_groups.get(group, "")


class _Cells:
    """Where the unit in hand stands."""

    __slots__ = ("_column", "_file", "_line", "_locate", "_report")

    def __init__(self, report: Report, file: str, line: int, column: int, locate: Locate | None) -> None:
        self._report = report
        self._file = file
        self._line = line
        self._column = column
        self._locate = locate

    def at(self, name: str) -> Location:
        if self._locate is not None:
            return self._locate(name)
        return meter_location(self._file, self._line, self._column, name)

    def wrong(self, name: str, what: str, hint: str) -> bool:
        """Report the cell `name`; always false, for what it says of the unit."""
        self._report.add(self.at(name), what, hint)
        return False


def _codes_by_parent(nodes: Mapping[NodeUid, HierarchyNode]) -> dict[NodeUid, set[str]]:
    codes: dict[NodeUid, set[str]] = {}
    for node in nodes.values():
        if node.code and node.parent is not None:
            codes.setdefault(node.parent, set()).add(node.code.lower())
    return codes


def _moment(text: str) -> datetime | None:
    if not _MOMENT.fullmatch(text):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if YEARS[0] <= found.year <= YEARS[1] else None


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
