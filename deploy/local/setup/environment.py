"""The virtual environment `.venv` of a checkout, from the hashed requirement file.

Owns `.venv` and its stamp. uv does the work: it takes less than half of pip's time. Its own
version is pinned with hashes too, and pip, which every Python brings, fetches it.
"""

import hashlib
import os
import sys
import tempfile
from pathlib import Path

from deploy.local.artifacts import cache_folder
from deploy.local.setup.commands import run
from deploy.local.setup.progress import Progress

__all__ = ["ensure_environment", "ensure_uv", "uv_environment"]

_INPUTS = ("requirements/dev.txt", "pyproject.toml")
# A process that may not write what it compiled would compile 2,000 files anew at each start: in the
# demo a fifth of all processor time where PYTHONDONTWRITEBYTECODE is set.
_OURS = (
    "bench",
    "cloud",
    "contract",
    "deploy",
    "edge",
    "firmware_bridge",
    "models",
    "tests",
    "transport",
)


def ensure_environment(root: Path, progress: Progress) -> None:
    """Make `.venv` match the requirement file and the project's declaration; nothing if it does.

    Raises:
        SetupError: a package could not be fetched, or has another hash.
    """
    stamp, wanted = root / ".venv" / "dewline-stamp", _fingerprint(root)
    if stamp.exists() and stamp.read_text(encoding="ascii") == wanted:
        return
    with progress.step("Python environment .venv"):
        stamp.unlink(missing_ok=True)
        python = root / ".venv" / "bin" / "python"
        uv = ensure_uv(root)
        run(
            [uv, "venv", "-q", "--allow-existing", "--python", sys.executable, str(root / ".venv")],
            "venv",
        )
        target = ["--python", str(python), "-q"]
        packages = ["--require-hashes", str(root / "requirements" / "dev.txt")]
        compiled = [uv, "pip", "sync", "--compile-bytecode", *target, *packages]
        run(compiled, "Python packages", uv_environment())
        project = ["--no-deps", "--no-build-isolation", "-e", str(root)]
        run([uv, "pip", "install", *target, *project], "the project itself", uv_environment())
        run(
            [str(python), "-m", "compileall", "-q", *(str(root / n) for n in _OURS)],
            "the project compiled",
        )
        stamp.write_text(wanted, encoding="ascii")


def ensure_uv(root: Path) -> str:
    """Returns the path of the pinned uv, fetched by pip if it is not in the cache yet."""
    requirements = root / "requirements" / "bootstrap.txt"
    folder = cache_folder() / f"uv-{hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]}"
    if not folder.exists():
        cache_folder().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache_folder()) as work:
            run([sys.executable, "-m", "venv", f"{work}/venv"], "virtual environment for uv")
            pip = [f"{work}/venv/bin/python", "-m", "pip", "install", "-q", "--no-deps"]
            fetch = ["--target", f"{work}/uv", "--require-hashes", "-r", str(requirements)]
            run([*pip, *fetch], "uv")
            Path(f"{work}/uv").rename(folder)
    return str(folder / "bin" / "uv")


def uv_environment() -> dict[str, str]:
    """Returns the additions for uv: its cache within ours, and pip's index, which it would not look at."""
    additions = {"UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(cache_folder() / "uv"))}
    if index := os.environ.get("PIP_INDEX_URL"):
        additions["UV_DEFAULT_INDEX"] = index
    return additions


def _fingerprint(root: Path) -> str:
    digest = hashlib.sha256(f"{sys.version} {root} {_OURS}".encode())
    for name in _INPUTS:
        digest.update((root / name).read_bytes())
    return digest.hexdigest()
