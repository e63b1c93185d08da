"""Trials of good and hostile bundles, where it matters in a real child process."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from contract.typed import plain
from edge.bundles.trial import Trial, try_bundle
from edge.bundles.verify_bundle import judge
from edge.errors import TrialUnavailable, UpdateRefused
from models.container import pack_members, unpack_members
from models.features import FEATURE_NAMES, FEATURES_VERSION


@pytest.fixture
def trial(tmp_path, bundles):
    """`trial(made, condition)`: what a gateway that declares this condition asks about a bundle."""

    def ask(made, condition, **keys):
        path = tmp_path / "x.part"
        path.write_bytes(made.data)
        known = {
            "path": str(path),
            "trusted_keys": (str(bundles.key),),
            "condition": condition,
            "model": made.wanted.model,
            "version": made.wanted.version,
            "counter": made.wanted.counter,
            "timeout_s": 60.0,
            "memory_mib": 512,
        }
        return Trial(**{**known, **keys})

    return ask


def graph(body, name, inputs, outputs):
    value = helper.make_tensor_value_info
    return helper.make_graph(
        body, name, [value(*i) for i in inputs], [value(*o) for o in outputs], []
    )


def constant(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def sum_of_rows(rest):
    """Nodes that make [rows, 1] of the features, then the rest."""
    return [helper.make_node("ReduceSum", ["features", "axis"], ["sum"], keepdims=1), *rest]


def hanging():
    """A loop that ends after 2^62 turns; its result depends on the input, so none folds it."""
    body = graph(
        [
            helper.make_node("Identity", ["go_on"], ["goes_on"]),
            helper.make_node("Sigmoid", ["x"], ["y"]),
        ],
        "turn",
        [
            ("turn", TensorProto.INT64, []),
            ("go_on", TensorProto.BOOL, []),
            ("x", TensorProto.FLOAT, None),
        ],
        [("goes_on", TensorProto.BOOL, []), ("y", TensorProto.FLOAT, None)],
    )
    loop = helper.make_node("Loop", ["turns", "always", "sum"], ["probability"], body=body)
    initial = [
        constant("axis", np.array([1])),
        constant("turns", np.int64(2**62)),
        constant("always", np.bool_(True)),
    ]
    return sum_of_rows([loop]), initial


def hungry():
    """Wants 40 GB between two small tensors."""
    nodes = sum_of_rows(
        [
            helper.make_node("Expand", ["sum", "shape"], ["wide"]),
            helper.make_node("ReduceMax", ["wide", "axis"], ["narrow"], keepdims=1),
            helper.make_node("Sigmoid", ["narrow"], ["probability"]),
        ]
    )
    return nodes, [constant("axis", np.array([1])), constant("shape", np.array([1, 250_000_000]))]


def overflowing():
    return [helper.make_node("ReduceSum", ["features", "axis"], ["probability"], keepdims=1)], [
        constant("axis", np.array([1]))
    ]


def test_a_good_bundle_is_good(trial, bundles, damp, frost):
    for condition in (damp, frost):
        try_bundle(trial(bundles.make(condition, version="2026-02-03-1", counter=8), condition))


def test_a_large_one_is_good_within_the_default_memory(trial, bundles, damp):
    try_bundle(trial(bundles.make(damp, hidden=4000), damp))


def patched(made, member):
    data = bytearray(made.data)
    data[data.index(member) + 40] ^= 1
    return replace(made, data=bytes(data))


def cut_off(made):
    return replace(made, data=made.data[: len(made.data) // 2])


def bomb(made):
    """Twenty kilobytes that inflate to twenty megabytes."""
    names = ("manifest.json", "manifest.sig", "model.onnx", "golden.json", "card.md")
    members = dict.fromkeys(names, b"{}") | {"model.onnx": bytes(20_000_000)}
    return replace(made, data=pack_members(members))


def repacked(made, name, change):
    """A flawless zip whose member is another than the one that was signed for."""
    names = ("manifest.json", "manifest.sig", "model.onnx", "golden.json", "card.md")
    members = unpack_members(made.data, dict.fromkeys(names, 10**6))
    return replace(made, data=pack_members(members | {name: change(members[name])}))


HOSTILE = {  # from bundles, condition and the maker of models to code and bundle
    "not a zip": lambda b, c, _: (
        "not_a_bundle",
        replace(b.make(c), data=b"\x7fELF" + bytes(500)),
    ),
    "empty": lambda b, c, _: ("not_a_bundle", replace(b.make(c), data=b"")),
    "cut off": lambda b, c, _: ("not_a_bundle", cut_off(b.make(c))),
    "flipped byte": lambda b, c, _: ("not_a_bundle", patched(b.make(c), b"model.onnx")),
    "flipped byte of the signature": lambda b, c, _: (
        "not_a_bundle",
        patched(b.make(c), b"manifest.sig"),
    ),
    "zip bomb": lambda b, c, _: ("too_large", bomb(b.make(c))),
    "larger than any": lambda b, c, _: ("too_large", replace(b.make(c), data=bytes(4_194_305))),
    "wrong key": lambda b, c, _: ("unknown_key", b.make(c, signer=b.stranger)),
    "manifest of another": lambda b, c, _: (
        "bad_signature",
        repacked(b.make(c), "manifest.json", lambda m: m.replace(b"m-damp", b"n-damp")),
    ),
    "model of another": lambda b, c, _: (
        "bad_hash",
        repacked(b.make(c), "model.onnx", lambda m: m[::-1]),
    ),
    "wrong golden vector": lambda b, c, _: ("wrong_answer", b.make(c, shift=2e-5)),
    "another declaration": lambda b, c, _: ("unsuitable", b.make(replace(c, limit=74.0))),
    "another horizon": lambda b, c, _: ("unsuitable", b.make(c, horizon_s=3600)),
    "newer features": lambda b, c, _: (
        "unsuitable",
        b.make(c, features_version=FEATURES_VERSION + 1),
    ),
    "columns in another order": lambda b, c, _: (
        "unsuitable",
        b.make(c, feature_names=FEATURE_NAMES[::-1]),
    ),
    "no model": lambda b, c, _: ("unsuitable", b.make(c, model=b"a pickle")),
    "no probability": lambda b, c, onnx_of: (
        "wrong_answer",
        b.make(c, model=onnx_of(*overflowing())),
    ),
}


SAID = {
    "not a zip": "expected member manifest.json at byte 0",
    "empty": "expected member manifest.json at byte 0",
    "cut off": "cut off",
    "flipped byte": "model.onnx is damaged",
    "flipped byte of the signature": "manifest.sig is damaged",
    "zip bomb": "model.onnx declares 20000000 bytes, at most",
    "larger than any": "larger than 4194304 bytes",
    "wrong key": "signed by key",
    "wrong golden vector": "probabilities differ from the golden vectors by 2e-05",
    "manifest of another": "the signature of key",
    "model of another": "model.onnx: its sha256 or size differs from the signed manifest",
    "another declaration": "another declaration of damp",
    "another horizon": "another declaration of damp",
    "newer features": f"features of version {FEATURES_VERSION + 1}, this gateway has",
    "columns in another order": "features of version",
    "no model": "the model cannot be loaded",
    "no probability": "is not a probability",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_bundle_is_refused_with_its_own_message(trial, bundles, damp, onnx_of, name):
    """Judged in this process: what the child's own limits are for follows below."""
    code, made = HOSTILE[name](bundles, damp, onnx_of)
    result = judge(trial(made, damp))
    assert (result.code, SAID[name] in result.text) == (code, True), result


