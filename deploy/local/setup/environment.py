"""Makes the virtual environment `.venv` of a checkout from the requirement file with hashes.

uv installs the packages, because it needs less than half of pip's time. pip fetches uv, whose
version is also pinned with hashes.
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
# These packages are compiled now. If PYTHONDONTWRITEBYTECODE is set, each process would otherwise
# compile 2,000 files at its start, which is a fifth of the demo's processor time.
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
    """Updates `.venv` if the requirement file or the project's declaration has changed.

    Raises:
        SetupError: A package could not be fetched, or has another hash.
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
            "making .venv",
        )
        target = ["--python", str(python), "-q"]
        packages = ["--require-hashes", str(root / "requirements" / "dev.txt")]
        compiled = [uv, "pip", "sync", "--compile-bytecode", *target, *packages]
        run(compiled, "Python packages", uv_environment())
        project = ["--no-deps", "--no-build-isolation", "-e", str(root)]
        run([uv, "pip", "install", *target, *project], "installing the project", uv_environment())
        run(
            [str(python), "-m", "compileall", "-q", *(str(root / n) for n in _OURS)],
            "compiling the project",
        )
        stamp.write_text(wanted, encoding="ascii")


def ensure_uv(root: Path) -> str:
    """Returns the path of the pinned uv; pip fetches uv if it is not in the cache."""
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
    """Returns environment variables for uv: a cache in our cache folder, and pip's index."""
    additions = {"UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(cache_folder() / "uv"))}
    if index := os.environ.get("PIP_INDEX_URL"):
        additions["UV_DEFAULT_INDEX"] = index
    return additions


def _fingerprint(root: Path) -> str:
    digest = hashlib.sha256(f"{sys.version} {root} {_OURS}".encode())
    for name in _INPUTS:
        digest.update((root / name).read_bytes())
    return digest.hexdigest()
