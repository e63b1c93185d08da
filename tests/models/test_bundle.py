"""Bundles: what was packed comes out, and nothing else ever does."""

import base64
import hashlib
import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.signals import Signal
from models.bundle import (
    MAX_BUNDLE_BYTES,
    BundleRefused,
    Family,
    Golden,
    Lineage,
    Manifest,
    pack,
    unpack,
)
from models.conditions import Comparison, Condition
from models.container import pack_members, unpack_members
from models.derived import Derived
from models.features import FEATURE_NAMES, FEATURES_VERSION, LAGS
from models.signing import Signer, TrustedKeys

SIGNER, STRANGER = Signer.generate(), Signer.generate()
TRUSTED = SIGNER.trusted()
NAMES = ("manifest.json", "manifest.sig", "model.onnx", "golden.json", "card.md")
DEW = Condition(
    id="dew",
    derived=Derived.DEW_POINT_MARGIN,
    temperature=Signal.parse("attic/temperature"),
    humidity=Signal.parse("attic/humidity"),
    pressure=Signal.parse("roof/pressure"),
    comparison=Comparison.BELOW,
    limit=3.0,
    hysteresis=0.5,
    step_s=3600,
    max_age_s=7200,
)
MANIFEST = Manifest(
    model="dew-baseline",
    version="2013-03-31-1",
    family=Family.BASELINE,
    condition=DEW,
    horizon_s=DEW.horizon_s,
    features_version=FEATURES_VERSION,
    feature_names=FEATURE_NAMES[:3],
    counter=1,
    created_at=1_364_688_000_000,
    lineage=Lineage(
        dataset_version="12",
        code_version="0.1.0",
        trained_from="2013-01-01T00:00:00Z",
        trained_to="2013-03-31T00:00:00Z",
        parameters='{"C": 0.1}',
        seed="6",
    ),
)
CARD = "# dew-baseline\n\nForecasts a dew-point margin below 3 K, 6 h ahead. Größe: klein.\n"


def golden(rows=32, columns=3):
    draw = np.random.default_rng(6)
    grids = draw.normal(20, 5, (rows, 3, LAGS)).round(2)
    grids[:, 2] = np.nan
    return Golden(
        grids=grids,
        at_ms=1_356_998_400_000 + 3_600_000 * np.arange(rows),
        features=draw.normal(0, 1, (rows, columns)).round(4),
        probabilities=draw.uniform(0, 1, rows).round(6),
    )


GOLDEN = golden()
MODEL = np.random.default_rng(7).bytes(3_000)
FILE = pack(MANIFEST, MODEL, GOLDEN, CARD, SIGNER)
LIMITS = dict.fromkeys(NAMES, 10**6)
MEMBERS = unpack_members(FILE, LIMITS)
TOLD = json.loads(MEMBERS["manifest.json"])


def content(bundle):
    """All that a bundle says, as something to compare."""
    arrays = (bundle.golden.grids, bundle.golden.at_ms, bundle.golden.features)
    numbers = tuple(a.tobytes() for a in (*arrays, bundle.golden.probabilities))
    return bundle.manifest, bundle.model, bundle.card, numbers


CONTENT = content(unpack(FILE, TRUSTED))


def refusal(data, trusted=TRUSTED):
    with pytest.raises(BundleRefused) as caught:
        unpack(data, trusted)
    assert str(caught.value) == f"{caught.value.code}: {caught.value.text}"
    assert caught.value.text
    return caught.value


def signature_of(manifest, signer=SIGNER, **other):
    name, signature = signer.sign(manifest)
    table = {"key_id": name, "signature": base64.b64encode(signature).decode()}
    return json.dumps({**table, **other}).encode()


def sealed(manifest, **members):
    """A file whose manifest is any bytes, rightly signed; other members by their first word."""
    if not isinstance(manifest, bytes):
        manifest = json.dumps(manifest).encode()
    changed = {"manifest.json": manifest, "manifest.sig": signature_of(manifest)}
    named = {name: members.get(name.partition(".")[0], MEMBERS[name]) for name in NAMES}
    return pack_members({**named, **changed})


