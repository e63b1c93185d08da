"""Decides who may read what: by client certificate, by token, or, for bundles only, anonymously.

| client | bundles | `/v1/health` |
|---|---|---|
| certificate of a device | all | of this device |
| certificate of a service, token of `token_file` | all | of all devices |
| token of `bundles_token_file` | all | no |
| others | only with `anonymous_bundles` | no |

A bundle's name is the hash of its bytes, which only signed desired states contain. So a device can
only ask for bundles that it, or another device of the fleet, should run.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from contract.errors import ConfigError

__all__ = ["ANONYMOUS", "Access", "Client", "ClientKind", "read_tokens"]

_TOKEN = re.compile(r"[\x21-\x7e]{32,500}")


class ClientKind(Enum):
    """Kind of a client."""

    DEVICE = "device"
    SERVICE = "service"
    TOKEN = "token"  # noqa: S105 - a kind, not a secret
    BUNDLES_TOKEN = "token for bundles"  # noqa: S105 - a kind, not a secret
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Client:
    """The sender of a request.

    Attributes:
        kind: How the client proved who it is.
        name: Name in the certificate; empty without a certificate.
    """

    kind: ClientKind
    name: str = ""

    def refusal(self, devices: Sequence[str]) -> str | None:
        """Returns why the client must not read the health of these devices; None if it may."""
        if self.kind in (ClientKind.SERVICE, ClientKind.TOKEN):
            return None
        if self.kind is ClientKind.DEVICE:
            if tuple(devices) == (self.name,):
                return None
            return (
                f"the certificate of device {self.name} may read the health of {self.name} only. "
                "Use a service's certificate, or a token of [api] token_file"
            )
        return (
            "this token may read bundles only. Use a service's certificate, or a token of [api] "
            "token_file"
        )


ANONYMOUS = Client(ClientKind.ANONYMOUS)


class Access:
    """Identifies clients.

    Args:
        tokens: Tokens that may read everything.
        bundles_tokens: Tokens that may read bundles only.
        anonymous_bundles: Whether everybody may read bundles.
    """

    def __init__(
        self,
        tokens: Sequence[str] = (),
        bundles_tokens: Sequence[str] = (),
        *,
        anonymous_bundles: bool = False,
    ) -> None:
        # Hashes are compared, so that the time of a comparison says nothing about the token.
        known = dict.fromkeys(map(_digest, bundles_tokens), ClientKind.BUNDLES_TOKEN)
        self._tokens: Mapping[bytes, ClientKind] = {
            **known,
            **dict.fromkeys(map(_digest, tokens), ClientKind.TOKEN),
        }
        self._anonymous_bundles = anonymous_bundles

    def identify(self, peer: Client | None, authorization: str | None, path: str) -> Client | None:
        """Returns the client; None if the request must be refused with status 401.

        Args:
            peer: The client by its certificate; None if it showed none.
            authorization: The header of this name; a wrong token is never ignored.
            path: Path of the request.
        """
        if authorization is not None:
            scheme, _, token = authorization.partition(" ")
            kind = self._tokens.get(_digest(token.strip()))
            return None if kind is None or scheme.lower() != "bearer" else Client(kind)
        if peer is not None:
            return peer
        return ANONYMOUS if self._anonymous_bundles and path.startswith("/bundles/") else None


def read_tokens(path: str | None, key: str) -> tuple[str, ...]:
    """Reads the tokens in a file, one a line; none if no file is configured.

    Args:
        path: The file.
        key: Key of the configuration, for messages.

    Raises:
        ConfigError: The file cannot be read, or a line is not a token.
    """
    if path is None:
        return ()
    try:
        lines = [line.strip() for line in Path(path).read_text("utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise ConfigError(f"[api] {key}: {path} cannot be read: {error}") from error
    tokens = tuple(line for line in lines if line)
    if not tokens or any(_TOKEN.fullmatch(token) is None for token in tokens):
        raise ConfigError(
            f"[api] {key}: {path}: expected one token a line, each of 32 to 500 characters without "
            "spaces. Make one with: openssl rand -hex 32"
        )
    return tokens


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