def test_a_verdict_comes_back_from_the_child(trial, bundles, damp):
    with pytest.raises(UpdateRefused, match="probabilities differ from the golden") as refused:
        try_bundle(trial(bundles.make(damp, shift=-0.5e-4), damp))
    assert refused.value.code == "wrong_answer"
    assert not refused.value.retryable


def test_a_model_that_wants_too_much_memory_is_refused(trial, bundles, damp, onnx_of):
    with pytest.raises(UpdateRefused, match=r"the model failed: .*alloc") as refused:
        try_bundle(trial(bundles.make(damp, model=onnx_of(*hungry())), damp))
    assert refused.value.code == "wrong_answer"


@pytest.mark.parametrize(("key", "value"), [("counter", 2), ("version", "2"), ("model", "n")])
def test_a_bundle_that_is_another_than_the_one_announced(trial, bundles, damp, key, value):
    with pytest.raises(UpdateRefused, match=f"{key} is .*, but {value} was announced") as refused:
        try_bundle(trial(bundles.make(damp), damp, **{key: value}))
    assert refused.value.code == "unsuitable"


def test_a_model_that_hangs_is_ended(trial, bundles, damp, onnx_of, children):
    made = bundles.make(damp, model=onnx_of(*hanging()))
    began_s = time.monotonic()
    with pytest.raises(UpdateRefused, match=r"took longer than 2 s") as refused:
        try_bundle(trial(made, damp, timeout_s=2.0))
    assert refused.value.code == "timed_out"
    assert time.monotonic() - began_s < 10
    assert children() == []


