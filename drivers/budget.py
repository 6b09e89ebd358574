"""Whether a bus has time for what it is asked to do: cycle, utilisation, what a dead device costs, what would help.

Pure reckoning from request plans, line settings and paces; nothing is measured and nothing opened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil

from drivers.api import Device, Line, Pace, ReadPlan
from drivers.plans import Make, makes_of
from drivers.schedule import PolledDevice
from drivers.transport import SerialSettings

FITS = 0.9
"""A bus that is planned no fuller than this still has room for commands and reads on demand."""
DEAD_SHARE = 0.05
USUAL_BYTES = (12, 64)
"""Of a request and its answer, where the driver does not say."""
BAUDS = (1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200)
NICE_S = (1, 2, 3, 5, 10, 15, 20, 30, 60, 120, 180, 300, 600, 900, 1200, 1800, 3600, 7200, 14_400, 43_200, 86_400)
_WORTH = 0.05


@dataclass(frozen=True, slots=True)
class Wire:
    """What the line is taken to be.

    serial     speed and format; None where there is no serial line
    network_s  time a request and its answer spend on the way through a network
    assumed    what of this is not known but assumed, as a sentence; empty where nothing is
    """

    serial: SerialSettings | None
    network_s: float = 0.0
    assumed: str = ""

    @property
    def character_s(self) -> float:
        """Time of one character."""
        return self.serial.character_s if self.serial is not None else 0.0

    def __str__(self) -> str:
        return str(self.serial) if self.serial is not None else "network"


@dataclass(frozen=True, slots=True)
class Patience:
    """What a device that does not answer costs; the fields are those of `PollPolicy`."""

    retries: int = 1
    backoff_max_s: float = 60.0
    dead_share: float = 0.25


@dataclass(frozen=True, slots=True)
class Load:
    """One class of one make of device: what reading it adds to reading the faster classes.

    exchanges, sent_received  of one device, once
    share                     of the bus time, all devices together
    """

    make: str
    period_s: float
    devices: int
    exchanges: int
    sent_received: int
    pace: Pace
    share: float = 0.0

    def seconds(self, wire: Wire) -> float:
        """Bus time of one device, once."""
        gap_s = max(self.pace.gap_s, self.pace.silence_characters * wire.character_s)
        return self.exchanges * (gap_s + self.pace.answer_s + wire.network_s) + self.sent_received * wire.character_s

    def share_on(self, wire: Wire) -> float:
        """Share of the time of such a line."""
        return self.devices * self.seconds(wire) / self.period_s


@dataclass(frozen=True, slots=True)
class ChannelBudget:
    """Bus time of one channel. Shares are of all time: above 1 the rates cannot be met.

    cycle_s, worst_cycle_s  reading everything of every device once; the same while `dead` of them fall silent
    utilisation             at the configured rates
    probing                 share that asking the dead ones now and then takes, which never answer
    loads                   largest first
    """

    channel: str
    devices: int
    dead: int
    wire: Wire
    cycle_s: float
    worst_cycle_s: float
    utilisation: float
    probing: float
    loads: tuple[Load, ...]
    advice: tuple[str, ...] = ()

    @property
    def worst_utilisation(self) -> float:
        """With the dead ones, where that is more."""
        return self.worst_at(self.utilisation)

    def worst_at(self, utilisation: float) -> float:
        """The same at another utilisation."""
        alive = (self.devices - self.dead) / max(self.devices, 1)
        return max(utilisation, alive * utilisation + self.probing)

    @property
    def met(self) -> bool:
        """Whether every rate can be kept although some devices are dead."""
        return self.worst_utilisation <= 1.0


def channel_budget(
    channel: str,
    devices: Sequence[PolledDevice],
    plan: Callable[[Device, Sequence[int]], ReadPlan],
    pace: Callable[[Device], Pace],
    wire: Wire,
    line: Line,
    patience: Patience | None = None,
) -> ChannelBudget:
    """The budget of the devices on one channel. Raises DriverError where a plan cannot be made."""
    patience = patience if patience is not None else Patience()
    devices = [polled for polled in devices if polled.classes]
    makes = makes_of(devices)
    counts = Counter(map(id, makes))
    loads: list[Load] = []
    cycle_s = attempts_s = 0.0
    for make, polled in {id(make): (make, polled) for make, polled in zip(makes, devices, strict=True)}.values():
        count, device, own = counts[id(make)], polled.device, pace(polled.device)
        whole = _load(plan(device, make.offsets(make.every)), 1.0, count, own, device)
        cycle_s += count * whole.seconds(wire)
        attempts_s += count * (line.timeout_s + max(line.quiet_s, own.gap_s) + USUAL_BYTES[0] * wire.character_s)
        loads += _loads(make, plan, count, own, device)
    loads = sorted((replace(load, share=load.share_on(wire)) for load in loads), key=lambda load: -load.share)
    total = len(devices)
    dead = min(max(1, ceil(DEAD_SHARE * total)), total)
    attempt_s = attempts_s / max(total, 1)
    lost_s = dead * attempt_s
    utilisation = sum(load.share for load in loads)
    probing = min(lost_s / patience.backoff_max_s, patience.dead_share)
    alive = (total - dead) / max(total, 1)
    budget = ChannelBudget(
        channel,
        total,
        dead,
        wire,
        cycle_s,
        alive * cycle_s + lost_s * (1 + patience.retries),
        utilisation,
        probing,
        tuple(loads),
    )
    return budget if budget.met else replace(budget, advice=_advice(budget))


def _loads(
    make: Make, plan: Callable[[Device, Sequence[int]], ReadPlan], count: int, pace: Pace, device: Device
) -> list[Load]:
    """What each class adds. As the timetable has it, a class whose period is a multiple of the next faster one's is
    read together with it, and one with a schedule by itself."""
    loads: list[Load] = []
    before = Load("", 1.0, 0, 0, 0, pace)
    together, last_s = 0, 0.0
    for column, poll_class in enumerate(make.classes):
        apart = (
            poll_class.schedule is not None or not last_s or round(poll_class.period_s * 1000) % round(last_s * 1000)
        )
        if apart:
            together, before = 0, Load("", 1.0, 0, 0, 0, pace)
        together |= 1 << column
        load = _load(plan(device, make.offsets(together)), poll_class.period_s, count, pace, device)
        loads.append(
            replace(
                load,
                exchanges=max(load.exchanges - before.exchanges, 0),
                sent_received=max(load.sent_received - before.sent_received, 0),
            )
        )
        before, last_s = load, poll_class.period_s if poll_class.schedule is None else 0.0
    return loads


def _load(plan: ReadPlan, period_s: float, count: int, pace: Pace, device: Device) -> Load:
    carried = sum(
        request.sent + request.received if request.sent or request.received else sum(USUAL_BYTES)
        for request in plan.requests
    )
    name = str(getattr(device.profile, "name", device.profile))
    return Load(name, period_s, count, len(plan.requests), carried, pace)


def _advice(budget: ChannelBudget) -> tuple[str, ...]:
    """What would bring the bus to `FITS`, each by itself, with figures."""
    wire, loads = budget.wire, budget.loads
    over = max(budget.utilisation - _utilisation_that_fits(budget), 0.0)
    period_s = max({load.period_s for load in loads}, key=lambda each: _share_at(loads, each))
    share = _share_at(loads, period_s)
    advice: list[str] = []
    if share > over:
        longer_s = _nice(period_s * share / (share - over))
        advice.append(
            f"read what is read every {_period(period_s)} every {_period(longer_s)} "
            f"({_percent(budget.worst_at(budget.utilisation - share * (1 - period_s / longer_s)))})"
        )
        fast = max((load for load in loads if load.period_s == period_s), key=lambda load: load.share)
        fewer = int(fast.exchanges * (1 - over / fast.share)) if fast.share > over else 0
        if 0 < fewer < fast.exchanges:
            advice.append(
                f"keep {fewer} of the {fast.exchanges} requests of {fast.make} at {_period(period_s)} "
                "and put the other points in a slower class"
            )
    else:
        times = ceil(budget.utilisation / max(_utilisation_that_fits(budget), _WORTH) * 10) / 10
        advice.append(f"make all periods {times:.1f} times as long")
    if wire.serial is not None:
        advice += _faster(budget, wire.serial)
    blocks = sum(replace(load, exchanges=min(load.exchanges, 1)).share_on(wire) for load in loads)
    if budget.utilisation - blocks > _WORTH:
        advice.append(f"read in blocks, one request for each class ({_percent(budget.worst_at(blocks))})")
    if budget.devices > 1:
        buses = ceil(budget.worst_utilisation / FITS)
        if buses <= budget.devices:
            advice.append(f"split the bus into {buses} ({_percent(budget.worst_utilisation / buses)} each)")
    return tuple(advice)


def _faster(budget: ChannelBudget, serial: SerialSettings) -> list[str]:
    """The lowest speed that is enough, or else the highest, where it makes a difference."""
    best: tuple[int, float] | None = None
    for baud in BAUDS:
        if baud > serial.baud:
            wire = replace(budget.wire, serial=replace(serial, baud=baud))
            best = (baud, budget.worst_at(sum(load.share_on(wire) for load in budget.loads)))
            if best[1] <= FITS:
                break
    if best is None or budget.worst_utilisation - best[1] <= _WORTH:
        return []
    return [f"run the line at {best[0]} baud ({_percent(best[1])})"]


def _utilisation_that_fits(budget: ChannelBudget) -> float:
    alive = (budget.devices - budget.dead) / max(budget.devices, 1)
    return min(FITS, (FITS - budget.probing) / alive) if alive else FITS


def _share_at(loads: Sequence[Load], period_s: float) -> float:
    return sum(load.share for load in loads if load.period_s == period_s)


def _nice(seconds: float) -> float:
    return next((float(nice) for nice in NICE_S if nice >= seconds), float(ceil(seconds / 86_400) * 86_400))


def _period(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def _percent(share: float) -> str:
    return f"{share:.0%}" if share <= 1 else f"{share:.0%}, not enough alone"
