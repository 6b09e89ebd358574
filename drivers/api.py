"""The driver contract: what a protocol must offer, and what the poller gives and takes.

A driver serves one channel (a bus or a socket) and knows nothing of scheduling: the channel calls it for one
request at a time, the poller decides when and retries, decoding is pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo
from typing import Any, Protocol, runtime_checkable

from address_space.model.ids import UnitHandle
from address_space.model.quality import Reason
from address_space.model.state import Protocol as ProtocolName
from address_space.model.value import Batch, Statuses, Values
from drivers.transport import Lines


@dataclass(frozen=True, slots=True)
class EarlierRatio:
    """(CT, PT) that held for slots before a time."""

    until_ns: int
    ratio: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Device:
    """One device as a driver sees it.

    unit, first_handle  where its points lie in the live table: handle = first_handle + template offset
    profile             compiled profile, shared by all devices of the same make and options
    address             address on the bus in the protocol's own notation ("17", "000000123456")
    ratio               (CT, PT) as configured
    zone                time zone that its clock keeps where its profile does not say which
    earlier             what held before `ratio`, where that is told
    """

    unit: UnitHandle
    first_handle: int
    name: str
    profile: Any
    address: str
    ratio: tuple[float, float] = (1.0, 1.0)
    zone: tzinfo = UTC
    earlier: EarlierRatio | None = None

    def at(self, slot_ns: int) -> Device:
        """The device with the ratio that holds for readings of a slot."""
        if self.earlier is None or slot_ns >= self.earlier.until_ns:
            return self
        return replace(self, ratio=self.earlier.ratio)


@dataclass(frozen=True, slots=True)
class Request:
    """One exchange on the bus. `key` is the protocol's own description; `label` says it to a person.

    sent, received  bytes on the wire, for the bus-time budget: of the request, and of the longest usual answer
    """

    key: Any
    label: str
    sent: int = 0
    received: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class ReadPlan:
    """What to ask a device to learn some of its variables.

    offsets   template offsets of the variables, ascending, shape (n,)
    requests  exchanges in order; devices with the same profile share one plan
    """

    offsets: Sequence[int]
    requests: tuple[Request, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """Decoded answers to a plan: base units, same order as the plan's offsets."""

    values: Values
    status: Statuses
    texts: Mapping[int, str] = field(default_factory=dict)
    """Text values by position in `offsets`."""
    device_time_ns: int | None = None


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """Write `value` to what `key` names, once; the caller reads back. The value may be a secret: it is never shown."""

    key: Any
    value: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class WriteOutcome:
    """What the device said. `acknowledged` None is no answer: the outcome is unknown."""

    acknowledged: bool | None
    detail: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Action:
    """One step of a command, compiled; exactly one of `write`, `confirm` and `wait_s` is given.

    confirm        the protocol's own description of what must then be read, for `Driver.confirm`
    after_s        when to look, in seconds after the step before; the last look decides
    always         done also after a failed step: what locks the device again
    answer_proves  the device's acknowledgement of the write is proof enough, nothing need be read back
    """

    label: str
    write: WriteRequest | None = None
    confirm: Any = None
    after_s: tuple[float, ...] = (0.0,)
    wait_s: float = 0.0
    always: bool = False
    answer_proves: bool = False


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a device says of itself after a command. `moving` is neither: look again.

    state    as the device words it, for a person ("relay open, told to open")
    drift_s  how far the device's clock is ahead of the hub's, where a clock was read
    """

    reached: bool
    state: str
    moving: bool = False
    drift_s: float | None = None


class Driver(Protocol):
    """One protocol on one channel. Errors are `drivers.errors.DriverError` and nothing else."""

    async def open(self) -> None:
        """Connect; raises ChannelDown. Called again after a loss."""

    async def close(self) -> None:
        """Release the line; never raises."""

    @property
    def connected(self) -> bool:
        """Whether requests can be sent now."""

    def plan(self, device: Device, offsets: Sequence[int]) -> ReadPlan:
        """How to read these variables of such a device; cached by profile."""

    async def request(self, device: Device, request: Request) -> Any:
        """One exchange; returns the raw answer for `decode`. Raises DriverError."""

    def decode(self, device: Device, plan: ReadPlan, answers: Mapping[Request, Any]) -> Reading:
        """Pure: answers to values. Where a request failed, `answers` holds its Reason instead of an answer, and its
        variables get that status; a request that is not in `answers` counts as TIMEOUT."""

    async def write(self, device: Device, request: WriteRequest) -> WriteOutcome:
        """Write once, never repeated here."""

    async def confirm(self, device: Device, key: Any) -> Confirmation:
        """Read back whether a command has had its effect; raises DriverError where the device does not say."""

    async def probe(self, device: Device) -> str:
        """Ask the device for anything cheap; returns how it identified itself."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """Outcome of one polling of one device, for its communication variables.

    error is empty on success; reason then FRESH. `lost` says that the failures in a row now count as loss of
    communication (and that values should be held or dropped). success_rate is 0 to 1.
    """

    unit: UnitHandle
    at_ns: int
    round_trip_ms: float
    reason: Reason
    error: str
    consecutive_failures: int
    success_rate: float
    lost: bool


class Sink(Protocol):
    """Where the poller delivers. Both calls are quick; `deliver` waits when the hub is behind (bounded queue)."""

    async def deliver(self, batch: Batch) -> None:
        """One reading of one device, good or partly bad."""

    async def report(self, exchange: Exchange) -> None:
        """How a polling ended, after its `deliver` if it brought anything."""


class Memory(Protocol):
    """What outlives the hub of slots that were read."""

    async def last_slots_ns(self, asked: Sequence[tuple[UnitHandle, Sequence[int]]]) -> Sequence[int]:
        """Slot of the newest kept reading of these variables (template offsets) of each unit; 0 where there is none."""


@dataclass(frozen=True, slots=True)
class Line:
    """Timing of a channel: minimum silence between exchanges and how long an answer may take.

    quiet_s  silence after a missing or broken answer, so that a late one is not taken for the next request's
    """

    gap_s: float = 0.0
    timeout_s: float = 1.0
    quiet_s: float = 0.2


@dataclass(frozen=True, slots=True)
class Pace:
    """How quickly devices of a make are asked one after another, for the bus-time budget.

    answer_s            usual time from the last byte of a request to the first of its answer
    gap_s               silence before a request
    silence_characters  the same in characters of the line, where the protocol counts it so; the longer one holds
    bus                 whether a serial bus is taken to lie behind a network connection
    """

    answer_s: float
    gap_s: float = 0.0
    silence_characters: float = 0.0
    bus: bool = True


@runtime_checkable
class Counting(Protocol):
    """A plugin that knows from a device's digits at what value its counters start from 0 again."""

    def capacities(self, compiled: Any) -> Sequence[float]:
        """For each point the first value, in the quantity's shown unit and before ratios, that the device cannot show;
        0 where that is not known. What a profile states itself wins."""


