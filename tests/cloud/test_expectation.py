"""What is said of a model's warnings: with a ratio only where there are enough events."""

from dataclasses import replace

import pytest

from cloud.expectation import Expectation, lead_of, sentences

MANY = Expectation(
    warn_at=0.5,
    lead_s=7200,
    warnings_total=37,
    warnings_true=26,
    events_total=41,
    events_announced=20,
)


def test_enough_events_give_ratios_with_their_counts():
    assert sentences(MANY) == (
        "Of 10 warnings 7 come true (26 of 37).",
        "5 of 10 events are announced at least 2 h before (20 of 41).",
    )
    assert sentences(replace(MANY, warnings_true=4))[0] == "Of 10 warnings 1 comes true (4 of 37)."


def test_few_events_are_counted_and_give_no_ratio():
    few = replace(MANY, events_total=9, events_announced=3, warnings_total=12, warnings_true=5)
    assert sentences(few) == (
        "Events: 9, too few for a ratio; 3 announced at least 2 h before.",
        "Warnings: 12; 5 came true.",
    )
    assert "of 10 " not in " ".join(sentences(few))
    assert "of 10 " in sentences(replace(few, events_total=10))[1]


def test_nothing_is_said_to_be_nothing():
    none = replace(MANY, events_total=0, events_announced=0, warnings_total=0, warnings_true=0)
    assert sentences(none) == ("No event and no warning in the judged weeks.",)


def test_few_warnings_are_counted_though_events_are_enough():
    for warnings, true in ((0, 0), (9, 6)):
        found = sentences(replace(MANY, warnings_total=warnings, warnings_true=true))
        assert found[0] == f"Warnings: {warnings}, too few for a ratio; {true} came true."
        assert found[1].startswith("5 of 10 events")


@pytest.mark.parametrize(
    ("horizon_s", "shown"), [(21_600, "2 h"), (5400, "30 min"), (100, "33 s"), (16_200, "1.5 h")]
)
def test_early_is_a_third_of_the_horizon(horizon_s, shown):
    found = replace(MANY, lead_s=lead_of(horizon_s))
    assert f"at least {shown} before" in sentences(found)[1]
