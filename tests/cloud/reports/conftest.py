"""A warehouse with something of everything that a report speaks of, from one printed seed."""

import json
import random
from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
import pytest
from sqlalchemy import insert, select

from cloud.aggregates.days import Due, parts_of
from cloud.aggregates.series import series_rows
from cloud.warehouse import model_tables as models
from cloud.warehouse.aggregate_rows import StagedDay, replace_days
from cloud.warehouse.aggregate_tables import STAGED_ROWS
from cloud.warehouse.ledger_tables import DELIVERIES, HELD, LOSSES, STARTS
from cloud.warehouse.tables import FACTS
from contract.desired import Desired, DesiredBundle, encode_desired
from contract.keys import event_day
from contract.records import Kind
from models.conditions import load_conditions

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
NEW_YEAR = 1_356_998_400_000  # 2013-01-01T00:00:00Z
DEVICES = ("gw-1", "gw-2")
CYCLES = (NEW_YEAR + 20 * DAY_MS, NEW_YEAR + 40 * DAY_MS)
STEP = {"step_s": 3600, "max_age_s": 7200}
HORIZON_S = {"condensation": 21_600, "damp": 10_800}
REASON = 'skill <b>"low"</b> & not above zero'


class Seeder:
    """Writes rows of every table, at random but for what a test wants to be there for sure."""

    def __init__(self, engine, seed):
        self.engine = engine
        self.random = random.Random(seed)
        self.seq = 0

    def write(self):
        for device_id in DEVICES:
            self.readings(device_id)
            for condition_id in HORIZON_S:
                self.truth(device_id, condition_id)
                self.forecasts(device_id, condition_id)
        for condition_id in HORIZON_S:
            self.judged(condition_id)
        # measures nothing, and has truth and an alert all the same; and what nobody declares
        self.add(models.TRUTH, [self.interval("gw-3", "damp", NEW_YEAR, None)])
        self.fact(Kind.ALERT, "gw-3", NEW_YEAR, **self.alert("damp", "forecast"))
        self.add(models.TRUTH, [self.interval("gw-1", "attic-heat", NEW_YEAR, None)])
        self.fleet()
        self.ledger()

    def add(self, table, rows):
        with self.engine.begin() as connection:
            connection.execute(insert(table), rows)

    def fact(self, kind, device_id, at, **cells):
        self.add(FACTS[kind], [self.row(device_id, at, **cells)])

    def row(self, device_id, at, **cells):
        self.seq += 1
        return {
            "device_id": device_id,
            "stream_id": "a" * 13,
            "seq": self.seq,
            "event_day": event_day(at),
            "observed_at": at,
            "offset_ms": self.seq,
            "received_at": NEW_YEAR + self.seq if at is None else at + 500,
            **cells,
        }

    def readings(self, device_id):
        rows = []
        for hour in range(50 * 24):
            if self.random.random() < 0.1:
                continue
            at = NEW_YEAR + hour * HOUR_MS + self.random.randrange(60_000)
            for quantity, mean in (("temperature", 4), ("humidity", 70)):
                value = None if self.random.random() < 0.02 else self.random.gauss(mean, 6)
                quality = "bad" if value is None else self.random.choice(("good", "uncertain"))
                rows.append(
                    self.row(
                        device_id,
                        at,
                        sensor_id="air",
                        quantity=quantity,
                        value=value,
                        quality=quality,
                    )
                )
        undated = {"sensor_id": "air", "quantity": "humidity", "value": 1.0, "quality": "good"}
        rows.append(self.row(device_id, None, **undated))
        self.add(FACTS[Kind.READING], rows)

    def interval(self, device_id, condition_id, began_at, ended_at):
        return {
            "device_id": device_id,
            "condition_id": condition_id,
            "began_at": began_at,
            "ended_at": ended_at,
            "began_value": 2.5,
            "ended_value": None if ended_at is None else 3.5,
        }

    def truth(self, device_id, condition_id):
        rows, at = [], NEW_YEAR
        for _ in range(30):
            at += self.random.randint(2, 40) * HOUR_MS
            end = at + self.random.randint(1, 9) * HOUR_MS
            rows.append(self.interval(device_id, condition_id, at, end))
            at = end
        if device_id == DEVICES[0]:
            at += 5 * HOUR_MS
            rows.append(self.interval(device_id, condition_id, at, None))
        self.add(models.TRUTH, rows)
        for row in rows:
            cells = self.alert(condition_id, "observed")
            self.fact(Kind.ALERT, device_id, row["began_at"], **cells)
            if row["began_at"] > CYCLES[0] and self.random.random() < 0.6:
                cells = self.alert(condition_id, "forecast")
                before = self.random.choice((1, 3, 6, 7)) * HOUR_MS
                self.fact(Kind.ALERT, device_id, row["began_at"] - before, **cells)
                cells = self.alert(condition_id, "forecast") | {"state": "cleared"}
                self.fact(Kind.ALERT, device_id, row["began_at"], **cells)
        after_all = rows[-1]["began_at"] + 30 * DAY_MS
        self.fact(Kind.ALERT, device_id, after_all, **self.alert(condition_id, "forecast"))
        self.fact(Kind.ALERT, device_id, None, **self.alert(condition_id, "forecast"))
        self.fact(Kind.ALERT, device_id, after_all, **self.alert(condition_id, "no_data"))

    def alert(self, condition_id, basis):
        return {
            "alert_id": f"{self.random.getrandbits(64):016x}",
            "condition_id": condition_id,
            "state": "raised",
            "basis": basis,
        }

    def forecasts(self, device_id, condition_id):
        common = {
            "condition_id": condition_id,
            "model": f"{condition_id}-baseline",
            "version": "2013-01-21-1",
            "horizon_s": HORIZON_S[condition_id],
        }
        edge, cloud, outcomes = [], [], []
        for hour in range(20 * 24, 50 * 24):
            at = NEW_YEAR + hour * HOUR_MS + 1
            probability = round(self.random.random() ** 3, 6)
            forecast = self.row(device_id, at, probability=probability, **common)
            if self.random.random() < 0.8:
                edge.append(forecast | {"origin": "edge", "mode": "active"})
            cloud.append(
                {k: forecast[k] for k in ("device_id", "stream_id", "seq", "probability")}
                | common
                | {"issued_at": at, "late": self.random.random() < 0.1}
            )
            outcomes += self.outcomes(device_id, at, probability, common)
        self.add(FACTS[Kind.PREDICTION], edge)
        self.add(models.CLOUD_PREDICTIONS, cloud)
        self.add(models.OUTCOMES, outcomes)

    def outcomes(self, device_id, at, probability, common):
        onset = self.random.random() < probability
        for origin in ("edge", "cloud"):
            if device_id == DEVICES[1] and origin == "edge":
                continue  # it has sent forecasts and none of them is judged
            yield common | {
                "device_id": device_id,
                "origin": origin,
                "issued_at": at,
                "probability": probability,
                "baseline_probability": probability if self.random.random() < 0.5 else None,
                "onset": onset,
            }

    def maybe(self):
        return None if self.random.random() < 0.2 else self.random.uniform(-0.1, 0.1)

    def judged(self, condition_id):
        for number, cycle_at in enumerate(CYCLES):
            at = {"cycle_at": cycle_at, "condition_id": condition_id}
            learned = number > 0
            briers = {"brier_baseline": self.random.random(), "skill": self.maybe()}
            decision = {
                "candidate": "sklearn" if learned else None,
                "brier_model": self.random.random() if learned else None,
                "skill_low": self.maybe(),
                "skill_high": self.maybe(),
                "event_weeks": self.random.randrange(20),
                "windows_total": self.random.randrange(5000),
                "decision": "insufficient_evidence" if learned else "baseline",
                "reason": REASON,
                "model": f"{condition_id}-baseline" if learned else None,
                "version": "2013-01-21-1" if learned else None,
            }
            self.add(models.DECISIONS, [at | briers | decision])
            tried = [{"family": f, "brier": self.maybe()} for f in ("sklearn", "mllib")]
            windows = {"windows_total": self.random.randrange(9000)}
            self.add(models.CANDIDATES, [at | briers | windows | t for t in tried])
            self.add(models.MONITORING, [at | row for row in self.monitoring()])
            self.add(models.RELIABILITY, [at | row for row in self.reliability()])

    def monitoring(self):
        for device_id in ("", *DEVICES):
            for origin in ("", "edge", "cloud"):
                yield {
                    "device_id": device_id,
                    "origin": origin,
                    "outcomes_total": self.random.randrange(5000),
                    "onsets_total": self.random.randrange(500),
                    "event_weeks": self.random.randrange(20),
                    **{
                        name: self.maybe()
                        for name in (
                            *("brier", "brier_baseline", "drift_psi"),
                            *("skill", "skill_low", "skill_high"),
                        )
                    },
                    "retrain": self.random.random() < 0.5,
                    "reason": REASON if self.random.random() < 0.5 else None,
                    "suspect_limits": self.maybe(),
                    "suspect": "air/humidity drift +4.1" if self.random.random() < 0.5 else None,
                }

    def reliability(self):
        for origin in ("", "edge", "cloud"):
            for n in range(10):
                total = 0 if n == 9 else self.random.randint(1, 400)
                yield {
                    "origin": origin,
                    "bin": n,
                    "outcomes_total": total,
                    "mean_probability": n / 10 + 0.05 if total else None,
                    "onset_share": self.random.random() if total else None,
                }

    def fleet(self):
        for number, condition_id in enumerate(HORIZON_S):
            for counter, version in ((1, "2013-01-21-1"), (2, "2013-02-10-1")):
                self.model(condition_id, version, counter)
            for device_id in DEVICES:
                for hour, version in ((1, "2013-01-21-1"), (2 + number, "2013-02-10-1")):
                    self.report(device_id, condition_id, version, CYCLES[1] + hour * HOUR_MS)
        self.report("gw-1", "damp", "2013-01-21-1", CYCLES[1] + 9 * HOUR_MS)  # back to the old one
        self.report("gw-1", "condensation", "2013-01-21-1", None)  # before its clock was set
        self.report("gw-2", "stranger", "1", CYCLES[1])
        for at in (CYCLES[1], CYCLES[1] + 1, None):
            cells = {"outcome": "refused", "reason": f"bad_signature: {REASON}"}
            self.report("gw-2", "damp", "2013-02-10-1", at, **cells)
        for device_id in ("gw-1", "gw-3"):
            self.desire(device_id)

    def model(self, condition_id, version, counter):
        row = {
            "model": f"{condition_id}-baseline",
            "version": version,
            "condition_id": condition_id,
            "family": "baseline",
            "counter": counter,
            "created_at": CYCLES[0],
            "trained_from": NEW_YEAR,
            "trained_to": CYCLES[0],
            "dataset_version": "readings@1",
            "code_version": "0.1.0",
            "parameters": "{}",
            "seed": 1,
            "sha256": f"{counter}" * 64,
            "size_bytes": 1000,
            "parity_max": 0.0,
        }
        self.add(models.MODELS, [row])

    def report(self, device_id, condition_id, version, at, outcome="active", reason=None):
        cells = {"model": f"{condition_id}-baseline", "version": version}
        self.fact(Kind.MODEL_REPORT, device_id, at, outcome=outcome, reason=reason, **cells)

    def desire(self, device_id):
        bundles = tuple(
            DesiredBundle(
                condition_id=condition_id,
                model=f"{condition_id}-baseline",
                version="2013-02-10-1",
                counter=2,
                sha256="2" * 64,
                size_bytes=1000,
            )
            for condition_id in HORIZON_S
        )
        desired = Desired(device_id=device_id, counter=3, issued_at=CYCLES[1], bundles=bundles)
        payload = encode_desired(desired, lambda _: ("0" * 16, bytes(64)))
        row = {"device_id": device_id, "counter": 3, "issued_at": CYCLES[1], "payload": payload}
        self.add(models.DESIRED, [row])

    def ledger(self):
        for device_id in DEVICES:
            rows, first = [], 1
            while first < 300:
                last = first + self.random.randint(3, 30)
                if self.random.random() < 0.8:
                    block = self.block(device_id, first, last)
                    again = range(self.random.randint(1, 2))
                    rows += [block | {"n": n + 1, "received_at": NEW_YEAR + n} for n in again]
                first = last + 1
            self.add(DELIVERIES, [*rows, self.block(device_id, 5, 12) | {"digest": "f" * 16}])
            self.told(device_id, first)

    def block(self, device_id, first, last):
        return {
            "device_id": device_id,
            "stream_id": "a" * 13,
            "first_seq": first,
            "last_seq": last,
            "received_at": NEW_YEAR,
            "node": "node-1",
            "start_id": "1",
            "lane": "live",
            "n": 1,
            "digest": f"{self.random.getrandbits(64):016x}",
            "payload_bytes": 100,
            "first_at": NEW_YEAR + first,
            "last_at": NEW_YEAR + last,
            **{f"{kind}_total": self.random.randrange(9) for kind in Kind},
        }

    def told(self, device_id, last):
        def event(letter, seq):
            key = {"device_id": device_id, "stream_id": letter * 13, "seq": seq}
            return key | {"digest": f"{seq:016x}", "received_at": NEW_YEAR}

        for letter, previous_last in (("b", last + 4), ("c", last - 150)):
            before = {"previous_stream_id": "a" * 13, "previous_last": previous_last}
            self.add(STARTS, [event(letter, 1) | before])
        lost = {"lost_stream_id": "a" * 13, "lost_first": 40, "lost_last": 120}
        self.add(LOSSES, [event("b", 2) | {"reason": "budget"} | lost])
        stop = {"from_at": NEW_YEAR, "to_at": NEW_YEAR + 9, "estimated_total": 2}
        self.add(LOSSES, [event("b", 3) | {"reason": "unclean_stop"} | stop])
        for seq, first in ((4, 200), (5, 180)):
            spans = json.dumps([["a" * 13, first, 230], ["b" * 13, 6, 9]])
            self.add(HELD, [event("b", seq) | {"truncated": False, "spans": spans}])


