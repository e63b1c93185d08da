"""Bundles that were made before signals were values (October 2026): gateways still run them."""

from pathlib import Path

import numpy as np
import pytest

from models.bundle import unpack
from models.conditions import load_conditions
from models.features import features
from models.golden import check_golden
from models.signing import TrustedKeys

MADE = Path(__file__).parent / "made_earlier"
AIR = {"temperature": "attic/temperature", "step_s": 600, "max_age_s": 1800}
DECLARED = {
    "dew": {
        "id": "dew",
        "derived": "dew_point_margin",
        "humidity": "attic/humidity",
        "pressure": "roof/pressure",
        "comparison": "below",
        "limit": 3.0,
        "hysteresis": 0.5,
        "duration_s": 600,
        **AIR,
    },
    "damp": {
        "id": "damp",
        "signal": "attic/humidity",
        "comparison": "above",
        "limit": 75.0,
        **AIR,
    },
}


@pytest.mark.parametrize("name", list(DECLARED))
def test_an_old_bundle_is_still_valid(name):
    bundle = unpack((MADE / f"{name}.dwb").read_bytes(), TrustedKeys.load([MADE / "trusted.pem"]))
    (condition,) = load_conditions([DECLARED[name]], "conditions.toml")
    assert bundle.manifest.made_for(condition)
    assert bundle.manifest.takes_our_features
    asked = []

    def answers(rows):
        asked.append(rows)
        return bundle.golden.probabilities

    found = check_golden(
        bundle.golden, lambda grids, at_ms: features(grids, at_ms, condition).values, answers
    )
    assert found.features < 1e-9
    assert np.isfinite(asked[0]).all()
