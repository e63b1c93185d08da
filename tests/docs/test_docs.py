"""What every page owes its reader: commands that exist, links that lead somewhere, no leaks."""

import ast
import re
import shlex
import subprocess
import tokenize
from pathlib import Path

import pytest

from cloud.cli import parser_of
from edge.cli import build_parser

ROOT = Path(__file__).parents[2]
ROOMS = ("contract", "firmware_bridge", "models", "edge", "cloud", "deploy", "bench")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SOURCES = sorted(p for room in ROOMS for p in (ROOT / room).rglob("*.py"))
COMMAND = re.compile(r"(?:^|`)(dewline-(?:cloud|gateway) [^`\n]+)", re.MULTILINE)
LONG_MODULES = {"contract/records.py"}  # it says why


def short(path):
    return str(path.relative_to(ROOT))


def committed():
    """Text files that git knows, or would add."""
    names = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("page", PAGES, ids=short)
def test_make_targets_exist(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(), re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=short)
def test_command_lines_parse(page):
    for line in COMMAND.findall(page.read_text()):
        words = shlex.split(line, comments=True)
        if "NOUN" in words or "VERB" in words or words[1:] == ["outbox"]:
            continue  # the form of a command, or its mere name
        if len(words) == 3 and words[0] == "dewline-cloud":
            words[1:1] = ["--config", "cloud.toml"]  # named in a sentence by noun and verb
        if words[0] == "dewline-cloud":
            parser_of(words[1:]).parse_args(words[1:])
        elif "|" not in line:
            build_parser().parse_args(words[1:])


@pytest.mark.parametrize("page", PAGES, ids=short)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_decision_is_in_the_index():
    index = (ROOT / "docs" / "adr" / "README.md").read_text()
    for page in (ROOT / "docs" / "adr").glob("0*.md"):
        assert f"({page.name})" in index


def test_no_registry_and_no_private_path_is_named():
    hosts = ("py" + "pi.org", "pythonhosted" + ".org", "registry.npm" + "js", "maven" + ".org")
    hosts += ("deb.deb" + "ian.org", "proxy.go" + "lang", "static.cra" + "tes.io")
    paths = ("/wo" + "rk/", "/ro" + "ot/")
    for path in committed():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found = [word for word in (*hosts, *paths) if word in text]
        assert not found, f"{short(path)}: {found}"


@pytest.mark.parametrize("source", SOURCES, ids=short)
def test_a_module_says_what_it_is_and_stays_small(source):
    tree = ast.parse(source.read_text())
    docstring = ast.get_docstring(tree)
    assert docstring, "no docstring"
    first = docstring.split("\n\n")[0]
    assert first.rstrip()[-1] in ".:?", first
    lines = len(_code_lines(source, tree))
    assert lines <= 300 or short(source) in LONG_MODULES, f"{lines} lines of code"


def _code_lines(source, tree):
    with tokenize.open(source) as file:
        tokens = list(tokenize.generate_tokens(file.readline))
    empty = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT}
    empty |= {tokenize.ENDMARKER}
    lines = {n for t in tokens if t.type not in empty for n in range(t.start[0], t.end[0] + 1)}
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        text = body[0] if isinstance(body, list) and body else None
        if isinstance(text, ast.Expr) and isinstance(getattr(text.value, "value", None), str):
            lines -= set(range(text.lineno, text.end_lineno + 1))
    return lines


@pytest.mark.parametrize("source", SOURCES, ids=short)
def test_an_exception_from_the_rules_carries_its_reason(source):
    for number, line in enumerate(source.read_text().splitlines(), 1):
        match = re.search(r"#\s*(?:noqa: [A-Z0-9, ]+|type: ignore\[[a-z-, ]+\])(.*)", line)
        if match:
            assert len(match[1].strip(" -#")) > 5, f"{short(source)}:{number}: no reason"
