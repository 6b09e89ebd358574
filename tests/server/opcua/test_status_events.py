"""Events of what meters tell about themselves: texts, severities, and how many of them."""

from __future__ import annotations

import pytest

from address_space.model import ManualClock, MeteringUnit, NodeUid, Plant, PointSpec, Quantity, Template, UnitHandle
from address_space.model.quantity import LOCALES
from address_space.model.state_watch import WATCHED, StateChange
from address_space.nodes import TypeModel
from server.opcua import Event, StatusEvents
from server.opcua.messages import Message, Messages
from server.opcua.status_events import AT_ONCE, SEVERITIES, WINDOW_NS

TAMPER, RELAY, BATTERY = Quantity.TAMPER, Quantity.SWITCH_STATE, Quantity.BATTERY_LOW


class Bench:
    """Two meters and what was posted of them."""

    def __init__(self) -> None:
        template = Template("meter", [PointSpec(quantity) for quantity in (TAMPER, RELAY, BATTERY)])
        plant = Plant([], [MeteringUnit(NodeUid(uid), "", None, template) for uid in ("m1", "m2")])
        self.clock = ManualClock()
        self.posted: list[Event] = []
        self.events = StatusEvents(plant, TypeModel(), self._post, self.clock)

    def _post(self, event: Event) -> bytes:
        self.posted.append(event)
        return b""

    def tell(self, quantity: Quantity, old: int, new: int, unit: int = 0) -> None:
        self.events.tell([StateChange(UnitHandle(unit), quantity, old, new)])

    def text(self, locale: str) -> str:
        message = self.posted[-1].message
        assert isinstance(message, Message)
        return Messages().text(message, locale)

    def fields(self) -> dict[str, object]:
        return {
            name.removeprefix("3:"): getattr(value, "Value", value) for name, value in self.posted[-1].fields.items()
        }


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_change_is_told_in_every_language(bench: Bench) -> None:
    bench.tell(RELAY, 2, 1)
    assert [bench.text(locale) for locale in LOCALES] == [
        "Relay state: Open (was: Closed)",
        "Состояние реле: Отключено (было: Включено)",
        "Rele holati: Uzilgan (avval: Ulangan)",
        "继电器状态：分闸（原为：合闸）",
    ]
    bench.tell(TAMPER, 0, 1)
    assert bench.text("en") == "Tamper: Yes (was: No)"


def test_the_event_comes_from_the_unit_with_both_values_in_their_own_types(bench: Bench) -> None:
    bench.tell(TAMPER, 0, 1, unit=1)
    (event,) = bench.posted
    assert (event.source.Identifier, event.type.Identifier) == ("m2", 4006)
    assert bench.fields() == {"Quantity": "Status.Tamper", "OldValue": False, "NewValue": True, "Suppressed": 0}
    bench.tell(RELAY, 2, 1)
    assert bench.fields() == {"Quantity": "Switch.State", "OldValue": 2, "NewValue": 1, "Suppressed": 0}


def test_severity_follows_what_changed_and_is_low_when_it_is_over(bench: Bench) -> None:
    for quantity, old, new in ((TAMPER, 0, 1), (RELAY, 2, 1), (RELAY, 1, 2), (BATTERY, 0, 1), (BATTERY, 1, 0)):
        bench.tell(quantity, old, new)
    assert [event.severity for event in bench.posted] == [700, 600, 600, 300, 100]
    assert set(SEVERITIES) == WATCHED
    assert all(1 <= severity <= 1000 for severity in SEVERITIES.values())


def test_a_number_that_is_no_state_is_told_as_it_stands(bench: Bench) -> None:
    bench.tell(RELAY, 1, 17)
    assert bench.text("en") == "Relay state: 17 (was: Open)"


async def test_a_bit_that_flaps_is_told_a_few_times_then_once_with_a_count(bench: Bench) -> None:
    for number in range(101):
        bench.tell(TAMPER, number % 2, 1 - number % 2)
    assert len(bench.posted) == AT_ONCE
    bench.tell(TAMPER, 0, 1, unit=1)
    assert len(bench.posted) == AT_ONCE + 1  # another unit is not held up
    bench.events.settle()
    assert len(bench.posted) == AT_ONCE + 1
    await bench.clock.advance(WINDOW_NS / 1e9)
    bench.events.settle()
    assert len(bench.posted) == AT_ONCE + 2
    assert bench.fields() == {"Quantity": "Status.Tamper", "OldValue": False, "NewValue": True, "Suppressed": 91}
    assert bench.text("en") == "Tamper: Yes (was: No); 91 changes in a short time"
    await bench.clock.advance(WINDOW_NS / 1e9)
    bench.events.settle()
    assert len(bench.posted) == AT_ONCE + 2


async def test_after_a_quiet_time_changes_are_told_at_once_again(bench: Bench) -> None:
    for number in range(AT_ONCE + 1):
        bench.tell(TAMPER, number % 2, 1 - number % 2)
    await bench.clock.advance(WINDOW_NS / 1e9)
    bench.events.settle()
    before = len(bench.posted)
    bench.tell(RELAY, 2, 1)
    assert len(bench.posted) == before + 1
