"""The cycle on a real server: from weather to what each device should run, also after a death."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import event

from cloud.cycle import Cycle
from cloud.expectation import sentences
from cloud.quality.retrospective import DeviceSpan, Standing
from cloud.quality.spans import Fault, Span
from cloud.quality.verdicts import NOTHING_FOUND, Verdicts
from cloud.registry import Alias, AliasRow, DecisionRow, ModelRow, Registry
from cloud.rollout import DesiredStates
from cloud.training.decisions import Decisions
from cloud.training.export import sklearn_to_onnx
from cloud.training.history import HISTORY_SCHEMA, History
from cloud.training.learners import BaselineLearner, SklearnLearner
from cloud.training.release import Provenance, Publisher
from cloud.training.train import Trainer, load_model
from cloud.warehouse.model_tables import (
    CANDIDATES,
    DECISIONS,
    DESIRED,
    MONITORING,
    OUTCOMES,
    QUALITY_SPANS,
    RELIABILITY,
    TRUTH,
)
from cloud.warehouse.tables import FACTS, METADATA
from contract.desired import decode_desired
from contract.keys import event_day
from contract.records import Kind
from contract.signals import Signal
from models.bundle import unpack
from models.errors import BundleRefused
from models.signing import Signer

pytestmark = pytest.mark.services

DAY = 86_400_000
SIGNER = Signer.generate()
STREAM = "a" * 13


class Tables:
    """A lake in memory: made weather up to an instant."""

    def __init__(self, weather, condition):
        self._weather, self._condition = weather, condition
        self._known, self.refreshed = {}, 0

    def refresh(self):
        self.refreshed += 1

    def version(self):
        return "7"

    def verdicts(self, until_ms):
        return self._weather.verdicts(until_ms)

    def history(self, until_ms, verdicts=NOTHING_FOUND):
        key = until_ms, verdicts.spans
        if key not in self._known:
            self._known[key] = self._weather.table(self._condition, until_ms, verdicts)
        return self._known[key]


class Remembering:
    """A real learner that is not asked twice for the same examples; that saves minutes."""

    def __init__(self, learner):
        self.family, self._learner, self._known = learner.family, learner, {}

    def fit(self, examples):
        key = len(examples), int(examples.begins_ms[0]), int(examples.begins_ms[-1])
        key += (examples.labels.sum(), float(examples.features.sum()))
        if key not in self._known:
            self._known[key] = self._learner.fit(examples)
        return self._known[key]


LEARNERS = Remembering(BaselineLearner()), (Remembering(SklearnLearner()),)


def export(model):
    return sklearn_to_onnx(model.pipeline, model.slope, model.offset)


class Desk:
    """Cycles over one warehouse and one registry, and everything that they leave."""

    def __init__(self, engine, folder, source, condition):
        self.engine, self.folder, self.source, self.condition = engine, folder, source, condition
        self.registry = Registry(engine, folder)
        self.told = []
        self._seq = 0

    def cycle(self, registry=None):
        registry = registry or self.registry
        trainer = Trainer(
            registry,
            Decisions(self.engine),
            Publisher(registry, SIGNER, export),
            LEARNERS,
            SIGNER.trusted(),
            self.told.append,
        )
        return Cycle(
            engine=self.engine,
            registry=registry,
            source=self.source,
            trainer=trainer,
            conditions=(self.condition,),
            signer=SIGNER,
            code_version="1.2.3",
            told=self.told.append,
        )

    def have_devices(self, *names):
        """Readings of them are in the warehouse: they are known."""
        rows = [
            {
                "sensor_id": "air",
                "quantity": quantity,
                "value": 1.0,
                "quality": "good",
                **self._row(name, 1_356_998_400_000),
            }
            for name in names
            for quantity in ("temperature", "humidity")
        ]
        self._put(FACTS[Kind.READING], rows)

    def _row(self, device_id, at_ms):
        self._seq += 1
        return {
            "device_id": device_id,
            "stream_id": STREAM,
            "seq": self._seq,
            "event_day": event_day(at_ms),
            "observed_at": at_ms,
            "offset_ms": 0,
            "received_at": at_ms,
        }

    def _put(self, table, rows):
        with self.engine.begin() as connection:
            connection.execute(table.insert(), rows)

    def have_forecasts(self, from_ms, to_ms, row, probability=None):
        """A gateway's forecasts by a model at every step where it makes one, in a span."""
        history = History.of(self.source.history(to_ms), self.condition.id)
        span = (history.at_ms >= from_ms) & (history.at_ms < to_ms)
        steps = history.rows(history.forecastable & span)
        answer = probability or load_model(self.registry, row, SIGNER.trusted()).probability
        named = {"condition_id": row.condition_id, "model": row.model, "version": row.version}
        named |= {"horizon_s": self.condition.horizon_s, "origin": "edge", "mode": "active"}
        rows = [
            {**self._row(device, at), **named, "probability": round(p, 6)}
            for device, at, p in zip(
                steps.devices, steps.at_ms.tolist(), answer(steps.features).tolist(), strict=True
            )
        ]
        self._put(FACTS[Kind.PREDICTION], rows)

    def rows(self, table):
        with self.engine.connect() as connection:
            found = connection.execute(table.select().order_by(*table.primary_key))
            return [row._asdict() for row in found]

    def everything(self):
        """Every row of every table, and the bytes of every file."""
        tables = {table.name: self.rows(table) for table in METADATA.sorted_tables}
        files = {path.name: path.read_bytes() for path in self.folder.rglob("*.dwb")}
        return tables, files

    def restore(self, state):
        tables, files = state
        with self.engine.begin() as connection:
            for table in METADATA.sorted_tables:
                connection.execute(table.delete())
                if tables[table.name]:
                    connection.execute(table.insert(), tables[table.name])
        shutil.rmtree(self.folder / "bundles")
        for name, data in files.items():
            Registry(self.engine, self.folder).put(data)
            assert (self.folder / "bundles" / name).is_file()

    def desired(self):
        """What each device is told: counter, and version by condition."""
        found = {}
        for row in DesiredStates(self.engine).rows():
            state = decode_desired(row.payload, SIGNER.trusted().verify)
            versions = {b.condition_id: b.version for b in state.bundles}
            found[state.device_id] = state.counter, versions
        return found


