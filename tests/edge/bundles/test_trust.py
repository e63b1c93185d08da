"""Each rule of trust by itself, and that both who open bundles hold to the same ones."""

import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from contract.errors import DewlineError
from edge.bundles.loader import loading
from edge.bundles.models_in_use import Unusable
from edge.bundles.slot import Slot
from edge.bundles.trial import Trial
from edge.bundles.trust import (
    opened,
    require_announced,
    require_answers,
    require_declared,
    require_hash,
    require_newer,
    trusted_state,
)
from edge.bundles.verify_bundle import judge
from edge.errors import UpdateRefused
from edge.forecasting.forecaster import Forecaster
from models.container import pack_members, unpack_members
from models.features import FEATURE_NAMES, FEATURES_VERSION
from models.signing import TrustedKeys

A, B, C = (hashlib.sha256(name).hexdigest() for name in (b"a", b"b", b"c"))
SLOT = Slot(condition_id="damp", current=A, previous=B, counter=5)


@pytest.fixture
def trusted(bundles):
    return bundles.signer.trusted()


def code_of(refused):
    return getattr(refused.value, "code", str(refused.value).partition(":")[0])


# --- a desired state -----------------------------------------------------------------------------


def test_a_desired_state_of_a_trusted_key_for_this_device_is_taken(bundles, trusted, damp):
    payload = bundles.desired([bundles.make(damp)], counter=4)
    for known in (0, 3, 4):  # told again at each connect
        assert trusted_state(payload, trusted, "gw-1", known).counter == 4


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"device": "gw-2"}, "other_device"),
        ({"counter": 3}, "old_counter"),
        ({"stranger": True}, "unknown_key"),
    ],
)
def test_a_desired_state_that_is_not_for_us_now_is_refused(bundles, trusted, damp, keys, code):
    stranger = keys.pop("stranger", False)
    signer = bundles.stranger if stranger else bundles.signer
    payload = bundles.desired([bundles.make(damp)], **{"counter": 4} | keys, signer=signer)
    with pytest.raises(DewlineError) as refused:
        trusted_state(payload, trusted, "gw-1", 4)
    assert code_of(refused) == code


# --- a bundle that is announced ------------------------------------------------------------------


def test_a_condition_must_be_declared_here():
    require_declared("damp", {"damp", "frost"})
    with pytest.raises(UpdateRefused, match="declares no condition dew") as refused:
        require_declared("dew", {"damp", "frost"})
    assert code_of(refused) == "unsuitable"


@pytest.mark.parametrize(
    ("sha256", "counter", "slot"),
    [(C, 1, None), (C, 6, SLOT), (A, 5, SLOT), (B, 5, SLOT), (A, 6, SLOT)],
)
def test_a_counter_above_what_ran_or_what_ran_itself_is_taken(sha256, counter, slot):
    require_newer(sha256, counter, slot)


@pytest.mark.parametrize(("sha256", "counter"), [(C, 5), (C, 4), (A, 4), (B, 4)])
def test_another_bundle_must_have_a_higher_counter(sha256, counter):
    with pytest.raises(UpdateRefused, match=f"counter {counter} is not above 5") as refused:
        require_newer(sha256, counter, SLOT)
    assert code_of(refused) == "old_counter"


def test_the_bytes_must_be_the_announced_ones():
    require_hash(b"a", A)
    with pytest.raises(UpdateRefused) as refused:
        require_hash(b"a", B)
    assert code_of(refused) == "bad_hash"


# --- a bundle that is opened: by the trial's process, and by the loader at each start -------------


def changed_model(data):
    names = ("manifest.json", "manifest.sig", "model.onnx", "golden.json", "card.md")
    members = unpack_members(data, dict.fromkeys(names, 10**6))
    return pack_members(members | {"model.onnx": members["model.onnx"][::-1]})


