"""A signal's name: round trip, and what is no name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import ContractError
from contract.quantities import Quantity
from contract.signals import Signal
from contract.typed import build, plain
from models.conditions import Condition

names = st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True)
signals = st.builds(Signal, names, st.sampled_from(Quantity))


@given(signals)
def test_there_and_back(signal):
    assert Signal.parse(str(signal)) == signal
    assert str(signal) == f"{signal.sensor_id}/{signal.quantity.value}"


@pytest.mark.parametrize(
    "text",
    [
        *("", "/", "attic", "attic/", "/humidity", "attic/light", "Attic/humidity", "-a/humidity"),
        *("attic/humidity/", "attic/humidity\n", "a" * 64 + "/humidity", "attic//humidity"),
    ],
)
def test_no_name(text):
    with pytest.raises(ValueError, match="expected <sensor id>/<quantity>"):
        Signal.parse(text)


@given(signals)
def test_it_stands_as_text_in_a_declaration(signal):
    table = {"id": "c", "comparison": "above", "limit": 1.0, "step_s": 60, "max_age_s": 60}
    condition = build(Condition, {**table, "signal": str(signal)}, "x")
    assert condition.signal == signal
    assert plain(condition)["signal"] == str(signal)


@pytest.mark.parametrize("value", [7, None, ["attic/humidity"], {"sensor_id": "attic"}])
def test_only_text_is_a_signal_in_a_declaration(value):
    table = {"id": "c", "comparison": "above", "limit": 1.0, "step_s": 60, "max_age_s": 60}
    if value is None:
        assert build(Condition, {**table, "signal": None}, "x").signal is None
        return
    with pytest.raises(ContractError, match="x: signal: expected <sensor id>/<quantity>"):
        build(Condition, {**table, "signal": value}, "x")
