"""Tries a bundle in a child process: `python -m edge.bundles.verify_bundle`.

Reads a trial (`edge.bundles.trial.Trial`) from stdin and writes a result to stdout. The exit code
is 0 for a good bundle, 1 for a refused one. The model runs here for the first time, with limited
memory, limited processor time and a low priority.
"""

import json
import math
import os
import resource
import sys
from pathlib import Path

from contract.typed import build, plain
from edge.bundles.slot_store import read_bundle
from edge.bundles.trial import Trial, TrialResult
from edge.bundles.trust import load_libraries, opened, require_announced, require_answers
from edge.errors import UpdateRefused
from models.signing import TrustedKeys

__all__ = ["judge", "main"]

_NICE = 10
_CPU_GRACE_S = 5  # seconds from SIGXCPU, which names the reason, to SIGKILL


def judge(trial: Trial) -> TrialResult:
    """Opens the bundle and compares its model's answers with the golden vectors."""
    try:
        trusted = TrustedKeys.load([Path(key) for key in trial.trusted_keys])
        bundle = opened(read_bundle(Path(trial.path)), trusted, trial.condition)
        require_announced(bundle, model=trial.model, version=trial.version, counter=trial.counter)
        require_answers(bundle)
    except UpdateRefused as error:
        return TrialResult(code=error.code, text=str(error))
    except MemoryError:
        return TrialResult(
            code="out_of_memory",
            text=f"the trial needs more than {trial.memory_mib} MiB ([models] verify_memory_mib)",
        )
    return TrialResult()


def _limit(trial: Trial) -> None:
    memory_bytes, cpu_s = trial.memory_mib * 2**20, math.ceil(trial.timeout_s)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + _CPU_GRACE_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(_NICE)


def main() -> int:
    """Reads one trial, prints one result; returns the exit code."""
    trial = build(Trial, json.load(sys.stdin), "trial")
    load_libraries()  # before the limits, so that MemoryError means that the bundle is too large
    _limit(trial)
    result = judge(trial)
    print(json.dumps(plain(result)))
    return 0 if result.code is None else 1


if __name__ == "__main__":
    sys.exit(main())
