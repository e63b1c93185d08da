"""The same files make the same archive, whoever made them and when."""

import os
import tarfile

from deploy.packages.archive import pack


def test_times_owners_and_order_of_writing_leave_no_trace(tmp_path):
    archives = []
    for turn, names in enumerate((("a", "b", "c"), ("c", "a", "b"))):
        folder = tmp_path / str(turn)
        folder.mkdir()
        for name in names:
            (folder / name).write_text(f"this is {name}")
            os.utime(folder / name, (turn, turn))
        (folder / names[0]).chmod(0o600 if turn else 0o664)
        archive = tmp_path / f"{turn}.tar"
        pack(folder, archive)
        archives.append(archive.read_bytes())
    assert archives[0] == archives[1]
    with tarfile.open(tmp_path / "0.tar") as tar:
        assert [m.name for m in tar] == ["a", "b", "c"]


def test_an_archive_is_replaced_whole(tmp_path):
    folder, archive = tmp_path / "files", tmp_path / "made.tar"
    folder.mkdir()
    (folder / "a").write_text("one")
    pack(folder, archive)
    (folder / "a").write_text("two")
    pack(folder, archive)
    with tarfile.open(archive) as tar:
        assert tar.extractfile("a").read() == b"two"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["files", "made.tar"]
