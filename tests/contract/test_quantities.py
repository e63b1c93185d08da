import pytest

from contract.quantities import QUANTITY_FACTS, Quantity
from contract.typed import LARGEST


def test_every_quantity_has_one_unit_and_a_range() -> None:
    assert set(QUANTITY_FACTS) == set(Quantity)
    units = [facts.unit for facts in QUANTITY_FACTS.values()]
    assert len(units) == len(set(units))


@pytest.mark.parametrize("quantity", list(Quantity))
def test_a_range_is_one_that_a_block_can_carry(quantity: Quantity) -> None:
    facts = QUANTITY_FACTS[quantity]
    assert facts.low < facts.high
    assert 0 <= facts.decimals <= 9
    assert max(abs(facts.low), abs(facts.high)) * 10**9 <= LARGEST


def test_units_are_those_of_senml() -> None:
    # RFC 8428, section 12.1
    assert {q.value: f.unit for q, f in QUANTITY_FACTS.items()} == {
        "temperature": "Cel",
        "humidity": "%RH",
        "pressure": "Pa",
    }