def test_the_child_ends_by_itself_when_nobody_is_there_to_end_it(trial, bundles, damp, onnx_of):
    """As when the gateway was killed meanwhile."""
    made = bundles.make(damp, model=onnx_of(*hanging()))
    question = json.dumps(plain(trial(made, damp, timeout_s=1.0)))
    done = subprocess.run(
        [sys.executable, "-m", "edge.bundles.verify_bundle"],
        input=question.encode(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == -signal.SIGXCPU


@pytest.fixture
def children():
    """Pids of this process's children that run trials."""

    def find():
        found = []
        for stat in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                mine = int(stat.with_name("stat").read_text().rsplit(")", 1)[1].split()[1])
                if mine == os.getpid() and b"edge.bundles.verify_bundle" in stat.read_bytes():
                    found.append(int(stat.parent.name))
            except OSError:
                continue
        return found

    return find


def test_something_newer_ends_a_trial(trial, bundles, damp, onnx_of, children):
    made = bundles.make(damp, model=onnx_of(*hanging()))
    began_s = time.monotonic()
    with pytest.raises(TrialUnavailable, match="interrupted by a stop"):
        try_bundle(trial(made, damp), lambda: time.monotonic() - began_s > 0.5)
    assert time.monotonic() - began_s < 10  # its own time would be 60 s
    assert children() == []


def test_a_child_that_is_killed_from_outside_says_nothing_of_the_bundle(
    trial, bundles, damp, onnx_of, children, wait_until
):
    made, raised = bundles.make(damp, model=onnx_of(*hanging())), []

    def ask():
        with pytest.raises(TrialUnavailable, match=r"was killed \(SIGKILL\)") as error:
            try_bundle(trial(made, damp))
        raised.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    wait_until(children)
    os.kill(children()[0], signal.SIGKILL)
    thread.join(10)
    assert raised[0].value.retryable


def test_a_child_that_cannot_work_says_why(trial, bundles, damp):
    asked = trial(bundles.make(damp), damp, trusted_keys=("/nowhere/key.pem",))
    with pytest.raises(UpdateRefused, match=r"no result: .*/nowhere/key\.pem: the key cannot be"):
        try_bundle(asked)


def test_the_child_has_little_of_everything(trial, bundles, damp, children, onnx_of, wait_until):
    made = bundles.make(damp, model=onnx_of(*hanging()))
    stop = threading.Event()

    def ask():
        with pytest.raises(TrialUnavailable):
            try_bundle(trial(made, damp, memory_mib=300), stop.is_set)

    thread = threading.Thread(target=ask)
    thread.start()
    wait_until(children)
    pid = children()[0]
    nice = os.getpriority(os.PRIO_PROCESS, 0) + 10
    # the niceness is set last
    wait_until(lambda: os.getpriority(os.PRIO_PROCESS, pid) == nice)
    limits = Path(f"/proc/{pid}/limits").read_text()
    stop.set()
    thread.join(10)
    rows = {line[:26].strip(): line[26:].split()[:2] for line in limits.splitlines()}
    assert rows["Max address space"] == ["314572800", "314572800"]
    assert rows["Max cpu time"] == ["60", "65"]
    assert rows["Max core file size"] == ["0", "0"]
