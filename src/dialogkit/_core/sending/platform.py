"""What one platform is like: data that its facade gives, and nothing that a user sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from dialogkit._core.limits.headers import HeaderReader
from dialogkit._core.limits.terms import RateLimit
from dialogkit._core.sending.retry import ErrorStatuses


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
    statuses: ErrorStatuses = field(default_factory=ErrorStatuses)
    """What its error statuses say about sending a request again."""
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
