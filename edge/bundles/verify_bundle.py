"""The child process in which a bundle is tried out: `python -m edge.bundles.verify_bundle`.

A question (`edge.bundles.trial.Trial`) on stdin, a verdict on stdout, exit code 0 for a good
bundle, 1 for a refused one. Whatever the model does, it does it here, with little memory, little
time of the processor and the lowest priority.
"""

import json
import math
import os
import resource
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract.typed import build, plain
from edge.bundles.admission import admit
from edge.bundles.trial import Trial, Verdict
from edge.errors import PredictError, UpdateRefused
from edge.forecasting.predict import Predictor
from models.bundle import Bundle, check_golden
from models.errors import BundleRefused
from models.features import features
from models.signing import TrustedKeys

__all__ = ["judge", "main"]

_NICE = 10
_CPU_GRACE_S = 5  # between the signal that names the reason and the one that just kills


def judge(trial: Trial) -> Verdict:
    """Opens the bundle and asks its model what the golden vectors ask."""
    try:
        trusted = TrustedKeys.load([Path(key) for key in trial.trusted_keys])
        bundle = admit(Path(trial.path), trusted, trial.condition)
        _require_announced(bundle, trial)
        _require_golden(bundle)
    except UpdateRefused as error:
        return Verdict(code=error.code, text=str(error))
    except BundleRefused as error:
        return Verdict(code=error.code, text=error.text)
    except MemoryError:
        return Verdict(code="out_of_memory", text=f"it needs more than {trial.memory_mib} MiB")
    return Verdict()


def _require_announced(bundle: Bundle, trial: Trial) -> None:
    for name in ("model", "version", "counter"):
        found, said = getattr(bundle.manifest, name), getattr(trial, name)
        if found != said:
            raise UpdateRefused("unsuitable", f"its {name} is {found}, announced was {said}")


def _require_golden(bundle: Bundle) -> None:
    condition = bundle.manifest.condition

    def features_of(grids: NDArray[np.float64], at_ms: NDArray[np.int64]) -> NDArray[np.float64]:
        return features(grids, at_ms, condition).values

    try:
        predictor = Predictor(bundle.model)
    except PredictError as error:
        raise UpdateRefused("unsuitable", str(error)) from error
    try:
        check_golden(bundle.golden, features_of, predictor.probabilities)
    except PredictError as error:
        raise UpdateRefused("wrong_answer", str(error)) from error


def _limit(trial: Trial) -> None:
    memory_bytes, cpu_s = trial.memory_mib * 2**20, math.ceil(trial.timeout_s)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + _CPU_GRACE_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(_NICE)


def main() -> int:
    """One question, one verdict."""
    trial = build(Trial, json.load(sys.stdin), "trial")
    _limit(trial)
    verdict = judge(trial)
    print(json.dumps(plain(verdict)))
    return 0 if verdict.code is None else 1


if __name__ == "__main__":
    sys.exit(main())
