"""A valve with a motor: it needs time, may stick half way, and stops what flows only once it is closed."""

from __future__ import annotations

from address_space.model.clock import NS
from address_space.model.state import ValveState
from drivers.simulators.flow import Flow


class MotorValve:
    """The valve of one meter. `sticks` lets each run end half way until it is set back.

    stuck    the same, as a fault of the meter has it just now
    motor_s  how long a run takes; `state` is brought up to date by `at`
    """

    def __init__(self, flow: Flow, *, motor_s: float = 12.0, is_open: bool = True) -> None:
        self.motor_s = motor_s
        self.sticks = False
        self.stuck = False
        self.runs = 0
        self._flow = flow
        self._state = ValveState.OPEN if is_open else ValveState.CLOSED
        self._run: tuple[ValveState, int] | None = None

    def move(self, target: ValveState, now_ns: int) -> None:
        """Start the motor; nothing happens where the valve is there and at rest."""
        if self.at(now_ns) is target and self._run is None:
            return
        self.runs += 1
        self._run = (target, now_ns + round(self.motor_s * NS))

    def at(self, now_ns: int) -> ValveState:
        """Where it stood last when it was at rest: OPEN, CLOSED, or FAILURE where it is stuck."""
        if self._run is not None and now_ns >= self._run[1]:
            target, end_ns = self._run
            self._run = None
            self._arrive(ValveState.FAILURE if self.sticks or self.stuck else target, end_ns // NS)
        return self._state

    def is_moving(self, now_ns: int) -> bool:
        """Whether the motor runs."""
        self.at(now_ns)
        return self._run is not None

    def _arrive(self, state: ValveState, second: int) -> None:
        self._state = state
        if state is ValveState.CLOSED:
            self._flow.stop(second)
        else:
            self._flow.resume(second)
