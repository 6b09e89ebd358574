import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from address_space.model.quantity import Quantity
from drivers.simulators.consumer import ConsumerClass, likely_class
from drivers.simulators.load import INSTALLED_HOUR, Consumer, LoadCurve
from drivers.simulators.meter import Installation, Meter
from drivers.simulators.noise import key_of
from drivers.simulators.supply import frequency
from drivers.simulators.tariff import TariffDay

NOON = INSTALLED_HOUR * 3600 + 200 * 86_400 + 7 * 3600
"""A summer day, 12 o'clock local time, five hours ahead of UTC."""
MONDAY = NOON - 12 * 3600 + 86_400 * ((3 - NOON // 86_400) % 7 + 1)

kinds = st.sampled_from(ConsumerClass)
seconds = st.integers(INSTALLED_HOUR * 3600 - 40_000_000, INSTALLED_HOUR * 3600 + 40_000_000)


def curve(kind: ConsumerClass, name: str = "m1", phases: int = 3) -> LoadCurve:
    return LoadCurve(Consumer(key_of(1, name), kind, kind.value.peak_w[1], phases))


@pytest.mark.parametrize("kind", ConsumerClass)
def test_energy_is_the_integral_of_power(kind: ConsumerClass) -> None:
    load = curve(kind)
    start = NOON + 1234
    used_mwh = load.register(start + 7200).active.total - load.register(start).active.total
    watts = [sum(load.power(second).active) for second in range(start, start + 7201)]
    trapezes = sum(a + b for a, b in itertools.pairwise(watts)) / 2
    assert used_mwh == pytest.approx(trapezes / 3.6, abs=20)


@settings(max_examples=60, deadline=None)
@given(kinds, seconds, st.integers(0, 5_000))
def test_counters_never_go_back(kind: ConsumerClass, second: int, later: int) -> None:
    load = curve(kind)
    before, after = load.register(second), load.register(second + later)
    for older, newer in ((before.active, after.active), (before.reactive, after.reactive)):
        assert all(a <= b for a, b in zip(older.phases, newer.phases, strict=True))
        assert all(a <= b for a, b in zip(older.zones, newer.zones, strict=True))
    assert before.apparent <= after.apparent


@settings(max_examples=60, deadline=None)
@given(kinds, seconds)
def test_tariff_registers_sum_to_the_whole_units_of_the_total(kind: ConsumerClass, second: int) -> None:
    register = curve(kind).register(second)
    assert sum(register.active.zones) == register.active.total // 1000
    assert sum(register.reactive.zones) == register.reactive.total // 1000


@settings(max_examples=40, deadline=None)
@given(kinds, st.lists(seconds, min_size=2, max_size=5))
def test_a_register_does_not_depend_on_what_was_asked_before(kind: ConsumerClass, asked: list[int]) -> None:
    wandering = curve(kind)
    for second in asked:
        seen = wandering.register(second)
    assert seen == curve(kind).register(asked[-1])
    assert wandering.power(asked[0]) == curve(kind).power(asked[0])


def test_only_the_zone_of_the_hour_counts() -> None:
    night_and_day = TariffDay((2,) * 7 + (1,) * 16 + (2,))
    load = LoadCurve(Consumer(key_of(1, "m"), ConsumerClass.SHOP, 10_000.0, tariff=night_and_day))
    before, after = load.register(NOON).active, load.register(NOON + 3600).active
    assert after.zones[0] - before.zones[0] == after.total // 1000 - before.total // 1000 > 0
    assert after.zones[1:] == before.zones[1:]


def test_a_tariff_day_has_24_zones_of_1_to_4() -> None:
    with pytest.raises(ValueError, match="24 zones"):
        TariffDay((1,) * 23)
    with pytest.raises(ValueError, match="24 zones"):
        TariffDay((5,) * 24)


def test_power_is_smooth_from_second_to_second_and_across_the_hour() -> None:
    load = curve(ConsumerClass.HOUSEHOLD)
    watts = [sum(load.power(second).active) for second in range(NOON - 1800, NOON + 1800)]
    assert max(abs(b - a) for a, b in itertools.pairwise(watts)) < 0.01 * max(watts)
    assert max(watts) > 1.02 * min(watts)


def _mean_w(kind: ConsumerClass, first: int, hours: int = 1) -> float:
    load = curve(kind)
    return (load.register(first + 3600 * hours).active.total - load.register(first).active.total) / 1000 / hours


def test_an_office_works_on_workdays_by_day() -> None:
    day, night = _mean_w(ConsumerClass.OFFICE, MONDAY + 10 * 3600), _mean_w(ConsumerClass.OFFICE, MONDAY + 2 * 3600)
    sunday = _mean_w(ConsumerClass.OFFICE, MONDAY + 6 * 86_400 + 10 * 3600)
    assert day > 2.5 * night
    assert day > 2.5 * sunday


def test_a_household_peaks_in_the_evening() -> None:
    evening = sum(_mean_w(ConsumerClass.HOUSEHOLD, MONDAY + d * 86_400 + 19 * 3600, 3) for d in range(7))
    night = sum(_mean_w(ConsumerClass.HOUSEHOLD, MONDAY + d * 86_400 + 1 * 3600, 3) for d in range(7))
    assert evening > 3 * night


def test_street_lamps_burn_by_night_and_longer_in_winter() -> None:
    lamps = ConsumerClass.STREET_LIGHTING
    assert _mean_w(lamps, NOON, 4) == 0
    assert _mean_w(lamps, NOON + 11 * 3600) > 1000
    midwinter = INSTALLED_HOUR * 3600 - 5 * 3600 + 5 * 86_400
    assert _mean_w(lamps, midwinter, 24) > 1.3 * _mean_w(lamps, MONDAY, 24)


def test_the_same_seed_gives_the_same_meter_and_another_seed_another() -> None:
    assert Meter(Installation("m1", seed=3)).values(NOON) == Meter(Installation("m1", seed=3)).values(NOON)
    assert Meter(Installation("m1", seed=3)).values(NOON) != Meter(Installation("m1", seed=4)).values(NOON)
    assert Meter(Installation("m1", seed=3)).values(NOON) != Meter(Installation("m2", seed=3)).values(NOON)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["a", "b", "c", "d"]), kinds, seconds, st.sampled_from([1, 3]))