@pytest.fixture
def new_desk(warehouse, tmp_path, dampness):
    def make(weather, condition=dampness):
        folder = tmp_path / "registry"
        (folder / "bundles").mkdir(parents=True)
        return Desk(warehouse, folder, Tables(weather, condition), condition)

    return make


@pytest.fixture
def weather(made_weather):
    """The pressure falls before it gets damp; from day 165 on the temperature does."""
    return made_weather(6, 285, day_0="pressure", day_165="temperature")


def run_twice(desk, at_ms, **how):
    """A cycle and the same again, which must change nothing."""
    result = desk.cycle().run(at_ms, **how)
    state = desk.everything()
    again = desk.cycle().run(at_ms, **how)
    assert desk.everything() == state
    assert again == replace(result, told=())
    return result


# from weather to a gateway


def test_a_planted_predictor_goes_out_and_is_replaced_by_a_better_one(new_desk, weather):
    desk, at = new_desk(weather), weather.at
    desk.have_devices("gw-1", "gw-2")

    first = run_twice(desk, at(90))
    (decision,) = first.decisions
    assert (decision.decision, decision.candidate) == ("insufficient_evidence", "sklearn")
    assert decision.reason.endswith("8 are needed (trained since there is no model yet)")
    assert decision.version == "20130401t0000-baseline"
    assert first.told == ("gw-1", "gw-2")
    assert desk.desired() == {n: (1, {"damp": decision.version}) for n in ("gw-1", "gw-2")}
    baseline = desk.registry.champion_at("damp", at(90))
    assert (baseline.family, baseline.version) == ("baseline", decision.version)
    desk.have_forecasts(at(90), at(180), baseline)

    second = run_twice(desk, at(180))
    (decision,) = second.decisions
    assert decision.decision == "adopted"
    assert decision.skill_low > 0.2
    assert "the last training was 90 days ago" in decision.reason
    assert decision.version == "20130630t0000-sklearn"
    adopted = desk.registry.champion_at("damp", at(180))
    assert (adopted.family, adopted.version) == ("sklearn", decision.version)
    assert desk.registry.champion_at("damp", at(180) - 1) == baseline
    assert desk.desired() == {n: (2, {"damp": decision.version}) for n in ("gw-1", "gw-2")}
    desk.have_forecasts(at(180), at(270), adopted)

    third = run_twice(desk, at(270))
    (decision,) = third.decisions
    assert decision.decision == "adopted"
    assert decision.skill_low > 0
    replaced = desk.registry.champion_at("damp", at(270))
    assert replaced.version == decision.version == "20130928t0000-sklearn"
    assert desk.desired() == {n: (3, {"damp": replaced.version}) for n in ("gw-1", "gw-2")}

    counters = [row.counter for row in desk.registry.models()]
    assert counters == [1, 2, 3, 4, 5, 6]  # a baseline and a candidate each
    assert len(desk.rows(CANDIDATES)) == 0  # there was one candidate: nothing to choose
    assert [d.decision for d in desk.registry.decisions()] == [
        "insufficient_evidence",
        "adopted",
        "adopted",
    ]
    _judge_in_service(desk, weather, baseline)


