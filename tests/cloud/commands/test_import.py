"""`dewline-cloud import`: what people see, and what a program reads."""

import json

import pytest

from cloud.cli import main
from cloud.importing.mapping_file import ready_names
from cloud.lake.store import FolderStore
from tests.cloud.importing.plain_mapping import ROOM

CSV = (
    "time,temp\n2024-01-01 00:00,4.5\n2024-01-01 00:10,x\n2024-01-01 00:20,\n2024-01-01 00:30,151\n"
)


@pytest.fixture
def command(tmp_path, capsys):
    (tmp_path / "cloud.toml").write_text(f'[lake]\nroot = "{tmp_path / "lake"}"\n')
    (tmp_path / "room.toml").write_text(ROOM)
    (tmp_path / "file.csv").write_text(CSV)

    def called(*words):
        status = main(["--config", str(tmp_path / "cloud.toml"), "import", *map(str, words)])
        return status, *capsys.readouterr()

    return called


def test_an_import_says_what_it_stored_and_refused(tmp_path, command):
    words = (tmp_path / "file.csv", "--mapping", tmp_path / "room.toml")
    status, out, err = command(*words)
    assert (status, err) == (0, "")
    assert "2 readings stored in 2 blocks and 1 landing files; 1 values missing" in out
    assert "not_a_number      1  3" in out
    assert "the value is not a number" in out
    status, out, _ = command(*words)
    assert (status, out) == (
        0,
        f"{tmp_path / 'file.csv'}: imported before (2 readings); nothing to do\n",
    )


def test_a_dry_run_shows_rows_and_writes_nothing(tmp_path, command):
    words = (tmp_path / "file.csv", "--mapping", tmp_path / "room.toml", "--dry-run")
    status, out, _ = command(*words)
    assert status == 0
    assert "2 readings would be stored, 1 missing" in out
    assert "2024-01-01T00:30:00Z  store   room/temperature  151 Cel  bad out_of_range" in out
    assert "not_a_number" in out
    assert not (tmp_path / "lake").exists()
    _, out, _ = command(*words, "--rows", 1, "--json")
    (file,) = json.loads(out)["files"]
    assert file["first"] == [
        {
            "line": 2,
            "device": "store",
            "signal": "room/temperature",
            "at": 1_704_067_200_000,
            "value": 4.5,
            "unit": "Cel",
            "quality": "good",
            "statistic": "",
        }
    ]
    assert file["refused"] == [{"reason": "not_a_number", "total": 1, "lines": [3], "text": "x"}]


def test_a_folder_is_imported_file_by_file_and_a_bad_file_stops_no_other(tmp_path, command):
    folder = tmp_path / "files"
    (folder / "sub").mkdir(parents=True)
    for name, day in (("b.csv", 2), ("sub/c.csv", 3), ("a.csv", 1)):
        (folder / name).write_text(CSV.replace("2024-01-01", f"2024-01-0{day}"))
    (folder / "aa.csv").write_text("something,else\n")
    (folder / "notes.doc").write_text("no history")
    status, out, err = command(folder, "--mapping", tmp_path / "room.toml", "--json")
    assert status == 1
    told = json.loads(out)
    assert [f["file"] for f in told["files"]] == [
        str(folder / name) for name in ("a.csv", "b.csv", "sub/c.csv")
    ]
    assert (told["readings"], told["failed"]) == (6, 1)
    assert "aa.csv: column 'time' is not in the header, which has: something, else" in err


def test_files_that_repeat_times_of_others_are_named(tmp_path, command):
    (tmp_path / "more.csv").write_text(CSV + "2024-01-01 00:40,5\n")
    words = (tmp_path / "file.csv", tmp_path / "more.csv", "--mapping", tmp_path / "room.toml")
    status, _, err = command(*words)
    assert status == 0
    assert "more.csv has signals and times that file.csv has too" in err


def test_the_list_names_mappings_and_imports(tmp_path, command):
    _, out, _ = command("--list")
    assert all(name in out for name in ready_names())
    assert "file.csv" not in out
    command(tmp_path / "file.csv", "--mapping", tmp_path / "room.toml")
    _, out, _ = command("--list", "--json")
    told = json.loads(out)
    assert set(told["mappings"]) == set(ready_names())
    assert [(i["file"], i["readings"]) for i in told["imports"]] == [("file.csv", 2)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "name files or folders and --mapping, or use --list"),
        (("file.csv",), "name files or folders and --mapping, or use --list"),
        (("file.csv", "--mapping", "elitech"), r"[device]: set id or column, or use --device"),
        (("file.csv", "--mapping", "elitech", "--device", "A"), "expected 1 to 63 of a-z"),
    ],
)
def test_wrong_usage_is_named(command, words, message):
    status, _, err = command(*words)
    assert status == 2
    assert message in err


def test_a_path_that_does_not_exist_is_named(tmp_path, command):
    status, _, err = command(tmp_path / "none.csv", "--mapping", tmp_path / "room.toml")
    assert (status, "none.csv does not exist" in err) == (1, True)
    (tmp_path / "empty").mkdir()
    status, _, err = command(tmp_path / "empty", "--mapping", tmp_path / "room.toml")
    assert (status, "has no file to import" in err) == (1, True)
    assert FolderStore(tmp_path / "lake").list("") == []
