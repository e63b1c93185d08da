"""Looking ahead inside the sense loop: a real model on a wound clock, kills, and waits at marks."""

import math
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from contract.blocks import entries
from contract.quantities import Quantity
from contract.records import Alert, AlertBasis, AlertState, ModelReport, Prediction, Reading
from contract.signals import Signal
from edge.bundles.loader import loading
from edge.bundles.models_in_use import ModelsInUse
from edge.bundles.slot_store import SlotStore
from edge.bundles.updates import Staged
from edge.clock import VirtualClock
from edge.forecasting.forecasting import NoModels
from edge.forecasting.window import Window
from firmware_bridge.board import Sample
from models.conditions import load_conditions
from models.inference import Inference

HOUR_S = 3600.0
NEW_YEAR = 1_356_998_400_000  # 2013-01-01T00:00:00Z, where the wound clock begins
WEIGHTS = {"distance": 0.1, "margin_change_1h": 0.8, "dew_point_spread_6h": 1.0, "hour_sin_1": 0.3}
CONDITIONS = load_conditions(
    [
        {
            "id": "damp",
            "signal": "attic/humidity",
            "temperature": "attic/temperature",
            "comparison": "above",
            "limit": 77.0,
            "step_s": 600,
            "max_age_s": 1200,
            "horizon_s": 10_800,
            "warn_at": 0.5,
        }
    ],
    "x",
)
(DAMP,) = CONDITIONS


class PowerCut(BaseException):
    pass


def cut():
    raise PowerCut


@dataclass
class Air:
    """A chip in air that is never the same twice; some ms pass while it is read."""

    clock: object

    def read(self):
        s = self.clock.monotonic_s()
        self.clock.sleep_s(0.009)
        warmth = math.cos(2 * math.pi * (s / 86_400 - 15 / 24)) + 0.2 * math.sin(s / 977)
        values = ((Quantity.TEMPERATURE, 12 + 5 * warmth), (Quantity.HUMIDITY, 65 - 13 * warmth))
        return Sample(values=values, flags=frozenset())

    def close(self):
        pass


@dataclass
class Post:
    """Updates that bring what the test puts in."""

    news: list[Staged] = field(default_factory=list)

    def take(self):
        news, self.news = self.news, []
        return news


@pytest.fixture
def post():
    return Post()


@pytest.fixture
def models(registry, tmp_path, post):
    """Models as at a start: what the slots say is loaded from the disk."""
    trusted = registry.signer.trusted()
    slots = SlotStore(tmp_path / "models")
    return lambda: ModelsInUse(CONDITIONS, slots, post.take, loading(trusted))


@pytest.fixture
def staged(registry, tmp_path):
    def stage(counter):
        bundle = registry.bundle(DAMP, counter, WEIGHTS)
        sha256 = registry.lay(SlotStore(tmp_path / "models"), bundle)
        names = {"model": "damp-logistic", "version": f"v{counter}", "counter": counter}
        return Staged(condition_id="damp", sha256=sha256, **names)

    return stage


@pytest.fixture
def run(sense, wound_clock, models):
    """Runs from an hour to another; the end is a power cut or a stop."""

    def start(begin_h, end_h, *, power_cut, **keys):
        clock = wound_clock(end_s=end_h * HOUR_S, now_s=begin_h * HOUR_S)
        if power_cut:
            clock.at = {end_h * HOUR_S: cut}
            clock.end_s = math.inf
        chips = {"attic": Air(clock), "roof": Air(clock)}
        keys = {"interval_s": 150.0, "rhythm_s": 400.0, "models": models(), **keys}
        desk = sense(clock, chips, conditions=CONDITIONS, **keys)
        if power_cut:
            with pytest.raises(PowerCut):
                desk.loop.run()
        else:
            desk.loop.run()
        return desk

    return start


@pytest.fixture
def expected(outbox_path, registry, cloud_says):
    """What the cloud makes of the readings that were committed."""
    inference = Inference(registry.logistic(WEIGHTS))
    return lambda: cloud_says(outbox_path, DAMP, inference)


