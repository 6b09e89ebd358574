"""The supply relay and the purse of a simulated prepaid meter."""

from __future__ import annotations

from dataclasses import dataclass, field

from drivers.simulators.switched import SwitchedMeter

_TRIP, _PERMIT, _CLOSE, _ALARM, _ALARM_OFF, _KEEP, _RELEASE = 0x1A, 0x1B, 0x1C, 0x2A, 0x2B, 0x3A, 0x3B
_COMMANDS = frozenset({_TRIP, _PERMIT, _CLOSE, _ALARM, _ALARM_OFF, _KEEP, _RELEASE})


@dataclass(slots=True)
class Relay:
    """The switch as status word 3 tells it. `sticks`: commands are taken and nothing moves.

    stuck      the same, as a fault of the meter has it just now
    needs_key  permission to close waits for somebody to press the key at the meter (`press`)
    """

    meter: SwitchedMeter
    sticks: bool = False
    stuck: bool = False
    needs_key: bool = False
    is_open: bool = False
    told_to_open: bool = False
    keeps_power: bool = False
    alarm: bool = False
    trips: int = 0
    closes: int = 0
    commands: int = 0
    """How often it was told something, done or not."""

    def obey(self, command: int, second: int) -> bool:
        """Do what control code 1C says; False where the meter refuses."""
        if command not in _COMMANDS:
            return False
        self.commands += 1
        match command:
            case 0x1A if self.keeps_power:
                return False
            case 0x1A:
                self.told_to_open = True
                self._move(to_open=True, second=second)
            case 0x1B | 0x1C:
                self.told_to_open = False
                if command == _CLOSE or not self.needs_key:
                    self._move(to_open=False, second=second)
            case 0x2A | 0x2B:
                self.alarm = command == _ALARM
            case _:
                self.keeps_power = command == _KEEP
                if self.keeps_power:
                    self.told_to_open = False
                    self._move(to_open=False, second=second)
        return True

    def press(self, second: int) -> None:
        """Somebody presses the key: a permitted closing is done."""
        if not self.told_to_open:
            self._move(to_open=False, second=second)

    def word(self, *, prepaid: bool, about_to_trip: bool, programming: bool) -> int:
        """Status word 3."""
        bits = (programming << 3) | (self.is_open << 4) | (self.told_to_open << 6)
        bits |= ((about_to_trip or self.alarm) << 7) | (0b10 * prepaid << 8) | (self.keeps_power << 12)
        return bits

    def _move(self, *, to_open: bool, second: int) -> None:
        if self.sticks or self.stuck or self.is_open == to_open:
            return
        self.is_open = to_open
        if to_open:
            self.trips += 1
            self.meter.cut(second)
        else:
            self.closes += 1
            self.meter.restore(second)


@dataclass(slots=True)
class Purse:
    """Money in a prepaid meter, in hundredths. What is used is taken at one price; below zero it is overdrawn.

    price_e4   price of a kilowatt-hour in hundredths of hundredths
    from_wh    import register up to which all is paid
    """

    money: int
    price_e4: int = 5283
    from_wh: int = -1
    purchases: int = 0
    alarm_at: int = 1000
    sold: list[int] = field(default_factory=list)

    def pay(self, import_wh: int) -> None:
        """Take what was used since the last time."""
        if self.from_wh < 0:
            self.from_wh = import_wh
        used = import_wh - self.from_wh
        cost = used * self.price_e4 // 100_000
        if cost > 0:
            self.money -= cost
            self.from_wh += cost * 100_000 // self.price_e4

    def recharge(self, amount: int, number: int) -> bool:
        """Credit a purchase; refused unless its number is the next one, so that none counts twice."""
        if number != self.purchases + 1:
            return False
        self.purchases = number
        self.money += amount
        self.sold.append(amount)
        return True
