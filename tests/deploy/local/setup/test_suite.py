"""An apt configuration for another suite of Debian, beside the system's own."""

import pytest

from deploy.local.errors import SetupError
from deploy.local.setup import suite


@pytest.fixture
def sources(monkeypatch):
    """`sources(text)`: what apt prints of the system's own sources."""
    return lambda text: monkeypatch.setattr(suite, "run", lambda _command, _what: text)


def test_the_systems_own_mirror_serves_the_other_suite(sources, tmp_path):
    sources("http://security.example/debian-security/\nhttp://mirror.example/debian/\n")
    options = suite.suite_options(tmp_path, "sid")
    (line,) = (tmp_path / "sources.list").read_text().splitlines()
    assert line.endswith(" http://mirror.example/debian/ sid main")
    assert "signed-by=" in line
    assert f"Dir::Etc::SourceList={tmp_path}/sources.list" in options
    assert "Dir::State::status=/dev/null" in options


def test_without_a_mirror_the_reason_is_named(sources):
    sources("http://security.example/debian-security/\n")
    with pytest.raises(SetupError, match="name no Debian mirror"):
        suite.mirror()
