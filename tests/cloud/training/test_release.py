"""What is released: a bundle that a gateway can verify, recorded once, with where it comes from."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import select

from cloud.errors import WarehouseError
from cloud.expectation import Expectation, sentences
from cloud.registry import DecisionRow, Registry, bundle_path
from cloud.training.boosting import TREES, BlendLearner, BlendModel, BoostingLearner
from cloud.training.decisions import Decisions
from cloud.training.export import ParityError, sklearn_to_onnx
from cloud.training.export_blend import blend_to_onnx
from cloud.training.history import History
from cloud.training.judge import CandidateScore
from cloud.training.learners import BaselineLearner, SklearnLearner, SklearnModel
from cloud.training.release import (
    MIN_EXAMPLES,
    Provenance,
    Publisher,
    TooFewGolden,
    golden_of,
    releasable,
    version_of,
)
from cloud.warehouse.model_tables import CANDIDATES, DECISIONS, MODELS
from models.bundle import Family, unpack
from models.features import FEATURE_NAMES, FEATURES_VERSION, LAGS, features
from models.golden import check_golden
from models.inference import Inference
from models.signing import Signer

pytestmark = pytest.mark.services

DAY = 86_400_000


def export(model):
    if isinstance(model, BlendModel):
        return blend_to_onnx(model)
    return sklearn_to_onnx(model.pipeline, model.slope, model.offset)


@pytest.fixture(scope="module")
def weather(made_weather):
    return made_weather(1, 270, day_0="pressure")


@pytest.fixture(scope="module")
def examples(weather, dampness):
    return History.of(weather.table(dampness, weather.at(90)), "damp").examples


@pytest.fixture(scope="module")
def provenance(weather):
    return Provenance(cycle_at=weather.at(90), dataset_version="42", code_version="1.2.3")


@pytest.fixture
def desk(warehouse, tmp_path):
    class Desk:
        signer = Signer.generate()
        registry = Registry(warehouse, tmp_path / "registry")
        publisher = Publisher(registry, signer, export)
        folder = tmp_path / "registry"

    return Desk


def test_a_version_says_when_and_how():
    assert version_of(1_356_998_400_000 + 61_000, "baseline") == "20130101t0001-baseline"


def test_a_bundle_holds_what_was_trained_and_where_it_comes_from(
    desk, dampness, examples, provenance
):
    model = SklearnLearner().fit(examples)
    row = desk.publisher.publish(dampness, "sklearn", model, examples, provenance)
    bundle = unpack(desk.registry.bundle_bytes(row.sha256), desk.signer.trusted())
    manifest, lineage = bundle.manifest, bundle.manifest.lineage
    assert (manifest.model, manifest.version) == ("damp", "20130401t0000-sklearn")
    assert (manifest.family, manifest.condition) == (Family.SKLEARN, dampness)
    assert (manifest.counter, manifest.created_at) == (1, provenance.cycle_at)
    assert manifest.horizon_s == dampness.horizon_s
    assert (manifest.features_version, manifest.feature_names) == (FEATURES_VERSION, FEATURE_NAMES)
    assert (lineage.dataset_version, lineage.code_version) == ("42", "1.2.3")
    assert lineage.trained_from.startswith("2013-01-01T23:00:00")  # a day of weather comes first
    assert lineage.trained_to.startswith("2013-03-31")
    assert json.loads(lineage.parameters) == {
        "clip": 4.0,
        "logit_weight": 5.0,
        "regularisation": 0.03,
    }
    answers = Inference(bundle.model).probability(examples.features)
    np.testing.assert_allclose(answers, model.probability(examples.features), atol=1e-5)
    assert f"{len(examples)} windows" in bundle.card
    # the row says the same
    assert desk.registry.find("damp", manifest.version) == row
    assert (row.family, row.counter, row.condition_id) == ("sklearn", 1, "damp")
    assert row.size_bytes == bundle_path(desk.folder, row.sha256).stat().st_size < 2**20
    assert (row.trained_from, row.trained_to) == (
        examples.begins_ms.min(),
        examples.begins_ms.max(),
    )
    assert 0 <= row.parity_max <= 1e-5


def test_a_card_says_what_to_expect(desk, dampness, examples, provenance):
    found = Expectation(
        warn_at=0.5,
        lead_s=7200,
        warnings_total=37,
        warnings_true=26,
        events_total=41,
        events_announced=20,
    )
    model = BaselineLearner().fit(examples)
    row = desk.publisher.publish(dampness, "baseline", model, examples, provenance, found)
    assert row.expectation == found
    assert desk.registry.find("damp", row.version) == row
    bundle = unpack(desk.registry.bundle_bytes(row.sha256), desk.signer.trusted())
    assert "## What to expect\n\nA forecast of 0.5 or more raises a warning." in bundle.card
    for sentence in sentences(found):
        assert f"- {sentence}\n" in bundle.card
    # and again, after a withdrawal: its own new figures, not the old ones
    later = replace(provenance, cycle_at=provenance.cycle_at + DAY)
    few = replace(found, events_total=4, events_announced=2)
    again = desk.publisher.reissue(row, bundle, later, few)
    assert again.expectation == few
    card = unpack(desk.registry.bundle_bytes(again.sha256), desk.signer.trusted()).card
    assert card.count("## What to expect") == 1
    assert "of 10" not in card
    assert sentences(few)[0] in card
    # nothing was judged
    later = replace(provenance, cycle_at=provenance.cycle_at + 2 * DAY)
    row = desk.publisher.publish(dampness, "baseline", model, examples, later)
    assert row.expectation is None
    assert (
        "no figures" in unpack(desk.registry.bundle_bytes(row.sha256), desk.signer.trusted()).card
    )


def test_a_gateway_would_agree_with_the_golden_vectors(desk, dampness, examples, provenance):
    row = desk.publisher.publish(
        dampness, "baseline", BaselineLearner().fit(examples), examples, provenance
    )
    bundle = unpack(desk.registry.bundle_bytes(row.sha256), desk.signer.trusted())
    check_golden(
        bundle.golden,
        lambda grids, at_ms: features(grids, at_ms, dampness).values,
        Inference(bundle.model).probability,
    )
    assert 32 <= len(bundle.golden.at_ms) <= 64
    hours = {int(at) // 3_600_000 % 24 for at in bundle.golden.at_ms}
    assert len(hours) > 12


def test_what_is_recorded_is_taken_as_it_is(desk, dampness, examples, provenance):
    model = BaselineLearner().fit(examples)
    first = desk.publisher.publish(dampness, "baseline", model, examples, provenance)
    other = SklearnModel(model.pipeline, 2.0, 0.0)  # what would be made now
    assert desk.publisher.publish(dampness, "baseline", other, examples, provenance) == first
    later = replace(provenance, cycle_at=provenance.cycle_at + DAY)
    second = desk.publisher.publish(dampness, "baseline", model, examples, later)
    assert (first.counter, second.counter) == (1, 2)
    assert len(list((desk.folder / "bundles").iterdir())) == 2


@pytest.mark.parametrize("learner", [BaselineLearner(), SklearnLearner(), BlendLearner()])
def test_the_same_is_released_in_the_same_bytes(
    desk, dampness, examples, provenance, warehouse, learner
):
    rows = []
    for _ in range(2):
        model = learner.fit(examples)
        rows.append(desk.publisher.publish(dampness, learner.family, model, examples, provenance))
        with warehouse.begin() as connection:
            connection.execute(MODELS.delete())
    assert rows[0] == rows[1]
    assert len(list((desk.folder / "bundles").iterdir())) == 1


def test_a_blend_says_its_weight_and_its_trees(desk, dampness, examples, provenance):
    model = BlendLearner().fit(examples)
    half = BlendModel(model.logistic, BoostingLearner().fit(examples), 0.5)
    row = desk.publisher.publish(dampness, "blend", half, examples, provenance)
    told = json.loads(row.parameters)
    assert told["trees_weight"] == 0.5
    assert {name: told[name] for name in TREES} == TREES
    bundle = unpack(desk.registry.bundle_bytes(row.sha256), desk.signer.trusted())
    assert bundle.manifest.family is Family.BLEND
    check_golden(
        bundle.golden,
        lambda grids, at_ms: features(grids, at_ms, dampness).values,
        Inference(bundle.model).probability,
    )
    later = replace(provenance, cycle_at=provenance.cycle_at + DAY)
    alone = BlendModel(model.logistic, None, 0.0)
    told = json.loads(desk.publisher.publish(dampness, "blend", alone, examples, later).parameters)
    assert (told["trees_weight"], "max_iter" in told) == (0.0, False)


def test_nothing_is_recorded_of_an_export_that_differs(desk, dampness, examples, provenance):
    publisher = Publisher(
        desk.registry, desk.signer, lambda m: sklearn_to_onnx(m.pipeline, m.slope, m.offset + 0.01)
    )
    with pytest.raises(ParityError):
        publisher.publish(dampness, "sklearn", SklearnLearner().fit(examples), examples, provenance)
    assert desk.registry.models() == ()
    assert not list(desk.folder.rglob("*.dwb"))


def test_a_month_of_one_device_is_enough_and_less_is_not(weather, dampness):
    own = History.of(weather.table(dampness, weather.at(90)), "damp")
    (_, alone), _ = own.by_device()
    examples = alone.examples
    assert releasable(examples.rows(np.arange(MIN_EXAMPLES)))
    assert not releasable(examples.rows(np.arange(MIN_EXAMPLES - 1)))
    assert not releasable(examples.rows(np.arange(0)))


def test_golden_vectors_need_windows(dampness, examples):
    bare = replace(examples, grids=np.full_like(examples.grids, np.nan))
    inference = Inference(export(BaselineLearner().fit(examples)))
    assert not releasable(bare)
    with pytest.raises(TooFewGolden, match="damp: 0 windows for golden vectors, need 32"):
        golden_of(dampness, bare, inference)
    golden = golden_of(dampness, examples, inference)
    assert golden.grids.shape[1:] == (3, LAGS)


# decisions


def decision(cycle_at, kind, condition_id="damp"):
    figures = dict.fromkeys(
        ("brier_baseline", "brier_model", "skill", "skill_low", "skill_high"), None
    )
    return DecisionRow(
        cycle_at=cycle_at,
        condition_id=condition_id,
        candidate=None,
        event_weeks=3,
        windows_total=100,
        decision=kind,
        reason="made up",
        model=None,
        version=None,
        **figures,
    )


def test_a_decision_is_written_with_its_choice(warehouse):
    table, row = Decisions(warehouse), decision(1000, "refused")
    score = CandidateScore(family="sklearn", brier=0.1, brier_baseline=0.2, windows_total=7)
    assert table.find(1000, "damp") is None
    table.write(row, [score])
    assert table.find(1000, "damp") == row
    with warehouse.connect() as connection:
        (found,) = connection.execute(select(CANDIDATES)).all()
    assert found._asdict() == {
        "cycle_at": 1000,
        "condition_id": "damp",
        "family": "sklearn",
        "brier": 0.1,
        "brier_baseline": 0.2,
        "skill": 0.5,
        "windows_total": 7,
    }


def test_what_cannot_be_written_whole_is_not_written(warehouse):
    table, row = Decisions(warehouse), decision(1000, "refused")
    table.write(row, [])
    score = CandidateScore(family="sklearn", brier=0.1, brier_baseline=0.2, windows_total=7)
    with pytest.raises(WarehouseError, match="Duplicate"):
        table.write(row, [score])
    with warehouse.connect() as connection:
        assert connection.execute(select(CANDIDATES)).all() == []
        assert len(connection.execute(select(DECISIONS)).all()) == 1


def test_evidence_that_was_not_enough_is_not_used_up(warehouse):
    table = Decisions(warehouse)
    assert table.unused_from(9000, "damp") is None
    table.write(decision(1000, "insufficient_evidence"), [])
    table.write(decision(2000, "insufficient_evidence"), [])
    table.write(decision(1500, "refused", "frost"), [])
    assert table.unused_from(1000, "damp") is None
    assert table.unused_from(2000, "damp") == 1000
    assert table.unused_from(9000, "damp") == 1000
    for at, kind in enumerate(("refused", "kept", "baseline", "adopted"), 3):
        table.write(decision(at * 1000, kind), [])
        table.write(decision(at * 1000 + 500, "insufficient_evidence"), [])
        assert table.unused_from(at * 1000, "damp") == (1000 if at == 3 else at * 1000 - 1000)
        assert table.unused_from(9000, "damp") == at * 1000
    assert table.last_before(9000, "damp") == 6500
    assert table.last_before(1000, "damp") is None
