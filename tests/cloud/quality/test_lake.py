"""Spark's workers find exactly what the functions find in one process."""

import numpy as np
import pyarrow as pa
import pytest

from cloud.quality.causal import causal_spans
from cloud.quality.days import days_of
from cloud.quality.lake import verdicts_on
from cloud.quality.past import DAY_MS
from cloud.quality.retrospective import DeviceSpan, compared
from cloud.quality.spans import Fault
from contract.signals import Signal
from models.replay import Readings

pytestmark = pytest.mark.spark

SCHEMA = (
    "device_id string, seq bigint, sensor_id string, quantity string, "
    "value double, quality string, observed_at timestamp"
)
HUMIDITY = Signal.parse("air/humidity")


def broken(readings, days=100):
    """A part of the year, with a stuck value and a drift of 0.3 % a day."""
    own = readings.rows(readings.at_ms < readings.at_ms[0] + days * DAY_MS)
    mine = np.flatnonzero(own.are((HUMIDITY,)))
    values = own.values.copy()
    values[mine[1000:1050]] = values[mine[1000]]
    day = (own.at_ms[mine] - own.at_ms[0]) / DAY_MS
    values[mine] = np.clip(values[mine] - 0.3 * np.maximum(0, day - 60), 0, 100)
    return Readings(own.signals, own.codes, own.at_ms, values)


def frame(spark, fleet, draw):
    columns = [[], [], [], [], [], [], []]
    for device, own in fleet.items():
        for seq, (code, at, value) in enumerate(
            zip(own.codes, own.at_ms.tolist(), own.values.tolist(), strict=True), 1
        ):
            signal, known = own.signals[code], not np.isnan(value)
            row = (device, seq, signal.sensor_id, signal.quantity.value)
            row += (value if known else 999.0, "good" if known else "bad", at * 1000)
            for column, cell in zip(columns, row, strict=True):
                column.append(cell)
    order = draw.permutation(len(columns[0]))
    columns = [[column[i] for i in order] for column in columns]
    columns[-1] = pa.array(columns[-1], pa.timestamp("us", "UTC"))
    names = [part.split()[0] for part in SCHEMA.split(", ")]
    return spark.createDataFrame(pa.table(columns, names=names), SCHEMA).repartition(5)


def test_workers_and_driver_agree(spark, year):
    fleet = {name: broken(own) if name == "lga" else own for name, own in year.items()}
    last = int(year["lga"].at_ms[0]) + 100 * DAY_MS
    until = {name: own.rows(own.at_ms <= last) for name, own in fleet.items()}
    found = verdicts_on(frame(spark, fleet, np.random.default_rng(1)), last)
    spans = {name: causal_spans(own) for name, own in until.items()}
    slowly = compared([d for n, own in until.items() for d in days_of(n, own, spans[n])])
    expected = [DeviceSpan(name, span) for name, own in spans.items() for span in own]
    assert list(found.spans) == sorted([*expected, *slowly.spans])
    assert sorted(found.standings, key=str) == sorted(slowly.standings, key=str)
    kinds = {(s.device_id, s.span.fault) for s in found.spans if s.span.signal == HUMIDITY}
    assert {("lga", Fault.STUCK), ("lga", Fault.DRIFT)} <= kinds


def test_nothing_is_found_in_nothing(spark):
    empty = spark.createDataFrame([], SCHEMA)
    found = verdicts_on(empty, 0)
    assert (found.spans, found.standings) == ((), ())