def _judge_in_service(desk, weather, baseline):
    """What the cycles said of forecasts: the baseline against itself, the learned against it."""
    whole = {r["cycle_at"]: r for r in desk.rows(MONITORING) if not (r["device_id"] or r["origin"])}
    assert sorted(whole) == [weather.at(day) for day in (90, 180, 270)]
    assert whole[weather.at(90)]["outcomes_total"] == 0
    of_baseline = whole[weather.at(180)]
    assert of_baseline["skill"] == pytest.approx(0, abs=1e-4)
    assert of_baseline["outcomes_total"] > 3000
    later = [r for r in desk.rows(OUTCOMES) if r["issued_at"] >= weather.at(180)]
    assert {r["version"] for r in later} == {"20130630t0000-sklearn"}
    assert all(r["baseline_probability"] is not None for r in later)
    assert {r["version"] for r in desk.rows(OUTCOMES)} > {baseline.version}
    assert {r["origin"] for r in desk.rows(RELIABILITY)} == {"", "edge"}
    begun = [r["began_at"] for r in desk.rows(TRUTH)]
    assert len(begun) > 100
    assert max(begun) < weather.at(270)


class Suspected:
    """The weather, with one device's humidity found to drift once a cycle looks back far enough."""

    def __init__(self, weather):
        self._weather, self.table = weather, weather.table
        self.drift = Span(
            signal=Signal.parse("air/humidity"),
            fault=Fault.DRIFT,
            begin_ms=weather.at(100),
            end_ms=weather.at(120),
            known_ms=weather.at(130),
            figure=4.125,
        )

    def verdicts(self, last_ms):
        found = (DeviceSpan("gw-1", self.drift),) if last_ms >= self.drift.known_ms else ()
        standings = [Standing("gw-1", self.drift.signal, 1.4 if found else 0.4, 2)]
        standings.append(Standing("gw-2", self.drift.signal, 0.2, 2))
        return Verdicts(found, tuple(standings))


def test_a_suspect_sensor_loses_its_outcomes_and_is_named(new_desk, weather):
    suspected, at = Suspected(weather), weather.at
    desk = new_desk(suspected)
    desk.cycle().run(at(90))
    baseline = desk.registry.champion_at("damp", at(90))
    desk.have_forecasts(at(90), at(128), baseline)
    desk.cycle().run(at(128), train=False)
    before, truth = desk.rows(OUTCOMES), desk.rows(TRUTH)
    assert desk.rows(QUALITY_SPANS) == []
    assert {r["faults"] for r in truth} == {None}
    assert {r["suspect"] for r in desk.rows(MONITORING)} == {None}

    run_twice(desk, at(131), train=False)
    (span,) = desk.rows(QUALITY_SPANS)
    assert (span["device_id"], span["sensor_id"], span["fault"]) == ("gw-1", "air", "drift")
    assert (span["begin_at"], span["figure"]) == (at(100), 4.125)
    inside = suspected.drift.begin_ms, suspected.drift.end_ms
    gone = [r for r in before if r not in desk.rows(OUTCOMES)]
    assert {r["device_id"] for r in gone} == {"gw-1"}
    horizon_ms = (desk.condition.horizon_s + desk.condition.step_s) * 1000
    assert all(inside[0] - horizon_ms <= r["issued_at"] <= inside[1] for r in gone)
    assert len(gone) > 300
    now = {(r["device_id"], r["began_at"]): r for r in desk.rows(TRUTH)}
    for row in truth:  # the rule's verdicts stay
        known = now[row["device_id"], row["began_at"]]
        assert known["ended_at"] == row["ended_at"] or row["ended_at"] is None
        hit = row["began_at"] <= inside[1] and (row["ended_at"] or inside[0]) >= inside[0]
        assert known["faults"] == ("drift" if hit and row["device_id"] == "gw-1" else None)
    told = {
        r["device_id"]: (r["suspect_limits"], r["suspect"])
        for r in desk.rows(MONITORING)
        if r["cycle_at"] == at(131)
    }
    text = "air/humidity drift +4.12 from 2013-04-11 to 2013-05-01"
    assert told == {"": (1.4, f"gw-1 {text}"), "gw-1": (1.4, text), "gw-2": (0.2, None)}


