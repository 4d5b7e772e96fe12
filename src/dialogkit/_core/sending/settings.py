"""Everything that a client was told, in one frozen object."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from dialogkit._core.call import Operation
from dialogkit._core.errors import ConfigurationError
from dialogkit._core.events import DriftHandler
from dialogkit._core.lazy import LazyModule
from dialogkit._core.sending.auth import Auth
from dialogkit._core.sending.checks import is_positive
from dialogkit._core.sending.deprecation import Deprecations
from dialogkit._core.sending.rate_limit import RateLimit, RateLimiter
from dialogkit._core.sending.rate_limit.headers import HeaderReader
from dialogkit._core.sending.retry import RetryPolicy, RetryQuota
from dialogkit._core.sending.watch import Watch

if TYPE_CHECKING:
    import httpx
else:
    httpx = LazyModule("httpx")

DEFAULT_TIMEOUT: Final = 60.0
_PLAIN_URL: Final = re.compile(r"https://(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+[a-z]+(?:/[a-z0-9]+)*/?")
"""What nobody can read in two ways, so that httpx need not be loaded to find nothing wrong with it."""


@dataclass(frozen=True, kw_only=True)
class Default:
    """An argument that the client fills in where a call leaves it out, and how users set it."""

    keyword: str
    """The client's keyword."""
    env: str
    """The environment variable that is read when the keyword is not given."""
    value: str | None = None


@dataclass(frozen=True, kw_only=True)
class Platform:
    """What one platform is like, as its facade says."""

    name: str
    """As users write it, for messages."""
    base_url: str
    """Where the platform is, unless `base_url` is given."""
    api_key_env: str
    """The environment variable that holds the API key, unless `api_key` or `auth` is given."""
    limits: tuple[RateLimit, ...] = ()
    """What the platform allows for a credential (and location), unless `rate_limit` is given."""
    operation_limits: Mapping[str, tuple[RateLimit, ...]] = field(
        default_factory=lambda: MappingProxyType(dict[str, tuple[RateLimit, ...]]())
    )
    """Further limits, each with a name, of the operations that are counted by them, too."""
    rate_limit_headers: HeaderReader = field(default_factory=HeaderReader)
    """Reads what the platform's answers tell of its limits."""
    defaults: Mapping[str, Default] = field(default_factory=lambda: MappingProxyType(dict[str, Default]()))
    """Arguments that the client fills in, under their Python names."""
    account: str | None = None
    """Which of `defaults` is the account that calls are about, unless they name another."""
    version_header: str | None = None
    """The header that selects the platform's API version, if there is one."""
    version: str | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType(dict[str, str]()))
    """Further headers of every request."""
    deprecation_header: str | None = None
    """The header by which the platform's answers announce that an operation will end, in lower case."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a `Sender` needs to know. Nothing in it changes; a view of a client has settings of its own."""

    platform: Platform
    base_url: str
    auth: Auth = field(repr=False)
    limiter: RateLimiter | None
    """`None` lets every request through."""
    limits: tuple[RateLimit, ...]
    """What requests with a credential are counted by."""
    operation_limits: Mapping[str, tuple[RateLimit, ...]] = field(
        default_factory=lambda: MappingProxyType(dict[str, tuple[RateLimit, ...]]())
    )
    """What the requests of some operations are counted by besides."""
    retry: RetryPolicy
    quota: RetryQuota
    """Shared by a client and its views."""
    watch: Watch
    on_drift: DriftHandler = field(repr=False)
    deprecations: Deprecations = field(default_factory=Deprecations, repr=False)
    """Shared, too."""
    timeout: float = DEFAULT_TIMEOUT
    deadline: float | None = None
    strict: bool = False
    allow_insecure: bool = False

    def __post_init__(self) -> None:
        for name, value in (("timeout", self.timeout), ("deadline", self.deadline)):
            if not (value is None and name == "deadline") and not is_positive(value):
                raise ConfigurationError(f"{name} must be a positive number of seconds, not {value!r}")
        if not _is_plain(self.base_url):
            _check_base_url(str(self.base_url), self.allow_insecure)

    def limits_of(self, operation: Operation[Any]) -> tuple[RateLimit, ...]:
        """Return what the requests of `operation` are counted by: nothing, if it has neither credential nor limits."""
        general = self.limits if operation.authenticated else ()
        own = self.operation_limits.get(operation.id)
        return general if own is None else (*general, *own)

    def is_its_own_refusal(self, operation: Operation[Any], pause: float) -> bool:
        """Say whether `pause`, which the platform asked for, is for a limit that only `operation` is counted by.

        It is if it is longer than any of the general limits lasts: others may go on then.
        """
        return (
            operation.authenticated
            and operation.id in self.operation_limits
            and pause > max((limit.per for limit in self.limits), default=0.0)
        )


@lru_cache(maxsize=64)
def _check_base_url(base_url: str, allow_insecure: bool) -> None:
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
