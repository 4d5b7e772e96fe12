"""Which URLs a request may go to: safe to send a credential there, and readable in one way only."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from dialogkit._core.errors import ConfigurationError
from dialogkit._core.http.failure import TransportFailure
from dialogkit._core.support.lazy import LazyModule

if TYPE_CHECKING:
    import socket

    import httpx
else:
    httpx = LazyModule("httpx")
    socket = LazyModule("socket")

_SCHEMES: Final = frozenset({"http", "https"})
_HIGHEST_PORT: Final = 65535
_LONGEST_HOST: Final = 254
_NAME: Final = re.compile(rb"[0-9A-Za-z_.-]+")
_PLAIN_URL: Final = re.compile(r"https://(?:[a-z0-9]{1,20}(?:-[a-z0-9]{1,20}){0,2}\.){1,3}[a-z]{1,20}(?:/[a-z0-9]+)*/?")
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
    parsed = _parsed(url)
    if parsed is None:
        raise ConfigurationError("the URL cannot be read; it should look like https://api.example.com")
    if parsed.scheme not in _SCHEMES or not parsed.host:
        raise ConfigurationError("the URL must begin with https:// and name a host, like https://api.example.com")
    if parsed.scheme == "http" and not allow_insecure and not _is_this_machine(parsed.host):
        raise ConfigurationError(
            f"the URL http://{parsed.netloc.decode()} is not encrypted, and everyone on the way could read what is "
            "sent: use https://, or pass allow_insecure=True if you are sure"
        )
    return parsed


def next_hop(url: str, location: str) -> httpx.URL:
    """Return where the answer from `url` leads, which its server chose: looked at as the first URL was.

    Raises:
        TransportFailure: It leads where no request may follow: from https to http, from elsewhere to this machine or
            to an address that every network has for itself (link-local), or to no server at all.
    """
    here = httpx.URL(url)
    there = _parsed(location, here)
    if there is None or there.scheme not in _SCHEMES or not there.host:
        raise TransportFailure("the answer leads to what is no URL of a server", sent=True)
    insecure = there.scheme == "http" and not _is_this_machine(there.host)
    downgraded = there.scheme == "http" and here.scheme == "https"
    if downgraded or (insecure and _is_this_machine(here.host)):
        raise TransportFailure("the answer leads to a URL that is not encrypted", sent=True)
    if _is_inside(there.host) and not _is_inside(here.host):
        raise TransportFailure("the answer leads to this machine, or to an address next to it", sent=True)
    return there


def _parsed(url: str, base: httpx.URL | None = None) -> httpx.URL | None:
    """Return `url` if it can be read, up to its host and port."""
    try:
        parsed = httpx.URL(url) if base is None else base.join(url)
        known = len(parsed.host) == 0 or _is_host(parsed.raw_host)
    except (httpx.InvalidURL, TypeError, ValueError):  # a host that IDNA refuses is a ValueError
        return None
    return parsed if known and 0 <= (parsed.port or 0) <= _HIGHEST_PORT else None


def _is_plain(url: object) -> bool:
    return isinstance(url, str) and _PLAIN_URL.fullmatch(url) is not None


def _is_host(host: bytes) -> bool:
    """Say whether `host` is an address, or a name server could know it.

    A name has labels of 1 to 63 characters, 253 in all; a dot may end it.
    """
    if b":" in host:
        return True
    return (
        _NAME.fullmatch(host) is not None
        and len(host) <= _LONGEST_HOST
        and all(0 < len(each) <= 63 for each in host.removesuffix(b".").split(b"."))
    )


@lru_cache(maxsize=64)
def _is_this_machine(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_inside(host: str) -> bool:
    """Say whether `host` is this machine, or what only a network itself may reach, in whatever spelling."""
    if _is_this_machine(host.removesuffix(".").lower()):
        return True
    address = _address(host)
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped is not None and (mapped.is_loopback or mapped.is_link_local or mapped.is_unspecified)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that `host` spells; systems also take 0x7f.1 and 2130706433."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeError):
        return None