def test_between_trainings_the_challenger_is_judged_on(new_desk, weather):
    desk, at = new_desk(weather), weather.at
    desk.cycle().run(at(90))
    desk.cycle().run(at(160))
    assert [d.decision for d in desk.registry.decisions()] == ["insufficient_evidence", "adopted"]
    result = run_twice(desk, at(164))
    assert result.decisions == ()  # too soon
    (judged,) = result.judged
    assert (judged.condition_id, judged.version, judged.adopted) == (
        "damp",
        "20130610t0000-sklearn",
        True,
    )
    examples = History.of(desk.source.history(at(164)), "damp").examples
    assert judged.skill.windows_total == (examples.begins_ms >= at(160)).sum() > 100
    assert judged.skill.skill > 0.3
    assert len(desk.registry.decisions()) == 2
    # where training is due and not wanted
    result = run_twice(desk, at(200), train=False)
    assert (result.decisions, len(result.judged), len(desk.registry.models())) == ((), 1, 4)


def test_a_withdrawn_model_returns_without_new_training(new_desk, made_weather):
    """The pressure foretells, then does not for a season, then does again."""
    weather = made_weather(9, 380, day_0="pressure", day_190=None, day_280="pressure")
    desk, at = new_desk(weather), weather.at
    desk.have_devices("gw-1")
    decided = [run_twice(desk, at(day)).decisions[0] for day in (90, 180, 280, 370)]
    print([d.reason for d in decided])
    assert [d.decision for d in decided[1:]] == ["adopted", "baseline", "returned"]
    assert desk.registry.withdrawn_at("damp", at(280) - 1) is None
    adopted = desk.registry.withdrawn_at("damp", at(280))
    assert adopted.version == decided[1].version

    last = decided[-1]
    assert last.skill_low > 0 > decided[-2].skill_high
    assert f"the withdrawn {adopted.version} is again better" in last.reason
    row = desk.registry.champion_at("damp", at(370))
    assert (last.candidate, last.version) == ("sklearn", row.version)
    assert row.version == "20140106t0000-sklearn"
    assert (row.trained_to, row.dataset_version) == (adopted.trained_to, adopted.dataset_version)
    assert desk.registry.withdrawn_at("damp", at(370)) is None
    was, now = (
        unpack(desk.registry.bundle_bytes(r.sha256), SIGNER.trusted()) for r in (adopted, row)
    )
    assert (now.model, now.manifest.condition) == (was.model, was.manifest.condition)
    assert json.loads(row.parameters)["returned"] == adopted.version
    assert f"# damp {row.version}\n" in now.card
    assert f"This is the model of version {adopted.version}. It was withdrawn" in now.card
    # what to expect of its warnings is counted on the weeks that brought it back
    assert row.expectation.events_total > 10
    assert row.expectation != adopted.expectation
    for sentence in sentences(row.expectation):
        assert f"- {sentence}\n" in now.card
    # a gateway that ran the baselines since then installs it
    baseline = max(r.counter for r in desk.registry.models() if r.family == "baseline")
    assert row.counter == now.manifest.counter > baseline
    assert desk.desired() == {"gw-1": (4, {"damp": row.version})}

    # what it did before its withdrawal does not count against it a second time
    result = run_twice(desk, at(378))
    assert result.decisions == ()
    (judged,) = result.judged
    assert (judged.version, judged.adopted) == (row.version, True)


def test_a_withdrawn_model_for_another_declaration_stays_withdrawn(new_desk, made_weather):
    weather = made_weather(9, 380, day_0="pressure", day_190=None, day_280="pressure")
    desk, at = new_desk(weather), weather.at
    for day in (90, 180, 280):
        desk.cycle().run(at(day))
    desk.condition = replace(desk.condition, warn_at=0.25)
    (decision,) = desk.cycle().run(at(370)).decisions
    assert decision.decision != "returned"


