"""Proxies from the environment, by the rules of httpx: a client that is given a transport does not look for them.

Beyond httpx, `NO_PROXY` may name networks, and addresses in brackets. An entry that nobody understands exempts nothing:
it is said in the log, and harms no call.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.request import getproxies

import httpx

from dialogkit._core.errors import ConfigurationError
from dialogkit._core.http.transport import Origin

logger = logging.getLogger("dialogkit")

_Network: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"
_ENTRY: Final = re.compile(
    r"(?:(?P<scheme>\w+)://)?(?P<host>\[[^\]]+\](?:/\d+)?|[^\s:\[\]]+|[0-9a-fA-F:.]+(?:/\d+)?)(?::(?P<port>\d{1,5}))?"
)
_MOST_ENTRIES: Final = 1_000
"""Of `NO_PROXY`; more are looked at by nobody who wrote them."""


@dataclass(frozen=True)
class Exemption:
    """One entry of `NO_PROXY`."""

    scheme: str | None
    port: int | None
    network: _Network | None
    host: str
    """In lower case. A domain stands for its subdomains, too, unless a scheme stands before it; one that begins with a
    dot stands for nothing else."""

    def covers(self, origin: Origin) -> bool:
        """Say whether requests to `origin` go straight there."""
        if self.scheme not in {None, origin.scheme} or self.port not in {None, origin.port}:
            return False
        host = origin.host.lower()
        if self.network is not None:
            address = _address(host)
            return address is not None and address.version == self.network.version and address in self.network
        if self.scheme is not None or self.host == "localhost":
            return host == self.host
        return host == self.host or host.endswith(self.host if self.host.startswith(".") else f".{self.host}")


@dataclass(frozen=True)
class ProxyRules:
    """Which way the environment wants requests to go."""

    proxies: Mapping[str, str]
    """URLs of proxies, under `http`, `https` and `all`."""
    exemptions: tuple[Exemption, ...] = ()

    def kind_for(self, origin: Origin) -> str | None:
        """Return under which of `proxies` requests to `origin` go, `None` for straight there."""
        if not self.proxies or any(each.covers(origin) for each in self.exemptions):
            return None
        return next((kind for kind in (origin.scheme, "all") if kind in self.proxies), None)


def environment_rules() -> ProxyRules:
    """Return what `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` ask for."""
    found = getproxies()
    entries = [entry for each in found.get("no", "").split(",")[:_MOST_ENTRIES] if (entry := each.strip())]
    if "*" in entries:
        return ProxyRules({})
    given = ((kind, found.get(kind)) for kind in ("http", "https", "all"))
    proxies = {kind: proxy if "://" in proxy else f"http://{proxy}" for kind, proxy in given if proxy}
    return ProxyRules(proxies, tuple(_exemptions(entries)) if proxies else ())


def made_for_each(
    rules: ProxyRules, make: Callable[[httpx.Proxy], httpx.AsyncBaseTransport]
) -> dict[str, httpx.AsyncBaseTransport]:
    """Return a transport for each proxy of `rules`.

    Args:
        rules: What the environment asks for.
        make: Makes the transport that goes through a proxy.

    Raises:
        ConfigurationError: The environment names a proxy that cannot be used.
    """
    made: dict[str, httpx.AsyncBaseTransport] = {}
    for kind, proxy in rules.proxies.items():
        try:
            made[kind] = make(httpx.Proxy(proxy))
        except (ImportError, ValueError, httpx.InvalidURL) as exc:
            problem = str(exc) if isinstance(exc, ImportError) else "Its URL is not understood."
        else:
            continue
        # Not raised above, whose frames hold the proxy's URL with its password.
        raise ConfigurationError(
            f"The proxy that the environment names in {kind.upper()}_PROXY cannot be used. {problem}"
        )
    return made


def _exemptions(entries: list[str]) -> Iterator[Exemption]:
    for entry in entries:
        exemption = _exemption(entry)
        if exemption is None:
            logger.warning("NO_PROXY: %.100r is neither a host, an address nor a network, and is passed over", entry)
        else:
            yield exemption


def _exemption(entry: str) -> Exemption | None:
    network = _network(entry)
    if network is not None:  # before anything else, as an IPv6 address looks like a host with a port
        return Exemption(None, None, network, "")
    match = _ENTRY.fullmatch(entry)
    if match is None:
        return None
    host, port = match["host"], match["port"]
    network = _network(host.replace("[", "").replace("]", ""))
    if network is None and (host.startswith("[") or "/" in host or ":" in host):
        return None
    name = host.lower().removeprefix("*")
    return Exemption(match["scheme"], None if port is None else int(port), network, name) if name.strip(".") else None


def _network(text: str) -> _Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
