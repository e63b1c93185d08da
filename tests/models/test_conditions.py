"""Declarations: what is refused, and in which words."""

import pytest

from contract.errors import ConfigError
from contract.quantities import Quantity
from contract.signals import Signal
from models.conditions import (
    MODEL_INPUTS,
    Comparison,
    facts_of,
    forecastable,
    inputs_of,
    load_conditions,
    read_conditions,
    signals_of,
)

PLAIN = {
    "id": "damp",
    "signal": "attic/humidity",
    "comparison": "above",
    "limit": 70.0,
    "step_s": 3600,
    "max_age_s": 7200,
}
DERIVED = {
    "id": "dew",
    "derived": "dew_point_margin",
    "temperature": "attic/temperature",
    "humidity": "attic/humidity",
    "comparison": "below",
    "limit": 3.0,
    "step_s": 600,
    "max_age_s": 1200,
}


def signals(*names):
    return tuple(None if name is None else Signal.parse(name) for name in names)


def without(table, *keys):
    return {key: value for key, value in table.items() if key not in keys}


def test_defaults_and_signals():
    plain, derived = load_conditions([PLAIN, DERIVED], "gateway.toml")
    assert plain.comparison is Comparison.ABOVE
    assert (plain.hysteresis, plain.duration_s, plain.horizon_s, plain.warn_at) == (
        0,
        0,
        21_600,
        0.5,
    )
    assert signals_of(plain) == signals("attic/humidity")
    assert signals_of(derived) == signals("attic/temperature", "attic/humidity")


def test_inputs_are_what_is_declared_and_the_own_signal():
    plain, derived = load_conditions(
        [{**PLAIN, "temperature": "attic/temperature", "pressure": "hall/pressure"}, DERIVED], "x"
    )
    assert inputs_of(plain) == signals("attic/temperature", "attic/humidity", "hall/pressure")
    assert inputs_of(derived) == signals("attic/temperature", "attic/humidity", None)
    (alone,) = load_conditions([PLAIN], "x")
    assert inputs_of(alone) == signals(None, "attic/humidity", None)


def test_a_file_of_conditions(tmp_path):
    path = tmp_path / "conditions.toml"
    path.write_text(
        '[[condition]]\nid = "damp"\nsignal = "attic/humidity"\ncomparison = "above"\n'
        "limit = 70.0\nstep_s = 3600\nmax_age_s = 7200\n"
    )
    assert read_conditions(path) == load_conditions([PLAIN], "x")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read"),
        ("[[condition", "is not TOML"),
        ("[board]\n", "board: only [[condition]] tables"),
        ("condition = 1", "expected [[condition]] tables"),
    ],
)
def test_a_file_that_is_none(tmp_path, text, words):
    path = tmp_path / "conditions.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        read_conditions(path)
    assert words in str(refused.value)
    assert str(path) in str(refused.value)


REFUSED = {
    "unknown key": (
        [{**PLAIN, "limt": 3}],  # codespell:ignore limt
        ["gateway.toml", "[[condition]] damp", "unknown key 'limt'", "known keys: id, comparison"],
    ),
    "missing key": ([without(PLAIN, "limit")], ["[[condition]] damp", "'limit' is missing"]),
    "limit of another quantity": (
        [{**PLAIN, "limit": 101_325.0}],
        ["damp: limit", "0 to 100 %RH", "found 101325"],
    ),
    "limit in another unit": (
        [{**PLAIN, "signal": "attic/pressure", "limit": 1013.0}],
        ["limit", "30000 to 110000 Pa", "found 1013"],
    ),
    "limit that is no number": ([{**PLAIN, "limit": "70 %"}], ["limit", "finite number", "'70 %'"]),
    "limit that is a flag": ([{**PLAIN, "limit": True}], ["limit", "finite number", "True"]),
    "step that is a flag": ([{**PLAIN, "step_s": True}], ["step_s", "whole number", "True"]),
    "step of nothing": ([{**PLAIN, "step_s": 0}], ["step_s", "1 to 86400", "found 0"]),
    "negative hysteresis": ([{**PLAIN, "hysteresis": -1.0}], ["hysteresis", "found -1"]),
    "unlikely warn_at": ([{**PLAIN, "warn_at": 50.0}], ["warn_at", "0 to 1", "found 50"]),
    "unknown comparison": (
        [{**PLAIN, "comparison": "over"}],
        ["comparison", "above, below", "'over'"],
    ),
    "signal without quantity": (
        [{**PLAIN, "signal": "attic"}],
        ["signal", "<sensor id>/<quantity>"],
    ),
    "unknown quantity": ([{**PLAIN, "signal": "attic/light"}], ["signal", "attic/temperature"]),
    "no signal at all": ([without(PLAIN, "signal")], ["damp", "set signal, or set derived"]),
    "half a pair": (
        [without(DERIVED, "humidity")],
        ["[[condition]] dew", "derived", "humidity = <sensor>/humidity"],
    ),
    "pair the wrong way round": (
        [{**DERIVED, "temperature": "attic/humidity", "humidity": "attic/temperature"}],
        ["temperature: expected <sensor id>/temperature", "attic/humidity"],
    ),
    "pair and signal": ([{**DERIVED, "signal": "attic/humidity"}], ["dew: signal", "remove one"]),
    "another of its own quantity": (
        [{**PLAIN, "humidity": "cellar/humidity"}],
        ["damp: humidity", "expected attic/humidity, the same as signal"],
    ),
    "same id twice": ([PLAIN, {**DERIVED, "id": "damp"}], ["damp: id", "another condition"]),
    "id that fits no topic": ([{**PLAIN, "id": "Damp attic"}], ["id", "1 to 63 of a-z"]),
    "not a list": (PLAIN, ["gateway.toml", "[[condition]] tables"]),
    "not a table": (["damp"], ["[[condition]] 1", "expected a table", "'damp'"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_place_expectation_and_finding(name):
    tables, words = REFUSED[name]
    with pytest.raises(ConfigError) as refused:
        load_conditions(tables, "gateway.toml")
    text = str(refused.value)
    assert [word for word in words if word not in text] == [], text
    assert "bad_field" not in text


def test_a_rule_may_watch_what_no_model_looks_at():
    """A quantity that is no input of models takes no other one's place."""
    others = [quantity for quantity in Quantity if quantity not in MODEL_INPUTS]
    for quantity in others:
        limit = (quantity.facts.low + quantity.facts.high) / 2
        table = {**PLAIN, "signal": f"attic/{quantity}", "limit": limit}
        (condition,) = load_conditions([table], "x")
        assert signals_of(condition) == (Signal("attic", quantity),)
        assert inputs_of(condition) == (None, None, None)
        assert not forecastable(condition)
    assert all(map(forecastable, load_conditions([PLAIN, DERIVED], "x")))


def test_what_is_compared_has_a_name_and_a_unit_for_people():
    plain, derived = load_conditions([PLAIN, DERIVED], "x")
    assert facts_of(plain).shown(70.0) == "70 %"
    assert (facts_of(derived).title, facts_of(derived).shown_unit) == ("Dew-point margin", "K")