def test_weeks_without_evidence_enough_add_up(new_desk, made_weather):
    """A cycle every four weeks never has eight weeks; it decides once there are."""
    weather = made_weather(7, 200, day_0="pressure")
    desk = new_desk(weather)
    decided = []
    for day in range(88, 200, 28):
        (decision,) = desk.cycle().run(weather.at(day)).decisions
        decided.append(decision.decision)
        assert (decision.event_weeks < 8) == (decision.decision == "insufficient_evidence")
    # what was used is used: after the third the next one begins anew
    assert decided == [*["insufficient_evidence"] * 2, "adopted", "insufficient_evidence"]
    for day, family in ((116, "baseline"), (144, "sklearn"), (172, "sklearn")):
        assert desk.registry.champion_at("damp", weather.at(day)).family == family


def test_too_little_to_release_is_no_failure(new_desk, made_weather):
    weather = made_weather(7, 200, day_0="pressure")
    desk = new_desk(weather)
    desk.have_devices("gw-1")
    for day, says in ((1, "0 windows, 1000 are needed"), (20, "windows, 1000 are needed")):
        result = run_twice(desk, weather.at(day))
        (decision,) = result.decisions
        assert (decision.decision, decision.model) == ("insufficient_evidence", None)
        assert says in decision.reason
        assert result.told == ()
    assert desk.registry.models() == ()
    assert desk.desired() == {}
    (decision,) = run_twice(desk, weather.at(50)).decisions
    assert decision.model == "damp"
    assert desk.desired() == {"gw-1": (1, {"damp": decision.version})}


def test_an_empty_lake_is_no_failure(new_desk):
    class Empty:
        def verdicts(self, _):
            return NOTHING_FOUND

        def table(self, *_):
            return HISTORY_SCHEMA.empty_table()

    desk = new_desk(Empty())
    result = run_twice(desk, 1_400_000_000_000)
    (decision,) = result.decisions
    assert (decision.decision, decision.event_weeks) == ("insufficient_evidence", 0)
    assert (result.told, result.judged, desk.desired()) == ((), (), {})
    assert desk.source.refreshed == 2


def test_a_bundle_that_is_not_trusted_stops_the_cycle(new_desk, weather):
    desk, at = new_desk(weather), weather.at
    desk.cycle().run(at(90))
    stranger = Signer.generate().trusted()
    cycle = desk.cycle()
    cycle = replace(cycle, trainer=replace(cycle.trainer, trusted=stranger))
    with pytest.raises(BundleRefused, match="key"):
        cycle.run(at(180))
    assert len(desk.registry.decisions()) == 1


# why to train


def champion_of(desk, at_ms, named_at, **changed):
    """A recorded model, champion from several instants on."""
    bundle = b"not read"
    row = ModelRow(
        model="damp",
        version="old",
        condition_id="damp",
        family="sklearn",
        counter=1,
        created_at=at_ms,
        trained_from=at_ms - 90 * DAY,
        trained_to=at_ms - DAY,
        dataset_version="1",
        code_version="1",
        parameters="{}",
        seed=0,
        sha256=desk.registry.put(bundle),
        size_bytes=len(bundle),
        parity_max=0.0,
    )
    row = replace(row, **changed)
    desk.registry.record(row)
    for from_at in named_at:
        alias = AliasRow(
            condition_id="damp",
            alias=Alias.CHAMPION,
            from_at=from_at,
            model=row.model,
            version=row.version,
        )
        desk.registry.set_alias(alias)
    return row


def decided(cycle_at, decision, brier_model):
    return DecisionRow(
        cycle_at=cycle_at,
        condition_id="damp",
        candidate="sklearn",
        brier_baseline=0.2,
        brier_model=brier_model,
        skill=0.1,
        skill_low=0.05,
        skill_high=0.2,
        event_weeks=9,
        windows_total=1000,
        decision=decision,
        reason="made up",
        model="damp",
        version="old",
    )


