"""How fast HoopAI may be called, by tier, and how it tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dialogkit.testing.engine.limits import Usage, Window, retry_after

DAILY: Final = 200_000
"""Requests a day, for each app and location."""
TIERS: Final[Mapping[str, tuple[Window, ...]]] = {
    "standard": (Window(60, 60), Window(10, 1)),
    "agency": (Window(120, 60), Window(20, 1)),
    "marketplace": (Window(100, 10),),
}
OWN_LIMITS: Final[Mapping[str, tuple[Window, ...]]] = {"get_access_token": (Window(5, 60),)}


def headers(usage: Usage) -> Mapping[str, str]:
    """Tell of the burst and of the day; only of what neither tells, the wait is told.

    That the burst's 429 comes without `Retry-After` was observed: the platform's own client waits the interval.
    """
    told = {
        "X-RateLimit-Limit-Daily": str(DAILY),
        "X-RateLimit-Daily-Remaining": str(max(0, DAILY - usage.today)),
        "X-RateLimit-Daily-Reset": str(round(usage.day_ends_in * 1000)),
        "X-RateLimit-Interval-Milliseconds": str(round(usage.window.seconds * 1000)),
        "X-RateLimit-Max": str(usage.window.limit),
        "X-RateLimit-Remaining": str(max(0, usage.window.limit - usage.used)),
    }
    return told if usage.for_burst or usage.for_day else {**told, **retry_after(usage)}


def lenient_headers(usage: Usage) -> Mapping[str, str]:
    """Tell of the same, and always of the wait."""
    return {**headers(usage), **retry_after(usage)}
