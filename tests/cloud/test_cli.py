"""The command line: exit status, messages without tracebacks, help with an example."""

import argparse
import importlib
from pathlib import Path

import pytest

from cloud.cli import NOUNS, main, module_of


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "cloud.toml"
    path.write_text(f'[lake]\nroot = "{tmp_path}/lake"\n[ingest]\nnode = "n"\nport = 1\n')
    return str(path)


def test_mistakes_in_usage_exit_with_2(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ["lake", "show"],
        ["--config", config],
        ["--config", config, "lakes"],
        ["--config", config, "lake", "fold", "--as-of", "yesterday"],
        ["--config", config, "lake", "export"],
    ):
        with pytest.raises(SystemExit) as caught:
            main(words)
        assert caught.value.code == 2
        assert "Traceback" not in capsys.readouterr().err


def test_a_wrong_configuration_exits_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cloud.toml"
    path.write_text("[lake]\nrot = 1\n")
    assert main(["--config", str(path), "lake", "show"]) == 2
    assert "known keys: root" in capsys.readouterr().err
    path.write_text("")
    assert main(["--config", str(path), "lake", "show"]) == 2
    assert "section [lake] is missing" in capsys.readouterr().err


def test_a_failure_exits_with_1(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", config, "lake", "verify"]) == 1
    assert "is not a folder. Correct it, or run ingest first" in capsys.readouterr().err


@pytest.mark.parametrize("noun", ["ingest", "lake"])
def test_every_verb_has_help_with_an_example(noun: str) -> None:
    nouns = argparse.ArgumentParser().add_subparsers()
    importlib.import_module(f"cloud.commands.{noun}").register(nouns)
    (verbs,) = [a for a in nouns.choices[noun]._actions if isinstance(a.choices, dict)]
    for name, verb in verbs.choices.items():
        assert f"dewline-cloud --config cloud.toml {noun} {name}" in verb.format_help()
        assert verb.description


def test_every_noun_is_a_module() -> None:
    folder = Path(importlib.import_module("cloud.commands").__path__[0])
    assert {noun for noun in NOUNS if not (folder / f"{module_of(noun)}.py").is_file()} == set()
