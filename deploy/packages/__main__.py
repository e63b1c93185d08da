"""Makes the archives from which the Ansible roles install.

python -m deploy.packages wheels edge|pi|cloud|spark --out FILE [--machine NAME] [--python VERSION]
python -m deploy.packages debian PACKAGE ... --out FILE [--architecture NAME] [--suite NAME]
"""

import argparse
import sys
from pathlib import Path

from contract.errors import DewlineError
from deploy.packages.debian import make_repository
from deploy.packages.wheels import Target, make_wheelhouse

_ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Makes one archive."""
    args = _parser().parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    try:
        if args.what == "wheels":
            target = Target(machine=args.machine, python=args.python)
            make_wheelhouse(_ROOT, args.part, args.out, target)
        else:
            make_repository(args.packages, args.out, args.architecture, args.suite)
    except DewlineError as error:
        print(f"packages: {error}", file=sys.stderr)
        return 1
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.0f} MB")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.packages", description=__doc__)
    kinds = parser.add_subparsers(dest="what", required=True)
    wheels = kinds.add_parser("wheels", help="archive of dewline and its locked wheels")
    wheels.add_argument("part", choices=("edge", "pi", "cloud", "spark"))
    wheels.add_argument(
        "--machine", default=Target().machine, help="processor of the hosts, such as aarch64"
    )
    wheels.add_argument(
        "--python", default=Target().python, help="Python version of the hosts, such as 3.11"
    )
    debian = kinds.add_parser("debian", help="archive of Debian packages with an index for apt")
    debian.add_argument(
        "packages", nargs="+", metavar="PACKAGE", help="name of a package, or a .deb file"
    )
    debian.add_argument(
        "--architecture", metavar="NAME", help="architecture of the hosts, such as arm64"
    )
    debian.add_argument(
        "--suite", metavar="NAME", help="suite of the hosts, such as sid, if not this machine's"
    )
    for kind in (wheels, debian):
        kind.add_argument("--out", type=Path, required=True, metavar="FILE")
    return parser


if __name__ == "__main__":
    sys.exit(main())