@pytest.fixture
def conditions():
    """What the fleet watches."""
    air = {"temperature": "air/temperature", "humidity": "air/humidity"}
    return load_conditions(
        [
            {
                "id": "condensation",
                "derived": "dew_point_margin",
                "comparison": "below",
                "limit": 3.0,
                "horizon_s": HORIZON_S["condensation"],
                **air,
                **STEP,
            },
            {
                "id": "damp",
                "signal": "air/humidity",
                "comparison": "above",
                "limit": 75.0,
                "horizon_s": HORIZON_S["damp"],
                **STEP,
            },
        ],
        "conditions.toml",
    )


@pytest.fixture
def written_at():
    return int(datetime(2013, 3, 1, 12, 34, 56, tzinfo=UTC).timestamp() * 1000)


@pytest.fixture(params=[1, 20131230])
def seeded(warehouse, request):
    """The warehouse with rows."""
    print(f"seed {request.param}")
    Seeder(warehouse, request.param).write()
    summarize(warehouse)
    return warehouse


def summarize(engine):
    """Fills the summaries from the readings, as a transform does from the lake."""
    at = FACTS[Kind.READING].c
    query = select(FACTS[Kind.READING]).where(at.observed_at.is_not(None))
    with engine.connect() as connection:
        rows = pd.DataFrame(connection.execute(query.order_by(at.observed_at, at.seq)).mappings())
    rows["signal"] = rows.sensor_id + "/" + rows.quantity
    rows["value"] = rows.value.where(rows.quality != "bad")
    rows["is_sample"] = True
    dues = {Due(*day) for day in rows[["device_id", "event_day"]].itertuples(index=False)}
    staged, days = [], []
    for part in parts_of(dues, {}, 0):
        own = rows[(rows.device_id == part.device_id) & rows.event_day.isin(part.needed())]
        names = {"signal": own.signal, "at_ms": own.observed_at, "value": own.value}
        table = pa.table(names | {"calibration": own.calibration, "is_sample": own.is_sample})
        table = table.set_column(3, "calibration", table["calibration"].cast(pa.string()))
        staged += series_rows(table, part).to_pylist()
        days += [StagedDay("utc", part.device_id, day) for day in part.due]
    for row in staged:
        for name in ("begin_at", "last_at"):
            row[name] = None if row[name] is None else round(row[name].timestamp() * 1000)
    with engine.begin() as connection:
        connection.execute(insert(STAGED_ROWS), [row | {"attempt": "a"} for row in staged])
    replace_days(engine, "a", days)
