"""Repeating: what may be sent again, and after how long.

Whoever sees an attempt fail says in a `Setback` whether the request may be repeated. A `RetryPolicy` decides when, and
whether at all; it never looks at statuses or exceptions.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from dialogkit._core.call import RetrySafety
from dialogkit._core.errors import ConfigurationError, DialogkitError
from dialogkit._core.sending.checks import is_count, is_duration

_PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses that may be different the next time."""


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often and how soon a call is repeated.

    Which calls may be repeated at all is not a matter of policy: reads and calls that are the same when done twice,
    after connection failures, timeouts and the statuses 408, 429, 500, 502, 503 and 504; other calls only when they
    were certainly not processed.

    Args:
        max_attempts: How often the request is sent at most, the first time included; 1 never repeats.
        base_delay: Seconds that the first pause takes at most. Each following one may take twice as long; the
            length is drawn at random, so that clients which failed together do not return together.
        max_delay: Seconds that no such pause exceeds.
        max_retry_after: Seconds. When the platform asks to wait longer, the error is raised instead.
        default_retry_after: Seconds to wait after a 429 that does not say how long.
        random: Gives a number from 0 up to 1.

    Raises:
        ConfigurationError: A number is negative or no number.
    """

    max_attempts: int = 3
    base_delay: float = 0.5
    max_delay: float = 30.0
    max_retry_after: float = 60.0
    default_retry_after: float = 5.0
    random: Callable[[], float] = field(default=random.random, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not is_count(self.max_attempts):
            raise ConfigurationError(f"RetryPolicy: max_attempts must be 1 or more, not {self.max_attempts!r}")
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


@dataclass(frozen=True, kw_only=True)
class Setback:
    """An attempt that brought no result."""

    error: DialogkitError
    """What to raise if this was the last attempt."""
    repeatable: bool
    """Whether the request may be sent again."""
    retry_after: float | None = None
    """Seconds that the platform asked to wait."""
    better_credential: bool = False
    """The credential was refused and there is a new one: repeat at once."""


def may_repeat_after_silence(safety: RetrySafety, *, sent: bool) -> bool:
    """Say whether a request that got no answer may be sent again."""
    return safety != "never-after-sent" or not sent


def may_repeat_after_status(safety: RetrySafety, status: int, retry_after: float | None) -> bool:
    """Say whether a request that was answered with this error status may be sent again."""
    if safety != "never-after-sent":
        return status in _PASSING
    # Both say that the platform turned the request away. A 503 alone may come from a proxy whose server has it.
    return status == 429 or (status == 503 and retry_after is not None)
