import json
import random
from datetime import date

import pytest

from cloud.config import Period
from cloud.errors import ProjectionError
from cloud.logstash.envelope import ID, INDEX
from cloud.logstash.sender import BatchSender, SenderLimits
from cloud.logstash.writer import LogstashWriter, is_read_back
from cloud.search.bulk import Document
from cloud.search.names import IndexNames
from contract.keys import UNSYNCED_DAY
from contract.records import Kind

NAMES = IndexNames("dewline", Period.DAY)
DAY = date(2026, 11, 24)


class Log:
    """HttpInput, direct writer and indices in one: what was done, in order."""

    def __init__(self, status=200):
        self.done = []
        self.status = status

    def post(self, body):
        self.done += [("door", e[INDEX], e[ID]) for e in json.loads(body)]
        return self.status

    def create(self, documents):
        self.done += [("direct", d.index_name, d.id) for d in documents]

    def delete(self, documents):
        self.done += [("deleted", d.index_name, d.id) for d in documents]

    def ensure_index(self, name):
        self.done.append(("made", name, ""))


def writer(log, **limits):
    sender = BatchSender(log, SenderLimits(**limits), lambda _s: None, random.Random(1))
    return LogstashWriter(sender, log, log, NAMES)


def document(number, kind=Kind.READING, day=DAY):
    return Document(NAMES.index(kind, day), str(number), '{"seq":1}')


def test_what_is_read_back_goes_directly_and_the_rest_through_logstash():
    log = Log()
    dated, undated = document(1), document(2, day=UNSYNCED_DAY)
    fix, other = document(3, Kind.CLOCK_FIX), document(4, Kind.HELD)
    writer(log).create([dated, undated, fix, other])
    assert [entry for entry in log.done if entry[0] == "direct"] == [
        ("direct", undated.index_name, "2"),
        ("direct", fix.index_name, "3"),
    ]
    through = log.done[2:]
    assert through == [
        ("made", dated.index_name, ""),
        ("made", other.index_name, ""),
        ("door", dated.index_name, "1"),
        ("door", other.index_name, "4"),
    ]


@pytest.mark.parametrize("kind", Kind)
def test_indices_are_told_apart_by_name(kind):
    read_back = is_read_back(NAMES)
    assert read_back(NAMES.unsynced(kind))
    assert read_back(NAMES.index(kind, DAY)) == (kind is Kind.CLOCK_FIX)
    assert not read_back(IndexNames("other", Period.DAY).unsynced(kind))


def test_deletions_go_directly():
    log = Log()
    writer(log).delete([document(1)])
    assert log.done == [("deleted", NAMES.index(Kind.READING, DAY), "1")]


@pytest.mark.parametrize("limits", [{"documents": 3}, {"documents": 100, "characters": 27}])
def test_no_more_than_a_batch_is_held(limits):
    log, asked = Log(), []

    def source():
        for number in range(10):
            asked.append(number)
            held = len(asked) - sum(where == "door" for where, _, _ in log.done)
            assert held <= 3
            yield document(number)

    writer(log, **limits).create(source())
    assert [key for where, _, key in log.done if where == "door"] == [str(n) for n in range(10)]


def test_what_is_not_taken_is_an_error_and_nothing_more_is_asked_for():
    log, asked = Log(status=503), []

    def source():
        for number in range(10):
            asked.append(number)
            yield document(number)

    with pytest.raises(ProjectionError):
        writer(log, documents=2, attempts=2).create(source())
    assert asked == [0, 1]
