import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.errors import ProjectionError
from cloud.search.bulk import (
    BulkLimits,
    BulkWriter,
    Document,
    Outcome,
    OutcomeKind,
    RefusedDocument,
    chunks,
)
from contract.errors import ConfigError

SEED = 20130101


class MemoryTarget:
    """An index in memory that is busy as often as it is told and refuses what says `wrong`."""

    def __init__(self, busy=(), error=None) -> None:
        self.busy = list(busy)  # per call: ids that are told to come again
        self.error = error
        self.indices: set[str] = set()
        self.stored: dict[tuple[str, str], str] = {}

    def ensure_index(self, name: str) -> None:
        self.indices.add(name)

    def bulk_create(self, documents: Sequence[Document]) -> list[Outcome]:
        if self.error:
            raise self.error
        busy = self.busy.pop(0) if self.busy else ()
        return [self._create(d, d.id in busy) for d in documents]

    def bulk_delete(self, documents: Sequence[Document]) -> list[Outcome]:
        for document in documents:
            self.stored.pop((document.index_name, document.id), None)
        return [Outcome(OutcomeKind.DONE) for _ in documents]

    def _create(self, document, busy):
        assert document.index_name in self.indices
        if busy:
            return Outcome(OutcomeKind.RETRY, "429 busy")
        if document.body == "wrong":
            return Outcome(OutcomeKind.REFUSED, "400 wrong")
        if (document.index_name, document.id) in self.stored:
            return Outcome(OutcomeKind.EXISTS)
        self.stored[document.index_name, document.id] = document.body
        return Outcome(OutcomeKind.DONE)


class Refused(list):
    def put(self, refused: Sequence[RefusedDocument]) -> None:
        self.extend(refused)


def writer(target, refused=None, pauses=None, **limits):
    pauses = [] if pauses is None else pauses
    sink = Refused() if refused is None else refused
    return BulkWriter(target, sink, BulkLimits(**limits), pauses.append, random.Random(SEED))


def some(total, body="{}"):
    return [Document(f"i-{n % 2}", f"gw:s:{n}", body) for n in range(total)]


def test_only_what_was_not_taken_comes_again():
    pauses: list[float] = []
    target = MemoryTarget(busy=[{"gw:s:1", "gw:s:3"}, {"gw:s:3"}])
    writer(target, pauses=pauses).create(some(5))
    assert {key for _, key in target.stored} == {f"gw:s:{n}" for n in range(5)}
    assert len(pauses) == 2
    assert all(0 <= p <= bound for p, bound in zip(pauses, (0.2, 0.4), strict=True))


def test_twice_is_once():
    target = MemoryTarget()
    writer(target).create(some(5, '{"n":1}'))
    writer(target).create(some(5, '{"n":2}'))
    assert set(target.stored.values()) == {'{"n":1}'}
    assert len(target.stored) == 5


def test_a_refused_document_goes_to_the_sink_and_the_others_are_written():
    refused = Refused()
    target = MemoryTarget()
    documents = some(3)
    documents[1] = documents[1]._replace(body="wrong")
    writer(target, refused).create(documents)
    assert refused == [("gw:s:1", "gw", "400 wrong", "wrong")]
    assert {key for _, key in target.stored} == {"gw:s:0", "gw:s:2"}


def test_patience_ends_with_an_error_that_says_why():
    pauses: list[float] = []
    target = MemoryTarget(busy=[{"gw:s:1"}] * 9)
    with pytest.raises(ProjectionError, match=r"1 documents .* gw:s:1 for i-1: 429 busy"):
        writer(target, pauses=pauses, attempts=3).create(some(2))
    assert len(pauses) == 2
    assert len(target.busy) == 6


def test_a_server_that_is_away_is_asked_a_few_times_and_one_that_refuses_once():
    pauses: list[float] = []
    with pytest.raises(ProjectionError, match="away"):
        writer(MemoryTarget(error=ProjectionError("away")), pauses=pauses).create(some(1))
    assert len(pauses) == 4
    pauses.clear()
    with pytest.raises(ConfigError):
        writer(MemoryTarget(error=ConfigError("no")), pauses=pauses).create(some(1))
    assert pauses == []


def test_delete_takes_away_and_does_not_mind_absence():
    target = MemoryTarget()
    writer(target).create(some(3))
    writer(target).delete(some(4))
    assert target.stored == {}


@given(st.lists(st.integers(0, 30)), st.integers(1, 4), st.integers(1, 40))
def test_chunks_keep_order_and_limits(sizes, documents, characters):
    limits = BulkLimits(documents=documents, characters=characters)
    items = [Document("i", str(n), "x" * size) for n, size in enumerate(sizes)]
    lists = list(chunks(items, limits))
    assert [d for c in lists for d in c] == items
    for chunk in lists:
        assert 1 <= len(chunk) <= documents
        assert len(chunk) == 1 or sum(len(d.body) for d in chunk) <= characters