@pytest.mark.parametrize(
    ("at_release", "reason"), [(0.25, None), (0.1, "2.50 times that at release")]
)
def test_a_champion_is_held_to_its_own_figures(new_desk, made_weather, at_release, reason):
    """Not to those of a candidate that was not better, nor to another model's forecasts."""
    weather = made_weather(7, 200, day_0="pressure")
    desk, at = new_desk(weather), weather.at
    row = champion_of(desk, at(90), (at(90), at(165)))
    Decisions(desk.engine).write(decided(at(90), "adopted", at_release), [])
    Decisions(desk.engine).write(decided(at(165), "kept", 0.01), [])
    # one half everywhere: its Brier score is a quarter; another one was always wrong
    desk.have_forecasts(at(90), at(174), row, lambda rows: np.full(len(rows), 0.5))
    other = replace(row, version="other")
    desk.have_forecasts(at(90), at(174), other, lambda rows: np.full(len(rows), 1.0))
    with_baseline(desk, at(90))
    desk.cycle().run(at(174), train=False)
    (told,) = (r for r in desk.rows(MONITORING) if not (r["device_id"] or r["origin"]))
    assert (told["reason"] is None) == (reason is None)
    assert told["retrain"] == (reason is not None)
    if reason is not None:
        assert reason in told["reason"]


def with_baseline(desk, from_at):
    """A poor baseline: what a forecast must have beside it to count."""
    history = History.of(desk.source.history(from_at), "damp").examples
    poor = replace(history, labels=(np.arange(len(history)) % 10 > 0).astype(float))
    poor.features[:] = 0.0
    publisher = Publisher(desk.registry, SIGNER, export)
    provenance = Provenance(cycle_at=from_at, dataset_version="1", code_version="1")
    model = BaselineLearner().fit(poor)
    row = publisher.publish(desk.condition, "baseline", model, poor, provenance)
    alias = AliasRow(
        condition_id="damp",
        alias=Alias.BASELINE,
        from_at=from_at,
        model=row.model,
        version=row.version,
    )
    desk.registry.set_alias(alias)


# death


class Died(BaseException):
    """Nobody handles it."""


class Fate:
    """Lets a cycle die at its n-th step that leaves something: a statement, a commit, a file."""

    def __init__(self, engine, registry):
        self._engine, self._registry = engine, registry
        self.steps, self.dies_at = 0, None

    def __enter__(self):
        event.listen(self._engine, "before_cursor_execute", self._statement)
        event.listen(self._engine, "commit", self._step)
        return self

    def __exit__(self, *_):
        event.remove(self._engine, "before_cursor_execute", self._statement)
        event.remove(self._engine, "commit", self._step)

    def _statement(self, _connection, _cursor, statement, *_):
        if not statement.lstrip().upper().startswith("SELECT"):
            self._step()

    def _step(self, *_):
        self.steps += 1
        if self.steps == self.dies_at:
            raise Died

    def put(self, bundle):
        """Of the registry: a file, and death before and after it."""
        self._step()
        sha256 = self._registry.put(bundle)
        self._step()
        return sha256

    def __getattr__(self, name):
        return getattr(self._registry, name)


def test_a_death_at_any_step_changes_nothing_in_the_end(new_desk, made_weather):
    weather = made_weather(8, 125, day_0="pressure")
    desk, at = new_desk(weather), weather.at
    desk.have_devices("gw-1", "gw-2")
    desk.cycle().run(at(60))
    baseline = desk.registry.champion_at("damp", at(60))
    desk.have_forecasts(at(110), at(115), baseline)  # some days will do
    before = desk.everything()
    with Fate(desk.engine, desk.registry) as fate:
        undisturbed = desk.cycle(fate).run(at(125))
    expected, steps = desk.everything(), fate.steps
    assert undisturbed.decisions[0].decision == "adopted"
    for step in range(1, steps + 1):
        desk.restore(before)
        with Fate(desk.engine, desk.registry) as fate:
            fate.dies_at = step
            with pytest.raises(Died):
                desk.cycle(fate).run(at(125))
        assert desk.rows(DESIRED) != expected[0][DESIRED.name], step
        assert desk.cycle().run(at(125)).decisions == undisturbed.decisions
        found = desk.everything()
        for name, rows in found[0].items():
            assert rows == expected[0][name], f"{name} after a death at step {step}"
        assert found[1] == expected[1], step
    print(f"died at each of {steps} steps")
    assert steps > 20
    assert len(desk.rows(DECISIONS)) == 2
    assert len(desk.rows(DESIRED)) == 2