HOSTILE = {  # code, and the bytes from the maker of bundles and the condition
    "no bundle": ("not_a_bundle", lambda _, __: b"\x7fELF" + bytes(500)),
    "too large": ("too_large", lambda _, __: bytes(4_194_305)),
    "another's key": ("unknown_key", lambda b, c: b.make(c, signer=b.stranger).data),
    "another model": ("bad_hash", lambda b, c: changed_model(b.make(c).data)),
    "other features": (
        "unsuitable",
        lambda b, c: b.make(c, features_version=FEATURES_VERSION + 1).data,
    ),
    "other columns": (
        "unsuitable",
        lambda b, c: b.make(c, feature_names=FEATURE_NAMES[::-1]).data,
    ),
    "another declaration": ("unsuitable", lambda b, c: b.make(replace(c, limit=74.0)).data),
    "another horizon": ("unsuitable", lambda b, c: b.make(c, horizon_s=3600).data),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_must_not_run_is_refused_by_the_rule_and_by_both_who_open_it(
    bundles, trusted, damp, tmp_path, name
):
    code, make = HOSTILE[name]
    data, path = make(bundles, damp), tmp_path / "x.dwb"
    path.write_bytes(data)
    with pytest.raises(UpdateRefused) as refused:
        opened(data, trusted, damp)
    assert code_of(refused) == code
    assert judge(question(path, bundles, damp)).code == code
    found = loading(trusted)(path, damp)
    assert isinstance(found, Unusable)
    assert found.reason.startswith(f"{code}: ")


def test_a_good_one_is_opened_by_both(bundles, trusted, damp, tmp_path):
    made, path = bundles.make(damp), tmp_path / "x.dwb"
    path.write_bytes(made.data)
    assert opened(made.data, trusted, damp).manifest.model == "m-damp"
    assert judge(question(path, bundles, damp)).code is None
    assert isinstance(loading(trusted)(path, damp), Forecaster)


def test_a_file_that_is_not_there_is_missing_for_both(bundles, trusted, damp, tmp_path):
    path = tmp_path / "none.dwb"
    assert judge(question(path, bundles, damp)).code == "missing"
    reason = loading(trusted)(path, damp).reason
    assert reason == "missing: none.dwb cannot be read: No such file or directory"


def test_no_key_at_all_is_trust_in_nobody(bundles, damp):
    with pytest.raises(UpdateRefused, match="trusted keys are: none"):
        opened(bundles.make(damp).data, TrustedKeys([]), damp)


def question(path, bundles, condition):
    return Trial(
        path=str(path),
        trusted_keys=(str(bundles.key),),
        condition=condition,
        model="m-damp",
        version="1",
        counter=1,
        timeout_s=60.0,
        memory_mib=512,
    )


@pytest.mark.parametrize(("name", "value"), [("model", "n"), ("version", "2"), ("counter", 2)])
def test_it_must_be_the_one_that_was_announced(bundles, trusted, damp, name, value):
    bundle = opened(bundles.make(damp).data, trusted, damp)
    said = {"model": "m-damp", "version": "1", "counter": 1}
    require_announced(bundle, **said)
    with pytest.raises(UpdateRefused, match=f"{name} is .*, but {value} was announced") as refused:
        require_announced(bundle, **said | {name: value})
    assert code_of(refused) == "unsuitable"


def test_its_model_must_give_the_golden_answers(bundles, trusted, damp):
    def made(**keys):
        return opened(bundles.make(damp, **keys).data, trusted, damp)

    require_answers(made())
    for keys, code in (
        ({"shift": 2e-5}, "wrong_answer"),
        ({"model": b"a pickle"}, "unsuitable"),
    ):
        with pytest.raises(UpdateRefused) as refused:
            require_answers(made(**keys))
        assert code_of(refused) == code


def test_its_features_must_be_the_golden_ones(bundles, trusted, damp):
    bundle = opened(bundles.make(damp).data, trusted, damp)
    grids = np.where(np.isnan(bundle.golden.grids), np.nan, bundle.golden.grids + 1.0)
    with pytest.raises(UpdateRefused, match="features differ") as refused:
        require_answers(replace(bundle, golden=replace(bundle.golden, grids=grids)))
    assert code_of(refused) == "wrong_answer"


def test_the_rules_without_a_bundle_need_no_numpy():
    script = "import sys, edge.bundles.trust; print('numpy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
