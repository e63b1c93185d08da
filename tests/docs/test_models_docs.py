"""docs/models.md says what the models' code says: features, decisions, bundles, limits, reasons."""

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest

from cloud.monitoring import watch
from cloud.registry import Alias
from cloud.training import judge
from cloud.training.export import PARITY_LIMIT
from cloud.training.judge import Decision
from cloud.training.learners import CLIP
from cloud.training.release import _GOLDEN_ROWS, MIN_EXAMPLES, version_of
from cloud.training.walk import purge_ms
from contract.desired import MAX_BUNDLE_BYTES
from models import bundle, golden, skill
from models.conditions import load_conditions
from models.features import BASELINE_NAMES, FEATURE_NAMES, FEATURES_VERSION, LAGS, MAX_AGE_H

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
CONDITION = {"id": "c", "signal": "a/humidity", "comparison": "above", "limit": 70.0}
CONDITION |= {"step_s": 600, "max_age_s": 600}
CODES_OF = {"BundleRefused", "UpdateRefused", "SignatureRefused"}


def section(title):
    match = re.search(rf"^(#+) {re.escape(title)}\n", TEXT, re.MULTILINE)
    assert match, title
    rest = TEXT[match.end() :]
    end = re.search(rf"^#{{1,{len(match[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def flat(title):
    """A section's sentences as they are read, wherever their lines end."""
    return " ".join(section(title).split())


def rows(text):
    """Words in backticks of each row's first cell, and the rest of the row."""
    found = re.findall(r"^\| (`.*?) \| (.+) \|$", text, re.MULTILINE)
    return [(re.findall(r"`([^`]+)`", cell), meaning) for cell, meaning in found]


def words(text):
    return {name for names, _ in rows(text) for name in names}


def test_every_column_has_its_meaning_and_no_other():
    listed = [name for names, meaning in rows(section("Features")) for name in names if meaning]
    assert sorted(listed) == sorted(FEATURE_NAMES)
    assert listed[: len(BASELINE_NAMES)] == list(BASELINE_NAMES)
    assert "first ten columns" in flat("Features")
    assert len(BASELINE_NAMES) == 10
    assert f"`FEATURES_VERSION` is {FEATURES_VERSION}." in TEXT


def test_windows_are_as_the_page_says():
    assert MAX_AGE_H[0] == MAX_AGE_H[1]
    assert f"older than {MAX_AGE_H[0]:g} h (pressure: {MAX_AGE_H[2]:g} h)" in flat("Windows")
    assert f"0, 1, 2 … {LAGS - 1} hours" in flat("Windows")


@pytest.mark.parametrize("word", [*Decision, *bundle.Family, *Alias])
def test_every_word_of_models_is_explained(word):
    assert f"`{word.value}`" in TEXT


def test_decisions_have_a_row_each_and_no_other():
    assert words(section("The judge")) == {decision.value for decision in Decision}


def test_families_have_a_row_each_and_no_other():
    text = flat("Baseline and candidates")
    assert words(section("Baseline and candidates")) == {family.value for family in bundle.Family}
    assert f"clipped at {CLIP:g} standard deviations" in text


def test_the_judges_numbers_are_the_programs():
    text = flat("The judge")
    (condition,) = load_conditions([CONDITION], "test")
    alone_ms = purge_ms(condition) - (condition.horizon_s + condition.step_s) * 1000
    assert f"the first {alone_ms // 3_600_000} h, plus horizon and a step" in text
    assert f"Fewer than {skill.MIN_EVENT_WEEKS} weeks" in text
    assert f"{skill._ROUNDS} draws" in text
    assert f"each {skill.HALF_LIFE_MS // skill.WEEK_MS} weeks" in text
    assert (judge.LONG_MONTHS, judge.FIRST_MONTHS) == (6, 12)
    assert "six months or more" in text
    assert f"at most {judge.FIRST_MONTHS} months" in text


def test_members_have_their_limits():
    shown = re.findall(r"^\| `(\S+)` \| (\d+) \|", section("The bundle"), re.MULTILINE)
    assert {name: int(limit) for name, limit in shown} == bundle._LIMITS_BYTES
    assert [name for name, _ in shown] == list(bundle._LIMITS_BYTES)
    assert f"at most {MAX_BUNDLE_BYTES} bytes" in flat("The bundle")


def test_every_field_of_the_manifest_has_its_row():
    table = section("The bundle").partition("| field of `manifest.json`")[2]
    told = set(re.findall(r"`(\w+)`", table.partition("\n\n")[0]))
    for cls in (bundle.Manifest, bundle.Lineage, bundle.Member):
        assert {field.name for field in fields(cls)} <= told


def test_versions_are_written_as_the_page_says():
    assert f"`{version_of(1_775_001_600_000, 'baseline')}`" in section("The bundle")


def test_tolerances_and_gate_are_the_programs():
    text = flat("The bundle")
    assert golden.FEATURES_TOLERANCE == 1e-6
    assert golden.PROBABILITY_TOLERANCE == PARITY_LIMIT == 1e-5
    assert "features within 1e-6, probabilities within 1e-5" in text
    fewest, most = _GOLDEN_ROWS
    assert f"{fewest} to {most} windows" in text
    assert f"up to {golden.GOLDEN_ROWS[1]}" in text
    assert f"at least {MIN_EXAMPLES} training windows" in text


def refusal_codes():
    """Every code by which a bundle, or what names it, is refused."""
    for path in [*(ROOT / "models").glob("*.py"), *(ROOT / "edge").rglob("*.py")]:
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call):
                yield from codes_of(call)


def codes_of(call):
    name = getattr(call.func, "id", "")
    given = call.args[:1] if name in CODES_OF else call.args[3:4] if name == "_built" else []
    given += [k.value for k in call.keywords if name == "TrialResult" and k.arg == "code"]
    return [v.value for v in given if isinstance(v, ast.Constant)]


def test_every_refusal_has_its_row_and_no_other():
    assert words(section("Refusals")) == set(refusal_codes())


def test_reasons_to_train_have_the_programs_numbers():
    text = flat("When it trains again")
    assert f"{watch.MAX_AGE_DAYS} days ago" in text
    assert f"more than {watch.MAX_BRIER_RATIO:g} times" in text
    assert f"above {watch.MAX_DRIFT_PSI:g} on average" in text
    assert f"within {watch.COOL_DOWN_DAYS} days" in text
    assert f"at least {skill.MIN_EVENT_WEEKS} weeks with events" in text


def test_every_file_that_is_named_exists():
    named = re.findall(r"`((?:models|cloud|edge|bench|deploy)/[\w/.]*)`", TEXT)
    assert named
    for path in named:
        assert (ROOT / path).exists(), path
