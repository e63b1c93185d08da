"""Writes `requirements/*.txt` from pyproject.toml: versions and hashes, no addresses."""

from pathlib import Path

from deploy.local.setup.commands import run
from deploy.local.setup.environment import ensure_uv, uv_environment
from deploy.local.setup.progress import Progress

__all__ = ["lock"]

_FLAGS = [
    "--universal",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--python-version=3.11",
    "--custom-compile-command=make lock",
    "-q",
]
# build.in contains the packages for an editable install of the project.
_DEV_EXTRAS = ("edge", "cloud", "spark", "demo", "dev")
_EXTRAS = {
    "edge": ("edge",),
    "pi": ("edge", "pi"),
    "cloud": ("cloud",),
    "spark": ("cloud", "spark"),
}


def lock(root: Path, progress: Progress) -> None:
    """Resolves all dependencies (dev.txt), then each part with the same versions.

    Versions in an existing file are kept if they fit. Remove the file to get newer ones.

    Raises:
        SetupError: A dependency cannot be resolved.
    """
    uv = ensure_uv(root)
    folder = root / "requirements"
    with progress.step("requirements/dev.txt"):
        sources = [str(root / "pyproject.toml"), str(folder / "build.in")]
        _compile(uv, folder / "dev.txt", [*sources, *_extras(_DEV_EXTRAS)])
    for name, extras in _EXTRAS.items():
        with progress.step(f"requirements/{name}.txt"):
            bounds = ["-c", str(folder / "dev.txt")]
            sources = [str(root / "pyproject.toml"), *bounds, *_extras(extras)]
            _compile(uv, folder / f"{name}.txt", sources)
    with progress.step("requirements/bootstrap.txt"):
        _compile(uv, folder / "bootstrap.txt", [str(folder / "bootstrap.in")])


def _extras(names: tuple[str, ...]) -> list[str]:
    return [f"--extra={name}" for name in names]


def _compile(uv: str, output: Path, sources: list[str]) -> None:
    command = [uv, "pip", "compile", *_FLAGS, "--no-annotate", "-o", str(output), *sources]
    run(command, f"lock {output.name}", uv_environment())