@runtime_checkable
class Paced(Protocol):
    """A plugin that knows the pace of its devices."""

    def pace(self, options: Any, compiled: Any) -> Pace:
        """Pace of a device of this compiled profile on such a channel."""


class DriverPlugin(Protocol):
    """What a protocol's folder registers under the entry-point group `joulehub.drivers`.

    `Options` is the pydantic model of a channel's `options` in `plant.yaml`; configuration errors in it are
    reported at the place where the channel stands.
    """

    @property
    def name(self) -> str:
        """Name in `plant.yaml` (`driver: modbus`)."""

    @property
    def speaks(self) -> frozenset[str]:
        """Protocols, as profiles name them, of the devices that may stand on its channels."""

    @property
    def options(self) -> type[Any]:
        """Pydantic model of a channel's options."""

    def compile(self, profile: Any) -> Any:
        """Check and compile the protocol's part of a `drivers.profiles.Profile`; raises ProfileError."""

    def factors(self, compiled: Any, ratio: tuple[float, float]) -> Sequence[float]:
        """By what each point's registers are multiplied for instrument transformers (CT, PT) as configured, in the
        order of the profile's points; 0 where only the device itself knows."""

    def check_address(self, address: str, compiled: Any) -> str:
        """Empty where the address is possible for a device of this compiled profile, else what is wrong with it."""

    def protocol(self, options: Any, compiled: Any) -> ProtocolName:
        """What clients are told that a device of this compiled profile speaks on such a channel."""

    def command(self, compiled: Any, name: str, arguments: Mapping[str, Any]) -> tuple[Action, ...]:
        """The steps of the profile's command of this name; raises ProfileError where it has none, or the arguments
        do not fit it."""

    def line(self, options: Any) -> Line:
        """Timing of a channel with these options."""

    def create(self, channel: str, options: Any, lines: Lines) -> Driver:
        """A driver for one channel, whose line `lines` makes."""
