"""What every page owes its reader: commands that exist, links that lead somewhere, no leaks."""

import ast
import itertools
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
PAGES = sorted(
    [*ROOT.glob("*.md"), *(p for r in (*ROOMS, "docs", "tests") for p in (ROOT / r).rglob("*.md"))]
)
SOURCES = sorted(p for room in ROOMS for p in (ROOT / room).rglob("*.py"))
COMMAND = re.compile(r"(?:^[ \t]*(?:\$ )?|`)(dewline-(?:cloud|gateway) [^`\n]+)", re.MULTILINE)
MODULE_LINES = 300
FUNCTION_LINES = 40
EXCEPTION = re.compile(r"#\s*(?:noqa|type:\s*ignore)\b(.*)")


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
        for words in command_lines(line):
            parser = parser_of(words[1:]) if words[0] == "dewline-cloud" else build_parser()
            parser.parse_args(words[1:])


def command_lines(line):
    """The words of the commands that a line stands for; none if it shows only a form."""
    if re.search(r"[a-z]\|[a-z]", line):  # `run|check`: each of them
        program, verbs = line.split()
        return [[program, verb] for verb in verbs.split("|")]
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = list(itertools.takewhile(lambda word: not set(word) <= set("|&;<>()"), lexer))
    if "NOUN" in words or "VERB" in words:
        return []
    if len(words) == 3 and words[0] == "dewline-cloud":
        words[1:1] = ["--config", "cloud.toml"]  # named in a sentence by noun and verb
    return [words]


def test_a_wrong_command_line_is_seen():
    (line,) = COMMAND.findall("```sh\n  $ dewline-cloud --config c.toml lake shew | less\n```\n")
    (words,) = command_lines(line)
    assert words[-2:] == ["lake", "shew"]
    with pytest.raises(SystemExit):
        parser_of(words[1:]).parse_args(words[1:])


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
    first = docstring.splitlines()[0]
    assert first.rstrip()[-1] in ".:?", first
    lines = _code_lines(source, tree)
    assert len(lines) <= MODULE_LINES, f"{len(lines)} lines of code"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            own = len(lines & set(range(node.lineno, node.end_lineno + 1)))
            assert own <= FUNCTION_LINES, f"{node.name}: {own} lines of code"


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
    assert not unreasoned(source.read_text().splitlines())


def unreasoned(lines):
    """Numbers of lines with an exception that has no code, or no reason behind it or above it."""
    found = []
    for number, line in enumerate(lines, 1):
        match = EXCEPTION.search(line)
        if match is None:
            continue
        coded = re.match(r"(?:: [A-Z]+\d+(?:, [A-Z]+\d+)*|\[[a-z, -]+\])(.*)", match[1])
        above = lines[number - 2].strip() if number > 1 else ""
        if coded is None or not (len(coded[1].strip(" -#")) > 5 or above.startswith("# ")):
            found.append(number)
    return found


def test_an_exception_without_code_or_reason_is_seen():
    mark, ignore = "# no" + "qa", "# type: " + "ignore"
    bare = [f"a  {mark}", f"b  {ignore}", f"c  {mark}: S311", f"d  {ignore}[misc]  # x"]
    assert unreasoned(bare) == [1, 2, 3, 4]
    assert not unreasoned(
        ["# it guards nothing", f"a  {mark}: S311", f"b  {mark}: S1, E2  # reason"]
    )
