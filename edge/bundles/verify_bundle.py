"""The child process in which a bundle is tried out: `python -m edge.bundles.verify_bundle`.

A question (`edge.bundles.trial.Trial`) on stdin, a result on stdout, exit code 0 for a good
bundle, 1 for a refused one. Whatever the model does, it does it here, with little memory, little
time of the processor and the lowest priority.
"""

import json
import math
import os
import resource
import sys
from pathlib import Path

from contract.typed import build, plain
from edge.bundles.slots import read_bundle
from edge.bundles.trial import Trial, TrialResult
from edge.bundles.trust import load_libraries, opened, require_announced, require_answers
from edge.errors import UpdateRefused
from models.signing import TrustedKeys

__all__ = ["judge", "main"]

_NICE = 10
_CPU_GRACE_S = 5  # between the signal that names the reason and the one that just kills


def judge(trial: Trial) -> TrialResult:
    """Opens the bundle and asks its model what the golden vectors ask."""
    try:
        trusted = TrustedKeys.load([Path(key) for key in trial.trusted_keys])
        bundle = opened(read_bundle(Path(trial.path)), trusted, trial.condition)
        require_announced(bundle, model=trial.model, version=trial.version, counter=trial.counter)
        require_answers(bundle)
    except UpdateRefused as error:
        return TrialResult(code=error.code, text=str(error))
    except MemoryError:
        return TrialResult(code="out_of_memory", text=f"it needs more than {trial.memory_mib} MiB")
    return TrialResult()


def _limit(trial: Trial) -> None:
    memory_bytes, cpu_s = trial.memory_mib * 2**20, math.ceil(trial.timeout_s)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + _CPU_GRACE_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(_NICE)


def main() -> int:
    """One question, one result."""
    trial = build(Trial, json.load(sys.stdin), "trial")
    load_libraries()  # before the limits: a lack of memory is then the bundle's
    _limit(trial)
    result = judge(trial)
    print(json.dumps(plain(result)))
    return 0 if result.code is None else 1


if __name__ == "__main__":
    sys.exit(main())
