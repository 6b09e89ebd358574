"""Text of a profile for registers that were picked by hand: the commented template, filled in. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from address_space.model.quantity import MEASURED, Kind, Quantity, by_path
from drivers.codec import NumberType, Order
from drivers.probe.errors import ProbeMistake
from drivers.profiles import new_profile, size_in_base
from drivers.profiles.profile import default_class

_RATIOS: Final = ("ct", "pt", "ptct")
_PICK: Final = "NAME=ADDRESS:TYPE[:ORDER][:SCALE][:UNIT], as in VoltageL1=0x0000:float32:ABCD:V"
_DEFAULT_CAVEAT: Final = (
    "Found on the device by probing: meaning, unit and scale of every point are to be confirmed, with the manual or "
    "with the device's own display."
)


@dataclass(frozen=True, slots=True)
class Pick:
    """One point: which register holds what. `order` is None where it is the profile's."""

    quantity: Quantity
    address: int
    type: NumberType
    order: Order | None
    scale: str
    unit: str
    words: int = 0
    fc: int = 0
    ratio: str = ""

    def line(self, order: Order) -> str:
        """As a line of a profile whose own order is `order`."""
        parts = [f"at: 0x{self.address:04X}", f"type: {self.type.value}"]
        if self.words:
            parts.append(f"words: {self.words}")
        if self.fc:
            parts.append(f"fc: {self.fc}")
        if self.order is not None and self.order is not order and (self.type.words != 1):
            parts.append(f"order: {self.order.value}")
        if self.scale:
            parts.append(f"scale: {self.scale}")
        if self.quantity.unit is not None:
            parts.append(f"unit: {_quoted(self.unit)}")
        if self.ratio:
            parts.append(f"ratio: {self.ratio}")
        parts.append(f"class: {default_class(self.quantity).value}")
        return f"  {self.quantity.path}: {{{', '.join(parts)}}}"


@dataclass(frozen=True, slots=True)
class Draft:
    """What a profile says beside its points. Texts may be anything; empty ones are left as the template has them."""

    name: str
    vendor: str = ""
    model: str = ""
    line: str = ""
    source: str = ""
    fc: int = 3
    max_words: int = 60
    gaps: str = "forbidden"


