import pytest

from address_space.model import Kind, Quantity, Reason
from historian.schema import Measurement, QualityFlag, field_of, measurement_of, quality_flags


@pytest.mark.parametrize("quantity", list(Quantity), ids=lambda quantity: quantity.path)
def test_every_quantity_but_texts_has_one_measurement_and_its_own_field(quantity: Quantity) -> None:
    expected = {
        Kind.COUNTER: Measurement.ENERGY,
        Kind.GAUGE: Measurement.INST,
        Kind.STATE: Measurement.INST,
        Kind.TEXT: None,
    }
    assert measurement_of(quantity) is expected[quantity.kind]
    assert [other for other in Quantity if field_of(other) == field_of(quantity)] == [quantity]


@pytest.mark.parametrize("reason", list(Reason))
def test_quality_bits_follow_the_severity_of_every_reason(reason: Reason) -> None:
    flags = quality_flags(reason.status)
    assert (flags == 0) == (reason is Reason.FRESH)
    assert bool(flags & QualityFlag.BAD) == (reason.quality == 2)


def test_an_unknown_status_gives_the_bit_of_its_severity() -> None:
    assert quality_flags(0x80FF0000) is QualityFlag.BAD
    assert quality_flags(0x40FF0000) is QualityFlag.SUSPECT
    assert quality_flags(0x40910000) is QualityFlag.ESTIMATED
