"""What a Logstash 9.6.0 was seen to do behind its intake, on a real Elasticsearch.

The stand-in carries out the pipelines' own text; which answer Elasticsearch gives is its own.
"""

import json
import secrets
import urllib.request
from pathlib import Path

import pytest

from cloud.clock import SystemClock
from cloud.config import Period
from cloud.logstash import dead_letters
from cloud.logstash.cases import read_cases
from cloud.logstash.pipeline_trial import PipelineTrial, prefix_of_check
from cloud.logstash.table import PIPELINES
from cloud.logstash.tree import read
from cloud.search.client import SearchClient
from cloud.search.names import IndexNames
from cloud.search.query import EVERYTHING
from cloud.search.templates import install
from deploy.local.logstash_input import events_of

pytestmark = pytest.mark.services

CASES = Path(__file__).with_name("cases")


class Site:
    """Pipelines before a real Elasticsearch, with the indices of the cases."""

    def __init__(self, elasticsearch, pipelines):
        self.url = elasticsearch.url
        self.prefix = f"t{secrets.token_hex(4)}"
        self.check_prefix = prefix_of_check(self.prefix)
        self.store = SearchClient(self.url)
        self.double = pipelines(self.store, self.prefix)
        self.cases = {case.name: case for case in read_cases(CASES, self.check_prefix)}
        install(self.store, IndexNames(self.check_prefix, Period.DAY))
        dead_letters.install(self.store, self.prefix)
        self.index = f"{self.check_prefix}-reading-2013.07.04"
        self.store.ensure_index(self.index)

    def take(self, name, *, checked=True):
        """A case's events; unchecked: as a search.conf without the check of ids would."""
        for event in events_of(self.cases[name].body):
            if checked:
                self.double.take(event)
            else:
                event["@metadata"] = {"index": event.pop("_index"), "id": event.pop("_id")}
                self.double.write(event)

    def set(self, **settings):
        body = json.dumps({f"index.{name}": value for name, value in settings.items()})
        request = urllib.request.Request(
            f"{self.url}/{self.index}/_settings",
            body.encode(),
            {"Content-Type": "application/json"},
            method="PUT",
        )
        urllib.request.urlopen(request, timeout=30).close()

    def documents(self):
        self.store.refresh([self.index])
        found = self.store.find([self.index], EVERYTHING, limit=1000)
        return {hit.id for hit in found}


@pytest.fixture
def site(elasticsearch, pipelines):
    made = Site(elasticsearch, pipelines)
    yield made
    made.store.close()


def test_long_ids_hold_every_worker_unless_the_intake_refuses_them(site):
    site.take("long-id", checked=False)
    held, waiting = len(site.double.held), len(site.double.waiting)
    assert (held, waiting, site.documents()) == (2, 3, set())
    site.take("twice")
    site.double.again()  # nor after a restart
    assert site.documents() == set()
    assert site.double.letters == []

    site.double.held, site.double.waiting = [], []
    site.take("long-id")
    site.take("twice")
    assert (site.double.held, site.double.waiting) == ([], [])
    wanted = (*site.cases["long-id"].documents, *site.cases["twice"].documents)
    assert site.documents() == {document.id for document in wanted}
    assert {letter["reason"] for letter in site.double.letters} == {"bad _id"}


def test_an_id_of_another_type_is_refused_and_not_turned_into_text(site):
    number = json.loads(site.cases["bad-id"].body)[0]
    metadata = {"index": number.pop("_index"), "id": number.pop("_id")}
    site.double.write(number | {"@metadata": metadata})
    assert site.documents() == {"12"}
    site.take("bad-id")
    assert site.documents() == {"12"}
    assert len(site.double.letters) == len(site.cases["bad-id"].dead_letters)


def nested(depth):
    text = '{"a":' * depth + "1" + "}" * depth
    return json.loads(text)


