"""A page's generated parts: only they change, and a stale one is told."""

import pytest

from deploy.reference import page

END = "<!-- end of table -->\n"
PAGE = f"# T\n\n<!-- table: a -->\n{END}prose\n<!-- table: b 2 -->\nold\n{END}"
PARTS = {"a": page.table(("x", "y"), [("1", "2")]), "b 2": "new\n"}
WRITTEN = PAGE.replace("a -->\n", "a -->\n| x | y |\n| --- | --- |\n| 1 | 2 |\n").replace(
    "old", "new"
)


def test_only_the_parts_change_and_twice_is_once():
    assert page.rewritten(PAGE, PARTS) == WRITTEN
    assert page.rewritten(WRITTEN, PARTS) == WRITTEN


def test_a_part_that_nobody_makes_is_an_error():
    with pytest.raises(KeyError, match="b 2"):
        page.rewritten(PAGE, {"a": ""})


def test_check_tells_and_writes_nothing(tmp_path, capsys):
    file = tmp_path / "page.md"
    file.write_text(PAGE)
    assert page.maintain("room.reference", PARTS, [str(file), "--check"]) == 1
    assert "python -m room.reference" in capsys.readouterr().out
    assert file.read_text() == PAGE
    assert page.maintain("room.reference", PARTS, [str(file)]) == 0
    assert file.read_text() == WRITTEN
    assert page.maintain("room.reference", PARTS, [str(file), "--check"]) == 0
