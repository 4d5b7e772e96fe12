"""Rate limits, and what keeps below them.

A `RateLimiter` hands out permits: one is acquired before each attempt and settled when the attempt's answer has come
or can come no more, with what the answer tells of the limits. `MemoryRateLimiter` (in `.memory`) is the one for one
process, `RedisRateLimiter` (in `.redis`) the one that several processes share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from dialogkit._core.errors import ConfigurationError
from dialogkit._core.support.checks import is_count, is_duration, is_positive

Key: TypeAlias = tuple[str, ...]
"""What a platform counts by: its name, the credential (as a name that does not tell it), and the account that the
credential is for, if it is for one."""

LONGEST_PAUSE: Final = 900.0
"""Seconds for which a platform's word is taken that nothing must be sent; then one call probes. What a stranger has
written must not put a client out of order for longer."""
LONGEST_WINDOW: Final = 86_400.0
"""Seconds; no platform counts by more than a day, and the end of a day that is spent is believed for as long."""


@dataclass(frozen=True)
class RateLimit:
    """At most `limit` requests in any `per` seconds.

    Args:
        limit: How many requests.
        per: In how many seconds.
        burst: How many may start at once after a quiet time; `limit` unless given. Fewer spreads the requests out,
            more (for platforms that tolerate it) lends from the time that follows: the sustained rate stays
            `limit` in `per` seconds.
        name: What is counted, for limits that hold for some operations only ("messages"); limits of different names
            are counted apart, even if their numbers are the same.

    Raises:
        ConfigurationError: A number is not positive.
    """

    limit: int
    per: float
    burst: int | None = None
    name: str = ""

    def __post_init__(self) -> None:
        for name, value in (("limit", self.limit), ("burst", self.limit if self.burst is None else self.burst)):
            if not is_count(value):
                raise ConfigurationError(f"RateLimit: {name} must be a whole number from 1 up, not {value!r}")
        if not (is_positive(self.per) and is_duration(self.per)):
            raise ConfigurationError(f"RateLimit: per must be a positive number of seconds, not {self.per!r}")

    def windows(self) -> tuple[tuple[int, float], ...]:
        """Return what must hold, as pairs: at most so many requests in any so many seconds."""
        if self.burst is None or self.burst == self.limit:
            return ((self.limit, float(self.per)),)
        bursts = (self.burst, self.per * self.burst / self.limit)
        # So many bursts of equal size fill the larger window exactly: it needs no watching of its own.
        if self.burst > self.limit or self.limit % self.burst == 0:
            return (bursts,)
        return (bursts, (self.limit, float(self.per)))


@dataclass(frozen=True, slots=True)
class Allowance:
    """What an answer tells of one limit: at most `limit` requests in `per` seconds, of which `remaining` are left."""

    limit: int
    per: float
    remaining: int
    resets_in: float | None = None
    """Seconds until all of them are there again, when the platform says so."""
    begins_anew: bool = False
    """Whether what was counted until then counts no more afterwards, as with a day that ends at the platform's
    midnight."""


@dataclass(frozen=True, kw_only=True)
class WindowState:
    """How one window of a key stands."""

    limit: int
    per: float
    name: str
    """What is counted, see `RateLimit.name`."""
    free: int
    """How many requests could start now, as far as this window is concerned."""


@dataclass(frozen=True, kw_only=True)
class KeyState:
    """How one key of a limiter stands, for a page or a metric of yours."""

    key: Key
    waiting: int
    """How many calls wait for their turn."""
    paused_for: float
    """Seconds for which the platform has asked everybody to wait."""
    windows: tuple[WindowState, ...]


class Permit(Protocol):
    """The right to send one request now."""

    def settle(self, allowances: Sequence[Allowance] = (), retry_after: float | None = None) -> None:
        """Say that the request has been counted by now, if it ever is. Only the first time counts.

        Args:
            allowances: What the answer tells of the limits; nothing when no answer came.
            retry_after: Seconds that the platform asked to wait, when it refused the request for its rate. What is
                longer than 15 minutes is cut to that, and then one call goes first, alone.
        """
        ...


class RateLimiter(Protocol):
    """Lets requests through no faster than their limits allow."""

    async def acquire(self, key: Key, limits: Sequence[RateLimit], /, *, max_wait: float | None) -> Permit:
        """Wait for a permit under all `limits` at once, first come, first served.

        Args:
            key: What the platform counts by; requests of different keys do not wait for each other.
            limits: What must hold for the request. The same limit is the same for all requests of a key.
            max_wait: Seconds to wait at most; `None` waits as long as it takes.

        Raises:
            RateLimitWaitError: The wait is known to be longer.
        """
        ...
