"""Pages are written as CONTRIBUTING.md says: short lines, short sentences, the field's words."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.docs.plain_words import own_words

ROOT = Path(__file__).parents[2]
LINE_CHARACTERS = 100
SENTENCE_WORDS = 30
AVERAGE_WORDS = 16
CELL_WORDS = 35  # a table's cell has parts rather than sentences

FENCED = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)
ITEM = re.compile(r"(?:[-*]|\d+\.) ")
UNBREAKABLE = re.compile(r"\s*(?:(?:[-*]|\d+\.) )?\S*(?:`[^`]*`|\]\([^)]*\))\S*")

SUBJECT = re.compile(r"(?:Who|What|Whoever|Whatever|That which) .*[^?]$")


def committed_pages():
    listed = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run([*listed, "*.md"], capture_output=True, text=True, check=True).stdout
    return sorted(ROOT / name for name in names.splitlines() if (ROOT / name).is_file())


def by_name(page):
    return str(page.relative_to(ROOT))


every_page = pytest.mark.parametrize("page", committed_pages(), ids=by_name)


def written(text):
    """The lines that people read, without code."""
    return FENCED.sub("", text).splitlines()


def long_lines(text):
    """Lines that could be broken and are not."""
    return [
        line
        for line in written(text)
        if len(line) > LINE_CHARACTERS
        and not line.lstrip().startswith("|")
        and not UNBREAKABLE.fullmatch(line)
    ]


def paragraphs(text):
    """The text of each paragraph and of each item of a list, without headings and tables."""
    found = [""]
    for line in map(str.strip, written(text)):
        if not line or line.startswith(("#", "|", "<!--")):
            found.append("")
        elif item := ITEM.match(line):
            found.append(line[item.end() :])
        else:
            found[-1] += f" {line}"
    return [plain(each) for each in found if each]


def cells(text):
    """The cells of each table."""
    rows = [line.strip() for line in written(text) if line.lstrip().startswith("|")]
    return [plain(cell) for row in rows for cell in re.split(r"(?<!\\)\|", row) if cell.strip(" -")]


def plain(text):
    """Text without marks; code is one word, and so is where a link leads."""
    text = re.sub(r"`[^`]+`", "code", text)
    return re.sub(r"\]\([^)]*\)", "]", text).replace("*", "").strip()


def sentences(text):
    return [s for p in paragraphs(text) for s in re.split(r"(?<=[.!?])[)\"]?\s+", p) if s]


def words_total(text):
    return sum(bool(re.search(r"\w", word)) for word in text.split())


def too_long(text):
    """Sentences, and cells of tables, with too many words."""
    found = [s for s in sentences(text) if words_total(s) > SENTENCE_WORDS]
    parts = [s for cell in cells(text) for s in re.split(r"(?<=[.;?])\s", cell)]
    return found + [part for part in parts if words_total(part) > CELL_WORDS]


def average(text):
    counted = [words_total(sentence) for sentence in sentences(text)]
    return sum(counted) / max(1, len(counted))


def own_words_of(text):
    """Words that the field does not use, in headings, paragraphs and cells."""
    heads = [plain(line) for line in written(text) if line.startswith("#")]
    for part in [*heads, *paragraphs(text), *cells(text)]:
        yield from own_words(part)


@every_page
def test_source_lines_are_short(page):
    assert not long_lines(page.read_text(encoding="utf-8"))


@every_page
def test_sentences_are_short(page):
    text = page.read_text(encoding="utf-8")
    assert not too_long(text)
    assert average(text) <= AVERAGE_WORDS


@every_page
def test_words_are_those_of_the_field(page):
    assert not list(own_words_of(page.read_text(encoding="utf-8")))


@every_page
def test_subjects_are_things(page):
    assert not [s for s in sentences(page.read_text(encoding="utf-8")) if SUBJECT.fullmatch(s)], (
        "start with the thing, or with 'you'"
    )


def test_a_long_line_is_seen_and_code_is_left_alone():
    long = "word " * 25
    assert long_lines(f"# T\n\n{long}\n\n- {long}\n") == [long, f"- {long}"]
    link = f"- [link]({'x' * 120}),"
    assert not long_lines(f"| {long} |\n\n```sh\n{long}\n```\n\n{link}\n`{'a ' * 60}`\n")


def test_a_long_sentence_is_seen_across_lines():
    half = "word " * 16
    assert too_long(f"Short. {half}\n{half}end.\n")
    assert not too_long(f"{half}end.\n{half}end. `{half}{half}`\n")
    assert too_long(f"| a | {half * 3} |\n")
    assert not too_long(f"| a | {half * 2}; {half * 2} |\n")


def test_a_word_of_our_own_is_seen():
    text = "# Rooms\n\nThe gateway\ntells it. `tells` is code.\n\n| a lamp |\n|---|\n"
    assert len(list(own_words_of(text))) == 3
    assert not list(own_words_of("dewline warns before a room or a machine gets damp.\n"))


def test_a_clause_as_subject_is_seen():
    assert SUBJECT.fullmatch(sentences("Fine. Who removes it restarts it.\n")[1])
    assert not SUBJECT.fullmatch("What is a model's input?")
