"""Docstrings, comments and messages use the field's words, as CONTRIBUTING.md says."""

import ast
import io
import re
import subprocess
import tokenize
from pathlib import Path

import pytest

from tests.docs.plain_words import ALLOWED, own_words

ROOT = Path(__file__).parents[2]
FOLDERS = (
    "bench",
    "cloud",
    "contract",
    "deploy",
    "edge",
    "firmware_bridge",
    "models",
    "transport",
)
SPACES_IN_A_MESSAGE = 2  # a text with fewer is a name, a key or a word


def committed(*patterns):
    listed = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run([*listed, *patterns], capture_output=True, text=True, check=True).stdout
    return sorted(name for name in names.splitlines() if (ROOT / name).is_file())


MODULES = committed(*(f"{folder}/*.py" for folder in FOLDERS))


def texts(source):
    """Docstrings, texts of several words (with X for each inserted value) and comments."""
    tree = ast.parse(source)
    joined = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    parts = {id(part) for node in joined for part in node.values}
    for node in joined:
        yield "".join(
            str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values
        )
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield node.value if node.value.count(" ") >= SPACES_IN_A_MESSAGE else ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def faults(source):
    without_code = (re.sub(r"`[^`]+`", "code", " ".join(text.split())) for text in texts(source))
    return [fault for text in without_code for fault in own_words(text)]


@pytest.mark.parametrize("name", MODULES)
def test_words_are_those_of_the_field(name):
    assert faults((ROOT / name).read_text(encoding="utf-8")) == []


def test_each_exception_is_needed():
    files = [*MODULES, *committed("*.md")]
    every = [" ".join((ROOT / name).read_text(encoding="utf-8").split()) for name in files]
    for phrase in ALLOWED:
        assert any(phrase in text for text in every), phrase


def test_a_word_of_our_own_is_seen_in_each_kind_of_text():
    assert len(faults('"""It is told."""\n')) == 1
    assert len(faults("x = 1  # whoever asks\n")) == 1
    assert len(faults('raise E(f"{name} lost patience after {n} s")\n')) == 1
    assert faults('told = {"lamp": "room"}\n') == []