def with_member(name, data):
    """A file with another member that its manifest, rightly signed, tells of."""
    files = [
        {"name": name, "sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
        if file["name"] == name
        else file
        for file in TOLD["files"]
    ]
    return sealed({**TOLD, "files": files}, **{name.partition(".")[0]: data})


# --- what is packed ------------------------------------------------------------------------------


def test_what_is_packed_comes_out():
    bundle = unpack(FILE, TRUSTED)
    assert replace(bundle.manifest, files=()) == MANIFEST
    assert (bundle.model, bundle.card) == (MODEL, CARD)
    for name in ("at_ms", "features", "probabilities"):
        assert np.array_equal(getattr(bundle.golden, name), getattr(GOLDEN, name))
    assert np.array_equal(bundle.golden.grids, GOLDEN.grids, equal_nan=True)
    assert {f.name: (f.sha256, f.size_bytes) for f in bundle.manifest.files} == {
        name: (hashlib.sha256(MEMBERS[name]).hexdigest(), len(MEMBERS[name])) for name in NAMES[2:]
    }


def test_the_same_input_gives_the_same_file():
    assert pack(MANIFEST, MODEL, golden(), CARD, SIGNER) == FILE
    again = unpack(FILE, TRUSTED)
    assert pack(again.manifest, again.model, again.golden, again.card, SIGNER) == FILE


words = st.from_regex(r"[ -~]{1,200}", fullmatch=True)
ids = st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True)
conditions = st.builds(
    Condition,
    id=ids,
    signal=st.just(Signal.parse("attic/humidity")),
    temperature=st.sampled_from(
        [None, *map(Signal.parse, ("attic/temperature", "roof/temperature"))]
    ),
    pressure=st.sampled_from([None, Signal.parse("roof/pressure")]),
    comparison=st.sampled_from(Comparison),
    limit=st.floats(0, 100),
    hysteresis=st.floats(0, 50),
    step_s=st.integers(1, 86_400),
    max_age_s=st.integers(1, 10**6),
    warn_at=st.floats(0, 1),
)
manifests = st.builds(
    Manifest,
    model=ids,
    version=ids,
    family=st.sampled_from(Family),
    condition=conditions,
    horizon_s=st.integers(0, 10**8),
    features_version=st.integers(1, 1_000),
    feature_names=st.lists(
        st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True),
        min_size=3,
        max_size=3,
        unique=True,
    ).map(tuple),
    counter=st.integers(1, 2**53 - 1),
    created_at=st.integers(0, 10**13),
    lineage=st.builds(Lineage, **dict.fromkeys(Lineage.__dataclass_fields__, words)),
)


@settings(max_examples=25, deadline=None)
@given(manifests, st.binary(max_size=500), st.text(st.characters(codec="utf-8"), max_size=200))
def test_any_manifest_model_and_card_come_out(manifest, model, card):
    bundle = unpack(pack(manifest, model, GOLDEN, card, SIGNER), TRUSTED)
    assert replace(bundle.manifest, files=()) == manifest
    assert (bundle.model, bundle.card) == (model, card)


def test_what_would_be_refused_is_not_packed():
    cases = {
        "bad_golden": (MANIFEST, MODEL, golden(31), CARD),
        "too_large": (MANIFEST, bytes(1_048_577), GOLDEN, CARD),
        "bad_manifest": (replace(MANIFEST, counter=0), MODEL, GOLDEN, CARD),
    }
    for code, input_ in cases.items():
        with pytest.raises(BundleRefused, match=code):
            pack(*input_, SIGNER)
    with pytest.raises(BundleRefused, match=r"bad_golden: .* expected shape \(32, 43\)"):
        pack(replace(MANIFEST, feature_names=FEATURE_NAMES), MODEL, GOLDEN, CARD, SIGNER)


