"""Everything that a client was told, in one frozen object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from dialogkit._core.auth.bearer import AccountAuth, Auth, AuthContext
from dialogkit._core.call import Operation
from dialogkit._core.errors import ConfigurationError
from dialogkit._core.events import DriftHandler
from dialogkit._core.http.transport import MAX_BYTES
from dialogkit._core.http.urls import check_base_url
from dialogkit._core.limits.headers import Doubts
from dialogkit._core.limits.terms import RateLimit, RateLimiter
from dialogkit._core.observing.deprecation import Deprecations
from dialogkit._core.observing.watch import Watch
from dialogkit._core.sending.platform import Platform
from dialogkit._core.sending.retry import RetryPolicy, RetryQuota
from dialogkit._core.support.checks import is_count, is_positive

DEFAULT_TIMEOUT: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an `Exchange` needs to know. Nothing in it changes; a view of a client has settings of its own."""

    platform: Platform
    base_url: str
    auth: Auth = field(repr=False)
    limiter: RateLimiter | None
    """`None` lets every request through."""
    chooses_account: Callable[[AuthContext], str] | None = field(init=False, repr=False)
    """Says with whose credential a call is sent, if `auth` has several."""
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
    doubts: Doubts = field(default_factory=Doubts, repr=False)
    """Shared, too."""
    timeout: float = DEFAULT_TIMEOUT
    deadline: float | None = None
    max_answer_bytes: int = MAX_BYTES
    strict: bool = False
    allow_insecure: bool = False

    def __post_init__(self) -> None:
        for name, value in (("timeout", self.timeout), ("deadline", self.deadline)):
            if not (value is None and name == "deadline") and not is_positive(value):
                raise ConfigurationError(f"{name} must be a positive number of seconds, not {value!r}")
        if not is_count(self.max_answer_bytes):
            raise ConfigurationError(
                f"max_answer_bytes must be a positive number of bytes, not {self.max_answer_bytes!r}"
            )
        chooses = self.auth.account if isinstance(self.auth, AccountAuth) else None
        object.__setattr__(self, "chooses_account", chooses)
        check_base_url(self.base_url, allow_insecure=self.allow_insecure)

    def limits_of(self, operation: Operation[Any]) -> tuple[RateLimit, ...]:
        """Return what the requests of `operation` are counted by: nothing, if it has neither credential nor limits."""
        general = self.limits if operation.authenticated else ()
        own = self.operation_limits.get(operation.function)
        return general if own is None else (*general, *own)

    def is_its_own_refusal(self, operation: Operation[Any], pause: float) -> bool:
        """Say whether `pause`, which the platform asked for, is for a limit that only `operation` is counted by.

        It is if it is longer than any of the general limits lasts: others may go on then.
        """
        return (
            operation.authenticated
            and operation.function in self.operation_limits
            and pause > max((limit.per for limit in self.limits), default=0.0)
        )
