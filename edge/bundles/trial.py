"""Tries a bundle in a child process, so that a bad model cannot block or crash the gateway.

This is the gateway's half: it sends the trial to the child, waits, and kills the child at the
timeout. The child is `edge.bundles.verify_bundle`. This module does not import numpy or
onnxruntime, so that a gateway without a model needs little memory.
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
# One thread: each further thread would reserve megabytes of the child's limited address space.
_FRUGAL = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Says what the child must check, and within which limits.

    Attributes:
        path: The bundle's file.
        trusted_keys: Files with public keys; one of them must have signed the bundle.
        condition: The condition as this gateway declares it.
        model: Announced name; the signed name must be the same.
        version: Announced version; the signed version must be the same.
        counter: Announced counter; the signed counter must be the same.
        timeout_s: Longest time, seconds; also the limit of processor time.
        memory_mib: Limit of the address space, MiB.
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
    """Holds the child's answer.

    Attributes:
        code: Short stable name of the reason for a refusal; None if the bundle is good.
        text: The reason as a message for the operator.
    """

    code: str | None = None
    text: str = ""


def try_bundle(trial: Trial, given_up: Callable[[], bool] = lambda: False) -> None:
    """Returns if the bundle is good.

    Args:
        trial: The bundle and its limits.
        given_up: Called a few times a second; true ends the trial.

    Raises:
        UpdateRefused: With the child's code, or `timed_out` or `crashed`.
        TrialUnavailable: The process cannot be started, was killed, or `given_up` was true.
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
        raise TrialUnavailable(
            f"the process that tries a bundle cannot be started: {error.strerror}"
        ) from error
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
            raise TrialUnavailable(
                "the bundle's trial was interrupted by a stop or a newer desired state"
            )
        try:
            return process.communicate(question, timeout=min(_LOOK_S, left_s))
        except subprocess.TimeoutExpired:
            question = None  # `communicate` accepts its input only once


def _judge(code: int, answer: bytes, complaint: bytes, trial: Trial) -> None:
    if code == -signal.SIGXCPU:
        raise _timed_out(trial)
    if code == -signal.SIGKILL:  # by the kernel if memory is short, or by the operator
        raise TrialUnavailable(
            "the process that tries a bundle was killed (SIGKILL). Is this machine short of memory?"
        )
    try:
        result = build(TrialResult, json.loads(answer), "result")
    except (ValueError, ContractError) as error:
        last = (complaint.decode(errors="replace").split("\n") or [""])[-2:]
        raise UpdateRefused(
            "crashed",
            f"the bundle's trial ended with exit code {code} and no result: "
            f"{' '.join(last).strip()}",
        ) from error
    if result.code is not None:
        raise UpdateRefused(result.code, result.text)


def _timed_out(trial: Trial) -> UpdateRefused:
    return UpdateRefused(
        "timed_out",
        f"the bundle's trial took longer than {trial.timeout_s:g} s ([models] verify_timeout_s)",
    )
