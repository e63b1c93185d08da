"""Refused devices in the log and in the lake."""

import logging
from pathlib import Path

import pytest

from cloud.errors import LakeError
from cloud.ingest.budget import DeviceLimits
from cloud.ingest.refusals import Refusals, refused_devices
from cloud.lake.store import FolderStore

NOON = 1_700_049_600_000
HOUR = 3_600_000


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "lake")


def test_the_log_names_the_device_and_what_to_do_once_a_minute(store, caplog) -> None:
    refusals = Refusals(store, DeviceLimits())
    for now_ms in range(NOON, NOON + 120_000, 1000):
        refusals.note("gw-flood")
        refusals.report(now_ms)
    texts = [r.getMessage() for r in caplog.records]
    assert len(texts) == 2
    assert "device gw-flood sends more than its budget (500 messages/s" in texts[0]
    assert "60 of its messages" in texts[1]
    assert "ca revoke gw-flood" in texts[1]
    assert refusals.total == 120


def test_without_refusals_nothing_is_written(store, caplog) -> None:
    Refusals(store, DeviceLimits()).report(NOON)
    assert caplog.records == []
    assert store.list("ingest/") == []


def test_a_report_names_ten_devices_and_counts_the_others(store, caplog) -> None:
    refusals = Refusals(store, DeviceLimits())
    for n in range(25):
        for _ in range(n + 1):
            refusals.note(f"gw-{n}")
    refusals.report(NOON)
    texts = [r.getMessage() for r in caplog.records]
    assert len(texts) == 11
    assert texts[0].startswith("device gw-24 ")
    assert texts[-1] == "15 more devices send more than their budget"
    assert len(refused_devices(store, NOON)) == 25


def test_the_lake_keeps_the_names_for_a_day(store) -> None:
    one, other = (Refusals(store, DeviceLimits()) for _ in range(2))
    for refusals in (one, other):  # two processes
        refusals.note("gw-1")
        refusals.report(NOON)
    assert store.list("ingest/refused/") == ["ingest/refused/20231115t12/gw-1"]
    assert refused_devices(store, NOON + 23 * HOUR) == ("gw-1",)
    assert refused_devices(store, NOON + 25 * HOUR) == ()
    one.note("gw-2")
    one.report(NOON + 30 * HOUR)
    assert store.list("ingest/refused/") == ["ingest/refused/20231116t18/gw-2"]


def test_a_failing_lake_does_not_end_ingest(store, caplog, monkeypatch) -> None:
    def full(_path: str, _data: bytes) -> None:
        raise LakeError("no space left")

    monkeypatch.setattr(store, "create", full)
    refusals = Refusals(store, DeviceLimits())
    refusals.note("gw-1")
    with caplog.at_level(logging.WARNING):
        refusals.report(NOON)
    assert "no space left" in caplog.text
