"""Reproducible archives: the same files make the same bytes, so nothing is copied twice."""

import tarfile
from pathlib import Path

__all__ = ["pack"]


def pack(folder: Path, archive: Path) -> None:
    """Writes the files of a folder into a tar archive, without times, owners or an order of chance.

    Args:
        folder: Its files, none in folders below.
        archive: Replaced when it is whole.
    """
    unfinished = archive.with_name(archive.name + ".new")
    with tarfile.open(unfinished, "w") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, arcname=path.name, filter=_plain)
    unfinished.replace(archive)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mtime = 0
    member.mode = 0o644
    return member
