"""Which model answers: loaded at the start, swapped in, reverted from; real slots on a disk."""

import hashlib
import json
from dataclasses import dataclass, field

import pytest

from contract.records import ModelReport
from contract.typed import build
from edge.bundles.models_in_use import ModelsInUse, Unusable
from edge.bundles.slot_store import SlotStore
from edge.bundles.updates import Refused, Staged
from edge.forecasting.window import Window
from models.conditions import load_conditions
from models.errors import ModelError

CONDITIONS = load_conditions(
    [
        {
            "id": name,
            "signal": "attic/humidity",
            "comparison": "above",
            "limit": 70.0,
            "step_s": 3600,
            "max_age_s": 7200,
        }
        for name in ("damp", "wet")
    ],
    "x",
)
DAMP, WET = CONDITIONS


class Model:
    """What a file of these tests says: its version, and an answer or an evil."""

    def __init__(self, version, answer):
        self.model, self.version, self._answer = "gb", version, answer

    def probability(self, window, at_ms):
        del window, at_ms
        if isinstance(self._answer, str):
            raise ModelError(self._answer)
        return self._answer


def load(path, condition):
    del condition
    try:
        table = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return Unusable(model="unreadable", version=path.stem[:16], reason="bad_hash: rotten")
    if table["answer"] == "unloadable":
        return Unusable(model="gb", version=table["version"], reason="the model cannot be loaded")
    return Model(**table)


@dataclass
class Post:
    """Updates that bring what the test puts in."""

    news: list[Staged | Refused] = field(default_factory=list)

    def take(self):
        news, self.news = self.news, []
        return news


@pytest.fixture
def post():
    return Post()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "models"


@pytest.fixture
def begin(folder, post):
    """A start of the gateway: the slots are read from the disk."""

    def start():
        in_use = ModelsInUse(CONDITIONS, SlotStore(folder), post.take, load)
        in_use.start()
        return in_use

    return start


@pytest.fixture
def staged(folder):
    """`staged("1", 0.3)`: a verified bundle of that version lies there and is told of."""

    def stage(version, answer, condition_id="damp"):
        data = json.dumps({"version": version, "answer": answer}).encode()
        sha256 = hashlib.sha256(data).hexdigest()
        slots = SlotStore(folder)
        slots.part(sha256).write_bytes(data)
        slots.stage(sha256)
        return Staged(
            condition_id=condition_id,
            model="gb",
            version=version,
            sha256=sha256,
            counter=int(version),
        )

    return stage


def told(in_use):
    reports = in_use.take_reports()
    for report in reports:
        build(
            ModelReport,
            {
                "model": report.model,
                "version": report.version,
                "outcome": report.outcome,
                "reason": report.reason,
            },
            "report",
        )
    return [(r.version, r.outcome) for r in reports]


def answer(in_use, condition=DAMP):
    found = in_use.ask(condition, Window(), 0)
    return None if found is None else (found.version, found.probability)


def bring(in_use, post, *news):
    post.news += news
    in_use.renew()


def test_at_first_there_is_none(begin):
    in_use = begin()
    assert told(in_use) == []
    assert answer(in_use) is None


def test_a_staged_bundle_is_swapped_in_and_stays_over_a_restart(begin, post, staged, folder):
    in_use = begin()
    bring(in_use, post, staged("1", 0.25))
    assert told(in_use) == [("1", "active")]
    assert in_use.take_reports() == []
    assert answer(in_use) == ("1", 0.25)
    assert answer(in_use, WET) is None
    again = begin()
    assert told(again) == [("1", "active")]
    assert answer(again) == ("1", 0.25)
    assert SlotStore(folder).slot("damp").counter == 1


def test_a_newer_one_takes_over_and_an_older_one_is_refused(begin, post, staged):
    in_use = begin()
    old, new, older = staged("2", 0.2), staged("3", 0.3), staged("1", 0.1)
    bring(in_use, post, old, new, older)
    assert told(in_use) == [("2", "active"), ("3", "active"), ("1", "refused")]
    assert answer(in_use) == ("3", 0.3)
    assert answer(begin()) == ("3", 0.3)


def test_what_updates_refused_is_told(begin, post):
    in_use = begin()
    bring(
        in_use,
        post,
        Refused(
            condition_id="damp",
            model="gb",
            version="9",
            sha256="0" * 64,
            code="bad_signature",
            reason="bad_signature: x",
        ),
    )
    assert in_use.take_reports() == [
        ModelReport(model="gb", version="9", outcome="refused", reason="bad_signature: x")
    ]


def test_what_cannot_be_loaded_never_gets_a_slot(begin, post, staged, folder):
    in_use = begin()
    bring(in_use, post, staged("1", 0.25), staged("2", "unloadable"))
    assert told(in_use) == [("1", "active"), ("2", "refused")]
    assert answer(in_use) == ("1", 0.25)
    assert SlotStore(folder).slot("damp").counter == 1