def test_as_many_golden_rows_of_as_many_features_as_there_are_fit():
    columns, draw = len(FEATURE_NAMES), np.random.default_rng(8)
    most = replace(
        golden(256, columns),
        grids=draw.normal(20, 5, (256, 3, LAGS)),
        features=draw.normal(0, 1, (256, columns)),
    )
    told = replace(MANIFEST, feature_names=FEATURE_NAMES)
    data = pack(told, draw.bytes(1_048_576), most, "x" * 65_536, SIGNER)
    assert len(data) < MAX_BUNDLE_BYTES
    assert len(unpack(data, TRUSTED).golden.at_ms) == 256


# --- who signed ----------------------------------------------------------------------------------


def test_a_key_that_nobody_trusts():
    other = pack(MANIFEST, MODEL, GOLDEN, CARD, STRANGER)
    assert refusal(other).code == "unknown_key"
    assert refusal(FILE, TrustedKeys([])).code == "unknown_key"
    assert content(unpack(other, STRANGER.trusted())) == CONTENT


def test_a_stranger_in_the_name_of_a_trusted_key():
    forged = signature_of(MEMBERS["manifest.json"], STRANGER, key_id=SIGNER.key_id)
    assert refusal(pack_members({**MEMBERS, "manifest.sig": forged})).code == "bad_signature"


def test_the_signature_of_another_bundle():
    other = pack(replace(MANIFEST, counter=2), MODEL, GOLDEN, CARD, SIGNER)
    swapped = {**MEMBERS, "manifest.sig": unpack_members(other, LIMITS)["manifest.sig"]}
    assert refusal(pack_members(swapped)).code == "bad_signature"


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b"[" * 1_000,
        signature_of(MEMBERS["manifest.json"], signature="A" * 87),
        signature_of(MEMBERS["manifest.json"], signature=None),
        signature_of(MEMBERS["manifest.json"], key_id=SIGNER.key_id.upper() + "G"),
        signature_of(MEMBERS["manifest.json"], algorithm="none"),
    ],
    ids=["nothing", "no text", "list", "empty", "deep", "length", "null", "key id", "algorithm"],
)
def test_what_is_no_signature(signature):
    assert refusal(pack_members({**MEMBERS, "manifest.sig": signature})).code == "bad_signature"


def test_nothing_is_parsed_before_its_signature_is_verified():
    for manifest in (b"", b"[" * 10_000, b"{}"):
        unsigned = pack_members({**MEMBERS, "manifest.json": manifest})
        assert refusal(unsigned).code == "bad_signature"


# --- what was changed ----------------------------------------------------------------------------


def regions():
    """Where each member's header and data and the directory begin and end."""
    bounds = [0]
    for name in NAMES:
        header = FILE.index(b"PK\x03\x04", bounds[-1])
        bounds.append(header + 30 + len(name))
        packed_bytes = int.from_bytes(FILE[header + 18 : header + 22], "little")
        bounds.append(bounds[-1] + packed_bytes)
    bounds.append(FILE.index(b"PK\x05\x06", bounds[-1]))
    bounds.append(len(FILE))
    return list(pairwise(bounds))


def test_the_regions_are_the_whole_file():
    assert len(regions()) == 2 * len(NAMES) + 2
    assert sum(end - begin for begin, end in regions()) == len(FILE)


# by number: where a region lies depends on the key, which each process of a run makes anew
@pytest.mark.parametrize("region", range(2 * len(NAMES) + 2))
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_no_flipped_byte_is_ever_accepted_as_something_else(data, region):
    begin, end = regions()[region]
    at = data.draw(st.integers(begin, end - 1))
    damaged = FILE[:at] + bytes([FILE[at] ^ data.draw(st.integers(1, 255))]) + FILE[at + 1 :]
    try:
        found = unpack(damaged, TRUSTED)
    except BundleRefused:
        return
    # deflate can say the same bytes in two ways, nothing else may differ
    assert unpack_members(damaged, LIMITS) == MEMBERS
    assert content(found) == CONTENT


