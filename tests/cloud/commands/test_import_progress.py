"""Progress of an import: a bar on a terminal, lines with rate and time left otherwise."""

import io
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, TextColumn

from cloud.commands import import_progress
from cloud.commands.import_progress import Meter, meter

PATH = Path("history.csv")


def test_lines_name_file_share_rate_and_time_left(monkeypatch, capsys):
    monkeypatch.setattr(import_progress, "_EVERY_S", 0.0)
    shown = Meter(2000, None)
    shown.show(PATH, 0, 0)
    shown.show(PATH, 500, 1000)
    shown.next_file(1000, 2000)
    shown.show(PATH, 500, 1000)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("history.csv: 25 % of all files, ")
    assert second.startswith("history.csv: 75 % of all files, ")
    assert first.endswith("left")


def test_few_lines_are_printed(capsys):
    with meter(1000) as shown:
        for done in range(1000):
            shown.show(PATH, done, done)
    assert capsys.readouterr().err == ""


def test_a_bar_shows_the_rate():
    file = io.StringIO()
    bar = Progress(
        TextColumn("{task.description} {task.percentage:.0f} {task.fields[rate]}"),
        console=Console(file=file, force_terminal=True, width=80),
        auto_refresh=False,
    )
    with bar:
        shown = Meter(1000, bar)
        shown.show(PATH, 250, 10_000)
    assert "history.csv 25 " in file.getvalue()
    assert "readings/s" in file.getvalue()
