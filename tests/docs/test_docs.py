"""What every page owes its reader: commands that exist, links that lead somewhere, no leaks."""

import ast
import itertools
import re
import shlex
import subprocess
import tokenize
from pathlib import Path

import pytest

from cloud.cli import NOUNS, parser_of
from edge.cli import build_parser

ROOT = Path(__file__).parents[2]
ROOMS = ("contract", "firmware_bridge", "models", "transport", "edge", "cloud", "deploy", "bench")
PAGES = sorted(
    [*ROOT.glob("*.md"), *(p for r in (*ROOMS, "docs", "tests") for p in (ROOT / r).rglob("*.md"))]
)
SOURCES = sorted(p for room in ROOMS for p in (ROOT / room).rglob("*.py"))
COMMAND = re.compile(r"(?:^[ \t]*(?:\$ )?|`)(dewline-(?:cloud|gateway) [^`\n]+)", re.MULTILINE)
INLINE = re.compile(rf"`((?:{'|'.join(NOUNS)}) [^`\n]+)`")
FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
LEFT_OUT = {
    "lake export": ("--out", "path"),
    "report write": ("--out", "path"),
    "models export": ("frost", "1", "--out", "path"),
    "ca issue": ("device", "gw-attic"),
    "ca revoke": ("gw-attic",),
}
MODULE_LINES = 300
FUNCTION_LINES = 25
LONGER = {  # one thing after the other, and nothing to be gained by a name for its half
    "contract/document.py _sensor": 28,  # ten of them hand over what was checked
    "deploy/local/demo.py run": 28,  # the course of the demo, step by step
    "firmware_bridge/simulated/bme280_inverse.py raw_words": 26,  # three channels, three functions
}
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
        *front, verbs = line.split()
        return [[*front, verb] for verb in verbs.split("|")]
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = list(itertools.takewhile(lambda word: not set(word) <= set("|&;<>()"), lexer))
    if "NOUN" in words or "VERB" in words:
        return []
    if len(words) in (2, 3) and words[0] == "dewline-cloud":
        words[1:1] = ["--config", "cloud.toml"]  # named in a sentence by noun and verb
    return [words]


@pytest.mark.parametrize("page", PAGES, ids=short)
def test_commands_named_by_noun_and_verb_parse(page):
    for line in INLINE.findall(page.read_text()):
        for words in command_lines(f"dewline-cloud --config cloud.toml {line}"):
            # a sentence that names the verb leaves out where to, and whom
            parser_of(words[1:]).parse_args([*words[1:], *LEFT_OUT.get(line, ())])


def test_a_wrong_command_line_is_seen():
    (line,) = COMMAND.findall("```sh\n  $ dewline-cloud --config c.toml lake shew | less\n```\n")
    (words,) = command_lines(line)
    assert words[-2:] == ["lake", "shew"]
    with pytest.raises(SystemExit):
        parser_of(words[1:]).parse_args(words[1:])


@pytest.mark.parametrize("page", PAGES, ids=short)
def test_links_lead_somewhere(page):
    assert not list(broken_links(page))


def broken_links(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", page.read_text())):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        leads_to = page.parent / path if path else page
        if not leads_to.exists() or (anchor and anchor not in anchors(leads_to)):
            yield target


def anchors(page):
    """The anchors that the headings of a page get."""
    found = {}
    for title in re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text()), re.MULTILINE):
        name = re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        found[name] = found.get(name, -1) + 1
    return {n + (f"-{i}" if i else "") for n, times in found.items() for i in range(times + 1)}


def test_a_broken_link_is_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Big `Title`\n[a](#big-title) [b](#small) [c](gone.md) [d](page.md#none)\n")
    assert list(broken_links(page)) == ["#small", "gone.md", "page.md#none"]


def test_every_decision_is_in_the_index():
    index = (ROOT / "docs" / "adr" / "README.md").read_text()
    for page in (ROOT / "docs" / "adr").glob("0*.md"):
        assert f"({page.name})" in index


def test_no_registry_and_no_private_path_is_named():
    hosts = ("py" + "pi.org", "pythonhosted" + ".org", "registry.npm" + "js", "maven" + ".org")
    hosts += ("deb.deb" + "ian.org", "proxy.go" + "lang", "static.cra" + "tes.io")
    paths = ("/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/")  # codespell:ignore ot
    paths += ("/Us" + "ers/", ":\\Us" + "ers")
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
            allowed = LONGER.get(f"{short(source)} {node.name}", FUNCTION_LINES)
            assert own <= allowed, f"{node.name}: {own} lines of code"


def test_what_may_be_longer_is_longer():
    for name, allowed in LONGER.items():
        path, function = name.split()
        tree = ast.parse((ROOT / path).read_text())
        lines = _code_lines(ROOT / path, tree)
        assert allowed in [
            len(lines & set(range(node.lineno, node.end_lineno + 1)))
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef) and node.name == function
        ], f"{name} is no longer so long: take it off the list"


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
