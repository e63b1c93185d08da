"""Writes reproducible archives: the same files give the same bytes, so hosts skip known ones."""

import tarfile
from pathlib import Path

__all__ = ["pack"]


def pack(folder: Path, archive: Path) -> None:
    """Writes the files of a folder into a tar archive, sorted and without times and owners.

    Args:
        folder: Folder of the files; it has no subfolders.
        archive: File that is replaced when the new archive is complete.
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
