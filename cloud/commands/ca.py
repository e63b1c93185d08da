"""`dewline-cloud ca`: creates the certificate authority; issues, revokes, lists certificates."""

import argparse
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cloud.ca import files
from cloud.ca.authority import Authority, Issued, RegisteredCertificate, Role
from cloud.ca.register import shown
from cloud.commands.arguments import Verbs, add_json, add_noun, add_verb
from cloud.commands.printing import print_table
from cloud.config import CaConfig, CloudConfig, need
from contract.errors import ConfigError

__all__ = ["register"]

_HEADINGS = ("serial", "name", "role", "from", "until", "state")
_YEAR = 365


def register(nouns: Verbs) -> None:
    """Adds the noun and its verbs."""
    verbs = add_noun(nouns, "ca", "Issue and revoke certificates of gateways and servers.")
    about = "Create the authority, a folder with its roots, keys and register; never overwrite one."
    init = add_verb(verbs, "init", about, "ca init --name attics", _init)
    init.add_argument("--name", default="dewline", metavar="NAME", help="name of the authority")
    _add_days(init, 10 * _YEAR)
    about = "Issue a certificate: `device ID`, `service NAME` or `server HOST...` (names, IPs)."
    issue = add_verb(verbs, "issue", about, "ca issue device gw-attic --out certificates", _issue)
    roles = [role.value for role in Role]
    issue.add_argument("role", choices=roles, metavar="ROLE", help="device, service or server")
    issue.add_argument(
        "names", nargs="+", metavar="NAME", help="device id, service, or the server's hosts"
    )
    _add_days(issue, _YEAR)
    issue.add_argument(
        "--out", type=Path, default=Path(), metavar="FOLDER", help="for NAME.pem and NAME.key"
    )
    about = "Revoke a certificate by serial, or all of a name; copy the lists to the broker then."
    revoke = add_verb(verbs, "revoke", about, "ca revoke gw-attic", _revoke)
    revoke.add_argument("which", metavar="NAME_OR_SERIAL", help="name, or serial from `ca list`")
    about = "Write the revocation lists again, so that they expire `crl_days` from now."
    add_verb(verbs, "crl", about, "ca crl", _crl)
    about = "List every issued certificate: valid, expired or revoked."
    add_json(add_verb(verbs, "list", about, "ca list --json", _list))


def _add_days(parser: argparse.ArgumentParser, days: int) -> None:
    about = f"days until the certificate expires (default {days})"
    parser.add_argument("--days", type=int, default=days, metavar="N", help=about)


def _section(config: CloudConfig) -> CaConfig:
    return need(config.ca, "ca", config)


def _open(config: CloudConfig) -> Authority:
    section = _section(config)
    return Authority.open(section.path, section.crl_days)


def _init(args: argparse.Namespace, config: CloudConfig) -> int:
    section = _section(config)
    Authority.create(section.path, args.name, _now(), args.days, section.crl_days)
    print(f"created {section.path}: keep its *.key files secret, and keep a copy of the folder")
    return 0


def _issue(args: argparse.Namespace, config: CloudConfig) -> int:
    if args.role != Role.SERVER and len(args.names) > 1:
        raise ConfigError(
            f"a {args.role} has one name, not {len(args.names)}: run the command once per name"
        )
    targets = [args.out / f"{args.names[0]}.{suffix}" for suffix in ("pem", "key")]
    for target in targets:
        if target.exists():  # checked first, so that a refused call adds no row
            raise ConfigError(f"{target} exists already and was not changed: choose another --out")
    if not args.out.is_dir():
        raise ConfigError(f"--out {args.out} is not a folder: create it first")
    issued = _issued(_open(config), args)
    files.write_whole(targets[1], issued.key_pem, files.PRIVATE)
    files.write_whole(targets[0], issued.certificate_pem, files.PUBLIC)
    print(
        f"{targets[0]}, {targets[1].name}: serial {issued.listed.serial}, {_until(issued.listed)}"
    )
    return 0


def _issued(authority: Authority, args: argparse.Namespace) -> Issued:
    if args.role == Role.SERVER:
        return authority.issue_server(args.names, _now(), args.days)
    if args.role == Role.SERVICE:
        return authority.issue_service(args.names[0], _now(), args.days)
    return authority.issue_device(args.names[0], _now(), args.days)


def _revoke(args: argparse.Namespace, config: CloudConfig) -> int:
    revoked = _open(config).revoke(args.which, _now())
    for row in revoked:
        print(f"revoked {row.role} {row.name} {row.serial}")
    if not revoked:
        print(f"{args.which} was already revoked")
    print("copy crl.pem and services-crl.pem to the broker, then restart the broker to load them")
    return 0


def _crl(_args: argparse.Namespace, config: CloudConfig) -> int:
    _open(config).renew_crls(_now())
    print(f"wrote crl.pem and services-crl.pem; they expire in {_section(config).crl_days} days")
    return 0


def _list(args: argparse.Namespace, config: CloudConfig) -> int:
    rows = _open(config).certificates()
    if args.json:
        print(json.dumps({"certificates": [_table(row) for row in rows]}, indent=2))
    else:
        now = _now()
        print_table(_HEADINGS, [_cells(row, now) for row in rows])
    return 0


def _table(row: RegisteredCertificate) -> dict[str, str | None]:
    return {
        "serial": row.serial,
        "name": row.name,
        "role": row.role.value,
        "not_before": shown(row.not_before),
        "not_after": shown(row.not_after),
        "revoked_at": None if row.revoked_at is None else shown(row.revoked_at),
    }


def _cells(row: RegisteredCertificate, now: datetime) -> Sequence[str]:
    span = (shown(row.not_before), shown(row.not_after))
    return (row.serial, row.name, row.role.value, *span, _state(row, now))


def _state(row: RegisteredCertificate, now: datetime) -> str:
    if row.revoked_at is not None:
        return f"revoked {shown(row.revoked_at)}"
    return "expired" if row.not_after <= now else "valid"


def _until(row: RegisteredCertificate) -> str:
    return f"valid until {shown(row.not_after)}"


def _now() -> datetime:
    return datetime.now(UTC)
