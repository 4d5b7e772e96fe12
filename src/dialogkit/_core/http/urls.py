"""Which URLs a request may go to: safe to send a credential there, and readable in one way only."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from dialogkit._core.errors import ConfigurationError
from dialogkit._core.support.lazy import LazyModule

if TYPE_CHECKING:
    import httpx
else:
    httpx = LazyModule("httpx")

_PLAIN_URL: Final = re.compile(r"https://(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+[a-z]+(?:/[a-z0-9]+)*/?")
"""What nobody can read in two ways, so that httpx need not be loaded to find nothing wrong with it."""


def check_base_url(base_url: str, *, allow_insecure: bool) -> None:
    """Raise `ConfigurationError` unless `base_url` is safe, and paths can be appended to it."""
    if not _is_plain(base_url):
        _checked_base_url(str(base_url), allow_insecure)


@lru_cache(maxsize=64)
def _checked_base_url(base_url: str, allow_insecure: bool) -> None:
    url = check_url(base_url, allow_insecure=allow_insecure)
    if url.userinfo or url.query or url.fragment or "?" in base_url or "#" in base_url:
        raise ConfigurationError(
            "base_url must be a scheme, a host and perhaps a path: no user name, password, query or fragment"
        )


def check_url(url: str, *, allow_insecure: bool) -> httpx.URL:
    """Return `url` parsed; raise `ConfigurationError` unless it is safe to send a credential there.

    Plain http is accepted to this machine only, unless `allow_insecure`.
    """
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError, ValueError):
        raise ConfigurationError("the URL cannot be read; it should look like https://api.example.com") from None
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ConfigurationError("the URL must begin with https:// and name a host, like https://api.example.com")
    if parsed.scheme == "http" and not allow_insecure and not _is_this_machine(parsed.host):
        raise ConfigurationError(
            f"the URL http://{parsed.netloc.decode()} is not encrypted, and everyone on the way could read what is "
            "sent: use https://, or pass allow_insecure=True if you are sure"
        )
    return parsed


def _is_plain(url: object) -> bool:
    return isinstance(url, str) and _PLAIN_URL.fullmatch(url) is not None


@lru_cache(maxsize=64)
def _is_this_machine(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
