"""Proxies from the environment, by the rules of httpx: a client that is given a transport does not look for them."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from urllib.request import getproxies

import httpx

from dialogkit._core.errors import ConfigurationError


def proxy_mounts(make: Callable[[httpx.Proxy], httpx.AsyncBaseTransport]) -> dict[str, httpx.AsyncBaseTransport | None]:
    """Return the mounts for the proxies that `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` ask for.

    Args:
        make: Makes the transport that goes through a proxy.

    Raises:
        ConfigurationError: The environment names a proxy that cannot be used.
    """
    mounts: dict[str, httpx.AsyncBaseTransport | None] = {}
    for pattern, proxy in environment_proxies().items():
        try:
            mounts[pattern] = None if proxy is None else make(httpx.Proxy(proxy))
        except (ImportError, ValueError, httpx.InvalidURL) as exc:
            problem = str(exc) if isinstance(exc, ImportError) else "Its URL is not understood."
        else:
            continue
        # Not raised above, whose frames hold the proxy's URL with its password.
        name = pattern.partition(":")[0].upper()
        raise ConfigurationError(f"The proxy that the environment names in {name}_PROXY cannot be used. {problem}")
    return mounts


def environment_proxies() -> dict[str, str | None]:
    """Return URL patterns in httpx's notation with the proxy's URL for each, `None` for a direct connection."""
    found = getproxies()
    exempt = [host.strip() for host in found.get("no", "").split(",") if host.strip()]
    if "*" in exempt:
        return {}
    proxies: dict[str, str | None] = {}
    for scheme in ("http", "https", "all"):
        if proxy := found.get(scheme):
            proxies[f"{scheme}://"] = proxy if "://" in proxy else f"http://{proxy}"
    return proxies | dict.fromkeys(map(_exemption, exempt))


def _exemption(host: str) -> str:
    """Return the pattern for one entry of `NO_PROXY`: a domain stands for its subdomains too."""
    if "://" in host:
        return host
    try:
        version = ipaddress.ip_address(host.partition("/")[0]).version
    except ValueError:
        return f"all://{host}" if host.lower() == "localhost" else f"all://*{host}"
    return f"all://{host}" if version == 4 else f"all://[{host}]"
