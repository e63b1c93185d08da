"""Trying a bundle out in a child process, which may hang, swell or crash as it likes.

The gateway's half: asks, waits, ends the child when its time is over. The child is
`edge.bundles.verify_bundle`. Imports nothing that knows models, so that a gateway without one
stays small.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from contract.errors import ContractError
from contract.typed import Between, Id, Seq, build, plain
from edge.errors import TrialUnavailable, UpdateRefused
from models.conditions import Condition

__all__ = ["Trial", "TrialResult", "try_bundle"]

_LOOK_S = 0.2  # how soon a newer desired state ends a trial
# one thread; more would each want their own megabytes of the child's address space
_FRUGAL = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What the child is asked.

    Attributes:
        path: The bundle's file.
        trusted_keys: Files with the public keys whose signatures count.
        condition: As this gateway declares it.
        model: The name that was announced; the signed one must be the same.
        version: The version, likewise.
        counter: The counter, likewise.
        timeout_s: Longest time, seconds; of the processor, too.
        memory_mib: Address space, MiB.
    """

    path: str
    trusted_keys: tuple[str, ...]
    condition: Condition
    model: Id
    version: Id
    counter: Seq
    timeout_s: float
    memory_mib: Annotated[int, Between(1, 10**6)]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """What a trial has found: the child's answer.

    Attributes:
        code: Short stable name of why the bundle is refused; None if it is good.
        text: Why, for a person.
    """

    code: str | None = None
    text: str = ""


def try_bundle(trial: Trial, given_up: Callable[[], bool] = lambda: False) -> None:
    """Returns if the bundle is good.

    Args:
        trial: What to try.
        given_up: Asked a few times a second; true ends the trial.

    Raises:
        UpdateRefused: With the child's code, or `timed_out` or `crashed`.
        TrialUnavailable: No process could be had, or it was ended from outside.
    """
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "edge.bundles.verify_bundle"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **_FRUGAL},
        )
    except OSError as error:
        raise TrialUnavailable(f"a bundle cannot be tried out: {error.strerror}") from error
    with process:
        try:
            answer, complaint = _answer(process, trial, given_up)
        finally:
            process.kill()
    _judge(process.returncode, answer, complaint, trial)


def _answer(
    process: "subprocess.Popen[bytes]", trial: Trial, given_up: Callable[[], bool]
) -> tuple[bytes, bytes]:
    question: bytes | None = json.dumps(plain(trial)).encode()
    deadline_s = time.monotonic() + trial.timeout_s
    while True:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise _timed_out(trial)
        if given_up():
            raise TrialUnavailable("given up for something newer")
        try:
            return process.communicate(question, timeout=min(_LOOK_S, left_s))
        except subprocess.TimeoutExpired:
            question = None  # it has been put


def _judge(code: int, answer: bytes, complaint: bytes, trial: Trial) -> None:
    if code == -signal.SIGXCPU:
        raise _timed_out(trial)
    if code == -signal.SIGKILL:  # by the kernel, for want of memory, or by a person
        raise TrialUnavailable("a trial was killed from outside")
    try:
        result = build(TrialResult, json.loads(answer), "result")
    except (ValueError, ContractError) as error:
        last = (complaint.decode(errors="replace").split("\n") or [""])[-2:]
        raise UpdateRefused(
            "crashed", f"its trial ended with code {code} and no result: {' '.join(last).strip()}"
        ) from error
    if result.code is not None:
        raise UpdateRefused(result.code, result.text)


def _timed_out(trial: Trial) -> UpdateRefused:
    return UpdateRefused("timed_out", f"its trial was not over after {trial.timeout_s:g} s")
