"""Which bundles are run, and when; a registry of two dictionaries."""

import hashlib
from dataclasses import replace
from types import SimpleNamespace

import pytest

from cloud.registry import Alias, AliasRow, RegistryError
from cloud.scoring.champions import Champions
from models.errors import BundleRefused
from models.features import FEATURES_VERSION
from models.signing import Signer

NEW_YEAR = 1_356_998_400_000  # 2013-01-01T00:00:00Z


class Kept:
    """A registry in memory."""

    def __init__(self):
        self.rows = []
        self.bundles = {}
        self.reads_total = 0

    def add(self, version, from_at, bundle, condition_id="humid"):
        self.bundles[version] = bundle
        self.rows.append(
            AliasRow(
                condition_id=condition_id,
                alias=Alias.CHAMPION,
                from_at=from_at,
                model="humid-made",
                version=version,
            )
        )

    def champions(self):
        return tuple(self.rows)

    def find(self, _model, version):
        bundle = self.bundles[version]
        return bundle and SimpleNamespace(sha256=hashlib.sha256(bundle).hexdigest())

    def bundle_bytes(self, sha256):
        self.reads_total += 1
        return next(b for b in self.bundles.values() if hashlib.sha256(b).hexdigest() == sha256)


@pytest.fixture(scope="module")
def signer():
    return Signer.generate()


@pytest.fixture
def registry():
    return Kept()


@pytest.fixture
def champions(registry, condition, signer):
    return Champions(registry, (condition,), signer.trusted())


def test_without_a_champion_there_is_no_term(champions):
    assert champions.terms() == ()


def test_a_term_ends_where_the_next_begins(champions, registry, new_bundle, signer, condition):
    registry.add("v2", NEW_YEAR + 9, new_bundle(2, signer))
    registry.add("v1", NEW_YEAR, new_bundle(1, signer))
    registry.add("x", NEW_YEAR, b"of a condition that is not declared", condition_id="undeclared")
    terms = champions.terms()
    assert [(t.version, t.from_at, t.until_at) for t in terms] == [
        ("v1", NEW_YEAR, NEW_YEAR + 9),
        ("v2", NEW_YEAR + 9, None),
    ]
    assert {t.condition for t in terms} == {condition}
    assert champions.terms() == terms
    assert registry.reads_total == 2  # each bundle once


def test_what_was_made_for_something_else_forecasts_nothing(
    champions, registry, new_bundle, signer, condition, caplog
):
    other = new_bundle(1, signer, condition=replace(condition, limit=70.0))
    registry.add("v1", NEW_YEAR, other)
    registry.add("v2", NEW_YEAR + 9, new_bundle(2, signer, features_version=FEATURES_VERSION + 1))
    registry.add("v3", NEW_YEAR + 20, new_bundle(3, signer))
    (term,) = champions.terms()
    assert (term.version, term.from_at) == ("v3", NEW_YEAR + 20)
    assert "another declaration" in caplog.text
    assert "other features" in caplog.text


def test_what_is_not_to_be_trusted_is_never_run(champions, registry, new_bundle):
    registry.add("v1", NEW_YEAR, new_bundle(1, Signer.generate()))
    with pytest.raises(BundleRefused, match="unknown_key"):
        champions.terms()
    registry.bundles["v1"] = None
    with pytest.raises(RegistryError, match="not recorded"):
        champions.terms()


def test_a_model_that_gives_wrong_answers_is_never_run(champions, registry, new_bundle, signer):
    registry.add("v1", NEW_YEAR, new_bundle(1, signer, answers=2))
    with pytest.raises(BundleRefused, match="wrong_answer"):
        champions.terms()
