"""Builds a Debian package of the tests' Elasticsearch, with the layout of the vendor's package.

The proofs of role elasticsearch need it, because the vendor's package is not available on test
machines. The server's files are the vendor's. Folders, account and unit are the same as in the
vendor's package, and the new keystore also contains unused passwords of certificates.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from deploy.local.artifacts import elasticsearch_home
from deploy.local.setup.commands import run

__all__ = ["make_elasticsearch_package"]

_CONTROL = """\
Package: elasticsearch
Version: {version}
Architecture: {architecture}
Maintainer: nobody <nobody@localhost>
Depends: openjdk-17-jre-headless
Description: Elasticsearch without its own Java, for tests
"""
_AFTER_INSTALL = """\
#!/bin/sh
set -e
home=/usr/share/elasticsearch
getent passwd elasticsearch > /dev/null ||
  useradd --system --user-group --no-create-home --home-dir /nonexistent \\
    --shell /usr/sbin/nologin elasticsearch
for folder in /var/lib/elasticsearch /var/log/elasticsearch; do
  install -d -o elasticsearch -g elasticsearch -m 2750 "$folder"
done
if [ ! -e /etc/elasticsearch/elasticsearch.keystore ]; then
  export ES_PATH_CONF=/etc/elasticsearch
  "$home/bin/elasticsearch-keystore" create
  printf 'unused\\nunused\\nunused\\n' | "$home/bin/elasticsearch-keystore" add --stdin \\
    xpack.security.http.ssl.keystore.secure_password \\
    xpack.security.transport.ssl.keystore.secure_password \\
    xpack.security.transport.ssl.truststore.secure_password
fi
chown -R root:elasticsearch /etc/elasticsearch
find /etc/elasticsearch -type d -exec chmod 2750 {} +
find /etc/elasticsearch -type f -exec chmod 0660 {} +
"""
_UNIT = """\
[Unit]
Description=Elasticsearch
After=network-online.target

[Service]
Environment=ES_PATH_CONF=/etc/elasticsearch
WorkingDirectory=/usr/share/elasticsearch
User=elasticsearch
Group=elasticsearch
PrivateTmp=yes
ExecStart=/usr/share/elasticsearch/bin/elasticsearch
LimitNOFILE=65535
SuccessExitStatus=143
TimeoutStopSec=60

[Install]
WantedBy=multi-user.target
"""


def make_elasticsearch_package(folder: Path) -> Path:
    """Builds the package for this machine's architecture in `folder`, and returns its path.

    Raises:
        ConfigError: The distribution is not on this machine.
        SetupError: dpkg-deb failed.
    """
    home = elasticsearch_home()
    architecture = _architecture()
    version = home.name.rpartition("-")[2]
    package = folder / f"elasticsearch-{version}-{architecture}.deb"
    with tempfile.TemporaryDirectory(dir=folder) as name:
        root = Path(name)
        root.chmod(0o755)
        _lay_out(root, home, architecture)
        _write(root / "DEBIAN/control", _CONTROL.format(version=version, architecture=architecture))
        _write(root / "DEBIAN/postinst", _AFTER_INSTALL, mode=0o755)
        build = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build"]
        run([*build, str(root), str(package)], "package of Elasticsearch")
    return package


def _lay_out(root: Path, home: Path, architecture: str) -> None:
    share = root / "usr/share/elasticsearch"
    for part in ("bin", "lib", "modules", "plugins"):
        shutil.copytree(home / part, share / part)
    for program in (share / "bin").iterdir():
        program.chmod(0o755)
    (share / "jdk").symlink_to(f"/usr/lib/jvm/java-17-openjdk-{architecture}")
    shutil.copytree(home / "config", root / "etc/elasticsearch")
    (root / "etc/elasticsearch/jvm.options.d").mkdir(exist_ok=True)
    _write(root / "lib/systemd/system/elasticsearch.service", _UNIT)


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="ascii")
    path.chmod(mode)


def _architecture() -> str:
    done = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
