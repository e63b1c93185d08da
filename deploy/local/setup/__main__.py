"""Sets up this machine: `bash deploy/local/setup/run.sh [all|tests|machines|environment|lock]`.

This module runs the steps in their order. It skips steps that are already done, so a second run
needs no network and takes a second or two.
"""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from contract.errors import ConfigError, DewlineError
from deploy.local.setup.debian import install, missing_packages
from deploy.local.setup.environment import ensure_environment
from deploy.local.setup.fetch import ensure_artifacts
from deploy.local.setup.lock import lock
from deploy.local.setup.mysql import ensure_mysql
from deploy.local.setup.progress import Progress

_ROOT = Path(__file__).parents[3]


def _set_up_all(progress: Progress, missing: list[str]) -> None:
    """Installs Python packages in parallel with Debian's and Maven's, to use two cores."""
    with ThreadPoolExecutor(max_workers=2) as side_by_side:
        environment = side_by_side.submit(ensure_environment, _ROOT, progress)
        rest = side_by_side.submit(_set_up_servers, progress, missing)
    environment.result()
    rest.result()


def _set_up_servers(progress: Progress, missing: list[str]) -> None:
    _install(missing, progress)
    ensure_mysql(progress)
    ensure_artifacts(progress)


def _install(packages: list[str], progress: Progress) -> None:
    if packages:
        with progress.step(f"Debian packages {' '.join(packages)}"):
            install(packages)


def _run(what: str) -> None:
    progress = Progress()
    missing = missing_packages(
        servers=what in ("all", "tests", "machines"),
        browser=what == "tests",
        machines=what == "machines",
    )
    if "python3-venv" in missing:
        _install(missing, progress)  # all packages first, because all other steps need venv
        missing = []
    if what == "lock":
        lock(_ROOT, progress)
    elif what == "environment":
        ensure_environment(_ROOT, progress)
    else:
        _set_up_all(progress, missing)
    progress.say(f"{what}: ready")


def main() -> int:
    """Runs one set-up; returns 0 if ready, 1 if it failed, 2 if you must act first."""
    parser = argparse.ArgumentParser(prog="setup", description="Make this machine ready.")
    choices = ["all", "tests", "machines", "environment", "lock"]
    parser.add_argument("what", nargs="?", default="all", choices=choices)
    try:
        _run(parser.parse_args().what)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except DewlineError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
