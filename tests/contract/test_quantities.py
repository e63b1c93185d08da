import pytest

from contract.quantities import Quantity
from contract.typed import LARGEST


def test_every_quantity_has_one_unit_and_a_range() -> None:
    for name in ("unit", "column", "title"):
        values = [getattr(quantity.facts, name) for quantity in Quantity]
        assert len(values) == len(set(values))


@pytest.mark.parametrize("quantity", list(Quantity))
def test_a_range_is_one_that_a_block_can_carry(quantity: Quantity) -> None:
    facts = quantity.facts
    assert facts.low < facts.high
    assert 0 <= facts.decimals <= 9
    assert facts.resolution >= 10**-facts.decimals
    assert max(abs(facts.low), abs(facts.high)) * 10**9 <= LARGEST


def test_units_are_those_of_senml() -> None:
    # RFC 8428, section 12.1; ppm: RFC 8798, section 3
    assert {q.value: q.facts.unit for q in Quantity} == {
        "temperature": "Cel",
        "humidity": "%RH",
        "pressure": "Pa",
        "co2": "ppm",
        "illuminance": "lx",
        "voltage": "V",
        "contact": "/",
    }