def test_kills_change_no_forecast_of_what_was_committed(
    run, post, staged, outbox_path, records_in, expected
):
    """After each kill a window is what all committed readings say, to the last sample."""
    post.news = [staged(1)]
    cuts = [0.0, 23.9, 24.31, 25.03, 26.77, 30.5, 34.0]
    for begin_h, end_h in pairwise(cuts):
        run(begin_h + (61 / 3600 if begin_h else 0), end_h, power_cut=end_h < cuts[-1])
    found = records_in(outbox_path, Prediction)
    assert [(e.observed_at, e.record.probability) for e in found] == expected()
    assert len(found) > 40
    forecast = [e for e in records_in(outbox_path, Alert) if e.record.basis is AlertBasis.FORECAST]
    assert len(forecast) >= 2
    for raised, cleared in zip(forecast[::2], forecast[1::2], strict=False):
        assert raised.record.state is AlertState.RAISED
        assert cleared.record.state is AlertState.CLEARED
        assert raised.record.alert_id == cleared.record.alert_id


def test_forecasts_come_behind_the_readings_that_they_are_of(run, post, staged):
    """Numbered and dated so: whoever reads the stream in order knows all that the model knew."""
    post.news = [staged(1)]
    desk = run(0.0, 26.0, power_cut=False)
    found = [e for b in desk.committed for e in entries(b)]
    assert [e.seq for e in found] == list(range(1, len(found) + 1))
    seqs = {e.observed_at: e.seq for e in found if isinstance(e.record, Reading)}
    made = [e for e in found if isinstance(e.record, Prediction)]
    assert len(made) >= 12
    assert all(seqs[e.observed_at] < e.seq for e in made)


def test_without_models_the_window_is_kept_and_nothing_else_is_stored(run, post):
    desk = run(0.0, 2.0, power_cut=False, models=None)
    assert desk.outbox.recall("forecasts") is None
    assert desk.outbox.recall("window_newest") is None
    window = Window.recalled(desk.outbox.recall, exact=False)
    assert len(window.samples(Signal.parse("attic/humidity"))) == 13
    assert NoModels().take_reports() == post.news == []


def test_an_alert_that_was_forecast_ends_also_when_models_are_given_up(
    run, post, staged, outbox_path, records_in
):
    """The gateway is started without `[models]`: the horizon passes."""
    post.news = [staged(1)]
    end_h = 24.0
    run(0.0, end_h, power_cut=False)
    while not is_open(records_in, outbox_path):
        run(end_h + 0.02, end_h + 0.5, power_cut=False)
        end_h += 0.5
    run(end_h + 0.02, end_h + 4.0, power_cut=False, models=None)
    assert not is_open(records_in, outbox_path)


def is_open(records_in, path):
    forecast = [e.record for e in records_in(path, Alert) if e.record.basis is AlertBasis.FORECAST]
    return bool(forecast) and forecast[-1].state is AlertState.RAISED


def test_a_bundle_that_comes_during_a_wait_at_a_mark_is_told_when_the_mark_is_named_again(
    sense, models, post, staged
):
    """So whoever moves virtual time on may wait for the report before he does."""
    told = []

    def gate(mark_ms):
        told.append(
            [
                e.record
                for b in desk.committed
                for e in entries(b)
                if isinstance(e.record, ModelReport)
            ]
        )
        post.news = [staged(1)] if len(told) == 1 else []
        return mark_ms if len(told) < 3 else None

    clock = VirtualClock(NEW_YEAR, NEW_YEAR + 3_600_000, gate)
    desk = sense(clock, {"attic": Air(clock)}, conditions=CONDITIONS, models=models())
    desk.loop.run()
    assert told == [
        [],
        [ModelReport(model="damp-logistic", version="v1", outcome="active")],
        [ModelReport(model="damp-logistic", version="v1", outcome="active")],
    ]
