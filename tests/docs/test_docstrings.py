"""Docstrings and comments name modules, files and names that exist."""

import ast
import io
import re
import tokenize
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("contract", "firmware_bridge", "models", "edge", "cloud", "deploy", "bench")
SOURCES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
FILES = {path.name for name in (*PACKAGES, "tests") for path in (ROOT / name).rglob("*.py")}
DOTTED = re.compile(rf"`((?:{'|'.join(PACKAGES)})(?:\.\w+)+)(?<!\.toml)(?:\(\))?`")
SIBLING = re.compile(r"`(\w+)\.(\w+)(?:\(\))?`")
FILE = re.compile(r"(?<![\w/.<])([a-z_]+/)*(\w+\.py)\b")
ONLY = re.compile(r"(?:one|only) (?:file|module)(?: of the (\w+))? that imports\s+`?(\w+)")
NUMBERED = re.compile(r"\b([a-z_]+)\.md,? section (\d+)")


def texts(path):
    """Every docstring and comment of a file."""
    source = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


@cache
def names_in(path):
    """What a module or a class defines, each as far as one can see without running it."""
    return _names(ast.parse(path.read_text(encoding="utf-8")).body)


def _names(body):
    found = {}
    for node in body:
        if isinstance(node, ast.ClassDef):
            found[node.name] = _names(node.body)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found[node.name] = {}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {a.asname or a.name: {} for a in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {t.id: {} for t in targets if isinstance(t, ast.Name)}
        elif isinstance(node, ast.If | ast.Try):
            found |= _names(node.body)
    return found


def exists(dotted):
    """Whether a dotted name of our packages names something."""
    at, words = ROOT, dotted.split(".")
    while words and (at / words[0]).is_dir():
        at /= words.pop(0)
    if words and (at / f"{words[0]}.py").is_file():
        at /= f"{words.pop(0)}.py"
    elif not words:
        return True
    else:
        at /= "__init__.py"
    names = names_in(at) if at.is_file() else {}
    for word in words:
        if word not in names:
            return False
        names = names[word]
    return True


def siblings(path, text):
    """Names such as `store.FolderStore` of a module beside this one, with their packages."""
    package = path.parent.relative_to(ROOT).as_posix().replace("/", ".")
    source = path.read_text(encoding="utf-8")
    for module, name in SIBLING.findall(text):
        own = module == path.stem or f"{module}: " in source  # itself, or a variable of this name
        if name != "py" and not own and (path.parent / f"{module}.py").is_file():
            yield f"{package}.{module}.{name}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_what_a_docstring_names_exists(path):
    said = list(texts(path))
    missing = [name for text in said for name in DOTTED.findall(text) if not exists(name)]
    missing += [name for text in said for _, name in FILE.findall(text) if name not in FILES]
    missing += [name for text in said for name in siblings(path, text) if not exists(name)]
    numbered = [f"{page}.md, section {n}" for text in said for page, n in NUMBERED.findall(text)]
    assert missing == []
    assert numbered == [], "the pages' sections have no numbers"


def importers(library, package):
    """Files that import a library, of one package or of all."""
    pattern = re.compile(rf"^\s*(?:import|from) {library}\b", re.MULTILINE)
    sources = [p for p in SOURCES if package in ("", p.relative_to(ROOT).parts[0])]
    return [p for p in sources if pattern.search(p.read_text(encoding="utf-8"))]


def only_ones():
    for path in SOURCES:
        for package, library in ONLY.findall(" ".join(texts(path))):
            if library != "the":  # "the parser": no name to look for
                yield path, {"benches": "bench"}.get(package, package), library


@pytest.mark.parametrize(("path", "package", "library"), list(only_ones()), ids=str)
def test_the_only_file_that_imports_a_library_is_the_only_one(path, package, library):
    assert importers(library, package) == [path]


@pytest.mark.parametrize(
    ("name", "there"),
    {
        "cloud.lake.store.FolderStore": True,
        "cloud.lake.store.FolderStore.list": True,
        "cloud.lake": True,
        "contract.records.Loss.lost": True,
        "cloud.lake.store.Nothing": False,
        "cloud.lake.stores": False,
        "cloud.lake.store.FolderStore.nothing": False,
    }.items(),
)
def test_a_name_is_looked_up_in_the_sources(name, there):
    assert exists(name) is there
