"""`dewline-cloud kibana`: imports the dashboards of `cloud.search.kibana`, or prints them."""

import argparse

from cloud.commands.arguments import Verbs, add_noun, add_verb
from cloud.config import CloudConfig, KibanaConfig, Period, SearchConfig, read_secret
from cloud.search.kibana.objects import bundle
from cloud.search.kibana.push import Access, push
from cloud.search.names import IndexNames
from contract.errors import ConfigError

__all__ = ["register"]

_OPTIONS = (
    ("url", "URL", "address of Kibana"),
    ("space", "NAME", "space to import into"),
    ("user", "NAME", "account on Kibana"),
    ("password-file", "FILE", "file with the account's password"),
    ("api-key-file", "FILE", "file with an API key, instead of an account"),
)


def register(subparsers: Verbs) -> None:
    """Adds the noun `kibana`."""
    verbs = add_noun(subparsers, "kibana", "Import data views and dashboards into Kibana.")
    about = "Import data views and dashboards; replace their older versions."
    example = "kibana push --url http://127.0.0.1:5601 --user elastic --password-file kibana.pw"
    verb = add_verb(verbs, "push", about, example, _push)
    for name, value, text in _OPTIONS:
        verb.add_argument(f"--{name}", metavar=value, help=f"{text} (default: section [kibana])")
    about = "Print the bundle that `push` sends, to import it by hand."
    add_verb(verbs, "show", about, "kibana show", _show)


def _push(args: argparse.Namespace, config: CloudConfig) -> int:
    access = _access(args, config)
    taken = push(access, bundle(_names(config)))
    where = "the default space" if access.space is None else f"space {access.space}"
    print(f"kibana: {taken} objects imported into {where}")
    return 0


def _show(_args: argparse.Namespace, config: CloudConfig) -> int:
    print(bundle(_names(config)), end="")
    return 0


def _names(config: CloudConfig) -> IndexNames:
    search = config.search or SearchConfig(url="unused")
    # Data views name aliases, and these do not depend on the period of an index.
    return IndexNames(search.prefix, Period.DAY)


def _access(args: argparse.Namespace, config: CloudConfig) -> Access:
    section = config.kibana or KibanaConfig()
    url = args.url or section.url
    if url is None:
        raise ConfigError(
            f"{config.source}: [kibana] url is missing. Set it, or pass --url, such as "
            "http://127.0.0.1:5601"
        )
    # Credentials come all from the command line or all from the file, never mixed.
    own = (args.user, args.password_file, args.api_key_file)
    if own == (None, None, None):
        own = (section.username, section.password_file, section.api_key_file)
    account, api_key = _identity(*own)
    return Access(
        url=url,
        space=args.space or section.space,
        ca_file=section.ca_file,
        account=account,
        api_key=api_key,
    )


def _identity(
    user: str | None, password_file: str | None, api_key_file: str | None
) -> tuple[tuple[str, str] | None, str | None]:
    if (user is None) != (password_file is None):
        raise ConfigError(
            "kibana push: the user or the password file is missing: set both or neither"
        )
    if user is not None and api_key_file is not None:
        raise ConfigError("kibana push: a user and an API key are set: remove one of them")
    account = None if user is None else (user, read_secret(password_file) or "")
    return account, read_secret(api_key_file)
