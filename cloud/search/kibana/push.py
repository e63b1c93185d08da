"""Sends the bundle to Kibana and checks the answer. The one file that imports urllib3.

Kibana answers 200 even if it imported nothing: only `success` in the answer's body counts.
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from urllib3 import BaseHTTPResponse, PoolManager, Timeout
from urllib3.exceptions import HTTPError, SSLError

from cloud.errors import KibanaError, KibanaRefused
from contract.errors import ConfigError, DewlineError
from transport.tls import TlsFiles, client_context, tls_failure

__all__ = ["Access", "push"]

_CONNECT_S = 10.0
_ANSWER_S = 120.0  # Kibana migrates every object before it answers
_SHOWN = 10  # refused objects that a message lists
_URL = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?", re.IGNORECASE)
_KEY = re.compile(r"[A-Za-z0-9+/=_-]+")
_SPACE = re.compile(r"[a-z0-9_-]+")
_WORDS = {
    401: "wrong credentials: check username and password_file, or api_key_file",
    403: "the account may not import: give it all privileges of `Saved Objects Management`",
    404: "not found: check the address of Kibana, its base path, and that the space exists",
    413: "the bundle is too large: raise Kibana's `savedObjects.maxImportPayloadBytes`",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Address of Kibana, and the credentials for it.

    Attributes:
        url: Address, with its base path if it has one.
        space: The space to import into; None for the default one.
        ca_file: For https: CA certificates (PEM) to trust instead of the system's.
        account: Name and password.
        api_key: The value `encoded` of an Elasticsearch API key; instead of an account.
    """

    url: str
    space: str | None = None
    ca_file: str | None = None
    account: tuple[str, str] | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)


def push(access: Access, bundle: str) -> int:
    """Imports the objects, replacing those of the same ids; returns their number.

    Raises:
        KibanaError: Kibana did not answer or is busy; the import may have happened or not.
        KibanaRefused: Kibana did not import every object; the message names them and the reasons.
        ConfigError: Address, credentials or rights are wrong.
    """
    headers = {"kbn-xsrf": "true", **_identity(access)}
    # Kibana recognises the format by the file name's suffix.
    file = ("dewline.ndjson", bundle.encode(), "application/ndjson")
    try:
        with _pool(access) as pool:
            answer = pool.request(
                "POST", _address(access), headers=headers, fields={"file": file}, redirect=False
            )
    except HTTPError as error:
        raise _unreached(error, access.url) from error
    return _taken(answer, access, wanted=bundle.count("\n"))


def _pool(access: Access) -> PoolManager:
    context = None
    if access.ca_file is not None:
        if not access.url.lower().startswith("https:"):
            raise ConfigError(f"[kibana] ca_file: needs a url with https, not {access.url}")
        context = client_context(TlsFiles(ca_file=access.ca_file), "[kibana]")
    timeout = Timeout(connect=_CONNECT_S, read=_ANSWER_S)
    return PoolManager(timeout=timeout, retries=False, ssl_context=context)


def _address(access: Access) -> str:
    if _URL.fullmatch(access.url) is None:
        raise ConfigError(
            f"[kibana] url: {access.url!r} is not an address such as http://127.0.0.1:5601"
        )
    space = ""
    if access.space is not None:
        if _SPACE.fullmatch(access.space) is None:
            raise ConfigError(
                f"[kibana] space: {access.space!r} is not a space's id: use a-z, 0-9, _ and -"
            )
        space = f"/s/{access.space}"
    return f"{access.url.rstrip('/')}{space}/api/saved_objects/_import?overwrite=true"


def _identity(access: Access) -> Mapping[str, str]:
    if access.api_key is not None:
        if _KEY.fullmatch(access.api_key) is None:
            raise ConfigError("[kibana] api_key_file: expected the key's `encoded` value, base64")
        return {"authorization": f"ApiKey {access.api_key}"}
    if access.account is not None:
        # Not urllib3's own function: it encodes Latin-1, but Kibana expects UTF-8.
        return {"authorization": f"Basic {b64encode(':'.join(access.account).encode()).decode()}"}
    return {}


def _unreached(error: HTTPError, url: str) -> DewlineError:
    failure = tls_failure(str(error)) if isinstance(error, SSLError) else None
    if failure is not None and failure.lasting:
        return ConfigError(f"[kibana] url: {url}: {failure.text}")
    said = error if failure is None else failure.text
    return KibanaError(f"{url}: no answer: {said}; check that Kibana runs there")


def _taken(answer: BaseHTTPResponse, access: Access, wanted: int) -> int:
    body = _body(answer.data)
    if answer.status != 200:
        raise _refusal(answer.status, body, access)
    if body.get("success") is not True:
        raise KibanaRefused(
            f"{access.url}: imported {body.get('successCount', 0)} of {wanted} objects: "
            + "; ".join(_shown(body.get("errors", [])))
        )
    if body.get("successCount") != wanted:
        raise KibanaRefused(
            f"{access.url}: Kibana imported {body.get('successCount')} of {wanted} objects"
        )
    return wanted


def _body(data: bytes) -> Mapping[str, Any]:
    """Returns the answer's JSON object; if it is not one, its text under `message`."""
    try:
        body = json.loads(data)
    except ValueError:
        body = None
    if isinstance(body, dict):
        return body
    return {"message": data[:200].decode(errors="replace")}


def _refusal(status: int, body: Mapping[str, Any], access: Access) -> DewlineError:
    text = f"{access.url}: {status}: {body.get('message', '')}"
    if status in _WORDS:
        return ConfigError(f"[kibana] {text}: {_WORDS[status]}")
    if status in (409, 429) or status >= 500:
        return KibanaError(f"{text}: try again")
    if 300 <= status < 400:
        return ConfigError(
            f"[kibana] {text}: Kibana redirects to another address: add its base path to url"
        )
    return KibanaRefused(text)


def _shown(errors: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for error in errors[:_SHOWN]:
        about = error.get("error", {})
        yield f"{error.get('type')} {error.get('id')}: {_why(about)}"
    if len(errors) > _SHOWN:
        yield f"and {len(errors) - _SHOWN} more"


def _why(about: Mapping[str, Any]) -> str:
    missing = [f"{one.get('type')} {one.get('id')}" for one in about.get("references", [])]
    words = [str(about.get("type", "no reason given")), str(about.get("message", ""))]
    return " ".join(word for word in (*words, ", ".join(missing)) if word)
