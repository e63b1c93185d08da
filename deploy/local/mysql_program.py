"""How MySQL is started from unpacked packages; the set-up and the server need it.

Standard library only, since the set-up runs before there is a virtual environment.
"""

from pathlib import Path

from contract.errors import ConfigError

__all__ = ["server_command"]


def server_command(root: Path) -> tuple[str, ...]:
    """Returns how `mysqld` is started from unpacked packages.

    Args:
        root: Where they were unpacked.

    Raises:
        ConfigError: The packages are not what they were: no loader, or no server, is among them.
    """
    loaders = sorted(root.glob("usr/lib/*/ld-linux-*.so.*"))
    daemon, share = root / "usr/sbin/mysqld", root / "usr/share/mysql"
    if not loaders or not daemon.exists():
        raise ConfigError(f"{root} holds no MySQL server: remove it and run `make setup`")
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
