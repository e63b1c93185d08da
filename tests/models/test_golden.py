"""Golden vectors: every bit survives, every difference is found."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from models.errors import BundleRefused
from models.features import LAGS
from models.golden import Agreement, Golden, check_golden, decode_golden, encode_golden

ROWS, COLUMNS = 32, 4


def golden(rows=ROWS, seed=6):
    draw = np.random.default_rng(seed)
    grids = draw.normal(20, 5, (rows, 3, LAGS))
    grids[:, 2] = np.nan
    return Golden(
        grids=grids,
        at_ms=1_356_998_400_000 + 3_600_000 * np.arange(rows),
        features=draw.normal(0, 1, (rows, COLUMNS)),
        probabilities=draw.uniform(0, 1, rows),
    )


GOLDEN = golden()
TABLE = json.loads(encode_golden(GOLDEN))


def same(one, other):
    return all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name == "grids")
        for name in ("grids", "at_ms", "features", "probabilities")
    )


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_decode_after_encode_keeps_every_bit(data):
    finite = st.floats(allow_nan=False, allow_infinity=False)
    known = st.floats(allow_infinity=False)
    rows = data.draw(st.integers(32, 40))
    made = Golden(
        grids=data.draw(npst.arrays(np.float64, (rows, 3, LAGS), elements=known)),
        at_ms=data.draw(npst.arrays(np.int64, rows, elements=st.integers(0, 2 * 10**12))),
        features=data.draw(npst.arrays(np.float64, (rows, COLUMNS), elements=finite)),
        probabilities=data.draw(npst.arrays(np.float64, rows, elements=st.floats(0, 1))),
    )
    encoded = encode_golden(made)
    found = decode_golden(encoded, COLUMNS)
    assert same(found, made)
    assert encode_golden(found) == encoded


@pytest.mark.parametrize("rows", [32, 256])
def test_few_and_many_rows(rows):
    made = golden(rows)
    assert same(decode_golden(encode_golden(made), COLUMNS), made)


def test_what_json_has_no_word_for_is_not_written():
    for name, value in (
        ("grids", math.inf),
        ("features", math.nan),
        ("features", -math.inf),
        ("probabilities", math.nan),
    ):
        made = golden()
        getattr(made, name)[3] = value
        with pytest.raises(BundleRefused, match=r"bad_golden: .* not finite"):
            encode_golden(made)


def cut(name, rows=1):
    return {**TABLE, name: TABLE[name][:-rows]}


def put(name, value, row=5):
    column = list(TABLE[name])
    column[row] = value
    return {**TABLE, name: column}


def row_of(value):
    return [value, *TABLE["features"][0][1:]]


def grid_of(value):
    return [[value, *TABLE["grids"][0][0][1:]], *TABLE["grids"][0][1:]]


@pytest.mark.parametrize(
    "table",
    [
        [],
        {},
        {**TABLE, "seed": 6},
        {name: column for name, column in TABLE.items() if name != "at_ms"},
        {**TABLE, "grids": None},
        cut("grids"),
        cut("at_ms"),
        cut("features"),
        cut("probabilities"),
        {name: column[:31] for name, column in TABLE.items()},
        {name: column * 9 for name, column in TABLE.items()},
        {**TABLE, "grids": [grid[:2] for grid in TABLE["grids"]]},
        {**TABLE, "grids": [[row[:-1] for row in grid] for grid in TABLE["grids"]]},
        {**TABLE, "features": [row[:-1] for row in TABLE["features"]]},
        {**TABLE, "features": [[*row, 0.0] for row in TABLE["features"]]},
        {**TABLE, "probabilities": [[p] for p in TABLE["probabilities"]]},
        put("grids", TABLE["grids"][0][:2]),
        put("grids", grid_of("1.0")),
        put("grids", grid_of(True)),
        put("grids", grid_of(math.nan)),
        put("grids", grid_of(math.inf)),
        put("grids", grid_of([])),
        put("features", TABLE["features"][0][:-1]),
        put("features", row_of(None)),
        put("features", row_of(math.nan)),
        put("features", row_of("0")),
        put("at_ms", 1.5),
        put("at_ms", None),
        put("at_ms", 10**18),
        put("probabilities", 1.0000001),
        put("probabilities", -1e-9),
        put("probabilities", None),
        put("probabilities", True),
    ],
)
def test_what_is_no_golden_vector(table):
    with pytest.raises(BundleRefused, match=r"golden\.json") as caught:
        decode_golden(json.dumps(table).encode(), COLUMNS)
    assert caught.value.code == "bad_golden"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"{",
        json.dumps(TABLE).encode("utf-16"),
        b"[" * 100_000,
        b'{"grids": ' + b"[" * 600 + b"]" * 600 + b"}",
        b'{"at_ms": [' + b"1" * 5_000 + b"]}",
        b'{"probabilities": [1e999]}',
    ],
)
def test_what_is_no_json(data):
    with pytest.raises(BundleRefused) as caught:
        decode_golden(data, COLUMNS)
    assert caught.value.code == "bad_golden"


def moved(values, by, row=7):
    other = values.copy()
    other[row] += by
    return other


def test_the_same_answers_agree():
    asked = []

    def features_of(grids, at_ms):
        asked.append((grids, at_ms))
        return moved(GOLDEN.features, 9e-7)

    found = check_golden(GOLDEN, features_of, lambda _: moved(GOLDEN.probabilities, -9e-6))
    assert found == Agreement(
        features=pytest.approx(9e-7, rel=1e-3), probabilities=pytest.approx(9e-6, rel=1e-3)
    )
    ((grids, at_ms),) = asked
    assert np.array_equal(grids, GOLDEN.grids, equal_nan=True)
    assert np.array_equal(at_ms, GOLDEN.at_ms)


def test_the_model_is_asked_with_the_golden_features():
    """A wrong feature must not be made good by a model that is wrong the other way."""
    asked = []
    check_golden(
        GOLDEN,
        lambda *_: GOLDEN.features + 1e-9,
        lambda features: asked.append(features) or GOLDEN.probabilities,
    )
    assert np.array_equal(asked[0], GOLDEN.features)


@pytest.mark.parametrize(
    ("features", "probabilities", "words"),
    [
        (moved(GOLDEN.features, 2e-6), GOLDEN.probabilities, "features differ .* by 2e-06"),
        (moved(GOLDEN.features, math.nan), GOLDEN.probabilities, "features differ .* by nan"),
        (
            GOLDEN.features[:, 1:],
            GOLDEN.probabilities,
            r"features: expected shape .* found \(32, 3\)",
        ),
        (GOLDEN.features, moved(GOLDEN.probabilities, -2e-5), "probabilities differ"),
        (GOLDEN.features, moved(GOLDEN.probabilities, math.nan), "probabilities differ"),
        (
            GOLDEN.features,
            GOLDEN.probabilities[:, None],
            r"probabilities: expected shape .* found \(32, 1\)",
        ),
        (
            GOLDEN.features,
            GOLDEN.probabilities[:1],
            r"probabilities: expected shape .* found \(1,\)",
        ),
    ],
)
def test_another_answer_is_wrong(features, probabilities, words):
    with pytest.raises(BundleRefused, match=f"wrong_answer: {words}"):
        check_golden(GOLDEN, lambda *_: features, lambda _: probabilities)