@given(st.integers(0, len(FILE) - 1))
def test_a_file_that_is_cut_off(length):
    assert refusal(FILE[:length]).code == "not_a_bundle"


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(NAMES), st.data())
def test_no_member_can_be_changed_even_in_a_whole_file(name, data):
    """The container's own checksums are right here: only signature and hashes stand in the way."""
    member = MEMBERS[name]
    at = data.draw(st.integers(0, len(member) - 1))
    changed = member[:at] + data.draw(st.binary(max_size=3)) + member[at + 1 :]
    file = pack_members({**MEMBERS, name: changed})
    if changed == member:
        assert file == FILE
    elif name == "manifest.sig":  # its last character says nothing: four bits of base64 are spare
        try:
            assert content(unpack(file, TRUSTED)) == CONTENT
        except BundleRefused:
            return
    else:
        code = "bad_signature" if name == "manifest.json" else "bad_hash"
        assert refusal(file).code == code


def test_members_of_two_bundles_do_not_mix():
    other = unpack_members(
        pack(replace(MANIFEST, version="2"), b"other", golden(33), "# other", SIGNER), LIMITS
    )
    for name in NAMES[2:]:
        mixed = refusal(pack_members({**MEMBERS, name: other[name]}))
        assert (mixed.code, name in mixed.text) == ("bad_hash", True)


# --- sizes and members ---------------------------------------------------------------------------


def test_a_file_that_is_too_large_is_not_looked_into():
    assert refusal(FILE + bytes(MAX_BUNDLE_BYTES)).code == "too_large"
    assert refusal(bytes(MAX_BUNDLE_BYTES + 1)).code == "too_large"
    assert refusal(bytes(MAX_BUNDLE_BYTES)).code == "not_a_bundle"


@pytest.mark.parametrize("name", NAMES)
def test_a_member_that_is_too_large(name):
    bomb = pack_members({**MEMBERS, name: bytes(50_000_000)})
    assert len(bomb) < MAX_BUNDLE_BYTES
    assert refusal(bomb).code == "too_large"


@pytest.mark.parametrize("name", NAMES)
def test_a_member_that_inflates_beyond_what_it_says(name):
    bomb = bytearray(pack_members({**MEMBERS, name: bytes(50_000_000)}))
    at = bomb.index(name.encode()) - 30 + 22
    bomb[at : at + 4] = (100).to_bytes(4, "little")
    assert refusal(bytes(bomb)).code == "too_large"


def test_other_members_than_those():
    assert refusal(pack_members({**MEMBERS, "extra.py": b"x"})).code == "not_a_bundle"
    assert refusal(pack_members({**MEMBERS, "../../etc/passwd": b"x"})).code == "not_a_bundle"
    for name in NAMES:
        rest = {n: data for n, data in MEMBERS.items() if n != name}
        assert refusal(pack_members(rest)).code == "not_a_bundle"
        for other in (f"/{name}", f"../{name}", f"./{name}", name.upper(), f"{name}/"):
            renamed = {other if n == name else n: data for n, data in MEMBERS.items()}
            assert refusal(pack_members(renamed)).code == "not_a_bundle"
    assert refusal(pack_members(dict(reversed(MEMBERS.items())))).code == "not_a_bundle"


# --- what a trusted key may sign nevertheless ----------------------------------------------------


def test_a_manifest_signed_by_hand_is_read():
    assert content(unpack(sealed(TOLD), TRUSTED)) == CONTENT
    assert content(unpack(with_member("card.md", CARD.encode()), TRUSTED)) == CONTENT


