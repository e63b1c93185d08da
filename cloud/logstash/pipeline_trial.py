"""Runs the cases against Logstash: posts each, waits for the results and compares them.

The trial writes to indices with the prefix `<prefix>-check`. It deletes the cases' documents and
dead letters before and after the run; the indices remain, empty. A case that would stop older
pipelines for good is posted only after the case that it needs holds.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cloud.clock import Clock
from cloud.config import Period
from cloud.logstash import dead_letters
from cloud.logstash.cases import Case, DeadLetter
from cloud.logstash.sender import HttpInput
from cloud.search.bulk import Document
from cloud.search.client import SearchClient
from cloud.search.names import IndexNames
from cloud.search.query import Filter, Hit
from cloud.search.templates import install
from contract.errors import ConfigError

__all__ = ["CaseResult", "PipelineTrial", "prefix_of_check"]

_TAKEN = 200
_BUSY = 429  # another program posts, such as `search follow`, or the queue is full
_POLL_S = 0.5
_LETTERS = 1000  # most dead letters that a search returns


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The differences between expected and actual results of one case; empty if none."""

    case: str
    faults: tuple[str, ...]


def prefix_of_check(prefix: str) -> str:
    """Return the prefix of the indices to which the cases write."""
    return f"{prefix}-check"


class PipelineTrial:
    """Sends cases through one Logstash into one Elasticsearch."""

    def __init__(
        self,
        http_input: HttpInput,
        store: SearchClient,
        prefix: str,
        clock: Clock,
        pause: Callable[[float], None],
    ) -> None:
        self._http_input = http_input
        self._store = store
        self._prefix = prefix
        self._clock = clock
        self._pause = pause

    def run(self, cases: Sequence[Case], limit_s: float) -> list[CaseResult]:
        """Return a result for each case; wait for an intake that is busy, and for documents.

        Args:
            cases: The cases.
            limit_s: Time limit, seconds; it counts again for the cases that need another one.

        Raises:
            ProjectionError: Logstash or Elasticsearch did not answer.
            ConfigError: One of them refuses for a reason that the operator must remove.
        """
        self._prepare(cases)
        results = self._try([case for case in cases if case.needs is None], limit_s)
        hold = {result.case for result in results if not result.faults}
        results += self._try([case for case in cases if case.needs in hold], limit_s)
        results += [
            CaseResult(case.name, (f"not posted, because case {case.needs} does not hold",))
            for case in cases
            if case.needs is not None and case.needs not in hold
        ]
        self._clear(cases)
        return sorted(results, key=lambda result: result.case)

    def _try(self, cases: Sequence[Case], limit_s: float) -> list[CaseResult]:
        give_up_at = self._clock.monotonic_ms() + 1000 * limit_s
        answers = {case.name: self._post(case, give_up_at) for case in cases}
        while True:
            results = [self._judge(case, answers[case.name]) for case in cases]
            done = not any(result.faults for result in results)
            if done or self._clock.monotonic_ms() > give_up_at:
                return results
            self._pause(_POLL_S)

    def _post(self, case: Case, give_up_at: float) -> int:
        """Post a case, again and again while the intake is busy; return the last answer."""
        while True:
            status = self._http_input.post(case.body.encode())
            if status != _BUSY or self._clock.monotonic_ms() > give_up_at:
                return status
            self._pause(_POLL_S)

    def _prepare(self, cases: Sequence[Case]) -> None:
        install(self._store, IndexNames(prefix_of_check(self._prefix), Period.DAY))
        index = dead_letters.install(self._store, self._prefix)
        if self._store.count(index) >= _LETTERS:
            raise ConfigError(
                f"{index}: {_LETTERS} dead letters or more, too many to find those of the cases. "
                "Handle the old ones, delete the index, then run `logstash setup`"
            )
        for index in sorted({d.index for case in cases for d in case.documents}):
            self._store.ensure_index(index)
        self._clear(cases)

    def _clear(self, cases: Sequence[Case]) -> None:
        self._refresh()
        written = [hit for case in cases for hit in self._written(_ids(case))]
        letters = [hit for case in cases for d in case.dead_letters for hit in self._letters(d)]
        if found := {(hit.index, hit.id) for hit in (*written, *letters)}:
            self._store.bulk_delete([Document(index, key, "") for index, key in sorted(found)])
            self._refresh()

    def _judge(self, case: Case, status: int) -> CaseResult:
        if status != _TAKEN:
            why = ": its queue is full, or another program posts" if status == _BUSY else ""
            fault = f"the intake answers {status}, expected {_TAKEN}{why}"
            return CaseResult(case.name, (fault,))
        self._refresh()
        found = {(hit.index, hit.id): hit for hit in self._written(_ids(case))}
        faults = [f for d in case.documents for f in _unlike(d, found.pop((d.index, d.id), None))]
        faults += [f"{key} is in {index}, expected no document" for index, key in found]
        faults += [
            f"no dead letter of {letter.refused_by} with reason "
            f"{' or '.join(map(repr, letter.reasons))} for an event with {letter.contains!r}"
            for letter in case.dead_letters
            if not self._letters(letter)
        ]
        return CaseResult(case.name, tuple(faults))

    def _refresh(self) -> None:
        self._store.refresh([f"{prefix_of_check(self._prefix)}-*"])
        self._store.refresh([dead_letters.alias(self._prefix)])

    def _written(self, ids: Iterable[str]) -> list[Hit]:
        places = [f"{prefix_of_check(self._prefix)}-*"]
        return [
            hit
            for key in ids
            for hit in self._store.find(places, Filter((("_id", key),)), after_seq=-1)
        ]

    def _letters(self, letter: DeadLetter) -> list[Hit]:
        places = [dead_letters.alias(self._prefix)]
        matching = Filter((("refused_by", letter.refused_by),))
        return [
            hit
            for hit in self._store.find(places, matching, limit=_LETTERS)
            if letter.has(hit.fields["reason"], hit.fields["document"])
        ]


def _ids(case: Case) -> list[str]:
    return [document.id for document in case.documents] + list(case.refused_ids)


def _unlike(expected: Hit, found: Hit | None) -> list[str]:
    if found is None:
        return [f"{expected.id} is not in {expected.index}"]
    names = sorted(expected.fields.keys() | found.fields.keys())
    return [
        f"{expected.id}: {name} is {found.fields.get(name)!r}, "
        f"expected {expected.fields.get(name)!r}"
        for name in names
        if expected.fields.get(name) != found.fields.get(name)
    ]