@pytest.mark.parametrize("evil", ["the model answered nan", "the model failed: " + 300 * "x\n"])
def test_one_that_fails_is_reverted_from_at_once(begin, post, staged, folder, evil):
    """The step that it failed at gets the previous one's forecast, and so do all starts to come."""
    in_use = begin()
    bring(in_use, post, staged("1", 0.25), staged("2", evil))
    assert told(in_use) == [("1", "active"), ("2", "active")]
    assert answer(in_use) == ("1", 0.25)
    reports = in_use.take_reports()
    assert [(r.version, r.outcome) for r in reports] == [("2", "reverted"), ("1", "active")]
    assert reports[0].reason.startswith(evil[:17])
    assert len(reports[0].reason) <= 200
    assert answer(begin()) == ("1", 0.25)
    slot = SlotStore(folder).slot("damp")
    assert slot.counter == 2  # no older bundle gets in by this


def test_with_nothing_before_it_the_rule_stands_alone(begin, post, staged):
    in_use = begin()
    bring(in_use, post, staged("1", "the model failed"), staged("1", 0.5, "wet"))
    assert answer(in_use) is None
    assert told(in_use) == [("1", "active"), ("1", "active"), ("1", "reverted")]
    assert answer(in_use) is None
    assert told(in_use) == []
    assert answer(in_use, WET) == ("1", 0.5)


def test_two_that_fail_end_with_none(begin, post, staged):
    in_use = begin()
    bring(in_use, post, staged("1", "the model failed"))
    bring(in_use, post, staged("2", "the model failed"))
    told(in_use)
    assert answer(in_use) is None
    assert told(in_use) == [("2", "reverted"), ("1", "active"), ("1", "reverted")]


def test_one_that_failed_is_not_taken_again_before_the_next_start(begin, post, staged):
    bad = staged("2", "the model failed")
    in_use = begin()
    bring(in_use, post, staged("1", 0.25), bad)
    answer(in_use)
    told(in_use)
    bring(in_use, post, bad)
    (report,) = in_use.take_reports()
    assert (report.version, report.outcome) == ("2", "refused")
    assert "failed on this gateway" in report.reason
    assert answer(in_use) == ("1", 0.25)


def test_the_one_that_runs_is_not_loaded_again(begin, post, staged, folder):
    in_use = begin()
    bundle = staged("1", 0.25)
    bring(in_use, post, bundle)
    (folder / "bundles" / f"{bundle.sha256}.dwb").write_bytes(b"rotten")
    bring(in_use, post, bundle)
    assert told(in_use) == [("1", "active"), ("1", "active")]
    assert answer(in_use) == ("1", 0.25)


@pytest.fixture
def rot(folder):
    def spoil(bundle):
        (folder / "bundles" / f"{bundle.sha256}.dwb").write_bytes(b"rotten")

    return spoil


def test_a_start_falls_back_to_the_previous_one(begin, post, staged, rot):
    first, second = staged("1", 0.25), staged("2", 0.5)
    bring(begin(), post, first, second)
    rot(second)
    in_use = begin()
    assert told(in_use) == [(second.sha256[:16], "failed"), ("1", "active")]
    assert answer(in_use) == ("1", 0.25)
    assert told(begin()) == [("1", "active")]


def test_a_start_with_nothing_that_can_be_loaded(begin, post, staged, rot, folder):
    first, second = staged("1", 0.25), staged("2", 0.5)
    bring(begin(), post, first, second)
    rot(first)
    rot(second)
    before = SlotStore(folder).slot("damp")
    in_use = begin()
    assert [outcome for _, outcome in told(in_use)] == ["failed", "failed"]
    assert answer(in_use) is None
    assert SlotStore(folder).slot("damp") == before  # the next start finds what it found


def test_a_disk_that_refuses_lets_the_old_one_go_on(begin, post, staged, disk):
    in_use = begin()
    bring(in_use, post, staged("1", 0.25))
    new = staged("2", 0.5)
    post.news.append(new)
    disk.refuse()
    in_use.renew()
    disk.take()
    assert told(in_use) == [("1", "active"), ("2", "refused")]
    assert answer(in_use) == ("1", 0.25)
    assert answer(begin()) == ("1", 0.25)


def test_a_disk_that_refuses_does_not_keep_a_failed_model_in_use(begin, post, staged, disk, caplog):
    in_use = begin()
    bring(in_use, post, staged("1", 0.25), staged("2", "the model failed"))
    disk.refuse()
    assert answer(in_use) == ("1", 0.25)
    disk.take()
    assert "the next start tries the failed bundle again" in caplog.text
