"""Both writers make the same documents from the same lake; the second one's go through a stand-in.

Real lake, real Elasticsearch; between them the pipelines' own text, carried out by the stand-in.
"""

import json
import random
import secrets
from dataclasses import replace
from datetime import datetime
from itertools import chain, repeat

import pytest

from cloud.cli import main
from cloud.config import Period
from cloud.health.logstash import PIPELINES
from cloud.lake.landing import LandingWriter
from cloud.lake.store import FolderStore
from cloud.logstash.envelope import INDEX
from cloud.search.client import SearchClient
from cloud.search.names import IndexNames
from cloud.search.query import EVERYTHING
from contract.blocks import Block
from contract.records import (
    ClockFix,
    Kind,
    ModelReport,
)
from contract.topics import Lane
from deploy.local.logstash_input import Answer
from tests.builders import EVERY_EVENT, JULY, air, landed, timed

pytestmark = pytest.mark.services

EVENTS = tuple(
    replace(event, reason='ä",\\n"@timestamp":1') if isinstance(event, ModelReport) else event
    for event in EVERY_EVENT
    if not isinstance(event, ClockFix)
)


def block(stream="a", first=1, utc_at=JULY, events=(), rows=0):
    return Block(
        stream_id=stream * 13,
        first=first,
        offset_ms=1000,
        utc_at=utc_at,
        sensors=(air(rows),) if rows else (),
        events=timed(events),
    )


FIX = ClockFix(utc_at=JULY, uncertainty_ms=20)
COMMITS = (
    [block(rows=50, events=EVENTS)],
    [block("b", utc_at=None, rows=5, events=EVENTS[4:5])],  # waits for the fix of the next one
    [block("b", first=12, events=(FIX,)), block("c", utc_at=None, rows=3)],
    [block("b", first=20, utc_at=None, rows=2), block(first=200, rows=60)],
    [block("d", first=1, events=(FIX,)), block("d", first=2, utc_at=None, rows=2)],
)


class Life:
    """A projection with its own lake's cursor and its own indices."""

    def __init__(self, folder, url, more=""):
        folder.mkdir()
        self.names = IndexNames(f"t{secrets.token_hex(4)}", Period.DAY)
        self.config = folder / "cloud.toml"
        self.config.write_text(
            f'[lake]\nroot = "{folder}/lake"\n[warehouse]\n'
            f'[search]\nurl = "{url}"\nprefix = "{self.names.prefix}"\n{more}'
        )
        self.landing = LandingWriter(
            FolderStore(folder / "lake"), "node-1", "1372895999000-0123abcd"
        )

    def land(self, blocks):
        self.landing.commit(Lane.LIVE, [landed(made) for made in blocks])

    def run(self, *words):
        return main(["--config", str(self.config), "search", *words])

    def documents(self, client):
        """Every document by index and id; the instants of both forms alike."""
        aliases = [self.names.alias(kind) for kind in Kind]
        client.refresh(aliases)
        found = {}
        for hit in client.find(aliases, EVERYTHING, limit=10_000):
            fields = dict(hit.fields)
            if "@timestamp" in fields:
                fields["@timestamp"] = instant(fields["@timestamp"])
            found[hit.index.removeprefix(self.names.prefix), hit.id] = fields
        return found


def instant(value):
    if isinstance(value, int):
        return value
    return round(1000 * datetime.fromisoformat(value).timestamp())


@pytest.fixture
def client(elasticsearch):
    client = SearchClient(elasticsearch.url)
    yield client
    client.close()


