"""API keys: the only place that reads them, bound to their hosts, and masked wherever text leaves the product.

An SDK left to itself reads its key and its address from the environment. A back end therefore passes both: the key of
``key_for`` (or ``"none"`` for a server without keys) and the address of the judge or ``default_base_url``.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import re
import secrets
import threading
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import SplitResult, quote, urlsplit

from ..errors import JudgeError

if TYPE_CHECKING:
    from .spec import Provider  # the app masks keys before its first paint, and pydantic takes a while

MASK = "***"
_ADDRESSES: dict[Provider, str] = {
    "openai": "https://api.openai.com/v1",
    "openai-chat": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/openai/",
}
_VARIABLE_OF_HOST = {
    "api.openai.com": "OPENAI_API_KEY",
    "eu.api.openai.com": "OPENAI_API_KEY",
    "us.api.openai.com": "OPENAI_API_KEY",
    "api.anthropic.com": "ANTHROPIC_API_KEY",
    "generativelanguage.googleapis.com": "GEMINI_API_KEY",
}
_VENDORS = frozenset(_VARIABLE_OF_HOST.values())
_MASKED_VARIABLES = (*sorted(_VENDORS), "GOOGLE_API_KEY", "OPENROUTER_API_KEY", "ANTHROPIC_AUTH_TOKEN", "HF_TOKEN")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEY = re.compile(r"[!#-&(-_a-~]+")  # printable ASCII without blanks and the three quotes
_SHORTEST_MASKED = 8
"""A shorter key is no secret (servers of one's own take ``none``), and masking it would eat words."""
_LOOKS_LIKE_KEY = re.compile(
    r"(?<![A-Za-z0-9])(?:sk-[\w*.-]{6,}|AIza[\w*-]{10,}|hf_[A-Za-z0-9*]{10,})|(?i:(\bbearer\s+)[^\s\"',;]{4,})"
)
_PROCESS_SALT = secrets.token_bytes(32)
_lock = threading.Lock()
_handed_out: set[str] = set()


class Secret:
    """A key. Every way of printing it gives ``***``; it cannot be pickled, and only ``reveal`` gives it away."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value
        with _lock:
            _handed_out.add(value)

    def reveal(self) -> str:
        """The key itself, for the SDK's constructor and nothing else."""
        return self.__value

    def __repr__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__value.encode(), other.__value.encode())

    def __hash__(self) -> int:
        return hash(fingerprint(self))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, _memo: dict[int, Any]) -> Secret:
        return self

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError("a key cannot be pickled")


def default_base_url(provider: Provider) -> str:
    """Where a provider answers; empty for ``compatible``, which must name its server."""
    return _ADDRESSES.get(provider, "")


def key_name_for(provider: Provider, base_url: str, api_key_env: str) -> str:
    """The variable that holds the key: the named one, else the usual one of the vendor whose host it is, else empty.

    Raises ``JudgeError`` for an address that cannot be used.
    """
    return api_key_env or _VARIABLE_OF_HOST.get(_address(provider, base_url).hostname or "", "")


def key_for(provider: Provider, base_url: str, api_key_env: str) -> Secret | None:
    """The key to send to this server; None for one without keys.

    A vendor's usual variable goes to that vendor's host only (or to this machine, where it is named); any other host
    gets a key only if ``api_key_env`` names it. Raises ``JudgeError`` if the variable is missing or holds no key, or if
    the key would travel unencrypted.
    """
    address = _address(provider, base_url)
    host = address.hostname or ""
    name = key_name_for(provider, base_url, api_key_env)
    if not name:
        return None
    if not _NAME.fullmatch(name):
        raise JudgeError("api_key_env must be the name of an environment variable, not the key itself")
    here = is_loopback(host)
    if name in _VENDORS and _VARIABLE_OF_HOST.get(host) != name and not here:
        raise JudgeError(f"{name} is not sent to {host}; put that server's own key in another variable and name it")
    if address.scheme != "https" and not here:
        raise JudgeError(f"{mask(name)} is not sent to {host} over plain http; use https, or a tunnel to 127.0.0.1")
    return Secret(_read(name, host))


def is_loopback(host: str) -> bool:
    """Whether a host name means this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def host_of(provider: Provider, base_url: str) -> str:
    """The host that a judge's calls go to. Raises ``JudgeError`` for an address that cannot be used."""
    return _address(provider, base_url).hostname or ""


def mask(text: str) -> str:
    """The text with every key replaced by ``***``: the known ones by value, others by what they look like."""
    with _lock:
        known = set(_handed_out)
    known.update(os.environ.get(name, "").strip() for name in _MASKED_VARIABLES)
    forms = {form for key in known if len(key) >= _SHORTEST_MASKED for form in (key, quote(key, safe=""))}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, MASK)
    return _LOOKS_LIKE_KEY.sub(lambda found: (found[1] or "") + MASK, text)


def fingerprint(secret: Secret | None) -> str:
    """Tells keys apart within this process, and says nothing of them: 16 hex digits under a salt that is never kept."""
    if secret is None:
        return "keyless"
    return hmac.new(_PROCESS_SALT, secret.reveal().encode(), hashlib.sha256).hexdigest()[:16]


def _address(provider: Provider, base_url: str) -> SplitResult:
    url = base_url or default_base_url(provider)
    if not url:
        raise JudgeError(f'provider "{provider}" needs base_url, the address of its server')
    try:
        parts = urlsplit(url)
        _ = parts.port  # parsed only now; raises ValueError
    except ValueError:
        raise JudgeError(f"base_url {mask(url)!r} is not an address") from None
    if parts.username is not None or parts.password is not None:
        raise JudgeError("base_url must hold no user name, password or key; name the key's variable in api_key_env")
    if parts.scheme not in ("http", "https") or not parts.hostname or not re.fullmatch(r"[!-\[\]-~]+", url):
        raise JudgeError(f"base_url {mask(url)!r} must be an address such as http://127.0.0.1:8000/v1")
    return parts


def _read(name: str, host: str) -> str:
    key = os.environ.get(name, "")
    if not key:
        raise JudgeError(f"{host} needs a key: set the environment variable {mask(name)}")
    if not _KEY.fullmatch(key):
        raise JudgeError(f"{name} holds no usable key: it has a blank, a line break, a quote or an odd character in it")
    return key