def parse_pick(text: str) -> Pick:
    """A pick as it is written on the command line; raises ProbeMistake."""
    name, sign, place = text.partition("=")
    quantity = by_path(name)
    if not sign or not place:
        raise ProbeMistake(f"{text!r} is no point", hint=f"write it as {_PICK}")
    if quantity is None or quantity not in MEASURED:
        near = get_close_matches(name, [each.path for each in MEASURED], n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else "docs/profiles.md lists all of them"
        raise ProbeMistake(f"there is no quantity {name!r}", where=text, hint=hint)
    at, *parts = place.split(":")
    address = _address(at, text)
    kind: NumberType | None = None
    order: Order | None = None
    scale = unit = ratio = ""
    words = fc = 0
    for part in parts:
        if kind is None:
            kind, words = _type(part, text)
        elif part in Order.__members__:
            order = Order(part)
        elif re.fullmatch(r"fc[1-4]", part):
            fc = int(part[2])
        elif part in _RATIOS:
            ratio = part
        elif re.fullmatch(r"[0-9]*\.?[0-9]+(e-?[0-9]+)?", part) and not (part == "1" and scale):
            scale = part
        else:
            unit = part
    if kind is None:
        raise ProbeMistake("the point does not say what its register holds", where=text, hint=f"write it as {_PICK}")
    if scale and float(scale) == 0:
        raise ProbeMistake("a scale of 0 leaves nothing", where=text, hint="1, 0.1, 0.01, …")
    return Pick(quantity, address, kind, order, scale, _unit(quantity, unit, text), words, fc, ratio)


def draft(head: Draft, picks: Sequence[Pick]) -> str:
    """The file of a profile; raises ProbeMistake where a point is given twice or there are none, ProfileError for a
    name that is none."""
    if not picks:
        raise ProbeMistake("a profile needs points", hint=f"give --point {_PICK}")
    names = [pick.quantity.path for pick in picks]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ProbeMistake(f"{twice[0]} is picked twice", hint="one register for each point")
    order = _usual_order(picks)
    values = {
        "vendor": _quoted(head.vendor) if head.vendor else "",
        "model": _quoted(head.model) if head.model else "",
        "fc": str(head.fc),
        "order": order.value,
        "max_words": str(head.max_words),
        "gaps": head.gaps,
    }
    lines: list[str] = []
    section = ""
    for line in new_profile(head.name).splitlines():
        key = re.match(r"(\s*)(\w+):", line)
        if key and not key[1]:
            section = key[2]
        if section == "source" and line.startswith("  - "):
            said = head.source or "the device itself, probed on its wire"
            lines.append(f"  - {{document: {_quoted(said)}}}")
        elif section == "caveats" and line.startswith("  - "):
            lines.append(f"  - {_quoted(_DEFAULT_CAVEAT)}")
        elif section in ("line", "serial") and key:
            known = {"line": head.line, "serial": _serial(head.line) if head.line else ""}[section]
            lines.append(_valued(line, known) if known else f"# {line}")
        elif section == "points" and key and key[1]:
            continue
        elif section == "points" and "optional:" in line:
            lines.append(line)
            lines += [pick.line(order) for pick in picks]
        elif key and values.get(key[2]):
            lines.append(_valued(line, values[key[2]]))
        else:
            lines.append(line)
    return "".join(f"{line}\n" for line in lines)


def _valued(line: str, value: str) -> str:
    """A line of the template with another value, its comment where it was."""
    head, _, rest = line.partition(":")
    comment = rest.rfind("  #")
    shown = f"{head}: {value}"
    return shown if comment < 0 else f"{shown:<33} {rest[comment:].strip()}"


def _usual_order(picks: Sequence[Pick]) -> Order:
    orders = [pick.order for pick in picks if pick.order is not None and pick.type.words != 1]
    return max(Order, key=orders.count) if orders else Order.ABCD


def _serial(line: str) -> str:
    """ "9600 8E1" as the file's mapping; raises ProbeMistake."""
    found = re.fullmatch(r"([0-9]+) ([78])([NEO])([12])", line)
    if found is None:
        raise ProbeMistake(f"{line!r} is no setting of a serial line", hint='write it as "9600 8N1"')
    parts = [f"baud: {found[1]}"]
    if found[3] != "N":
        parts.append(f"parity: {'even' if found[3] == 'E' else 'odd'}")
    if found[2] != "8":
        parts.append(f"data_bits: {found[2]}")
    if found[4] != "1":
        parts.append(f"stop_bits: {found[4]}")
    return "{" + ", ".join(parts) + "}"


def _address(text: str, where: str) -> int:
    try:
        address = int(text, 0)
    except ValueError:
        address = -1
    if not 0 <= address <= 0xFFFF:
        raise ProbeMistake(f"{text!r} is no address", where=where, hint="0 to 0xFFFF as on the wire, as `probe read`")
    return address


def _type(text: str, where: str) -> tuple[NumberType, int]:
    """The type, and its registers where it needs to be told: "string8"."""
    found = re.fullmatch(r"(string|mod10000_?)([0-9]+)", text)
    name, words = (found[1].rstrip("_"), int(found[2])) if found else (text, 0)
    for kind in NumberType:
        if kind.value == name and bool(words) == (kind.words == 0):
            return kind, words
    known = ", ".join(kind.value for kind in NumberType)
    raise ProbeMistake(f"{text!r} is no type", where=where, hint=f"there are {known}; string8 has 8 registers")


def _unit(quantity: Quantity, given: str, where: str) -> str:
    if quantity.unit is None:
        if given:
            raise ProbeMistake(f"{quantity.path} has no unit", where=where, hint=f"leave {given!r} out")
        return ""
    unit = given or _USUAL_UNITS.get(quantity.unit.base, quantity.unit.base)
    if size_in_base(unit, quantity) is None:
        raise ProbeMistake(
            f"{quantity.path} is not measured in {unit!r}",
            where=where,
            hint=f"one of its units is {quantity.unit.base}",
        )
    if not given and quantity.kind is Kind.COUNTER:
        raise ProbeMistake("a counter needs its unit", where=where, hint="kWh, Wh, MWh, m3, …")
    return unit


_USUAL_UNITS: Final = {"V": "V", "A": "A", "W": "W", "Hz": "Hz", "1": "1"}


def _quoted(text: str) -> str:
    if re.fullmatch(r"[A-Za-z°][\w /°.()-]*", text):
        return text
    return "'" + text.replace("'", "''") + "'"