def told(path, value):
    table = json.loads(json.dumps(TOLD))
    *folders, key = path.split(".")
    place = table
    for folder in folders:
        place = place[int(folder)] if isinstance(place, list) else place[folder]
    if value is ...:
        del place[key]
    else:
        place[key] = value
    return table


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (b"", "manifest.json"),
        (b"\xff", "manifest.json"),
        (b"[]", "expected a table"),
        (b"[" * 60_000, "manifest.json"),
        (json.dumps(TOLD).encode("utf-16"), "manifest.json"),
        (json.dumps(TOLD).replace("0.5", "NaN", 1).encode(), "expected a finite number, found nan"),
        (json.dumps(TOLD).replace("0.5", "1e999", 1).encode(), "finite"),
        (json.dumps(TOLD).replace("0.5", "9" * 5_000, 1).encode(), "manifest.json"),
        (told("colour", "blue"), "unknown key 'colour'"),
        (told("condition.colour", "blue"), "unknown key 'colour'"),
        (told("lineage.colour", "blue"), "unknown key 'colour'"),
        (told("files.0.colour", "blue"), "unknown key 'colour'"),
        (told("schema", 2), "schema: expected 1 to 1"),
        (told("schema", True), "schema: expected a whole number"),
        (told("model", ...), "key 'model' is missing"),
        (told("model", "../dew"), "model: expected"),
        (told("version", 1), "version: expected a text"),
        (told("family", "forest"), "family: expected one of baseline, sklearn, blend, mllib"),
        (told("counter", 0), "counter: expected"),
        (told("counter", "1"), "counter: expected a whole number"),
        (told("counter", 1.0), "counter: expected a whole number"),
        (told("counter", None), "counter: expected a whole number"),
        (told("created_at", 10**18), "created_at: expected"),
        (told("horizon_s", -1), "horizon_s: expected"),
        (told("features_version", 0), "features_version: expected"),
        (told("feature_names", []), "feature_names: the list is empty"),
        (told("feature_names", ["a", "b", "a"]), "one twice"),
        (told("feature_names", "abc"), "feature_names: expected a list"),
        (told("feature_names", ["a\n", "b", "c"]), "feature_names[0]: expected"),
        (told("lineage.seed", 6), "seed: expected a text"),
        (told("lineage.code_version", "two\nlines"), "code_version: expected"),
        (told("lineage.parameters", ...), "key 'parameters' is missing"),
        (told("condition", None), "condition: expected a table"),
        (told("condition.limit", "3"), "limit: expected a finite number"),
        (told("condition.humidity", ...), "dew: derived: the keys"),
        (told("condition.signal", "attic/humidity"), "dew: signal: not allowed"),
        (told("files", ...), "files: expected model.onnx, golden.json, card.md"),
        (told("files", TOLD["files"][:2]), "files: expected"),
        (told("files", TOLD["files"] * 2), "files: expected"),
        (told("files", TOLD["files"][::-1]), "files: expected"),
        (told("files.0.name", "/model.onnx"), "files: expected"),
        (told("files.0.sha256", "0" * 63), "sha256: expected"),
        (told("files.0.size_bytes", -1), "size_bytes: expected"),
    ],
)
def test_what_is_no_manifest(manifest, words):
    error = refusal(sealed(manifest))
    assert error.code == "bad_manifest"
    assert words in error.text
    assert "manifest.json" in error.text


def told_of_file(number, key, value):
    return sealed(told(f"files.{number}", {**TOLD["files"][number], key: value}))


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_hash_or_size_that_is_not_the_members(number):
    files = TOLD["files"]
    for key, value in (("sha256", "0" * 64), ("size_bytes", files[number]["size_bytes"] + 1)):
        changed = [{**f, key: value} if f is files[number] else f for f in files]
        error = refusal(sealed({**TOLD, "files": changed}))
        assert (error.code, files[number]["name"] in error.text) == ("bad_hash", True)


def test_golden_vectors_for_other_features():
    table = json.loads(MEMBERS["golden.json"])
    for changed in (
        {**table, "features": [row[:2] for row in table["features"]]},
        {**table, "at_ms": table["at_ms"][:-1]},
        {**table, "colour": "blue"},
    ):
        data = json.dumps(changed).encode()
        assert refusal(with_member("golden.json", data)).code == "bad_golden"
    assert refusal(with_member("golden.json", b"NaN")).code == "bad_golden"


def test_a_card_that_is_no_text():
    error = refusal(with_member("card.md", b"\xff\xfe"))
    assert (error.code, error.text) == ("not_a_bundle", "card.md is not UTF-8 text")