def test_electrical_values_belong_together(name: str, kind: ConsumerClass, second: int, phases: int) -> None:
    values = Meter(Installation(name, phases=phases, consumer_class=kind)).values(second)

    def of(path: Quantity) -> float:
        value = values[path.code]
        assert value is not None
        return value

    parts = [
        (of(Quantity.VOLTAGE_L1), of(Quantity.CURRENT_L1), of(Quantity.POWER_FACTOR_L1), of(Quantity.ACTIVE_POWER_L1))
    ]
    if phases == 3:
        for row in (
            (Quantity.VOLTAGE_L2, Quantity.CURRENT_L2, Quantity.POWER_FACTOR_L2, Quantity.ACTIVE_POWER_L2),
            (Quantity.VOLTAGE_L3, Quantity.CURRENT_L3, Quantity.POWER_FACTOR_L3, Quantity.ACTIVE_POWER_L3),
        ):
            volt, ampere, factor, watt = map(of, row)
            parts.append((volt, ampere, factor, watt))
        assert of(Quantity.VOLTAGE_L1L2) == pytest.approx(3**0.5 * of(Quantity.VOLTAGE_L1), rel=0.03)
    for volt, ampere, factor, watt in parts:
        assert 215 <= volt <= 240
        assert 0 <= ampere <= 100
        assert 0.5 <= factor <= 1
        assert volt * ampere * factor == pytest.approx(watt, rel=1e-9, abs=1e-6)
    assert of(Quantity.ACTIVE_POWER) == pytest.approx(sum(watt for *_, watt in parts))
    assert of(Quantity.APPARENT_POWER) ** 2 == pytest.approx(
        of(Quantity.ACTIVE_POWER) ** 2 + of(Quantity.REACTIVE_POWER) ** 2
    )
    assert 49.9 < of(Quantity.FREQUENCY) < 50.1


def test_voltage_sags_under_the_meters_own_load() -> None:
    meter = Meter(Installation("m1", consumer_class=ConsumerClass.INDUSTRY))
    connection = meter._connection
    assert connection.voltage(NOON, 0, 1.0) < connection.voltage(NOON, 0, 0.0)


def test_frequency_is_common_to_the_grid() -> None:
    one, other = Meter(Installation("m1", seed=1), 7).values(NOON), Meter(Installation("m2", seed=2), 7).values(NOON)
    assert one[Quantity.FREQUENCY.code] == other[Quantity.FREQUENCY.code]
    assert len({frequency(7, second) for second in range(NOON, NOON + 60)}) == 60


def test_demand_is_the_energy_of_the_last_quarter_of_an_hour() -> None:
    meter = Meter(Installation("m1"))
    at = NOON + 900 + 17
    energy = [meter.curve.register(NOON + quarter).active.total for quarter in (0, 900)]
    assert meter.values(at)[Quantity.DEMAND_IMPORT.code] == (energy[1] - energy[0]) / 1000 * 4


def test_a_transformer_meter_feeds_within_its_rating() -> None:
    meter = Meter(Installation("f1", ratio=(100.0, 100.0)))
    values = meter.values(NOON)
    assert meter.consumer.kind is ConsumerClass.FEEDER
    assert 5_000 < (values[Quantity.VOLTAGE_L1.code] or 0) < 6_500
    assert 10 < (values[Quantity.CURRENT_L1.code] or 0) < 500


@settings(max_examples=50)
@given(st.integers(0, 2**64 - 1), st.sampled_from([1, 3]), st.sampled_from([(1.0, 1.0), (40.0, 1.0), (200.0, 100.0)]))
def test_a_class_is_always_found_and_always_the_same(key: int, phases: int, ratio: tuple[float, float]) -> None:
    assert likely_class(key, phases, ratio) is likely_class(key, phases, ratio)


def test_one_phase_stands_for_homes_and_small_shops() -> None:
    found = {likely_class(key_of(1, name), 1, (1.0, 1.0)) for name in range(100)}
    assert found == {ConsumerClass.HOUSEHOLD, ConsumerClass.SHOP}
