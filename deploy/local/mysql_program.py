"""Builds the command that starts MySQL from unpacked packages, for the set-up and the server.

Standard library only, since the set-up runs before there is a virtual environment.
"""

from pathlib import Path

from contract.errors import ConfigError

__all__ = ["server_command"]


def server_command(root: Path) -> tuple[str, ...]:
    """Returns the command that starts `mysqld` from unpacked packages.

    Args:
        root: Folder of the unpacked packages.

    Raises:
        ConfigError: The folder contains no loader or no server.
    """
    loaders = sorted(root.glob("usr/lib/*/ld-linux-*.so.*"))
    daemon, share = root / "usr/sbin/mysqld", root / "usr/share/mysql"
    if not loaders or not daemon.exists():
        raise ConfigError(
            f"{root} contains no MySQL server; remove this folder and run `make setup`"
        )
    return (
        str(loaders[0]),
        "--library-path",
        str(loaders[0].parent),
        str(daemon),
        "--no-defaults",
        f"--basedir={root / 'usr'}",
        f"--lc-messages-dir={share}",
        f"--character-sets-dir={share / 'charsets'}",
        f"--plugin-dir={root / 'usr/lib/mysql/plugin'}",
        "--secure-file-priv=",
        "--mysqlx=OFF",
    )
