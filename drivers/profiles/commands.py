"""What may be done to a device: the commands that have a name in every protocol, and the steps a profile gives them."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from address_space.model.quantity import Quantity


class Danger(Enum):
    """What a command can do to people, money or the device."""

    SUPPLY = "supply"
    """Connects or disconnects somebody's supply."""
    MONEY = "money"
    """Changes credit or a register that is charged; never repeated blindly."""
    CLEARS = "clears"
    """Writing erases what was counted."""
    WEAR = "wear"
    """Wears out the device's memory; the rate is limited."""


@dataclass(frozen=True, slots=True)
class CommandMeaning:
    """What a command of a name does, in any protocol. `needs` are the arguments without which it means nothing."""

    text: str
    danger: frozenset[Danger] = frozenset()
    needs: tuple[str, ...] = ()


_SUPPLY = frozenset({Danger.SUPPLY})
_MONEY = frozenset({Danger.MONEY})
_CLEARS = frozenset({Danger.CLEARS})

COMMANDS: Mapping[str, CommandMeaning] = {
    "open_supply": CommandMeaning("open the supply switch", _SUPPLY),
    "close_supply": CommandMeaning("close the supply switch at once", _SUPPLY),
    "permit_close": CommandMeaning("let the consumer close the supply switch at the meter", _SUPPLY),
    "keep_power": CommandMeaning("keep the supply on whatever the credit", _SUPPLY),
    "release_keep_power": CommandMeaning("let the credit decide again", _SUPPLY),
    "open_valve": CommandMeaning("open the valve", _SUPPLY),
    "close_valve": CommandMeaning("close the valve", _SUPPLY),
    "set_valve": CommandMeaning("move the valve to `position` percent", _SUPPLY, ("position",)),
    "set_output": CommandMeaning("switch an auxiliary output on or off as `value` says", frozenset(), ("value",)),
    "raise_alarm": CommandMeaning("let the device show its alarm"),
    "release_alarm": CommandMeaning("end the device's alarm"),
    "set_clock": CommandMeaning("set the device's clock to `time`", frozenset(), ("time",)),
    "set_tariff": CommandMeaning("count in tariff zone `value`", frozenset(), ("value",)),
    "set_credit": CommandMeaning("set the credit the meter holds to `amount`", _MONEY, ("amount",)),
    "add_credit": CommandMeaning("add `amount` to the credit the meter holds", _MONEY, ("amount",)),
    "refund_credit": CommandMeaning("take `amount` off the credit the meter holds", _MONEY, ("amount",)),
    "set_ct_ratio": CommandMeaning("set the current transformer ratio to `value`", frozenset(), ("value",)),
    "set_pt_ratio": CommandMeaning("set the voltage transformer ratio to `value`", frozenset(), ("value",)),
    "set_address": CommandMeaning("give the device the bus address `value`", frozenset(), ("value",)),
    "set_baud": CommandMeaning("set the speed of the device's line to `value`", frozenset(), ("value",)),
    "set_password": CommandMeaning("replace the device's password by `new_password`", frozenset(), ("new_password",)),
    "select_protocol": CommandMeaning("let the device's port speak what `value` says", frozenset(), ("value",)),
    "freeze": CommandMeaning("let the device keep its registers of this moment"),
    "clear_demand": CommandMeaning("clear the maximum demand", _CLEARS),
    "clear_events": CommandMeaning("clear the event log", _CLEARS),
    "clear_energy": CommandMeaning("clear the energy registers", _CLEARS | _MONEY),
}
"""Every command that has a name in all protocols (docs/profiles.md has the table). A profile's own begin with OTHER."""
OTHER = "other_"
SECRETS = frozenset({"password", "new_password", "key", "ciphertext"})
"""Arguments that stand in no label, log or error."""


@dataclass(frozen=True, slots=True, eq=False)
class Effect:
    """A measured effect: `quantity` compared with `limit` in base units. `text` is how the profile says it."""

    quantity: Quantity
    holds: Callable[[float], bool]
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One step of a command: exactly one of `write` and `read_back` (the protocol's own words), `effect`, `wait_s`.

    within_s       how long a read-back or an effect may take to show
    always         done also after a failed step: what locks the device again
    answer_proves  the device's acknowledgement of a write is proof enough, nothing need be read back
    """

    write: Mapping[str, Any] | None = None
    read_back: Mapping[str, Any] | None = None
    effect: Effect | None = None
    wait_s: float = 0.0
    within_s: float = 5.0
    always: bool = False
    answer_proves: bool = False

    @property
    def looks_s(self) -> tuple[float, ...]:
        """When to look whether it shows, in seconds after the step before: soon, then ever more rarely."""
        looks = [time for time in (0.2, 0.5, 1.0, 2.0, 4.0) if time < self.within_s]
        step = max(5.0, self.within_s / 10)
        while looks and looks[-1] + step < self.within_s and self.within_s > step:
            looks.append(looks[-1] + step)
        return (*looks, self.within_s)


@dataclass(frozen=True, slots=True, eq=False)
class Command:
    """What may be done to a device, step by step.

    confirm         a person must confirm it each time
    min_interval_s  least time between two of them on one device, for memory that wears
    """

    name: str
    steps: tuple[Step, ...]
    danger: frozenset[Danger] = frozenset()
    confirm: bool = False
    min_interval_s: float = 0.0

    @property
    def needs(self) -> tuple[str, ...]:
        """Arguments without which it means nothing."""
        known = COMMANDS.get(self.name)
        return known.needs if known else ()


_EFFECT = re.compile(r"\s*([A-Za-z][A-Za-z0-9.]*)\s*(<=|>=|==|!=|<|>)\s*(-?\d+(?:\.\d+)?)\s*")
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def parse_effect(text: str) -> tuple[str, str, float] | None:
    """Quantity, comparison and number of `CurrentL1 < 0.05`; None where it is nothing of the kind."""
    match = _EFFECT.fullmatch(text)
    return (match[1], match[2], float(match[3])) if match else None


def effect_of(quantity: Quantity, comparison: str, limit: float, text: str) -> Effect:
    """The effect that `quantity` in base units compares so with `limit`."""
    compare = _COMPARISONS[comparison]
    return Effect(quantity, lambda value: compare(value, limit), text.strip())
