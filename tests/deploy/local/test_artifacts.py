"""The cache: pins are complete, what is missing points to the set-up, what is there is found."""

import re
from pathlib import Path

import pytest

from contract.errors import ConfigError
from deploy.local.artifacts import cache_folder, elasticsearch_home, pinned, spark_jars


def test_every_pin_is_a_whole_hash_and_a_file_of_its_own() -> None:
    artifacts = pinned()
    assert len({artifact.place for artifact in artifacts}) == len(artifacts) > 1
    assert all(re.fullmatch(r"[0-9a-f]{64}", artifact.sha256) for artifact in artifacts)
    assert {artifact.type for artifact in artifacts} == {"jar", "zip"}


def test_an_empty_cache_points_to_the_set_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEWLINE_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    with pytest.raises(ConfigError, match=r"elasticsearch-8\.19\.21 is missing.*make setup"):
        elasticsearch_home()
    with pytest.raises(ConfigError, match="make setup"):
        spark_jars()


def test_what_is_in_the_cache_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEWLINE_CACHE", str(tmp_path))
    for artifact in pinned():
        artifact.place.parent.mkdir(parents=True, exist_ok=True)
        artifact.place.touch()
    assert elasticsearch_home().parent == tmp_path
    names = [jar.name for jar in spark_jars()]
    assert "delta-spark_4.2_2.13-4.4.0.jar" in names
    assert "mysql-connector-j-9.7.0.jar" in names
    assert all(name.endswith(".jar") for name in names)