@pytest.mark.parametrize(
    "changed",
    [
        {"_index": "a" * 300 + "-reading-2013.07.04"},
        {"": 1},
        {".": 1},
        {"n" * 60_000: 1},
        {"seq": nested(400)},
        {"seq": 10**400},
        {"_routing": "x"},
        {"_source": {"a": 1}},
        {"sensor_id": "x" * 100_000},
        {"event_day": None, "stream_id": []},
    ],
    ids=lambda changed: next(iter(changed))[:9] or "empty",
)
def test_no_other_event_that_the_intake_lets_pass_stops_the_rest(site, changed):
    """Elasticsearch answers for the one document, and the bulk call goes on."""
    (event, *_) = json.loads(site.cases["twice"].body)
    for number in range(3):
        site.double.take(event | changed | {"_id": f"odd:{number}"})
    site.take("twice")
    assert (site.double.held, site.double.waiting) == ([], [])
    assert {document.id for document in site.cases["twice"].documents} <= site.documents()


def test_a_full_disk_waits_and_an_index_that_is_blocked_by_hand_does_not(site):
    site.set(**{"blocks.read_only_allow_delete": True})
    site.take("one-bad-among-good")
    assert len(site.double.held) == 2
    site.double.again()
    assert len(site.double.held) == 2
    assert [letter["refused_by"] for letter in site.double.letters] == ["intake"]
    site.set(**{"blocks.read_only_allow_delete": None})
    site.double.again()
    assert site.double.held == []
    good = {document.id for document in site.cases["one-bad-among-good"].documents}
    assert site.documents() == good

    site.set(**{"blocks.write": True})
    site.take("numbers")
    assert site.double.held == []
    letter = site.double.letters[-1]
    assert letter["refused_by"] == "elasticsearch"
    assert "status: 403" in letter["reason"]
    assert "cluster_block_exception" in letter["reason"]


@pytest.mark.parametrize(
    ("may_configure", "status", "reason"),
    [(True, 404, "index_not_found_exception"), (False, 403, "security_exception")],
)
def test_an_index_that_is_missing_has_two_answers(site, may_configure, status, reason):
    case = site.cases["no-such-index"]
    site.double.may_configure = may_configure
    site.take("no-such-index")
    (letter,) = site.double.letters
    assert f"status: {status}" in letter["reason"]
    assert reason in letter["reason"]
    (wanted,) = case.dead_letters
    assert wanted.has(letter["reason"], letter["document"])


def test_a_long_reason_keeps_its_begin_and_elasticsearch_s_answer(site):
    site.take("long-reason")
    (event,) = events_of(site.cases["long-reason"].body)
    site.double.take(event | {"padding": "ü" * 20_000})  # not cut within a character
    for letter in site.double.letters:
        assert len(letter["reason"].encode()) <= 8100
        assert letter["reason"].startswith("Could not index event to Elasticsearch. status: 400")
        assert "strict_dynamic_mapping_exception" in letter["reason"][-300:]
        assert "�" not in letter["reason"]
    site.store.refresh([dead_letters.alias(site.prefix)])
    assert site.store.count(dead_letters.alias(site.prefix)) == 2


class Direct:
    """The http input without HTTP; answers 429 as often as `busy` says."""

    def __init__(self, take, busy=0):
        self.take = take
        self.busy = busy
        self.posted = []

    def post(self, body):
        if self.busy:
            self.busy -= 1
            return 429
        self.posted.append(body.decode())
        for event in events_of(body.decode()):
            self.take(event)
        return 200


def tried(site, intake, limit_s=5.0):
    pauses = []
    trial = PipelineTrial(intake, site.store, site.prefix, SystemClock(), pauses.append)
    results = trial.run(list(site.cases.values()), limit_s)
    return {result.case: result.faults for result in results if result.faults}


def test_the_check_of_older_pipelines_posts_nothing_that_would_stop_them(site):
    text = (PIPELINES / "search.conf").read_text()
    begin = text.index("} else if [_id] !~")
    old = text[:begin] + text[text.index("} else if ![_index]") :]
    site.double.sections["search"] = {s.kind: s.steps for s in read(old)}
    intake = Direct(site.double.take)
    faults = tried(site, intake, 0.0)
    assert set(faults) == {"bad-id", "long-id"}
    assert faults["long-id"] == ("not posted, because case bad-id does not hold",)
    assert site.cases["long-id"].body not in intake.posted
    assert site.double.held == []


def test_a_busy_intake_gets_the_case_again_until_the_limit(site):
    assert tried(site, Direct(site.double.take, busy=7)) == {}
    faults = tried(site, Direct(site.double.take, busy=10**9), 0.0)
    assert faults["twice"] == (
        "the intake answers 429, expected 200: its queue is full, or another program posts",
    )
    assert site.cases.keys() == faults.keys()
