"""Repeating: what may be sent again, and after how long.

Whoever sees an attempt fail says in a `FailedAttempt` whether the request may be repeated; of an answer, the platform's
`ErrorStatuses` know. A `RetryPolicy` decides when, and whether at all; it never looks at statuses or exceptions. A
`RetryQuota` sees all calls of a client: when a platform is down, repeating every call three times would be three times
the load on what struggles to come up again. It is a bucket of tokens, in the manner of the AWS SDKs' standard retry
mode.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from dialogkit._core.call import RetrySafety
from dialogkit._core.errors import ConfigurationError, DialogkitError, may_have_happened
from dialogkit._core.support.checks import is_count, is_duration

RETRY_COST: Final = 1.0
"""What repeating a request takes from the quota."""
TIMEOUT_RETRY_COST: Final = 2.0
"""The same after a timeout: a platform that is too slow to answer is too slow already."""
_RECOVERY: Final = 0.2
"""What a first attempt that the platform answered gives back to the quota: a fifth of a retry."""

logger = logging.getLogger("dialogkit")


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often and how soon a call is repeated.

    Which calls may be repeated at all is not a matter of policy: reads and calls that are the same when done twice,
    after connection failures, timeouts, the statuses 408, 425 and 429, and those from 500 on except 501, 505 and 511;
    other calls only when they were certainly not processed, that is when no connection was made, or after a 429. Not
    after a 503, `Retry-After` or no: proxies write it, too, when the platform has done its work and is late to say so.

    A platform may ask for a longer pause in its documentation, such as HoopAI for 30 s after a 500. That is not the
    default, since a web request that waits for the call would hang for as long. For jobs that may take their time,
    `RetryPolicy(base_delay=30, random=lambda: 1.0)` waits 30 s each time.

    Args:
        max_attempts: How often the request is sent at most, the first time included; 1 never repeats.
        base_delay: Seconds that the first pause takes at most. Each following one may take twice as long; the
            length is drawn at random, so that clients which failed together do not return together.
        max_delay: Seconds that no such pause exceeds.
        max_retry_after: Seconds. When the platform asks to wait longer, the error is raised instead.
        default_retry_after: Seconds to wait after a 429 that does not say how long.
        quota: How many retries the calls of a client may have in all while the platform answers none of them; one
            after a timeout counts as two. Every attempt that is answered gives some back. `None` for no such bound.
        random: Gives a number from 0 up to 1.

    Raises:
        ConfigurationError: A number is negative or no number.
    """

    max_attempts: int = 3
    base_delay: float = 0.5
    max_delay: float = 30.0
    max_retry_after: float = 60.0
    default_retry_after: float = 5.0
    quota: int | None = 100
    random: Callable[[], float] = field(default=random.random, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not is_count(self.max_attempts):
            raise ConfigurationError(f"RetryPolicy: max_attempts must be 1 or more, not {self.max_attempts!r}")
        if self.quota is not None and not is_count(self.quota):
            raise ConfigurationError(f"RetryPolicy: quota must be 1 or more, or None, not {self.quota!r}")
        for name in ("base_delay", "max_delay", "max_retry_after", "default_retry_after"):
            value = getattr(self, name)
            if not is_duration(value):
                raise ConfigurationError(f"RetryPolicy: {name} must be a number of seconds from 0 up, not {value!r}")

    def delay(self, attempts: int, *, retry_after: float | None = None) -> float | None:
        """Return seconds to wait before the next attempt, or `None` to give up.

        Args:
            attempts: How many there have been.
            retry_after: Seconds that the platform asked to wait.
        """
        if attempts >= self.max_attempts or (retry_after is not None and retry_after > self.max_retry_after):
            return None
        longest = min(self.max_delay, self.base_delay * 2.0 ** min(attempts - 1, 64))
        return max(self.random() * longest, retry_after or 0.0)


class RetryQuota:
    """How many retries all calls of a client have left.

    Args:
        capacity: How many there are when all is well; `None` for any number.
    """

    __slots__ = ("_exhausted", "_left", "capacity")

    def __init__(self, capacity: int | None) -> None:
        self.capacity = capacity
        self._left = float(capacity or 0)
        self._exhausted = False

    def take(self, cost: float) -> bool:
        """Take what a retry costs; return `False`, and log it once, if that much is not there."""
        if self.capacity is None:
            return True
        if cost <= self._left:
            self._left -= cost
            return True
        if not self._exhausted:
            self._exhausted = True
            logger.warning(
                "The retry quota of %d is used up: failed calls are not repeated until the platform answers again",
                self.capacity,
            )
        return False

    def answered(self, taken: float) -> None:
        """Give back what the last retry of a call took, or a little when there was none: the platform has answered."""
        if self.capacity is None or self._left >= self.capacity:
            return
        self._left = min(float(self.capacity), self._left + (taken or _RECOVERY))
        if self._left >= self.capacity / 2:
            self._exhausted = False


@dataclass(frozen=True, kw_only=True)
class FailedAttempt:
    """An attempt that brought no result."""

    error: DialogkitError
    """What to raise if this was the last attempt."""
    repeatable: bool
    """Whether the request may be sent again."""
    retry_cost: float = 0.0
    """What repeating it takes from the quota; nothing if the attempt was answered by a platform that is well."""
    retry_after: float | None = None
    """Seconds that the platform asked to wait."""
    better_credential: bool = False
    """The credential was refused and there is a new one: repeat at once."""


@dataclass(frozen=True, kw_only=True)
class ErrorStatuses:
    """What the error statuses of a platform say about sending a request again.

    A status says so by its class: below 500 the request is at fault, from 500 on the platform, whose faults pass. What
    is particular about a platform is data in its facade.
    """

    passing: frozenset[int] = frozenset({408, 425, 429})
    """Below 500: the same request may fare better later."""
    lasting: frozenset[int] = frozenset({501, 505, 511})
    """From 500 on: it will not."""
    unprocessed: frozenset[int] = frozenset({429})
    """The request was certainly not processed: even what must not be done twice may be sent again.

    A 503 is not among them, `Retry-After` or no: gateways write that, too, when the answer is late and the deed done.
    A platform that documents one of its statuses as such says so in its facade.
    """

    def may_pass(self, status: int) -> bool:
        """Say whether the same request may fare better later."""
        return status in self.passing or (status >= 500 and status not in self.lasting)

    def may_have_happened(self, status: int) -> bool:
        """Say whether a request that was answered with this error status may have had its effect all the same."""
        return status not in self.unprocessed and may_have_happened(status)

    def may_repeat(self, safety: RetrySafety, status: int) -> bool:
        """Say whether a request that was answered with this error status may be sent again."""
        return status in self.unprocessed if safety == "never-after-sent" else self.may_pass(status)

    def retry_cost(self, status: int, *, limited: bool) -> float:
        """Return what repeating a request that was answered with this error status takes from the quota.

        Args:
            status: What was answered.
            limited: Whether a rate limiter stands before the next attempt. Then a 429 costs nothing, because the
                limiter holds back everybody for as long as the platform asks.
        """
        return RETRY_COST if self.may_pass(status) and not (status == 429 and limited) else 0.0


def may_repeat_unanswered(safety: RetrySafety, *, sent: bool) -> bool:
    """Say whether a request that got no answer may be sent again."""
    return safety != "never-after-sent" or not sent