def test_the_same_documents_by_either_way(elasticsearch, client, tmp_path, new_intake, pipelines):
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    answers = list(Answer)
    for answer in (Answer.LATE, Answer.SLOW, Answer.FULL):  # with the real limit: half a minute
        answers.remove(answer)
    random.Random(seed).shuffle(answers)
    double, sent = pipelines(client), []

    def take(event):
        sent.append(event)
        double.take(dict(event))

    intake = new_intake(take, chain(answers, repeat(Answer.TAKEN)).__next__)
    bulk = Life(tmp_path / "bulk", elasticsearch.url)
    through = Life(
        tmp_path / "through",
        elasticsearch.url,
        f'writer = "logstash"\nlogstash_url = "{intake.url}"\n',
    )
    for life in (bulk, through):
        assert life.run("setup") == 0
        for commit in COMMITS:
            life.land(commit)
            assert life.run("run") == 0
        assert life.run("verify") == 0
    wanted = bulk.documents(client)
    assert through.documents(client) == wanted
    assert len(wanted) == sum(made.records_total for commit in COMMITS for made in commit)
    assert {index.rpartition("-")[2] for index, _ in wanted} >= {"unsynced", "2013.07"}
    assert len({index.partition("-20")[0] for index, _ in wanted}) > len(Kind)  # and an unsynced
    assert double.letters == []
    assert intake.requests_total > len(answers)

    # What is read back has not come this way, and everything else has.
    posted = {event[INDEX].removeprefix(through.names.prefix) for event in sent}
    direct = {index for index, _ in wanted if "unsynced" in index or "clock-fix" in index}
    assert posted == {index for index, _ in wanted} - direct
    assert all("observed_at" in event and "@timestamp" not in event for event in sent)

    before = len(sent)
    assert through.run("rebuild") == 0
    assert through.run("run") == 0  # twice is once
    assert len(sent) > before
    assert through.documents(client) == wanted


def doctor(life, capsys):
    capsys.readouterr()
    main(["--config", str(life.config), "doctor", "--json"])
    checks = json.loads(capsys.readouterr().out)["checks"]
    return {c["check"]: c["state"] for c in checks if c["check"] in ("logstash", "delivery")}


def test_an_unclean_end_of_logstash_is_seen_and_repaired(
    elasticsearch, client, tmp_path, new_intake, pipelines, capsys
):
    """The intake answers 200, but the second pipeline did not start; then its queue is lost."""
    double, queue = pipelines(client), []
    intake = new_intake(queue.append)
    intake.pipelines = {"dewline-search": "RUNNING", "dewline-dead-letter": "RUNNING"}
    key = f'logstash_api_url = "{intake.url}"\n'
    lines = f'writer = "logstash"\nlogstash_url = "{intake.url}"\n'
    life = Life(tmp_path / "life", elasticsearch.url, lines + key)
    life.run("setup")
    commits = (*COMMITS, [block("e", rows=5)])
    for commit in commits:
        life.land(commit)
    assert life.run("run") == 0
    assert queue
    assert doctor(life, capsys) == {"logstash": "failed", "delivery": "failed"}
    life.config.write_text(life.config.read_text().replace(key, ""))
    assert doctor(life, capsys) == {"logstash": "not configured", "delivery": "failed"}
    life.config.write_text(life.config.read_text() + key)
    intake.pipelines = dict.fromkeys(PIPELINES, "RUNNING")
    for event in queue[: len(queue) // 2]:  # the other half is lost
        double.take(event)
    posted = len(queue)
    assert life.run("run") == 0  # the cursor is past it
    assert life.run("verify") == 1
    assert life.run("repair") == 0
    assert life.run("verify") == 0
    assert len(queue) == posted
    assert len(life.documents(client)) == sum(b.records_total for c in commits for b in c)
    assert doctor(life, capsys) == {"logstash": "ok", "delivery": "ok"}


def test_an_intake_that_is_away_leaves_the_cursor(
    elasticsearch, client, tmp_path, new_intake, pipelines, capsys
):
    double = pipelines(client)
    intake = new_intake(double.take)
    life = Life(
        tmp_path / "life",
        elasticsearch.url,
        f'writer = "logstash"\nlogstash_url = "{intake.url}"\nlogstash_user = "x"\n'
        f'logstash_password_file = "{tmp_path}/password"\n',
    )
    (tmp_path / "password").write_text("geheim\n")
    life.run("setup")
    life.land(COMMITS[0])
    intake.manner = type(intake.manner)(account=("x", "another"))
    assert life.run("run") == 2
    assert "Logstash answers 401" in capsys.readouterr().err
    assert life.documents(client) == {}
    intake.manner = type(intake.manner)(account=("x", "geheim"))
    assert life.run("run") == 0
    assert len(life.documents(client)) == COMMITS[0][0].records_total
