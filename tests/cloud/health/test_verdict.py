"""The verdict on a gateway: a table of what is known, and what follows."""

from dataclasses import replace

import pytest

from cloud.health.verdict import Asked, GatewayFacts, ModelState, StatusFigures, Verdict, judge

NOW = 1_795_517_522_667  # 2026-11-24T10:52:02.667Z
ASKED = Asked(now=NOW, silent_s=1800, ledger_from=0)
FIGURES = StatusFigures(
    received_at=NOW - 1000,
    phase="running",
    version="1",
    samples_total=100,
    sample_failures_total=3,
    queued_blocks=0,
    queued_bytes=0,
)
WELL = GatewayFacts(
    device_id="gw-1",
    heard_at=NOW - 1000,
    reading_at=NOW - 1000,
    status_at=NOW - 1000,
    figures=FIGURES,
    models=(ModelState(condition_id="damp", model="m", version="1", reported="active"),),
)


def test_a_gateway_that_is_well():
    health = judge(WELL, ASKED)
    assert (health.verdict, health.reasons) == (Verdict.HEALTHY, ())


def test_of_a_gateway_that_was_never_heard_nothing_is_known():
    health = judge(GatewayFacts(device_id="gw-1", unexplained=5), ASKED)
    assert (health.verdict, health.reasons) == (
        Verdict.UNKNOWN,
        ("no block was ever received from it",),
    )


def test_a_gateway_of_which_every_block_is_set_aside_is_known_to_be_ill():
    facts = GatewayFacts(device_id="gw-1", set_aside_blocks=1, set_aside_reason="why")
    health = judge(facts, ASKED)
    assert (health.verdict, health.reasons) == (
        Verdict.UNHEALTHY,
        ("1 block has records set aside: why",),
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"heard_at": NOW - 1_800_001}, "no block received for 30 min"),
        ({"unexplained": 2}, "2 numbers are unexplained"),
        ({"doubled": 3}, "3 numbers are doubled"),
        (
            {"set_aside_blocks": 2, "set_aside_reason": "implausible_time: why"},
            "2 blocks have records set aside: implausible_time: why",
        ),
        (
            {"figures": replace(FIGURES, samples_total=8, sample_failures_total=8)},
            "all 8 samples of its current stream failed",
        ),
        (
            {"models": (replace(WELL.models[0], reported="refused", reason="bad size"),)},
            "damp: m 1 refused: bad size",
        ),
        ({"models": (replace(WELL.models[0], reported="failed"),)}, "damp: m 1 failed"),
    ],
)
def test_each_of_these_is_a_reason(change, reason):
    health = judge(replace(WELL, **change), ASKED)
    assert (health.verdict, health.reasons) == (Verdict.UNHEALTHY, (reason,))


@pytest.mark.parametrize(
    "change",
    [
        {"heard_at": NOW - 1_800_000},
        {"reading_at": NOW - 10**9},  # asked without an instant: a sensor may be read once a day
        {"models": (replace(WELL.models[0], reported=None),)},  # on its way
        {"figures": None},
        # an older Status than the newest that came says nothing of now
        {
            "figures": replace(
                FIGURES, samples_total=8, sample_failures_total=8, received_at=NOW - 2000
            )
        },
    ],
)
def test_none_of_these_is(change):
    assert judge(replace(WELL, **change), ASKED).verdict is Verdict.HEALTHY


def test_since_an_instant_it_must_have_been_heard_with_readings():
    since = replace(ASKED, since=NOW - 5000)
    assert judge(WELL, since).verdict is Verdict.HEALTHY
    assert judge(replace(WELL, heard_at=NOW - 5000), since).reasons == (
        "no block received since 2026-11-24T10:51:57.667Z",
    )
    assert judge(replace(WELL, reading_at=NOW - 6000), since).reasons == (
        "no reading received since 2026-11-24T10:51:57.667Z",
    )
    late = replace(ASKED, now=NOW + 10**8, since=NOW - 5000)
    assert judge(WELL, late).verdict is Verdict.HEALTHY, "the question was about that instant"


def test_all_reasons_are_given():
    bad = replace(WELL, heard_at=1, unexplained=1, doubled=1)
    assert len(judge(bad, ASKED).reasons) == 3
